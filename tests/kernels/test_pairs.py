"""Aggregates of pairs against exact arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.compute.kernels.rows import Aggregation, Frame
from headwater.compute.kernels.sequence import frame
from headwater.compute.kernels.windows import aggregate
from oracle.aggregates import aggregate as expected
from oracle.compare import agrees

from .brute import FRAMES, QUERIES, as_list, facts, queries_of, rows_of, window

NAMES = ["covar_samp", "covar_pop", "corr", "regr_slope"]
NUMBERS = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6))


@given(facts(), QUERIES, FRAMES, st.data())
def test_in_windows(made, pairs, size, data):
    rows, queries = rows_of(made), queries_of(pairs)
    y, x = (np.array([data.draw(NUMBERS) for _ in made], dtype=np.float64) for _ in range(2))
    asks = [Aggregation(name, y, other=x) for name in NAMES]
    for ask, column in zip(asks, aggregate(rows, queries, [(size, asks)])[0], strict=True):
        for found, (key, time) in zip(as_list(column), pairs, strict=True):
            members = window(rows, key, time, size)
            known = [(float(y[i]), float(x[i])) for i in members]
            assert agrees(expected(ask.name, known), found), (ask.name, known, found)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, st.booleans()), max_size=12), st.integers(1, 5))
def test_in_frames(cells, size):
    y, x = (np.array([cell[i] for cell in cells], dtype=np.float64) for i in (0, 1))
    valid = np.array([cell[2] for cell in cells], dtype=np.bool_)
    segment = np.zeros(len(cells), dtype=np.int64)
    asks = [Aggregation(name, y, valid, other=x) for name in NAMES]
    for ask, column in zip(asks, frame(segment, asks, size, 1), strict=True):
        for i, found in enumerate(as_list(column)):
            known = [(float(y[j]), float(x[j])) for j in range(max(0, i - size + 1), i + 1)]
            known = [
                pair for pair, ok in zip(known, valid[max(0, i - size + 1) :], strict=False) if ok
            ]
            assert agrees(expected(ask.name, known), found), (ask.name, known, found)


@pytest.mark.parametrize("constant", [0.1, 1e16, -7.3])
def test_what_does_not_vary_has_no_slope(constant):
    y, x = np.arange(20.0), np.full(20, constant)
    asks = [Aggregation("regr_slope", y, other=x), Aggregation("corr", y, other=x)]
    found = frame(np.zeros(20, dtype=np.int64), asks, None, 1)
    assert [as_list(column) for column in found] == [[None] * 20] * 2


def test_what_is_not_finite_gives_nan():
    y = np.array([1.0, math.inf, 2.0, 3.0])
    asks = [Aggregation(name, y, other=np.arange(4.0)) for name in NAMES]
    for column in frame(np.zeros(4, dtype=np.int64), asks, None, 1):
        assert math.isnan(as_list(column)[-1])


def test_a_line_has_its_slope():
    x = np.array([1.0, 2.0, 4.0])
    rows = rows_of([])
    asks = [Aggregation("regr_slope", 3 * x - 1, other=x), Aggregation("corr", -x, other=x)]
    slope, corr = frame(np.zeros(3, dtype=np.int64), asks, None, 1)
    assert as_list(slope)[1:] == pytest.approx([3.0, 3.0])
    assert as_list(corr)[1:] == pytest.approx([-1.0, -1.0])
    empty = Aggregation("corr", x[:0], other=x[:0])
    assert as_list(aggregate(rows, queries_of([(0, 1)]), [(Frame(3), [empty])])[0][0]) == [None]
