from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.compute.kernels.exact import (
    float_sums,
    int_sums,
    int_sums_as_floats,
    variances,
)
from headwater.errors import ComputeError

from .brute import same, total

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SPECIAL = st.sampled_from([5e-324, -5e-324, 1.7976931348623157e308, 2.0**-1022, 1e16, 1.0, -0.0])


def prefixes(numbers: np.ndarray) -> np.ndarray:
    return np.cumsum(numbers)


def overall(numbers: np.ndarray) -> np.ndarray:
    return np.array([numbers.sum()], dtype=np.int64)


@settings(max_examples=400)
@given(st.lists(st.one_of(FINITE, SPECIAL, st.floats(-100, 100)), max_size=12))
def test_float_sums_are_those_of_fsum(values):
    found = float_sums(np.array(values, dtype=np.float64), prefixes).tolist()
    expected = [total(values[: i + 1]) for i in range(len(values))]
    assert all(same(float(a), float(b)) for a, b in zip(found, expected, strict=True))


@given(st.lists(st.sampled_from([1.0, -2.5, math.nan, math.inf, -math.inf, 1e308]), max_size=8))
def test_not_finite_values_add_up_as_in_sql(values):
    found = float_sums(np.array(values, dtype=np.float64), prefixes).tolist()
    expected = [total(values[: i + 1]) for i in range(len(values))]
    assert all(same(float(a), float(b)) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1e308, 1e308, -1e308], 1e308),
        ([1e308, 1e308], math.inf),
        ([-1.7976931348623157e308, -1e292], -math.inf),
        ([1.7976931348623157e308, 9.9e291], 1.7976931348623157e308),
        ([1.0, 2.0**-53], 1.0),
        ([1.0, 2.0**-53, 5e-324], 1.0 + 2.0**-52),
        ([1.0, 2.0**-53, -5e-324], 1.0),
        ([1.0 + 2.0**-52, 2.0**-53], 1.0 + 2.0**-51),
        ([-1.0, -(2.0**-53), -5e-324], -1.0 - 2.0**-52),
        ([1e300, 5e-324, -1e300], 5e-324),
        ([-0.0, -0.0], 0.0),
        ([1.5, -1.5], 0.0),
        ([], 0.0),
    ],
)
def test_sums_round_once_and_to_even(values, expected):
    found = float_sums(np.array(values, dtype=np.float64), overall)
    assert same(float(found[0]), expected)


def test_the_place_of_a_half_does_not_matter():
    # Every distance between the leading bit and the lowest one, over several limbs.
    for distance in range(1, 200):
        for tail in (0.0, 2.0 ** (-distance - 40), -(2.0 ** (-distance - 40))):
            values = [1.0, 2.0**-distance, tail]
            found = float_sums(np.array(values), overall)
            assert found[0] == math.fsum(values), distance


def test_many_values_of_very_different_size():
    rng = np.random.default_rng(3)
    values = rng.standard_normal(3_000) * 10.0 ** rng.integers(-300, 300, 3_000)
    values[::7] = 1e12
    values[1::7] = 0.01
    found = float_sums(values, prefixes)
    assert all(found[i] == math.fsum(values[: i + 1]) for i in range(0, 3_000, 29))


def test_many_values_with_every_bit_set():
    values = np.full(5_000, 1.0 - 2.0**-53)
    assert float_sums(values, overall)[0] == math.fsum(values)
    assert float_sums(-values, overall)[0] == -math.fsum(values)


@pytest.mark.parametrize("sample", [True, False])
def test_a_variance_is_never_below_zero(sample):
    """Sxx - Sx * Sx / n of three times 0.1 is -3.5e-18."""
    values = np.full(3, 0.1)
    sums, squares = float_sums(values, overall), float_sums(values * values, overall)
    found, valid = variances(sums, squares, np.array([3]), sample=sample)
    assert (found[0], valid[0]) == (0.0, True)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=10))
def test_integer_sums_as_floats_are_rounded_once(values):
    found = int_sums_as_floats(np.array(values, dtype=np.int64), overall)[0]
    assert found == float(sum(values))
    assert Fraction(found) - sum(values) <= Fraction(math.ulp(found))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6))
def test_integer_sums_are_exact_or_refused(values):
    column = np.array(values, dtype=np.int64)
    if -(2**63) <= sum(values) < 2**63:
        assert int_sums(column, overall)[0] == sum(values)
    else:
        with pytest.raises(ComputeError, match=r"^clicks: .* int64"):
            int_sums(column, overall, ["clicks"])
