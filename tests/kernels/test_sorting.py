from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.compute.kernels.extremes import NOTHING, greatest_of_covers, greatest_of_ranges
from headwater.compute.kernels.sorting import from_codes, order_by, ranges, to_codes

from .brute import same, sort_key

WIDE = st.integers(-(2**63), 2**63 - 1)
NUMBERS = st.one_of(st.integers(-3, 3), st.integers(-70_000, 70_000), WIDE)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=30))
def test_order_by_is_a_stable_sort(rows):
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T.copy()
    for count in (1, 2, 3):
        expected = sorted(range(len(rows)), key=lambda i: rows[i][:count])
        assert order_by(*columns[:count]).tolist() == expected


@given(st.lists(st.one_of(st.floats(), st.sampled_from([-0.0, 5e-324, math.inf])), max_size=20))
def test_codes_sort_as_values_do(values):
    codes = to_codes(np.array(values, dtype=np.float64))
    expected = sorted(range(len(values)), key=lambda i: sort_key(values[i]))
    assert np.argsort(codes, kind="stable").tolist() == expected
    back = from_codes(codes, np.dtype(np.float64)).tolist()
    assert all(same(a, b + 0.0) for a, b in zip(back, values, strict=True))


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 64, 500])
def test_greatest_of_ranges(n):
    rng = np.random.default_rng(n)
    codes = rng.integers(-(2**63), 2**63 - 1, n)
    low, high = np.sort(rng.integers(0, n + 1, (2, 300)), axis=0)
    found = greatest_of_ranges(codes, low, high).tolist()
    expected = [
        max(codes[a:b].tolist(), default=int(NOTHING)) for a, b in zip(low, high, strict=True)
    ]
    assert found == expected


@pytest.mark.parametrize("queries", [1, 2, 7, 100])
def test_greatest_of_covers(queries):
    rng = np.random.default_rng(queries)
    codes = rng.integers(-50, 50, 40)
    start, stop = rng.integers(0, queries + 1, (2, 40))
    found = greatest_of_covers(codes, start, stop, queries).tolist()
    for query in range(queries):
        seen = codes[(start <= query) & (query < stop)].tolist()
        assert found[query] == max(seen, default=int(NOTHING))


def test_ranges_one_after_the_other():
    assert ranges(np.array([5, 9, 2]), np.array([2, 0, 3])).tolist() == [5, 6, 2, 3, 4]
    assert ranges(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)).tolist() == []
