"""What the kernels must give, row by row in plain Python; shares no code with them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
from hypothesis import strategies as st

from headwater.compute.kernels.rows import Aggregation, Frame, Listed, Lists, Queries, Rows
from oracle.sketches import approximate_count, rounded

DAY = 86_400_000_000
MONDAY = 4 * DAY
TALLIES = ("mode", "mode_count", "top_k", "histogram")


@dataclass(frozen=True)
class Fact:
    key: int
    event_time: int
    available_at: int
    fact: int
    value: float = 0.0


def rows_of(facts: list[Fact], shuffle: int = 0, *, with_ids: bool = True) -> Rows:
    """Rows whose order is that of (event_time, available_at), ties by a seeded coin."""
    columns = np.array(
        [(f.key, f.event_time, f.available_at, f.fact) for f in facts], dtype=np.int64
    ).reshape(-1, 4)
    key, event_time, available_at, fact = columns.T.copy()
    coin = np.random.default_rng(shuffle).permutation(len(facts))
    order = np.empty(len(facts), dtype=np.int64)
    order[np.lexsort((coin, available_at, event_time))] = np.arange(len(facts))
    return Rows(key, event_time, available_at, order * 3 - 7, fact if with_ids else None)


def queries_of(pairs: list[tuple[int, int]]) -> Queries:
    columns = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Queries(columns[:, 0].copy(), columns[:, 1].copy())


def known_rows(rows: Rows, key: int, time: int) -> list[int]:
    """Rows of a key that exist for a time, in C4's order (C3)."""
    found = [i for i in range(len(rows.key)) if rows.key[i] == key and rows.available_at[i] <= time]
    newest: dict[tuple[str, int], int] = {}
    for i in found:
        own = rows.fact is None or rows.fact[i] < 0
        name = ("row", i) if own else ("fact", int(rows.fact[i]))
        best = newest.get(name)
        rank = (rows.available_at[i], rows.order[i])
        if best is None or rank > (rows.available_at[best], rows.order[best]):
            newest[name] = i
    return sorted(newest.values(), key=lambda i: rows.order[i])


def last_row(rows: Rows, key: int, time: int) -> int:
    found = [i for i in known_rows(rows, key, time) if rows.event_time[i] <= time]
    return found[-1] if found else -1


def window(rows: Rows, key: int, time: int, frame: Frame) -> list[int]:
    """Rows of a window, oldest first (C6)."""
    right = time - frame.offset
    left = -math.inf
    if frame.size is not None:
        left = right - frame.size
        if frame.tail_hop:
            origin = MONDAY if frame.tail_hop % (7 * DAY) == 0 else 0
            left = origin + math.floor((left - origin) / frame.tail_hop) * frame.tail_hop
    return [i for i in known_rows(rows, key, time) if left <= rows.event_time[i] < right]


def total(values: list) -> float | int:
    if all(isinstance(v, int) for v in values):
        return sum(values)
    if any(math.isnan(v) for v in values) or {math.inf, -math.inf} <= set(values):
        return math.nan
    infinite = [v for v in values if math.isinf(v)]
    if infinite:
        return infinite[0]
    try:
        return math.fsum(values) + 0.0
    except OverflowError:
        exact = sum(map(_as_int, values))
        try:
            return exact / 2**1074
        except OverflowError:
            return math.inf if exact > 0 else -math.inf


def _as_int(value: float) -> int:
    top, bottom = value.as_integer_ratio()
    return top * (2**1074 // bottom)


def sort_key(value: float) -> tuple[bool, float]:
    return (True, 0.0) if value != value else (False, value)


def clean(value):
    return 0.0 if isinstance(value, float) and value == 0 else value


def aggregate(name: str, values: list, parameter) -> object:
    """The aggregate of values in C4's order; None is null."""
    n = len(values)
    if name == "count":
        return n
    if name == "count_distinct":
        return len({sort_key(v) for v in values})
    if name == "approx_count_distinct":
        return approximate_count(value % 2**64 for value in values)
    if n == 0:
        return {"mode_count": 0, "top_k": [], "histogram": []}.get(name)
    ranked = [clean(v) for v in sorted(values, key=sort_key)]
    if name in TALLIES:
        pairs = frequencies(ranked)
        best = sorted(pairs, key=lambda pair: -pair[1])
        top = best[: int(parameter or 1)]
        return {"mode": best[0][0], "mode_count": best[0][1], "top_k": top, "histogram": pairs}[
            name
        ]
    if name == "approx_quantile":
        return rounded(float(ranked[min(max(math.ceil(parameter * n), 1), n) - 1]))
    if name == "quantile_disc":
        return ranked[min(max(math.ceil(parameter * n), 1), n) - 1]
    if name == "quantile_cont":
        place = (n - 1) * parameter
        low, share = math.floor(place), place - math.floor(place)
        a, b = float(ranked[low]), float(ranked[math.ceil(place)])
        return a if share == 0 or a == b else a + (b - a) * share
    if name == "avg_deviation":
        mean = float(total(values)) / n
        return reduce(add, (abs(v - mean) for v in values)) / n
    simple = {
        "sum": lambda: total(values),
        "avg": lambda: float(total(values)) / n,
        "min": lambda: ranked[0],
        "max": lambda: ranked[-1],
    }
    return simple[name]() if name in simple else variance(name, [float(v) for v in values])


def frequencies(ranked: list) -> list[tuple]:
    """Each value with its count, in the order of values."""
    found: list[tuple] = []
    for value in ranked:
        if found and sort_key(found[-1][0]) == sort_key(value):
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((value, 1))
    return found


def variance(name: str, values: list[float]) -> float | None:
    n, sample = len(values), name.endswith("samp")
    if n < 2 and sample:
        return None
    sums, squares = total(values), total([v * v for v in values])
    found = (squares - sums * sums / n) / (n - 1 if sample else n)
    found = max(found, 0.0) if found == found else math.nan
    return math.sqrt(found) if name.startswith("stddev") else found


def same(found, expected) -> bool:
    """Equal bit for bit, with one NaN."""
    if expected is None or found is None:
        return found is expected
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, float) and math.isnan(expected):
        return math.isnan(found)
    return found == expected and math.copysign(1, found) == math.copysign(1, expected)


def as_list(column) -> list:
    """A kernel's column as Python values, null as None."""
    if isinstance(column, Lists):
        rows = column.rows.tolist()
        return [rows[a:b] for a, b in pairwise(column.offsets.tolist())]
    if isinstance(column, Listed):
        pairs = list(zip(column.values.tolist(), column.counts.tolist(), strict=True))
        return [pairs[a:b] for a, b in pairwise(column.offsets.tolist())]
    values = column.values.tolist()
    if column.valid is None:
        return values
    return [v if ok else None for v, ok in zip(values, column.valid.tolist(), strict=True)]


def expected_window(rows: Rows, queries: Queries, frame: Frame, ask: Aggregation) -> list:
    """The column that `aggregate` must give for one aggregation."""
    found = []
    for key, time in zip(queries.key.tolist(), queries.time.tolist(), strict=True):
        members = window(rows, key, time, frame)
        if ask.valid is not None:
            members = [i for i in members if ask.valid[i]]
        found.append(of_members(ask, members))
    return found


def of_members(ask: Aggregation, members: list[int]) -> object:
    if ask.name == "last_k":
        return members[-int(ask.parameter) :]
    if ask.name in ("first", "last"):
        return (members[0] if ask.name == "first" else members[-1]) if members else None
    values = ask.values.tolist() if ask.values is not None else [0] * (max(members, default=0) + 1)
    return aggregate(ask.name, [values[i] for i in members], ask.parameter)


TIMES = st.integers(-12, 12)
LATE = st.one_of(st.just(0), st.just(1), st.integers(-2, 8))
VALUES = st.one_of(
    st.integers(-3, 3).map(float),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e300, -1e300, 5e-324, -0.0, 0.1, 1e16]),
    st.floats(allow_nan=False, allow_infinity=False),
)


@st.composite
def facts(draw, *, late: bool = True, ids: bool = True) -> list[Fact]:
    """Few keys and times, so that ties, edges and versions are common."""
    found = []
    for _ in range(draw(st.integers(0, 16))):
        event_time = draw(TIMES)
        known = event_time + draw(LATE) if late else event_time
        fact = draw(st.integers(-1, 3)) if ids else -1
        key = draw(st.integers(0, 2)) if fact < 0 else fact % 3
        found.append(Fact(key, event_time, known, fact, draw(VALUES)))
    return found


QUERIES = st.lists(st.tuples(st.integers(-1, 4), st.integers(-16, 24)), max_size=12)
FRAMES = st.builds(
    Frame,
    size=st.one_of(st.none(), st.integers(1, 12)),
    offset=st.sampled_from([0, 0, 0, 1, 3]),
    tail_hop=st.sampled_from([None, None, 1, 2, 5, 20, 100]),
)
