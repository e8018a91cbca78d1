"""Vectors in the kernels: each element is treated as a scalar would be."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from headwater.compute.kernels.products import cosine_similarities, distances, inner_products
from headwater.compute.kernels.rows import Aggregation, Column
from headwater.compute.kernels.sequence import frame
from headwater.compute.kernels.windows import aggregate
from headwater.expressions.functions.vectors import cosine_similarity, distance, inner_product

from .brute import FRAMES, QUERIES, facts, queries_of, rows_of

ELEMENTWISE = ["sum", "avg", "min", "max"]
UNUSUAL = [0.0, -0.0, math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 1e200, 1e16, -1e16]
NUMBERS = st.one_of(st.sampled_from(UNUSUAL), st.floats(-100, 100), st.floats())
SHAPES = st.tuples(st.integers(0, 6), st.integers(1, 5))
PAIRS = {
    inner_products: inner_product,
    distances: distance,
    cosine_similarities: cosine_similarity,
}


def bits(value: float) -> bytes:
    return b"nan" if math.isnan(value) else struct.pack("<d", value)


def same(one: Column, other: Column) -> bool:
    valid = np.ones(len(one.values), bool) if one.valid is None else one.valid
    assert (valid == (True if other.valid is None else other.valid)).all()
    left, right = (np.asarray(c.values[valid], np.float64).tolist() for c in (one, other))
    return list(map(bits, left)) == list(map(bits, right))


@settings(max_examples=60)
@given(facts(), QUERIES, FRAMES, st.integers(1, 3), st.data())
def test_windows_of_vectors_are_windows_of_each_element(made, pairs, window, size, data):
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    elements = st.floats(width=32) if dtype is np.float32 else NUMBERS
    vectors = data.draw(arrays(dtype, (len(made), size), elements=elements))
    valid = np.array([data.draw(st.booleans()) for _ in made], dtype=bool)
    rows, queries = rows_of(made, 1), queries_of(pairs)
    names = [*ELEMENTWISE, "count", "first", "last"]

    def found(values: np.ndarray) -> list[Column]:
        return aggregate(rows, queries, [(window, [Aggregation(n, values, valid) for n in names])])[
            0
        ]

    whole = found(vectors)
    for place in range(size):
        alone = found(np.ascontiguousarray(vectors[:, place]))
        for name, one, other in zip(names, whole, alone, strict=True):
            values = one.values[:, place] if name in ELEMENTWISE else one.values
            assert same(Column(values, one.valid), other), name


@settings(max_examples=60)
@given(st.lists(st.integers(1, 4), max_size=3), st.integers(1, 3), st.integers(1, 4), st.data())
def test_frames_of_vectors_are_frames_of_each_element(sizes, size, rows, data):
    segment = np.repeat(np.arange(len(sizes)), sizes)
    vectors = data.draw(arrays(np.float64, (len(segment), size), elements=NUMBERS))
    valid = np.array([data.draw(st.booleans()) for _ in segment], dtype=bool)

    def found(values: np.ndarray) -> list[Column]:
        return frame(segment, [Aggregation(n, values, valid) for n in ELEMENTWISE], rows, 1)

    whole = found(vectors)
    for place in range(size):
        alone = found(np.ascontiguousarray(vectors[:, place]))
        for one, other in zip(whole, alone, strict=True):
            assert same(Column(one.values[:, place], one.valid), other)


@pytest.mark.parametrize("columns", PAIRS)
@settings(max_examples=150)
@given(data=st.data())
def test_a_column_of_pairs_is_each_pair_alone(columns, data):
    shape = data.draw(SHAPES)
    x, y = (data.draw(arrays(np.float64, shape, elements=NUMBERS)) for _ in range(2))
    found = columns(x, y).tolist()
    alone = [PAIRS[columns](*pair) for pair in zip(x.tolist(), y.tolist(), strict=True)]
    assert list(map(bits, found)) == list(map(bits, alone))


def test_many_pairs_of_many_elements():
    random = np.random.default_rng(3)
    x, y = (random.standard_normal((3000, 130)).astype(np.float32).astype(float) for _ in range(2))
    for columns, alone in PAIRS.items():
        found = columns(x, y)
        for row in (0, 1, 2015, 2016, 2999):
            assert bits(found[row]) == bits(alone(x[row].tolist(), y[row].tolist()))
