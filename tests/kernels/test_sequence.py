from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.compute.kernels.measures import LISTS
from headwater.compute.kernels.rows import Aggregation, Rows
from headwater.compute.kernels.sequence import Replay, frame, lag, replay, smooth, weighted

from .brute import TALLIES, Fact, as_list, facts, known_rows, of_members, rows_of, same, total

NAMES = ["count", "sum", "avg", "min", "max", "count_distinct", "first", "last", "last_k",
         "stddev_samp", "var_pop", "quantile_cont", "quantile_disc", "avg_deviation",
         *TALLIES]  # fmt: skip
SEGMENTS = st.lists(st.integers(1, 9), max_size=5)
CELLS = st.one_of(
    st.none(), st.integers(-3, 3).map(float), st.sampled_from([0.1, 1e16, math.inf, math.nan])
)


def versions(run: Replay) -> list[tuple[int, int, tuple[int, ...]]]:
    """Each emitted row, since when, and all rows up to it in its segment."""
    found = []
    members: list[int] = []
    for i, row in enumerate(run.row.tolist()):
        if i and run.segment[i] != run.segment[i - 1]:
            members = []
        members.append(row)
        if run.emit[i]:
            found.append((row, int(run.available_at[i]), tuple(members)))
    return sorted(found)


def expected_versions(rows: Rows) -> list[tuple[int, int, tuple[int, ...]]]:
    """A row gets a new version whenever what is known of it and its predecessors changes."""
    found = []
    for key in set(rows.key.tolist()):
        before: dict[int, tuple[int, ...]] = {}
        for instant in sorted(set(rows.available_at[rows.key == key].tolist())):
            known = known_rows(rows, key, instant)
            now = {row: tuple(known[: i + 1]) for i, row in enumerate(known)}
            found += [(r, instant, path) for r, path in now.items() if before.get(r) != path]
            before = now
    return sorted(found)


@given(facts(), st.integers(0, 3))
def test_replay_of_late_rows_and_versions(made, shuffle):
    rows = rows_of(made, shuffle)
    run = replay(rows)
    assert versions(run) == expected_versions(rows)
    assert run.emit.tolist() == (run.origin < 0).tolist()
    assert (np.diff(run.segment) >= 0).all()


@given(facts(late=False, ids=False), st.integers(0, 3))
def test_replay_in_order_is_one_segment_a_key(made, shuffle):
    rows = rows_of(made, shuffle)
    run = replay(rows)
    assert run.emit.all()
    assert run.available_at.tolist() == rows.available_at[run.row].tolist()
    assert len(set(run.segment.tolist())) == len(set(rows.key.tolist()))
    assert versions(run) == expected_versions(rows)


def test_a_late_row_replays_from_itself():
    rows = rows_of([Fact(0, 1, 1, -1), Fact(0, 3, 3, -1), Fact(0, 2, 4, -1), Fact(0, 5, 5, -1)])
    run = replay(rows)
    assert run.row.tolist() == [0, 1, 0, 2, 1, 3]
    assert run.segment.tolist() == [0, 0, 1, 1, 1, 1]
    assert run.emit.tolist() == [True, True, False, True, True, True]
    assert run.available_at[run.emit].tolist() == [1, 3, 4, 4, 5]
    assert run.origin.tolist() == [-1, -1, 0, -1, -1, -1]


def test_context_bounds_what_is_repeated():
    times = list(range(0, 100, 2))
    late = [Fact(0, t + 1, 1_000 + t, -1) for t in times]
    rows = rows_of([*(Fact(0, t, t, -1) for t in times), *late])
    assert np.count_nonzero(~replay(rows, context=3).emit) <= 3 * len(late)
    assert np.count_nonzero(~replay(rows).emit) > 10 * len(late)


def emitted(run: Replay, column) -> dict[tuple[int, int], object]:
    values = as_list(column)
    pairs = zip(run.row.tolist(), run.available_at.tolist(), strict=True)
    return {pair: v for pair, v, out in zip(pairs, values, run.emit, strict=True) if out}


def agree(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)


@given(facts(), st.integers(1, 4), st.data())
def test_context_changes_no_value(made, size, data):
    rows = rows_of(made)
    values = np.array([f.value for f in made], dtype=np.float64)
    valid = np.array([data.draw(st.booleans()) for _ in made], dtype=np.bool_)
    full = replay(rows)
    cut = replay(rows, context=size - 1)
    found = []
    for run in (full, cut):
        x, ok = values[run.row], valid[run.row]
        (framed,) = frame(run.segment, [Aggregation("sum", x, ok)], size, size)
        smoothed = smooth(run.segment, x, ok, size + 1, 0.3, origin=run.origin)
        found.append((emitted(run, framed), emitted(run, smoothed)))
    plain = smooth(full.segment, values[full.row], valid[full.row], size + 1, 0.3)
    assert all(agree(a, b) for a, b in zip(*found, strict=True))
    assert agree(emitted(full, plain), found[0][1])


def cells_of(sizes: list[int], data) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    segment = np.repeat(np.arange(len(sizes)) * 2, sizes)
    cells = [data.draw(CELLS) for _ in segment]
    values = np.array([0.0 if c is None else c for c in cells], dtype=np.float64)
    return segment, values, np.array([c is not None for c in cells], dtype=np.bool_)


@given(SEGMENTS, st.sampled_from(NAMES), st.integers(1, 5), st.data())
def test_frames(sizes, name, rows, data):
    segment, values, valid = cells_of(sizes, data)
    least = data.draw(st.integers(1, rows))
    mask = valid if data.draw(st.booleans()) else None
    ask = Aggregation(name, values, mask, {"last_k": 2, "top_k": 2}.get(name, 0.4))
    reach = data.draw(st.sampled_from([rows, None]))
    rows = rows if reach else len(segment) + 1
    found = as_list(frame(segment, [ask], reach, least)[0])
    for i in range(len(segment)):
        run = [j for j in range(i + 1) if segment[j] == segment[i]]
        members = [j for j in run[-rows:] if mask is None or mask[j]]
        expected = of_members(ask, members)
        if len(run) < least:
            expected = [] if name in LISTS else None
        assert found[i] == expected if name == "last_k" else same(found[i], expected)


@given(SEGMENTS, st.integers(1, 4), st.data())
def test_lags(sizes, k, data):
    segment, values, valid = cells_of(sizes, data)
    found = as_list(lag(segment, values, valid, k))
    for i in range(len(segment)):
        exists = i >= k and segment[i - k] == segment[i] and valid[i - k]
        assert same(found[i], float(values[i - k]) if exists else None)
    assert as_list(lag(segment, values, None, 100)) == [None] * len(segment)


@given(SEGMENTS, st.integers(1, 4), st.data())
def test_weighted_averages(sizes, n, data):
    segment, values, valid = cells_of(sizes, data)
    found = as_list(weighted(segment, values, valid, n))
    for i in range(len(segment)):
        run = [j for j in range(i + 1) if segment[j] == segment[i]][-n:]
        if len(run) < n or not valid[run].all():
            assert found[i] is None
            continue
        # the weights are too small for the products to round
        exact = total([float(values[j]) for place, j in enumerate(run, 1) for _ in range(place)])
        assert same(found[i], exact / (n * (n + 1) / 2))


def test_weighted_average_of_very_many_rows():
    rng = np.random.default_rng(3)
    values = rng.standard_normal(5_000) * 1e6
    n = 3_000
    found = as_list(weighted(np.zeros(5_000, dtype=np.int64), values, None, n))
    weights = np.arange(1, n + 1)
    for i in (n - 1, 4_999):
        exact = sum(
            Fraction(x) * int(w)
            for x, w in zip(values[i - n + 1 : i + 1].tolist(), weights, strict=True)
        )
        assert found[i] == float(exact) / (n * (n + 1) / 2)


def smoothed(cells: list[float | None], n: int, alpha: float) -> list[float | None]:
    found: list[float | None] = []
    given_values: list[float] = []
    state = 0.0
    for x in cells:
        if x is None:
            found.append(None)
            continue
        given_values.append(x)
        if len(given_values) == n:
            state = total(given_values) / n
        elif len(given_values) > n:
            state = state + alpha * (x - state)
        found.append(state if len(given_values) >= n else None)
    return found


@given(SEGMENTS, st.integers(1, 4), st.sampled_from([1.0, 0.4, 1 / 3]), st.data())
def test_smoothing(sizes, n, alpha, data):
    segment, values, valid = cells_of(sizes, data)
    found = as_list(smooth(segment, values, valid, n, alpha))
    cells = [float(x) if ok else None for x, ok in zip(values, valid, strict=True)]
    expected: list[float | None] = []
    for number in dict.fromkeys(segment.tolist()):
        mine = [c for c, s in zip(cells, segment, strict=True) if s == number]
        expected += smoothed(mine, n, alpha)
    assert all(same(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("count", [3, 200])
def test_smoothing_of_few_and_of_many_segments_is_the_same(count):
    rng = np.random.default_rng(2)
    sizes = rng.integers(1, 60, count)
    segment = np.repeat(np.arange(count), sizes)
    values = rng.standard_normal(len(segment)) * 1e3
    found = as_list(smooth(segment, values, None, 14, 1 / 14))
    ends = np.cumsum(sizes)
    for begin, end in zip((ends - sizes).tolist(), ends.tolist(), strict=True):
        assert found[begin:end] == smoothed(values[begin:end].tolist(), 14, 1 / 14)


def test_known_averages():
    # The first values of TA-Lib's EMA and Wilder's average of 1, 2, 4, 8, 16 over 3.
    segment, values = np.zeros(5, dtype=np.int64), np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    ema = as_list(smooth(segment, values, None, 3, 2 / 4))
    assert ema == [None, None, 7 / 3, 7 / 3 + 0.5 * (8 - 7 / 3), 7 / 3 + 0.5 * (8 - 7 / 3) + 0.5 * (
        16 - (7 / 3 + 0.5 * (8 - 7 / 3)))]  # fmt: skip


def test_nothing_to_replay():
    run = replay(rows_of([]))
    assert run.row.tolist() == run.segment.tolist() == run.emit.tolist() == []
    empty = np.zeros(0, dtype=np.int64)
    assert as_list(frame(empty, [Aggregation("count")], 3, 1)[0]) == []
    assert as_list(lag(empty, empty, None, 1)) == []
    assert as_list(smooth(empty, empty, None, 3, 0.5)) == []
