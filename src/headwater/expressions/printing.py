"""Prints a tree: for DuckDB, and as the one canonical text of its meaning."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

from headwater.definitions.types import (
    digits,
    element,
    fields,
    is_decimal,
    is_list,
    is_map,
    is_struct,
    is_vector,
    key_and_value,
    size,
)
from headwater.errors import ExpressionError
from headwater.expressions.functions import SCALAR_FUNCTIONS, SEQUENCE_FUNCTIONS
from headwater.expressions.tree import (
    Aggregate,
    Call,
    Case,
    Cast,
    Column,
    Literal,
    Node,
    Over,
    Pack,
)

DUCKDB_TYPES = {
    "bool": "BOOLEAN",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "string": "VARCHAR",
    "bytes": "BLOB",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE = re.compile(r"\{(\d*)(\*?)([^}]*)\}")


def quote(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A text as a SQL string."""
    return "'" + text.replace("'", "''") + "'"


def duckdb_type(dtype: str, *, timestamp: str = "TIMESTAMP") -> str:
    """The DuckDB type of our type; a timestamp is a TIMESTAMP that holds UTC, unless named."""

    def of(inner: str) -> str:
        return duckdb_type(inner, timestamp=timestamp)

    if is_list(dtype):
        return f"{of(element(dtype))}[]"
    if is_struct(dtype):
        return f"STRUCT({', '.join(f'{quote(name)} {of(inner)}' for name, inner in fields(dtype))})"
    if is_map(dtype):
        return f"MAP({', '.join(map(of, key_and_value(dtype)))})"
    if is_vector(dtype):
        return f"{of(element(dtype))}[{size(dtype)}]"
    if is_decimal(dtype):
        return f"DECIMAL{digits(dtype)}"
    return timestamp if dtype == "timestamp" else DUCKDB_TYPES[dtype]


def to_duckdb(node: Node, column: Callable[[str], str] = quote, as_of: str | None = None) -> str:
    """DuckDB's SQL for a scalar tree that `resolve` returned.

    `column` prints a name, `as_of` is the SQL of the instant of evaluation. Columns are expected
    in the types of `duckdb_type`, and the session's time zone to be UTC. Raises ExpressionError
    for aggregates and sequence calls: the kernels compute them.
    """

    def visit(part: Node) -> str:
        match part:
            case Literal():
                return _duckdb_literal(part)
            case Column():
                return column(part.name)
            case Cast():
                verb = "TRY_CAST" if part.is_try else "CAST"
                return f"{verb}({visit(part.arg)} AS {duckdb_type(part.dtype)})"
            case Case():
                return _case(part, visit)
            case Aggregate():
                raise ExpressionError(f"the aggregate '{part.name}' is not a scalar expression")
            case Over():
                return visit(part.aggregate)
            case Pack():
                return _pack(part, visit)
            case Call():
                return call(part)

    def call(part: Call) -> str:
        if part.name == "as_of":
            if as_of is None:
                raise ExpressionError("as_of() has no value here")
            return as_of
        if part.name in SEQUENCE_FUNCTIONS:
            raise ExpressionError(f"the sequence function '{part.name}' is not a scalar expression")
        function = SCALAR_FUNCTIONS[part.name]
        return fill(function.duckdb or function.template, [visit(arg) for arg in part.args])

    return visit(node)


def canonical(node: Node) -> str:
    """The one text of an expression's meaning, which `parse` reads back to the same tree.

    Whitespace, comments, the case of keywords, redundant parentheses and the choice among
    spellings (`mean` and `avg`, `::` and CAST) don't matter.
    """
    match node:
        case Literal():
            return _canonical_literal(node)
        case Column():
            return quote(node.name)
        case Cast():
            verb = "TRY_CAST" if node.is_try else "CAST"
            return f"{verb}({canonical(node.arg)} AS {duckdb_type(node.dtype)})"
        case Case():
            return _case(node, canonical)
        case Aggregate():
            return _aggregate(node)
        case Over():
            size = "UNBOUNDED" if node.rows is None else node.rows - 1
            return f"{_aggregate(node.aggregate)} OVER (ROWS {size} PRECEDING)"
        case Pack():
            return _pack(node, canonical)
        case Call():
            args = [canonical(arg) for arg in node.args]
            function = SCALAR_FUNCTIONS.get(node.name)
            template = node.name + "({*})" if function is None else function.template
            return fill(template, args)


def fill(template: str, args: Sequence[str]) -> str:
    """The template with its arguments: `{0}` one, `{*}` all, `{1*}` all from the second on.

    What follows the star joins them, a comma unless given.
    """

    def place(found: re.Match[str]) -> str:
        number, star, joint = found.groups()
        if not star:
            return args[int(number)]
        return (joint or ", ").join(args[int(number or 0) :])

    return _PLACE.sub(place, template)


def _pack(node: Pack, visit: Callable[[Node], str]) -> str:
    pairs = zip(map(quote_text, node.names), map(visit, node.values), strict=True)
    return f"{{{', '.join(f'{name}: {value}' for name, value in pairs)}}}"


def _case(node: Case, visit: Callable[[Node], str]) -> str:
    parts = [f"WHEN {visit(test)} THEN {visit(value)}" for test, value in node.branches]
    if node.otherwise is not None:
        parts.append(f"ELSE {visit(node.otherwise)}")
    return f"CASE {' '.join(parts)} END"


def _aggregate(node: Aggregate) -> str:
    args = [canonical(arg) for arg in node.args] or ["*"]
    args += [_canonical_literal(Literal(p, "")) for p in node.parameters]
    text = f"{node.name}({'DISTINCT ' if node.distinct else ''}{', '.join(args)})"
    return text if node.where is None else f"{text} FILTER (WHERE {canonical(node.where)})"


def _canonical_literal(node: Literal) -> str:
    value = node.value
    if value is None:
        return "NULL"
    if node.dtype == "timestamp":
        return f"TIMESTAMP '{_timestamp(value)}'"
    if node.dtype == "date":
        return f"DATE '{_date(value)}'"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return quote_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f"CAST('{value!r}' AS DOUBLE)"
    return repr(value)


def _duckdb_literal(node: Literal) -> str:
    value = node.value
    if value is None or node.dtype in ("timestamp", "date", "bool", "string"):
        return _canonical_literal(node)
    if node.dtype == "bytes":
        return f"from_hex('{value}')"
    if isinstance(value, float):
        return f"CAST('{value!r}' AS {duckdb_type(node.dtype)})"
    return f"CAST({value} AS {duckdb_type(node.dtype)})"


def _timestamp(value: float | str) -> str:
    moment = _EPOCH + timedelta(microseconds=int(value))
    return moment.replace(tzinfo=None).isoformat(sep=" ")


def _date(value: float | str) -> str:
    return (date(1970, 1, 1) + timedelta(days=int(value))).isoformat()
