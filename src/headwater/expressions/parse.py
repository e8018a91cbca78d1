"""Reads an expression: SQL text in, our own tree out, or an error in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, ClassVar

from sqlglot import ErrorLevel, TokenType, exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError, TokenError

from headwater.errors import ExpressionError
from headwater.expressions.conversion import Converter
from headwater.expressions.functions import SEQUENCE_FUNCTIONS
from headwater.expressions.refusal import Refused
from headwater.expressions.tree import Aggregate, Call, Node, Over
from headwater.expressions.walk import children, walk

MAX_LENGTH = 20_000
# deeper trees would meet the interpreter's limit of recursion
MAX_DEPTH = 100
_TOO_DEEP = "the expression is nested too deeply; make a part of it a feature of its own"
_NEST = "give it a frame of its own, as in avg(x) OVER (ROWS 19 PRECEDING)"
_STATEMENTS = frozenset(
    "ALTER ATTACH CALL COPY CREATE DELETE DESCRIBE DETACH DROP EXECUTE EXPLAIN EXPORT FROM GRANT "  # noqa: SIM905
    "IMPORT INSERT INSTALL LOAD MERGE PRAGMA PREPARE RESET REVOKE ROLLBACK SELECT SET SHOW "
    "TRUNCATE UPDATE USE VACUUM VALUES WITH".split()
)
_KEPT = ("CAST", "TRY_CAST", "EXTRACT", "POSITION", "SUBSTRING", "TRIM")


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

        def _parse_map(self) -> Any:
            """As sqlglot does it, which would drop arguments that MAP does not take."""
            if self._match(TokenType.L_BRACE, advance=False):
                return super()._parse_map()
            arguments = self._parse_wrapped_csv(self._parse_assignment)
            return self.expression(exp.Anonymous(this="map", expressions=arguments))

        def _parse_as_command(self, start: Any) -> Any:
            """Refuses what sqlglot would pass on unread, with a warning on the log."""
            self.raise_error("Invalid expression / Unexpected token", start)


_LANGUAGE = _Language()


def parse(sql: str, where: str) -> Node:
    """The tree of one expression in DuckDB's dialect.

    `where` names the object and field; it starts the text of every ExpressionError.
    """
    try:
        return _tree(sql)
    except Refused as refused:
        raise ExpressionError(f"{where}: {refused}") from None
    except RecursionError:
        raise ExpressionError(f"{where}: {_TOO_DEEP}") from None


# Plan, publishing and hashes read the same expressions again, and trees are immutable.
@lru_cache(maxsize=20_000)
def _tree(sql: str) -> Node:
    tree = Converter().convert(_read(sql))
    _check_depth(tree)
    _check_nesting(tree)
    return tree


def _read(sql: str) -> Any:
    if len(sql) > MAX_LENGTH:
        raise Refused(f"the expression is longer than {MAX_LENGTH} characters")
    try:
        tokens = _LANGUAGE.tokenize(sql)
    except TokenError:
        raise Refused("syntax error: a quote or a comment is not closed") from None
    if any(token.token_type is TokenType.SEMICOLON for token in tokens):
        raise Refused("';' is not allowed; write one expression")
    if not tokens:
        raise Refused("the expression is empty")
    try:
        parser = _LANGUAGE.parser(error_level=ErrorLevel.IMMEDIATE)
        return parser.parse_into(exp.Condition, tokens, sql)[0]
    except ParseError as error:
        if tokens[0].text.upper() in _STATEMENTS:
            raise Refused(
                "a statement is not an expression; write only the value (a column that is named "
                "like a statement stands in double quotes)"
            ) from None
        raise Refused(_syntax_error(error.errors[0])) from None


def _syntax_error(details: dict[str, Any]) -> str:
    near = str(details["highlight"])
    line, column = details["line"], details["col"] - len(near) + 1
    place = f"column {column}" if line == 1 else f"line {line}, column {column}"
    text = f"syntax error at {place}:"
    description = str(details["description"]).rstrip(".")
    if description.startswith("Required keyword"):
        return f"{text} something is missing after '{near}'"
    if description.startswith("Expecting "):
        return f"{text} expected '{description.removeprefix('Expecting ')}' after '{near}'"
    hint = "; the feature's name is its alias" if near.lower() == "as" else ""
    return f"{text} unexpected '{near}'{hint}"


def _check_depth(tree: Node) -> None:
    depth = 0
    level: Sequence[Node] = (tree,)
    while level:
        depth += 1
        level = [child for node in level for child in children(node)]
    if depth > MAX_DEPTH:
        raise Refused(_TOO_DEEP)


def _check_nesting(tree: Node) -> None:
    for node in walk(tree):
        inner = next((below for below in _below(node) if isinstance(below, Aggregate)), None)
        if inner is None:
            continue
        framed = node.aggregate if isinstance(node, Over) else node
        if isinstance(framed, Aggregate):
            where = framed.where
            place = "FILTER" if where is not None and inner in walk(where) else framed.name
            raise Refused(f"aggregate '{inner.name}' inside '{place}'; {_NEST}")
        if isinstance(node, Call) and node.name in SEQUENCE_FUNCTIONS:
            raise Refused(f"aggregate '{inner.name}' inside '{node.name}'; {_NEST}")


def _below(node: Node) -> Iterator[Node]:
    for child in children(node):
        yield from walk(child)
