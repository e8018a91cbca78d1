"""Sketches: hashes and estimates straight from their definitions, errors as declared."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.compute.kernels.hashing import hash_bytes, hash_numbers
from headwater.compute.kernels.hyperloglog import REGISTERS, approximate_counts
from headwater.compute.kernels.ranges import Ranges
from headwater.compute.kernels.rounding import from_rounded, rounded_codes
from headwater.compute.kernels.rows import Aggregation, Frame, Queries
from headwater.compute.kernels.windows import aggregate
from oracle.sketches import hashed, rounded

from .brute import (
    FRAMES,
    QUERIES,
    facts,
    queries_of,
    rows_of,
)
from .test_windows import check

FLOATS = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 5e-324, 1e308, 2.0**-1022]))


def signed(word: int) -> int:
    return word - 2**64 if word >= 2**63 else word


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_hashes_of_texts(texts):
    data = np.frombuffer(b"".join(texts), dtype=np.uint8)
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    assert hash_bytes(data, offsets).tolist() == [signed(hashed(text)) for text in texts]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9))
def test_hashes_of_integers(numbers):
    found = hash_numbers(np.array(numbers, dtype=np.int64)).tolist()
    assert found == [signed(hashed(number)) for number in numbers]


def test_hashes_of_floats_and_bools():
    assert hash_numbers(np.array([-1.5])).tolist() == [signed(hashed(-1.5))]
    same = hash_numbers(np.array([0.0, -0.0, math.nan, -math.nan])).tolist()
    assert same[0] == same[1] != same[2] == same[3]
    half = np.array([0.5, -7.25])
    assert (hash_numbers(half) == hash_numbers(half.astype(np.float32))).all()
    assert hash_numbers(np.array([True, False])).tolist() == [signed(hashed(1)), signed(hashed(0))]


def everything(hashes: np.ndarray) -> int:
    """The estimate over all hashes."""
    begin = np.array([0, len(hashes)])
    seen = Ranges(begin[None, :1], begin[None, 1:], np.zeros(1, dtype=np.int64), begin)
    return int(approximate_counts(seen, hashes)[0])


@pytest.mark.parametrize("different", [0, 1, 10, 300, 2_000, 7_000, 100_000, 1_000_000])
def test_counts_are_as_near_as_declared(different):
    errors = []
    for seed in range(5):
        hashes = hash_numbers(np.arange(different) + seed * 2_000_000)
        found = everything(np.tile(hashes, 2 if different < 10**6 else 1))
        errors.append(found / max(different, 1) - (different > 0))
    assert np.abs(errors).max() <= (0.1 / max(different, 1) if different <= 10 else 0.06)
    assert math.sqrt(np.mean(np.square(errors))) < 2 * 1.04 / math.sqrt(REGISTERS)


@given(st.lists(FLOATS, max_size=9))
def test_rounded_numbers(values):
    array = np.array(values, dtype=np.float64)
    codes = rounded_codes(array)
    found = from_rounded(codes).tolist()
    for value, near in zip(values, found, strict=True):
        assert near == rounded(value) or (math.isnan(near) and math.isnan(value))
        if 2.0**-1022 <= abs(value) < 1.7e308:
            assert abs(near - value) <= abs(value) / 128
    assert (np.diff(codes[np.argsort(array, kind="stable")]) >= 0).all() or np.isnan(array).any()


def test_small_integers_stay_what_they_are():
    whole = np.arange(-128, 129)
    assert (from_rounded(rounded_codes(whole)) == whole).all()


@given(facts(), QUERIES, st.lists(FRAMES, max_size=2), st.booleans())
def test_sketches_of_windows(made, pairs, frames, filtered):
    values = np.array([fact.value for fact in made], dtype=np.float64)
    valid = np.arange(len(made)) % 3 != 0 if filtered else None
    asks = [Aggregation("approx_count_distinct", hash_numbers(values), valid)]
    asks += [Aggregation("approx_quantile", values, valid, f) for f in (0.0, 0.4, 1.0)]
    check(rows_of(made), queries_of(pairs), frames, asks)


@pytest.mark.parametrize("late", [False, True])
def test_sketches_of_large_windows(late):
    """Where all registers are used, the rows of low rank are left out, and not missed."""
    rng = np.random.default_rng(5)
    n = 60_000
    event_time = np.sort(rng.integers(0, n, n))
    known = event_time + (rng.integers(0, n // 9, n) if late else 0)
    rows = rows_of([])
    rows = type(rows)(np.zeros(n, dtype=np.int64), event_time, known, np.arange(n))
    times = np.array([10, 3_000, n // 2, n, 2 * n])
    hashes = hash_numbers(rng.integers(0, 50_000, n))
    amounts = rng.lognormal(3, 2, n)
    asks = [
        Aggregation("approx_count_distinct", hashes),
        Aggregation("approx_quantile", amounts, None, 0.9),
    ]
    frames = [(Frame(None), asks), (Frame(2_000), asks)]
    found = aggregate(rows, Queries(np.zeros(5, dtype=np.int64), times), frames)
    for (frame, _), (counts, quantiles) in zip(frames, found, strict=True):
        for place, time in enumerate(times.tolist()):
            seen = (event_time < time) & (known <= time)
            seen &= event_time >= time - (frame.size or 10**9)
            assert counts.values[place] == everything(hashes[seen])
            if seen.any():
                exact = np.quantile(amounts[seen], 0.9, method="inverted_cdf")
                assert quantiles.values[place] == rounded(float(exact))
