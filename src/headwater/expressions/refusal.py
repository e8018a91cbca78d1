"""What is not allowed, and what to write instead."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from headwater.errors import near_miss
from headwater.expressions.functions import SPELLINGS

DOCS = "docs/reference/functions.md"

_CLOCK = "the clock is not a source of values; write as_of(), the time for which it is computed"
_CHANCE = "a feature must give the same value every time; use a column of the source"
_OUTSIDE = "an expression reads nothing but its columns; declare a source"
_WINDOW = "use count(*) OVER (ROWS UNBOUNDED PRECEDING), or lag(x)"
FRAMES = (
    "OVER takes (ROWS n PRECEDING) or (ROWS UNBOUNDED PRECEDING); "
    "its rows are those of a key, in the order of their event time"
)
_ORDER = "rows are in the order of their event time; use first(x) or last(x)"

FORBIDDEN = {
    **dict.fromkeys(
        (
            "now",
            "current_date",
            "current_time",
            "current_timestamp",
            "current_localtime",
            "current_localtimestamp",
            "get_current_time",
            "get_current_timestamp",
            "localtime",
            "localtimestamp",
            "today",
            "transaction_timestamp",
        ),
        _CLOCK,
    ),
    **dict.fromkeys(
        ("random", "setseed", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "nextval", "currval"),
        _CHANCE,
    ),
    **dict.fromkeys(
        (
            "read_csv",
            "read_csv_auto",
            "read_json",
            "read_json_auto",
            "read_parquet",
            "parquet_scan",
            "read_text",
            "read_blob",
            "glob",
            "query",
            "query_table",
            "getenv",
            "getvariable",
            "current_setting",
            "current_user",
            "current_role",
            "current_catalog",
            "current_schema",
            "session_user",
            "user",
            "version",
        ),
        _OUTSIDE,
    ),
    **dict.fromkeys(
        ("row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "nth_value"),
        _WINDOW,
    ),
    **dict.fromkeys(
        ("first_value", "last_value", "arg_max", "max_by", "arg_min", "min_by"), _ORDER
    ),
    "lead": "the next row is not known yet; use lag(x)",
    "list": "use last_k(x, k)",
    "array_agg": "use last_k(x, k)",
    "string_agg": "use last_k(x, k)",
    "hash": "its values change from one version of an engine to the next",
    "age": "its result is an interval; use date_diff('day', from, to)",
    "any_value": _ORDER,
    "if_null": "write coalesce(x, y)",
    "nvl": "write coalesce(x, y)",
    "iif": "write CASE WHEN ... THEN ... ELSE ... END",
    "float": "write CAST(x AS DOUBLE)",
    "int": "write CAST(x AS BIGINT)",
    "date": "write CAST(x AS DATE)",
    "timestamp": "write CAST(x AS TIMESTAMP)",
}
_SHOWN = 60
_KEYWORDS = ("count_if", "median", "as_of", "if", "date_part", "extract")


class Refused(Exception):  # noqa: N818  (never leaves this package)
    """What is not allowed in an expression, in the user's words."""


def refuse_name(name: str) -> Refused:
    """Why a function can't be called: forbidden, with what to write instead, or unknown."""
    reason = FORBIDDEN.get(name)
    if reason is not None:
        return Refused(f"function '{name}' is not allowed: {reason}")
    hint = near_miss(name, [*SPELLINGS, *_KEYWORDS])
    return Refused(f"unknown function '{name}'{hint} (see {DOCS})")


_REASONS: tuple[tuple[type[Any], str], ...] = (
    (exp.Window, FRAMES),
    (exp.Query, "a query is not an expression; write only the value"),
    (exp.Exists, "EXISTS is not allowed; a feature of another source is read by its name"),
    (exp.SimilarTo, "SIMILAR TO is not allowed; write regexp_full_match(x, 'pattern')"),
    (exp.Glob, "GLOB is not allowed; write x LIKE 'pattern' or regexp_full_match(x, 'pattern')"),
    (exp.StartsWith, "'^@' is not allowed; write starts_with(x, 'prefix')"),
    (exp.Abs, "'@' is not allowed; write abs(x)"),
    (exp.Concat, "two texts stand side by side; join them by ||"),
    (exp.Star, "'*' stands only in count(*)"),
    (exp.Interval, "an INTERVAL can only be added to or subtracted from a time"),
    (exp.WithinGroup, "WITHIN GROUP is not allowed; write quantile_cont(x, 0.5)"),
    (exp.Placeholder, "parameters are not allowed; write the value"),
    (exp.Parameter, "parameters are not allowed; write the value"),
    (exp.Order, "ORDER BY is not allowed; rows are in the order of their event time"),
    (exp.Distinct, "DISTINCT stands only in count(DISTINCT x)"),
    (exp.AtTimeZone, "AT TIME ZONE is not allowed; all times are UTC"),
    (exp.Lambda, "lambdas are not allowed"),
    (exp.IgnoreNulls, "IGNORE NULLS is not allowed; write FILTER (WHERE x IS NOT NULL)"),
    (exp.BitwiseNot, "'~' is not allowed; write xor(x, -1)"),
    (exp.RegexpLike, "'~' is not allowed; write regexp_full_match(x, 'pattern')"),
    (exp.PropertyEQ, "':=' names a field of a struct, as in struct_pack(clicks := x)"),
    (exp.Comprehension, "a list is written by its elements, as in [x, y]"),
    (exp.Tuple, "several values in parentheses stand only after IN"),
    (exp.JSONExtract, "-> is not allowed"),
    (exp.JSONExtractScalar, "->> is not allowed"),
)


def refuse_node(found: Any) -> Refused:
    """Why a piece of grammar is not allowed, and what to write instead."""
    for kind, reason in _REASONS:
        if isinstance(found, kind):
            return Refused(reason)
    return Refused(f"'{shortened(found.sql('duckdb'))}' is not allowed in an expression")


def shortened(text: str) -> str:
    """A piece of an expression as an error quotes it."""
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
