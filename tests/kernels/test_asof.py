from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headwater.compute.kernels import asof
from headwater.compute.kernels.rows import Queries, Rows

from .brute import QUERIES, Fact, facts, last_row, queries_of, rows_of

LAST = 2**63 - 1


def check(rows: Rows, queries: Queries) -> None:
    expected = [
        last_row(rows, key, time)
        for key, time in zip(queries.key.tolist(), queries.time.tolist(), strict=True)
    ]
    assert asof.last_row(rows, queries).tolist() == expected


@given(facts(), QUERIES, st.integers(0, 3))
def test_late_rows_and_versions_that_move(made, pairs, shuffle):
    check(rows_of(made, shuffle), queries_of(pairs))


@given(facts(), QUERIES)
def test_codes_of_ids_need_not_be_dense(made, pairs):
    far = [replace(f, fact=f.fact if f.fact < 0 else f.fact * 10**12) for f in made]
    check(rows_of(far), queries_of(pairs))


@given(facts(ids=False), QUERIES, st.integers(0, 3))
def test_late_rows(made, pairs, shuffle):
    check(rows_of(made, shuffle, with_ids=False), queries_of(pairs))


@given(facts(late=False, ids=False), QUERIES, st.integers(0, 3))
def test_rows_known_in_time(made, pairs, shuffle):
    check(rows_of(made, shuffle), queries_of(pairs))


@given(facts(), QUERIES, st.randoms(use_true_random=False))
def test_order_of_rows_decides_nothing(made, pairs, random):
    rows, queries = rows_of(made), queries_of(pairs)
    moved = np.array(random.sample(range(len(made)), len(made)), dtype=np.int64)
    other = Rows(
        rows.key[moved],
        rows.event_time[moved],
        rows.available_at[moved],
        rows.order[moved],
        rows.fact[moved],
    )
    found = asof.last_row(other, queries)
    there = np.append(moved, -1)[found]
    assert there.tolist() == asof.last_row(rows, queries).tolist()


def test_a_row_counts_from_its_event_time_and_its_availability():
    rows = rows_of([Fact(0, 10, 15, -1), Fact(0, 5, 5, -1)])
    queries = queries_of([(0, 4), (0, 5), (0, 14), (0, 15), (0, 16)])
    assert asof.last_row(rows, queries).tolist() == [-1, 1, 1, 0, 0]


def test_a_fact_moved_forward_hides_until_its_new_time():
    rows = rows_of([Fact(0, 5, 5, 0), Fact(0, 20, 8, 0)])
    queries = queries_of([(0, 7), (0, 8), (0, 19), (0, 20)])
    assert asof.last_row(rows, queries).tolist() == [0, -1, -1, 1]


def test_a_fact_moved_back_gives_way_to_the_row_before_it():
    rows = rows_of([Fact(0, 10, 10, 0), Fact(0, 8, 8, -1), Fact(0, 5, 12, 0)])
    queries = queries_of([(0, 11), (0, 12)])
    assert asof.last_row(rows, queries).tolist() == [0, 1]


def test_times_too_far_apart_to_share_one_integer_with_the_key():
    far = 2**61
    for late in (0, 3, far // 2):
        rows = rows_of([Fact(k, t, t + late, -1) for k in range(3) for t in (-far, 0, 7, far)])
        check(
            rows, queries_of([(k, t) for k in range(3) for t in (-far - 1, -far, 6, 7, far, LAST)])
        )


def test_infinite_times_are_legal():
    rows = rows_of([Fact(0, -LAST - 1, -LAST - 1, -1), Fact(0, 3, 3, -1), Fact(0, 5, LAST, -1)])
    queries = queries_of([(0, -LAST - 1), (0, 3), (0, 9), (0, LAST)])
    assert asof.last_row(rows, queries).tolist() == [0, 1, 1, 2]


def test_nothing_asked_and_nothing_known():
    nothing = rows_of([])
    assert asof.last_row(nothing, queries_of([(0, 1), (-1, 1)])).tolist() == [-1, -1]
    assert asof.last_row(nothing, queries_of([])).tolist() == []
    assert asof.last_row(rows_of([Fact(0, 1, 1, -1)]), queries_of([])).tolist() == []


def test_many_rows_of_few_keys():
    rng = np.random.default_rng(5)
    n = 4_000
    key = np.minimum(rng.pareto(1.0, n), 9).astype(np.int64)
    event_time = rng.integers(-1_000, 1_000, n)
    available_at = event_time + rng.integers(0, 300, n)
    order = np.empty(n, dtype=np.int64)
    order[np.lexsort((available_at, event_time))] = np.arange(n)
    rows = Rows(key, event_time, available_at, order)
    queries = Queries(rng.integers(-1, 10, 500), rng.integers(-1_100, 1_400, 500))
    found = asof.last_row(rows, queries)
    for i in range(500):
        is_known = (key == queries.key[i]) & (
            np.maximum(event_time, available_at) <= queries.time[i]
        )
        expected = order[is_known].max() if is_known.any() else -1
        assert (order[found[i]] if found[i] >= 0 else -1) == expected
