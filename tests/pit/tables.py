"""Generated sources: rows that tie, come late, change, lack values, and the files that hold them.

A table keeps its rows as the oracle reads them (datetimes, dates, `Nanos`) and says in which Arrow
types a file holds its columns.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from hypothesis import strategies as st

from oracle import DAY, HOUR, MINUTE, Nanos, Source
from oracle.encoding import Map
from oracle.times import FIRST_DAY, from_datetime, to_datetime

# Mondays, the epoch, hours around which clocks move, and years that few tests see.
ANCHORS = tuple(
    from_datetime(datetime.fromisoformat(text).replace(tzinfo=UTC))
    for text in (
        "2024-01-01T00:00",
        "1970-01-01T00:00",
        "1969-12-29T00:00",
        "2024-03-10T07:00",
        "2024-11-03T06:00",
        "1950-06-15T13:00",
        "2100-02-28T23:00",
    )
)
KEY_VALUES: dict[str, tuple[Any, ...]] = {
    "string": ("a", "b", "", "1", "11", "a,b", "é"),
    "int64": (1, 11, 0, -1, 2**53, 2**53 + 1, -(2**63)),
    "int32": (1, 11, 0, -(2**31)),
    "bool": (True, False),
    "bytes": (b"a", b"", b"\x00", b"a\x00"),
    "date": (date(2024, 1, 1), date(1969, 12, 31)),
    "timestamp": (datetime(2024, 1, 1, tzinfo=UTC), datetime(1960, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
}
_FEW = 3
BOTH = {"id": "int64", "id2": "string"}
TIME_FORMS = ("us", "us_utc", "us_zone", "ns", "ms", "date")


@dataclass(frozen=True)
class Table:
    """A source, the types of its columns, and the file of each of its rows."""

    source: Source
    keys: tuple[str, ...]
    types: dict[str, str]
    files: tuple[int, ...] = field(default=())

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def values(self) -> dict[str, str]:
        """The columns that features may read, by type."""
        return {n: t for n, t in self.types.items() if n.startswith("v_")}

    @property
    def moment(self) -> str | None:
        """The column of event times, where it holds times and no dates."""
        column = self.source.event_time
        return None if self.types[column] == "date" else column


def _float32(value: float) -> float:
    return struct.unpack("f", struct.pack("f", value))[0]


_SPECIAL = (0.1, 0.2, -0.0, 1e16, -1e16, 1e308, -1e308, 5e-324, 1e-300)
_FLOATS = st.one_of(
    st.sampled_from((1.0, 2.0, -1.5, 0.0)),
    st.sampled_from((*_SPECIAL, math.nan, math.inf, -math.inf)),
    st.floats(allow_nan=False, allow_infinity=False),
)
_SMALL = st.integers(-3, 3)
# Thirty of them stay within int64, so that no sum overflows.
_WIDE = st.integers(-(2**58), 2**58)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "float64": _FLOATS,
    "float32": st.one_of(
        st.sampled_from((1.0, -0.0, 0.5, _float32(0.1), math.nan, math.inf, -math.inf)),
        st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
    "vector": st.lists(
        st.one_of(
            st.sampled_from((1.0, -1.0, -0.0, 0.5, _float32(0.1), math.nan, math.inf)),
            st.floats(width=32, allow_nan=False, allow_infinity=False),
        ),
        min_size=2,
        max_size=2,
    ),
    "int64": st.one_of(_SMALL, _WIDE),
    "extreme": st.sampled_from((0, 1, -1, 2**63 - 1, -(2**63), 2**53 + 1)),
    "int32": st.one_of(_SMALL, st.sampled_from((2**31 - 1, -(2**31)))),
    "string": st.sampled_from(("a", "b", "", "ab", "B", "é", "\uff5e", "\U0001f600", "'")),
    "bool": st.booleans(),
    "bytes": st.sampled_from((b"", b"a", b"b", b"\xff", b"a\x00")),
    "timestamp": st.sampled_from(ANCHORS).map(to_datetime),
    "date": st.sampled_from((date(2024, 2, 29), date(1970, 1, 1), date(1969, 12, 31))),
    "struct": st.tuples(st.none() | _FLOATS, st.none() | st.text("abé", max_size=2)).map(
        lambda parts: dict(zip("ab", parts, strict=True))
    ),
    "map": st.dictionaries(st.sampled_from(("a", "b", "", "é", "\uff5e")), st.none() | _SMALL).map(
        lambda found: Map(sorted(found.items()))
    ),
}


@st.composite
def instants(draw: st.DrawFn, anchor: int) -> int:
    """Instants near an anchor, most of them on the hour or at midnight, or a microsecond off."""
    unit = draw(st.sampled_from((HOUR, DAY, 10 * MINUTE)))
    return anchor + unit * draw(st.integers(-4, 4)) + draw(st.sampled_from((0, 0, 0, -1, 1)))


@st.composite
def stamps(draw: st.DrawFn, instant: int, form: str) -> Any:
    """An instant as a column of that form would hold it."""
    if form == "date":
        return date.fromordinal(FIRST_DAY.toordinal() + instant // DAY)
    if form == "ns":
        return Nanos(instant * 1_000 + draw(st.sampled_from((0, 0, 1, -1, 999))))
    if form == "ms":
        return to_datetime(instant // 1_000 * 1_000)
    return to_datetime(instant)


@st.composite
def key_columns(draw: st.DrawFn, least: int = 0) -> dict[str, str]:
    """No key, one, or several, of any type."""
    types = st.sampled_from(("string", "string", "string", "int64", *KEY_VALUES))
    count = max(least, draw(st.sampled_from((1, 1, 1, 2, 2, 0, 3))))
    return {f"k{i}": draw(types) for i in range(count)}


@dataclass(frozen=True)
class Shape:
    """What a generated source may have.

    `as_keys` are columns that hold values of keys, by the type; then keys are few.
    """

    anchor: int
    value_types: tuple[str, ...]
    null_available: bool = True
    as_keys: Mapping[str, str] = field(default_factory=dict)


@st.composite
def tables(draw: st.DrawFn, name: str, keys: dict[str, str], shape: Shape) -> Table:
    """A source of up to thirty rows, few keys and few instants, so that they meet."""
    event_form = draw(st.sampled_from(TIME_FORMS))
    known_form = draw(st.sampled_from((None, *TIME_FORMS)))
    id_types = draw(st.sampled_from(({}, {}, {"id": "int64"}, {"id": "string"}, BOTH)))
    sequence = draw(st.sampled_from((None, None, "int64", "us")))
    pool = draw(_pool(keys, _FEW if shape.as_keys else None))
    values = {f"v_{t}": t for t in shape.value_types}
    count = draw(st.sampled_from((0, 1, 2, 4, 8, 8, 16, 30)))
    rows = []
    for _ in range(count):
        place = draw(st.integers(0, len(pool) - 1))
        row = dict(zip(keys, pool[place], strict=True))
        moment = draw(instants(shape.anchor))
        row["event_time"] = draw(_rarely_none(stamps(moment, event_form)))
        if known_form is not None:
            known = moment + draw(_lags())
            stamp = stamps(known, known_form)
            row["available_at"] = draw(_rarely_none(stamp) if shape.null_available else stamp)
        for column, kind in id_types.items():
            # An id belongs to one key: the key's place is part of it.
            number = 10 * place + draw(st.integers(0, 2))
            row[column] = draw(_rarely_none(st.just(number if kind == "int64" else f"{number}")))
        if sequence is not None:
            number = draw(st.sampled_from((0, 1, -1, None)))
            is_time = sequence == "us" and number is not None
            row["sequence"] = to_datetime(number) if is_time else number
        for column, kind in values.items():
            row[column] = draw(_rarely_none(VALUES[kind]))
        for column, kind in shape.as_keys.items():
            row[column] = draw(_rarely_none(st.sampled_from(KEY_VALUES[kind][:_FEW])))
        rows.append(row)
    files = tuple(draw(st.integers(0, 2)) for _ in rows)
    types = {**keys, "event_time": event_form}
    types |= {} if known_form is None else {"available_at": known_form}
    types |= id_types
    types |= {} if sequence is None else {"sequence": sequence}
    source = Source(
        name,
        tuple(rows),
        "event_time",
        None if known_form is None else "available_at",
        tuple(id_types),
        None if sequence is None else "sequence",
    )
    return Table(source, tuple(keys), types | values | shape.as_keys, files)


def _lags() -> st.SearchStrategy[int]:
    """How long after its event time a row becomes known; some are known ahead."""
    return st.sampled_from((0, 0, 1, 10 * MINUTE, HOUR, HOUR + 1, DAY, 3 * DAY, -1, -HOUR))


def _rarely_none(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 9).flatmap(lambda n: st.none() if n == 9 else strategy)


@st.composite
def _pool(draw: st.DrawFn, keys: dict[str, str], few: int | None) -> Sequence[tuple[Any, ...]]:
    """Up to four keys of a source, out of a `few` values; a part may be null."""
    parts = [_rarely_none(st.sampled_from(KEY_VALUES[kind][:few])) for kind in keys.values()]
    size = draw(st.sampled_from((1, 1, 2, 4)))
    return [tuple(draw(part) for part in parts) for _ in range(size)]
