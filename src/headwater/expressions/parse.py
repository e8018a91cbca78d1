"""Reads an expression: SQL text in, our own tree out, or an error in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from sqlglot import ErrorLevel
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError, TokenError

from headwater.errors import ExpressionError
from headwater.expressions.conversion import Converter
from headwater.expressions.functions import SEQUENCE_FUNCTIONS
from headwater.expressions.refusal import Refused
from headwater.expressions.tree import Aggregate, Call, Node
from headwater.expressions.walk import children, walk

MAX_LENGTH = 20_000
_KEPT = ("CAST", "TRY_CAST", "EXTRACT", "POSITION", "SUBSTRING", "TRIM")
_NOISE = re.compile(r"\s*Line (\d+), Col: (\d+)\.?.*", re.DOTALL)


class _Language(DuckDB):
    """DuckDB's grammar in which every function stays as it was written.

    sqlglot would otherwise rewrite names, arguments and indexes to its own.
    """

    INDEX_OFFSET = 0

    class Parser(DuckDB.Parser):  # type: ignore[valid-type, misc]
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            name: reader for name, reader in DuckDB.Parser.FUNCTION_PARSERS.items() if name in _KEPT
        }


def parse(sql: str, where: str) -> Node:
    """The tree of one expression in DuckDB's dialect.

    `where` names the object and field; it starts the text of every ExpressionError.
    """
    try:
        tree = Converter().convert(_read(sql))
        _check_nesting(tree)
    except Refused as refused:
        raise ExpressionError(f"{where}: {refused}") from None
    except RecursionError:
        raise ExpressionError(f"{where}: the expression is nested too deeply") from None
    return tree


def _read(sql: str) -> Any:
    if not sql.strip():
        raise Refused("the expression is empty")
    if len(sql) > MAX_LENGTH:
        raise Refused(f"the expression is longer than {MAX_LENGTH} characters")
    dialect = _Language()
    try:
        tokens = dialect.tokenize(sql)
        found = dialect.parser(error_level=ErrorLevel.IMMEDIATE).parse(tokens, sql)
    except (ParseError, TokenError) as error:
        raise Refused(_syntax_error(error)) from None
    statements = [statement for statement in found if statement is not None]
    if len(statements) != 1 or len(found) != 1:
        raise Refused("one expression is expected, ';' is not allowed")
    return statements[0]


def _syntax_error(error: ParseError | TokenError) -> str:
    details = error.errors[0] if isinstance(error, ParseError) and error.errors else None
    if details is None:
        text = str(error).splitlines()[0]
        if text.startswith("Error tokenizing"):
            return "syntax error: a quote or comment is not closed"
        return f"syntax error: {text}"
    line, column = details["line"], details["col"]
    place = f"column {column}" if line == 1 else f"line {line}, column {column}"
    near = details["highlight"]
    description = str(details["description"]).rstrip(".")
    if description.startswith("Required keyword"):
        return f"syntax error at {place}: something is missing after '{near}'"
    if description.startswith("Expecting"):
        wanted = description.removeprefix("Expecting ").strip()
        return f"syntax error at {place}: expected '{wanted}' near '{near}'"
    return f"syntax error at {place}: can't read on at '{near}'"


def _check_nesting(tree: Node) -> None:
    for node in walk(tree):
        if isinstance(node, Aggregate):
            for below in _below(node):
                if isinstance(below, Aggregate):
                    place = "FILTER" if node.where and below in walk(node.where) else node.name
                    raise Refused(
                        f"aggregate '{below.name}' inside '{place}'; aggregates can't nest"
                    )
        elif isinstance(node, Call) and node.name in SEQUENCE_FUNCTIONS:
            for below in _below(node):
                if isinstance(below, Aggregate):
                    raise Refused(
                        f"aggregate '{below.name}' inside '{node.name}'; "
                        "make it a feature of its own and read that"
                    )


def _below(node: Node) -> Iterator[Node]:
    for child in children(node):
        yield from walk(child)
