"""Values that lie where functions go wrong."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from headwater.definitions.types import (
    element,
    fields,
    is_list,
    is_map,
    is_struct,
    is_vector,
    key_and_value,
    size,
)
from headwater.expressions.functions import Function
from headwater.expressions.widening import choices

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SINGLE = ("int64", "float64", "string", "bool", "timestamp", "date", "int32", "float32")
STRUCT = 'struct[a: int64, B: float64, "of day": string]'
PATTERNS = (
    "a", "", "^a", "a.b", "[ab]+", r"\d", r"\s$", "(?i)A", "a|b", "a{2}", r"\bé", "(a*)*b", "x$",
)  # fmt: skip

INTEGERS = st.one_of(
    st.integers(-10, 10),
    st.sampled_from([2**63 - 1, -(2**63), 2**53 + 1, 2**31, -(2**31) - 1, 2**32, 10**18]),
    st.integers(-(2**63), 2**63 - 1),
)
SMALL_INTEGERS = st.one_of(st.integers(-9, 9), st.sampled_from([2**31 - 1, -(2**31)]))
FLOATS = st.one_of(
    st.sampled_from([0.0, -0.0, 0.5, -0.5, 1.5, 2.5, 1.0, -1.0, 2.675, 1e-300, 0.5 - 2**-54]),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 2.0**52 + 0.5, 2.0**63]),
    st.integers(-1000, 1000).map(lambda n: n / 8),
    st.floats(),
)
SINGLES = st.one_of(
    st.sampled_from([0.0, -0.0, math.nan, math.inf, 1.5, -2.5]), st.floats(width=32)
)
LETTERS = "aAbB,.% _$\\xéÉßİΣ👍\t\n\u00a0\u0301"
STRINGS = st.one_of(
    st.text(LETTERS, max_size=6),
    st.text("ab,%_", max_size=4),
    st.sampled_from(["", " ", "é", "a\nb", "x" * 40]),
    st.text(st.characters(codec="utf-8", max_codepoint=0x2FFF), max_size=4),
)
NUMBER_TEXTS = st.one_of(
    st.from_regex(r"\A ?[-+]?[0-9]{0,3}\.?[0-9]{0,3}([eE][-+]?[0-9]{1,2})? ?\Z"),
    st.integers().map(str),
    st.floats().map(repr),
    st.sampled_from(
        ["9223372036854775807", "9223372036854775807.5", "-9223372036854775808.5", "1e400",
         "0x1f", "1_0", "nan", "-Inf", "infinity", "1e-400", "0.5", "-.5", "5.", ".", "", "+",
         "2147483647.5", "1e5000", "\t1", "1e18", "0.49999999999999999999", "1.5e0", "15e-1"]
    ),
)  # fmt: skip
TIME_TEXTS = st.one_of(
    st.from_regex(r"\A ?20[12][0-9]-[01]?[0-9]-[0-3]?[0-9]( [0-2]?[0-9]:[0-6]?[0-9])?\Z"),
    st.from_regex(
        r"\A1969-12-31[ T][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{0,8})?"
        r"(Z|[-+]0[0-9](:?[0-5]0)?)?\Z"
    ),
    st.sampled_from(
        ["0000-01-01", "0001-01-01", "9999-12-31 23:59:59.999999", "infinity", "epoch", "now",
         "2020-02-30", "2020-01-01T24:00:00", "2020-01-01 10:00:00 UTC", "2020/01/01",
         "2020-01-01 10:00:00+14:59", "2020-01-01 10", "2020-01-01 10:00:00.", "10000-01-01"]
    ),
)  # fmt: skip
TIMESTAMPS = st.one_of(
    st.integers(-2_000_000, 2_000_000).map(lambda n: EPOCH + timedelta(microseconds=n)),
    st.integers(-800_000, 800_000).map(lambda n: EPOCH + timedelta(hours=n)),
    st.sampled_from(
        [
            datetime(1, 1, 1, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
            datetime(2020, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC),
            datetime(2021, 1, 3, 12, tzinfo=UTC),
            datetime(2019, 12, 30, tzinfo=UTC),
            datetime(1582, 10, 10, tzinfo=UTC),
        ]
    ),
    st.datetimes(timezones=st.just(UTC)),
)
DATES = st.one_of(
    st.dates(date(1960, 1, 1), date(2030, 1, 1)),
    st.sampled_from([date(1, 1, 1), date(9999, 12, 31), date(2020, 2, 29), date(1970, 1, 1)]),
    st.dates(),
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int64": INTEGERS,
    "int32": st.one_of(st.integers(-10, 10), st.integers(-(2**31), 2**31 - 1)),
    "float64": FLOATS,
    "float32": SINGLES,
    "string": STRINGS,
    "bool": st.booleans(),
    "timestamp": TIMESTAMPS,
    "date": DATES,
}


def values(dtype: str) -> st.SearchStrategy[Any]:
    """Values of a type, one in some of them null."""
    if is_list(dtype):
        return st.one_of(st.none(), st.lists(values(element(dtype)), max_size=4))
    if is_struct(dtype):
        named = {name: values(inner) for name, inner in fields(dtype)}
        return st.one_of(st.none(), st.fixed_dictionaries(named))
    if is_map(dtype):
        key, value = key_and_value(dtype)
        made = st.dictionaries(VALUES[key], values(value), max_size=4)
        return st.one_of(st.none(), made.map(lambda known: dict(sorted(known.items()))))
    if is_vector(dtype):
        some, length = VALUES[element(dtype)], size(dtype)
        return st.one_of(st.none(), st.lists(some, min_size=length, max_size=length))
    some = VALUES[dtype]
    return st.one_of(some, some, some, st.none())


def constants(pattern: str) -> st.SearchStrategy[Any]:
    """Constants such as the pattern of an argument asks for."""
    among = choices(pattern)
    if among is not None:
        return st.sampled_from(among)
    if pattern == "field":
        return st.sampled_from(["a", "b", "Of day"])
    return {
        "digits": st.integers(-20, 20),
        "size": st.integers(0, 12),
        # one that ends with its escape character is refused when it is read
        "text": st.text("ab$\\%_é", max_size=5).map(lambda text: text + "b"),
        "letter": st.sampled_from("$\\a%_"),
        "regex": st.sampled_from(PATTERNS),
    }[pattern]


def argument_types(function: Function, shared: str, number: str, inner: str) -> list[str]:
    """Concrete types for a call: `T` is `shared`, `N` is `number`, a list holds `inner`."""
    found = []
    count = len(function.takes) + (function.most is None)
    for place in range(count):
        pattern = function.pattern(place)
        found.append(
            {
                "T": shared,
                "V": shared,
                "O": shared,
                "any": shared,
                "N": number,
                **dict.fromkeys(("list", "lists", "items"), f"list[{inner}]"),
                **dict.fromkeys(("numbers", "reals"), f"list[{number}]"),
                "floats": "list[float64]",
                "keys": "list[int64]" if inner == "float64" else f"list[{inner}]",
                "map": f"map[string, {inner}]",
                "K": "string",
                "struct": STRUCT,
                "E": inner,
                "sized": "string",
                "vector": "vector[float64, 2]",
                "C": number,
            }.get(pattern, pattern)
        )
    return found
