"""Writes the page of all functions: `python -m headwater.expressions.reference > PAGE`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

from headwater.expressions.functions import (
    CANNOT,
    FAMILIES,
    AggregateFunction,
    Function,
)
from headwater.expressions.functions.aggregates import AGGREGATES, SEQUENCES
from headwater.expressions.printing import canonical, fill
from headwater.expressions.tree import Literal

_INTRODUCTION = """\
# Functions of the expression language

A feature is one SQL expression in DuckDB's dialect. It may use the names of columns and features,
literals (`1`, `0.5`, `'text'`, `TRUE`, `NULL`, `DATE '2024-01-31'`,
`TIMESTAMP '2024-01-31 23:59:59.5'`), `CASE`, `IF(c, x, y)`, `CAST(x AS type)`, `TRY_CAST`,
`x::type`, structs `{'a': x, 'b': y}` (or `struct_pack(a := x, b := y)`), lists `[x, y]`, maps
`MAP {'a': x}`, and what stands on this page. Every engine gives the same value for it, bit for bit;
all else is refused when a project is planned. This page is written by
`python -m headwater.expressions.reference`.

**Types.** `BOOLEAN`, `INTEGER` (int32), `BIGINT` (int64), `FLOAT` (float32), `DOUBLE` (float64),
`VARCHAR` (string), `BLOB` (bytes), `TIMESTAMP` (UTC, microseconds, the years 1 to 9999), `DATE`,
lists (`BIGINT[]`), structs (`STRUCT(a DOUBLE, b VARCHAR)`: named fields in an order), maps
(`MAP(VARCHAR, BIGINT)`: values under keys that are strings, int64, booleans or dates, kept in the
order of the keys), and these in one another; and vectors (`FLOAT[64]`, `DOUBLE[3]`: always as many
floats, none of them null; as a list they count where a function takes one). Columns of a source
may be decimals (`decimal(12, 2)`, at most 18 digits; with more they are read as float64): they stay
exact where a value is passed on, compared with its like or summed, and widen to float64 where they
are computed with. `0.1` is a float64, `1` an int64. Numbers widen by
themselves (int32 to int64, integers and float32 to float64), and arithmetic works on int64 and
float64 only. A date widens to a timestamp where a function takes one. Nothing else is converted:
write `CAST`. A text is cast if it looks like `-12`, `1.5e3`, `inf`, `2024-01-31` or
`2024-01-31T23:59:59.5+01:00`.

**Nulls.** A function gives null where one of its arguments is null, unless this page says
otherwise; a struct whose fields are null is not null itself. **Errors.** An integer result that
does not fit int64, an integer division by zero and a cast that is impossible are errors of the row;
`TRY_CAST` gives null instead.

**Sugar.** `x BETWEEN a AND b`, `x NOT IN (...)`, `IS [NOT] NULL`, `IS [NOT] TRUE`,
`EXTRACT(hour FROM t)` and `date_part('hour', t)` for `hour(t)`, `t + INTERVAL 21 HOUR`,
`t - INTERVAL '1 day 6 hours'`, `t + INTERVAL (n) MINUTE`, `x[1]`.

**Time.** `as_of()` is the time for which the feature is computed, inside the aggregates of a window
too: `epoch(as_of()) - epoch(event_time)` is the age of a row in seconds. The clock (`now()`,
`current_date`) and chance (`random()`) are refused.
"""
_EXAMPLES = 3
# where the letters x, y, s, t would not say enough
_NAMES = {
    "add_interval": "t n",
    "add_months": "t n",
    "atan2": "y x",
    "corr": "y x",
    "covar_pop": "y x",
    "covar_samp": "y x",
    "regr_slope": "y x",
    "contains": "s part",
    "date_diff": "part from to",
    "date_sub": "part from to",
    "date_trunc": "part t",
    "ends_with": "s part",
    "ilike": "s pattern",
    "left": "s n",
    "like": "s pattern",
    "list_contains": "list x",
    "list_extract": "list n",
    "list_has_all": "list other",
    "list_has_any": "list other",
    "list_intersect": "list other",
    "list_position": "list x",
    "lpad": "s length padding",
    "ltrim": "s characters",
    "map": "keys values",
    "map_contains": "m key",
    "map_extract_value": "m key",
    "make_date": "year month day",
    "make_timestamp": "microseconds",
    "replace": "s old new",
    "right": "s n",
    "rpad": "s length padding",
    "rtrim": "s characters",
    "shift_left": "x n",
    "shift_right": "x n",
    "split_part": "s separator n",
    "starts_with": "s part",
    "string_split": "s separator",
    "strpos": "s part",
    "struct_extract": "struct name",
    "substring": "s start length",
    "to_timestamp": "seconds",
    "translate": "s old new",
    "trim": "s characters",
}


def page() -> str:
    """The whole page, in Markdown."""
    parts = [_INTRODUCTION]
    for family, functions in FAMILIES.items():
        parts.append(_table(family, ("function", "gives", "what it is", "for example")))
        parts.append("".join(map(_scalar, functions)))
    parts.append("\n## Aggregates\n\n")
    parts.append(
        "They stand in features with `window=` or `rows=`, each with `FILTER (WHERE ...)` where "
        "wanted. Nulls are skipped by all but `count(*)`, `first`, `last` and `last_k`.\n\n"
        "An aggregate may have a frame of rows of its own: `avg(x) OVER (ROWS 19 PRECEDING)` is "
        "over the last 20 rows of the key, the current one included, and "
        "`max(x) OVER (ROWS UNBOUNDED PRECEDING)` over all up to it. As in SQL, the first rows "
        "have shorter frames; give the feature `rows=20` to have null there. Such aggregates may "
        "stand in one another, and in the functions of the next section.\n"
    )
    parts.append(_head(("function", "gives", "what it is")))
    parts.append("".join(map(_framed, AGGREGATES)))
    parts.append("\n## A row and its predecessors\n\n")
    parts.append("They see the rows of a key in the order of their event time.\n")
    parts.append(_head(("function", "gives", "what it is")))
    parts.append("".join(map(_framed, SEQUENCES)))
    return "".join(parts)


def _table(title: str, columns: Sequence[str]) -> str:
    return f"\n## {title}\n{_head(columns)}"


def _head(columns: Sequence[str]) -> str:
    return f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _scalar(function: Function) -> str:
    patterns = [function.pattern(place) for place in range(len(function.takes))]
    letters = [_word(pattern, place) for place, pattern in enumerate(patterns)]
    letters = _NAMES[function.name].split() if function.name in _NAMES else letters
    if function.most is None:
        letters.append("...")
    doc = function.doc
    others = [f"`{name}`" for name in function.spellings]
    if others:
        doc += f" Also {', '.join(others)}."
    examples = "; ".join(_examples(function))
    cells = (f"`{_call(function, letters)}`", _gives(function), doc, examples)
    return f"| {' | '.join(map(_cell, cells))} |\n"


def _call(function: Function, args: list[str]) -> str:
    if not function.text and len(function.takes) > function.least:
        required = ", ".join(args[: function.least])
        optional = "".join(f"[, {arg}]" for arg in args[function.least :])
        return f"{function.name}({required}{optional})"
    text = fill(function.template, args)
    return text.removeprefix("(").removesuffix(")") if function.text else text


def _word(pattern: str, place: int) -> str:
    named = {"digits": "digits", "letter": "escape", "regex": "regex", "text": "pattern"}
    plain = {"timestamp": "t", "string": "s", "list": "list", "sized": "s", "map": "m"}
    plain |= dict.fromkeys(("lists", "numbers", "reals"), "list")
    return (named | plain).get(pattern, "xyz"[place % 3])


def _gives(function: Function) -> str:
    named = {
        "N": "number",
        "E": "element",
        "F": "type of the field",
        "K": "key",
        "W": "value",
        "S": "int64 or float64",
        "list[K]": "list of keys",
        "list[W]": "list of values",
        "list[V]": "list",
    }
    return named.get(function.gives, "as given" if len(function.gives) == 1 else function.gives)


def _examples(function: Function) -> Iterator[str]:
    telling = [e for e in function.examples if not (function.strict and None in e[0])]
    for args, result in telling[:_EXAMPLES]:
        places = range(len(args))
        shown = fill(function.template, [_value(args[n], function.pattern(n)) for n in places])
        if function.text:
            shown = shown.removeprefix("(").removesuffix(")")
        given = "an error" if result is CANNOT else f"`{_value(result, function.gives)}`"
        yield f"`{shown}` → {given}"


def _value(value: Any, pattern: str = "") -> str:
    if isinstance(value, dict):
        parts = ", ".join(f"{_value(key)}: {_value(part)}" for key, part in value.items())
        return f"{'MAP ' if pattern == 'map' else ''}{{{parts}}}"
    if isinstance(value, datetime):
        return f"TIMESTAMP '{value.replace(tzinfo=None).isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float):
        return repr(value)
    return canonical(Literal(value, "")).replace("\n", "\\n").replace("\t", "\\t")


def _framed(function: AggregateFunction) -> str:
    args = []
    names = _NAMES.get(function.name, "x").split()
    for place, pattern in enumerate(function.takes):
        constant = {"fraction": "f", "positive": "k"}.get(pattern.rstrip("?"))
        letter = constant or names[place]
        args.append(f"[{letter}]" if pattern.endswith("?") else letter)
    gives = {
        "T": "type of x",
        "list[T]": "list of x",
        "map[T, int64]": "map of x",
        "wide": "int64 or float64",
    }
    doc = function.doc
    if function.spellings:
        doc += f" Also {', '.join(f'`{name}`' for name in function.spellings)}."
    given = gives.get(function.gives, function.gives)
    return f"| `{function.name}({', '.join(args)})` | {given} | {_cell(doc)} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
