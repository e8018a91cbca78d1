from __future__ import annotations

import math
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.compute.kernels import tallies
from headwater.compute.kernels.rows import Aggregation, Frame, Queries, Rows
from headwater.compute.kernels.windows import aggregate
from headwater.errors import ComputeError

from .brute import (
    DAY,
    FRAMES,
    QUERIES,
    TALLIES,
    Fact,
    as_list,
    expected_window,
    facts,
    queries_of,
    rows_of,
    same,
)

EXACT = ["count", "sum", "avg", "avg_deviation", "min", "max", "count_distinct"]
SPREAD = ["stddev_samp", "stddev_pop", "var_samp", "var_pop"]
POSITIONS = ["first", "last", "last_k"]
QUANTILES = ["quantile_cont", "quantile_disc"]


def asks_of(values, valid) -> list[Aggregation]:
    asks = [Aggregation("count"), *(Aggregation(n, values, valid) for n in EXACT + SPREAD)]
    asks += [Aggregation(n, values, valid, 3) for n in POSITIONS]
    asks += [Aggregation(n, values, valid, 2) for n in TALLIES]
    return asks + [
        Aggregation(n, values, valid, f) for n in QUANTILES for f in (0.0, 0.3, 0.5, 1.0)
    ]


def check(rows: Rows, queries: Queries, frames: list[Frame], asks: list[Aggregation]) -> None:
    results = aggregate(rows, queries, [(frame, asks) for frame in frames])
    for frame, columns in zip(frames, results, strict=True):
        for ask, column in zip(asks, columns, strict=True):
            compare(ask, as_list(column), expected_window(rows, queries, frame, ask))


def compare(ask: Aggregation, found: list, expected: list) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert same(one, other), (ask, found, expected)


def values_of(made: list[Fact]) -> np.ndarray:
    return np.array([fact.value for fact in made], dtype=np.float64)


@settings(max_examples=150)
@given(facts(), QUERIES, st.lists(FRAMES, max_size=3), st.integers(0, 3), st.booleans())
def test_late_rows_and_versions(made, pairs, frames, shuffle, filtered):
    valid = np.arange(len(made)) % 3 != 0 if filtered else None
    check(rows_of(made, shuffle), queries_of(pairs), frames, asks_of(values_of(made), valid))


@settings(max_examples=150)
@given(facts(late=False, ids=False), QUERIES, st.lists(FRAMES, max_size=3), st.booleans())
def test_rows_known_in_time(made, pairs, frames, filtered):
    valid = np.arange(len(made)) % 3 != 0 if filtered else None
    check(rows_of(made), queries_of(pairs), frames, asks_of(values_of(made), valid))


@given(facts(), QUERIES, st.lists(FRAMES, max_size=2), st.sampled_from("iIfb"))
def test_types_of_values(made, pairs, frames, kind):
    dtype = {"i": np.int32, "I": np.int64, "f": np.float32, "b": np.bool_}[kind]
    whole = np.array([int(f.value) % 7 - 3 if math.isfinite(f.value) else 2 for f in made])
    values = (whole > 0) if kind == "b" else whole.astype(dtype)
    rows, queries = rows_of(made), queries_of(pairs)
    check(rows, queries, frames, asks_of(values, None))
    for columns in aggregate(rows, queries, [(f, asks_of(values, None)) for f in frames]):
        types = {ask.name: c for ask, c in zip(asks_of(values, None), columns, strict=True)}
        assert types["max"].values.dtype == dtype
        assert types["quantile_disc"].values.dtype == dtype
        assert types["sum"].values.dtype == (np.float64 if kind == "f" else np.int64)
        assert types["avg"].values.dtype == np.float64


@given(facts(), QUERIES, FRAMES, st.randoms(use_true_random=False))
def test_order_of_rows_and_other_keys_decide_nothing(made, pairs, frame, random):
    values = values_of(made)
    rows, queries = rows_of(made), queries_of(pairs)
    asks = [a for a in asks_of(values, None) if a.name not in POSITIONS]
    expected = [as_list(c) for c in aggregate(rows, queries, [(frame, asks)])[0]]
    moved = np.array(random.sample(range(len(made)), len(made)), dtype=np.int64)
    moved = moved[np.isin(rows.key[moved], queries.key)]
    other = Rows(*(c[moved] for c in (rows.key, rows.event_time, rows.available_at, rows.order)),
                 rows.fact[moved])  # fmt: skip
    asks = [a for a in asks_of(values[moved], None) if a.name not in POSITIONS]
    found = [as_list(c) for c in aggregate(other, queries, [(frame, asks)])[0]]
    for one, two in zip(found, expected, strict=True):
        assert all(map(same, one, two))


def simple(times: list[int], late: list[int] | None = None) -> Rows:
    known = [t + d for t, d in zip(times, late or [0] * len(times), strict=True)]
    return rows_of([Fact(0, t, k, -1) for t, k in zip(times, known, strict=True)])


def counts(rows: Rows, times: list[int], frame: Frame) -> list[int]:
    found = aggregate(rows, queries_of([(0, t) for t in times]), [(frame, [Aggregation("count")])])
    return as_list(found[0][0])


def test_edges_of_a_window():
    times = [10, 11, 12, 19, 20, 21]
    assert counts(simple([10]), times, Frame(10)) == [0, 1, 1, 1, 1, 0]


def test_edges_of_a_window_of_a_late_row():
    times = [14, 15, 16, 20, 21]
    assert counts(simple([10], [5]), times, Frame(10)) == [0, 1, 1, 1, 0]
    assert counts(simple([10], [11]), [20, 21, 22], Frame(10)) == [0, 0, 0]


@pytest.mark.parametrize(("late", "first"), [(0, 11), (1, 11), (2, 12), (3, 13)])
@pytest.mark.parametrize("offset", [0, 1, 2])
def test_when_a_row_begins_to_count(late, first, offset):
    frame = Frame(10, offset=offset)
    first = max(first, 11 + offset)
    assert counts(simple([10], [late]), [first - 1, first], frame) == [0, 1]


def test_frames_of_different_offsets_see_late_rows_each_in_its_way():
    rows, ask = simple([10], [3]), [Aggregation("count")]
    frames = [(Frame(10, offset=offset), ask) for offset in (0, 5)]
    found = aggregate(rows, queries_of([(0, t) for t in (12, 13, 15, 16)]), frames)
    assert [as_list(c[0]) for c in found] == [[0, 1, 1, 1], [0, 0, 0, 1]]


def test_offset_moves_both_edges():
    assert counts(simple([10]), [13, 14, 23, 24], Frame(10, offset=3)) == [0, 1, 1, 0]
    assert counts(simple([10]), [13, 14, 99], Frame(None, offset=3)) == [0, 1, 1]


@pytest.mark.parametrize(
    ("hop", "left"),
    [(5, -15), (4, -16), (100, -100), (7 * DAY, 4 * DAY - 7 * DAY), (DAY, -DAY)],
)
def test_a_tail_hop_moves_the_left_edge_before_the_epoch(hop, left):
    rows = simple([left - 1, left, left + 1])
    assert counts(rows, [-2], Frame(11, tail_hop=hop)) == [2]


def test_weeks_count_from_a_monday():
    monday = 4 * DAY + 100 * 7 * DAY
    rows = simple([monday - 1, monday])
    frame = Frame(DAY, tail_hop=7 * DAY)
    assert counts(rows, [monday + DAY, monday + 5 * DAY, monday + DAY - 1], frame) == [1, 1, 2]
    assert counts(rows, [monday + 8 * DAY - 1, monday + 8 * DAY], frame) == [1, 0]


def test_integers_wrap_on_the_way_but_not_in_the_sum():
    big = 2**63 - 1
    values = np.array([big, 5, -6, -big], dtype=np.int64)
    rows = simple([1, 2, 3, 4])
    queries = queries_of([(0, 5)])
    asks = [Aggregation("sum", values), Aggregation("avg", values)]
    found = aggregate(rows, queries, [(Frame(None), asks)])[0]
    assert [as_list(c) for c in found] == [[-1], [-0.25]]


@pytest.mark.parametrize("late", [0, 3])
def test_overflow_of_a_window_names_the_value(late):
    values = np.array([2**62, 2**62, 1], dtype=np.int64)
    rows = simple([1, 2, 3], [late] * 3)
    queries = queries_of([(0, 6), (0, 8)])
    asks = {size: Aggregation("sum", values, label=f"over {size}") for size in (2, 4, 9)}
    fine = aggregate(rows, queries, [(Frame(4), [asks[4]])])[0][0]
    assert as_list(fine) == [2**62 + 1, None]
    with pytest.raises(ComputeError, match="over 9: the sum over a window does not fit"):
        aggregate(rows, queries, [(Frame(size), [ask]) for size, ask in asks.items()])
    other = [Aggregation("avg", values), Aggregation("max", values)]
    wide = aggregate(rows, queries, [(Frame(4), [asks[4]]), (Frame(9), other)])
    assert as_list(wide[1][0])[0] == float(2**63 + 1) / 3


def test_least_and_greatest_integers():
    low, high = -(2**63), 2**63 - 1
    values = np.array([low, high, low], dtype=np.int64)
    asks = [Aggregation(n, values, None, 0.5) for n in ("min", "max", "quantile_disc", "sum")]
    for late in (0, 1):
        rows = simple([1, 2, 3], [late] * 3)
        found = aggregate(rows, queries_of([(0, 3), (0, 2)]), [(Frame(1), asks)])[0]
        assert [as_list(c) for c in found] == [[high, low]] * 4


def test_nothing_asked_and_nothing_known():
    nothing = rows_of([])
    for pairs in ([], [(0, 1), (-1, 5)]):
        check(nothing, queries_of(pairs), [Frame(3), Frame(None)], asks_of(np.zeros(0), None))
    assert aggregate(nothing, queries_of([]), []) == []


def test_an_unknown_aggregate_is_refused():
    rows = simple([1])
    with pytest.raises(ComputeError, match="no aggregate named 'middle'"):
        aggregate(rows, queries_of([(0, 2)]), [(Frame(3), [Aggregation("middle", np.zeros(1))])])
    with pytest.raises(ComputeError, match="needs values"):
        aggregate(rows, queries_of([(0, 2)]), [(Frame(3), [Aggregation("max")])])


def test_the_last_rows_behind_many_that_are_not_known_yet():
    times = list(range(700))
    rows = simple(times, [0 if t in (3, 5, 650) else 10_000 for t in times])
    ask = Aggregation("last_k", None, None, 2)
    frames = [(Frame(size), [ask]) for size in (698, 20, None)]
    found = aggregate(rows, queries_of([(0, 651), (0, 700), (0, 5)]), frames)
    assert [as_list(columns[0]) for columns in found] == [
        [[5, 650], [5, 650], [3]],
        [[650], [], [3]],
        [[5, 650], [5, 650], [3]],
    ]


@given(facts(), QUERIES, FRAMES, st.integers(1, 4))
def test_histograms_of_few_queries_at_a_time(made, pairs, frame, most):
    ask = Aggregation("histogram", values_of(made))
    with patch.object(tallies, "_CHUNK", most):
        check(rows_of(made), queries_of(pairs), [frame], [ask])


@pytest.mark.parametrize("kind", ["in time", "late", "versions"])
@pytest.mark.parametrize("keys", ["even", "skewed"])
def test_long_windows(kind, keys):
    rng = np.random.default_rng(11)
    n, q = 1_500, 40
    key = rng.integers(0, 5, n) if keys == "even" else np.minimum(rng.pareto(2.0, n), 4).astype(int)
    event_time = rng.integers(-2_000, 2_000, n)
    known = event_time + (rng.integers(0, 400, n) if kind != "in time" else 0)
    fact = rng.integers(0, n, n) * 5 + key if kind == "versions" else np.full(n, -1)
    made = [
        Fact(*row)
        for row in zip(*(c.tolist() for c in (key, event_time, known, fact)), strict=True)
    ]
    rows = rows_of(made, with_ids=kind == "versions")
    queries = Queries(rng.integers(-1, 5, q), rng.integers(-2_100, 2_900, q))
    values = np.round(rng.lognormal(3, 3, n), 2) * rng.choice([-1, 1], n)
    values[rng.random(n) < 0.3] = 7.25
    asks = [
        *(Aggregation(name, values) for name in EXACT),
        Aggregation("last_k", values, rng.random(n) < 0.5, 40),
        Aggregation("first", values), Aggregation("last", values, rng.random(n) < 0.1),
        Aggregation("quantile_cont", values, None, 0.9),
        Aggregation("quantile_disc", values, None, 0.37),
        *(Aggregation(name, np.round(values), rng.random(n) < 0.7, 6) for name in TALLIES),
    ]  # fmt: skip
    frames = [Frame(30), Frame(700, offset=90), Frame(700, tail_hop=500), Frame(None)]
    check(rows, queries, frames, asks)
