"""The arithmetic of a difference, against a count in plain Python."""

import math
import struct

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import decode, encode

from headwater.comparison.difference import EXAMPLES, difference
from headwater.registry.comparisons import Difference

FLOATS = st.floats() | st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, 1.7e308, -1.7e308])
INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)


def compare(old, new, kind):
    keys = {"key": pa.array([f"k{number}" for number in range(len(old))])}
    times = pa.array(range(len(old)), pa.int64()).to_numpy()
    return difference(pa.array(old, kind), pa.array(new, kind), keys, times)


def pairs(values):
    return st.lists(st.tuples(st.none() | values, st.none() | values), min_size=1, max_size=30)


def same(one, other):
    if isinstance(one, float) and isinstance(other, float):
        both_nan = math.isnan(one) and math.isnan(other)
        return both_nan or struct.pack("d", one) == struct.pack("d", other)
    return one == other


def gap(one, other):
    """The distance of two numbers; None where it is no finite number."""
    if one is None or other is None or same(one, other):
        return None
    if not (math.isfinite(one) and math.isfinite(other)):
        return None
    return min(float(abs(one - other)), 1.7976931348623157e308)


def check(found, rows):
    differing = [(a, b) for a, b in rows if not same(a, b)]
    assert found.rows == len(rows)
    assert found.differing == len(differing)
    assert found.nulls_gained == sum(a is not None and b is None for a, b in rows)
    assert found.nulls_lost == sum(a is None and b is not None for a, b in rows)
    assert len(found.examples) == min(EXAMPLES, len(differing))
    for example in found.examples:
        old, new = rows[example.at]
        assert not same(old, new)
        assert example.key == {"key": f"k{example.at}"}
    assert decode(encode(found), type=Difference) == found


def check_sizes(found, rows):
    gaps = [by for by in (gap(a, b) for a, b in rows) if by is not None]
    assert found.max_abs == (max(gaps) if gaps else None)
    if not gaps:
        assert (found.mean_abs, found.max_rel, found.mean_rel) == (None, None, None)
        return
    assert found.mean_abs == pytest.approx(sum(by / len(gaps) for by in gaps), rel=1e-9)
    assert 0 <= found.mean_rel <= found.max_rel <= 2
    assert gap(*rows[found.examples[0].at]) == found.max_abs


@given(pairs(FLOATS))
def test_floats_by_their_bits(rows):
    found = compare(*zip(*rows, strict=True), pa.float64())
    check(found, rows)
    check_sizes(found, rows)


@given(pairs(INTEGERS))
def test_integers_exactly(rows):
    found = compare(*zip(*rows, strict=True), pa.int64())
    check(found, rows)
    check_sizes(found, rows)


@given(pairs(st.text(max_size=3)))
def test_texts(rows):
    found = compare(*zip(*rows, strict=True), pa.string())
    check(found, rows)
    assert found.max_abs is None


@given(pairs(st.lists(st.none() | st.sampled_from([0.0, -0.0, 1.5, math.nan]), max_size=2)))
def test_lists_element_by_element(rows):
    def equal(one, other):
        if one is None or other is None:
            return one is other
        return len(one) == len(other) and all(map(same, one, other))

    found = compare(*zip(*rows, strict=True), pa.list_(pa.float64()))
    assert found.differing == sum(not equal(a, b) for a, b in rows)


@pytest.mark.parametrize(
    ("kind", "old", "new", "shown"),
    [
        (pa.bool_(), True, False, (True, False)),
        (pa.float64(), math.nan, 1.0, ("nan", 1.0)),
        (pa.float32(), 0.5, None, (0.5, None)),
        (pa.binary(), b"\x00\xff", b"", ("00ff", "")),
        (pa.string(), "a" * 100, "b", ("a" * 77 + "...", "b")),
        (pa.date32(), 0, 1, ("1970-01-01", "1970-01-02")),
        (pa.timestamp("us", tz="UTC"), 0, 2**62, None),
    ],
)
def test_every_type_has_examples_that_json_holds(kind, old, new, shown):
    found = compare([old], [new], kind)
    (example,) = found.examples
    assert decode(encode(found), type=Difference) == found
    if shown is not None:
        assert (example.old, example.new) == shown


def test_relative_to_the_greater_of_the_two():
    found = compare([1.0, -4.0, 5.0, 0.0], [2.0, 4.0, 5.0, -0.0], pa.float64())
    assert (found.differing, found.max_abs, found.mean_abs) == (3, 8.0, 3.0)
    assert (found.max_rel, found.mean_rel) == (2.0, pytest.approx(2.5 / 3))
