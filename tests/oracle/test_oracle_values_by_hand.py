"""C11 by hand: aggregates, scalars, the canonical encoding, and what counts as agreement."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import msgspec
import pytest

from oracle import Aggregate, Apply, Column, Constant, Ema, Feature, Lag, Nanos, Near, agrees
from oracle.aggregates import aggregate
from oracle.cases import X, events, read
from oracle.encoding import canonical, encode
from oracle.expressions import of_sequence
from oracle.scalars import (
    ADD,
    AND,
    CASE,
    COALESCE,
    DIVIDE,
    EQUAL,
    GREATER,
    IS_NULL,
    NULL_IF,
    SUBTRACT,
    divide,
)

INF, NAN = math.inf, math.nan


class TestSums:
    def test_integers_are_exact(self):
        assert aggregate("sum", [2**62, 1, None, -(2**62)]) == 1
        assert isinstance(aggregate("sum", [1, 2]), int)

    def test_floats_are_the_exact_sum_rounded_once(self):
        # A running sum loses the 1.0 in 1e100; ten tenths are 1 exactly once rounded at the end.
        assert aggregate("sum", [1e100, 1.0, -1e100]) == 1.0
        assert aggregate("sum", [0.1] * 10) == 1.0
        # Intermediate overflow is none: the exact sum is 1e308.
        assert aggregate("sum", [1e308, 1e308, -1e308]) == 1e308
        assert aggregate("sum", [5e-324, 5e-324]) == 1e-323

    def test_zero_is_plus_zero(self):
        for values in ([-0.0], [-0.0, -0.0], [1.5, -1.5]):
            assert math.copysign(1, aggregate("sum", values)) == 1

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ([NAN, 1.0], NAN),
            ([INF, 1.0], INF),
            ([INF, -INF], NAN),
            ([-INF, None], -INF),
            ([1e308, 1e308], INF),
            ([-1e308, -1e308], -INF),
            ([None], None),
            ([], None),
        ],
    )
    def test_special_values(self, values, expected):
        assert agrees(expected, aggregate("sum", values))

    def test_average_is_the_sum_by_the_count(self):
        assert aggregate("avg", [1, 2, None]) == 1.5
        assert isinstance(aggregate("avg", [2, 2]), float)
        assert aggregate("avg", [0.1] * 10) == 0.1
        # The integer sum 2**53 + 1 is rounded to 2**53 before it is divided.
        assert aggregate("avg", [2**53, 1]) == 2.0**52
        assert agrees(aggregate("avg", [1e308, 1e308]), INF)


class TestOrderStatistics:
    def test_nan_is_the_greatest_and_zero_is_plus(self):
        assert agrees(aggregate("max", [1.0, NAN, INF]), NAN)
        assert agrees(aggregate("min", [1.0, NAN, INF]), 1.0)
        assert agrees(aggregate("min", [NAN]), NAN)
        assert agrees(aggregate("max", [-0.0, None]), 0.0)
        assert agrees(aggregate("min", [-0.0, 0.0]), 0.0)

    def test_text_by_code_points_false_before_true(self):
        # U+FF5E lies before U+1F600, though its UTF-16 code units do not.
        assert aggregate("max", ["z", "\uff5e", "\U0001f600"]) == "\U0001f600"
        assert aggregate("min", ["b", "B", "a"]) == "B"
        assert aggregate("max", [False, True, None]) is True

    def test_median_interpolates(self):
        assert agrees(aggregate("quantile_cont", [3, 1, 2, 10], 0.5), 2.5)
        assert agrees(aggregate("quantile_cont", [3, 1, None, 2], 0.5), 2.0)
        # RN = 3 * 0.25 = 0.75: 1 + (2 - 1) * 0.75.
        assert agrees(aggregate("quantile_cont", [1, 2, 3, 4], 0.25), 1.75)
        assert agrees(aggregate("quantile_cont", [1.0, NAN, 2.0], 1.0), NAN)
        assert agrees(aggregate("quantile_cont", [INF, INF], 0.0), INF)

    def test_disc_is_an_element_of_its_type(self):
        # ceil(0.5 * 4) = the second of four, ceil(0.6 * 4) = the third, ceil(0) = at least the 1st.
        values = [4, 1, 3, 2]
        found = [aggregate("quantile_disc", values, f) for f in (0.0, 0.5, 0.6, 1.0)]
        assert found == [1, 2, 3, 4]
        assert isinstance(found[0], int)
        assert aggregate("quantile_disc", ["b", "a", None], 0.9) == "b"

    def test_the_most_frequent_values_ties_to_the_smaller(self):
        words = ["b", "a", None, "b", "c", "a"]
        assert aggregate("mode", words) == "a"
        assert aggregate("mode_count", words) == 2
        assert aggregate("top_k", words, 2) == ["a", "b"]
        assert aggregate("top_k", words, 9) == ["a", "b", "c"]
        assert agrees(aggregate("top_k", [NAN, 0.0, -0.0, NAN, 7.0], 2), [0.0, NAN])

    def test_sketches_of_few_values(self):
        assert aggregate("approx_count_distinct", []) == 0
        assert aggregate("approx_count_distinct", ["a", "b", None, "a"]) == 2
        assert aggregate("approx_count_distinct", [0.0, -0.0, NAN, NAN]) == 2
        assert agrees(aggregate("approx_quantile", [100, 1, 2], 0.5), 2.0)
        assert agrees(aggregate("approx_quantile", [1001.0], 0.5), 1000.0)
        assert agrees(aggregate("approx_quantile", [1.0, NAN], 1.0), NAN)

    def test_a_histogram_is_in_the_order_of_values(self):
        assert aggregate("histogram", ["b", "a", None, "b"]) == [("a", 1), ("b", 2)]
        assert aggregate("histogram", [None]) is None

    def test_no_most_frequent_value_among_none(self):
        assert aggregate("mode", [None]) is None
        assert aggregate("mode_count", [None]) == 0
        assert aggregate("top_k", [], 2) is None

    def test_first_last_and_last_k_keep_nulls(self):
        values = [None, 1, 2, None]
        assert aggregate("first", values) is None
        assert aggregate("last", values) is None
        assert aggregate("last", values[:3]) == 2
        assert aggregate("last_k", values, 3) == [1, 2, None]
        assert aggregate("last_k", values, 9) == values
        assert aggregate("last_k", [], 3) is None


class TestCounts:
    def test_nulls_and_distinct(self):
        assert aggregate("count", [1, None, 1]) == 2
        assert aggregate("count_distinct", [1, None, 1, 2]) == 2
        # NaN is one value, however its bits; the two zeros are one.
        assert aggregate("count_distinct", [NAN, -NAN, 0.0, -0.0]) == 2
        assert aggregate("count_distinct", []) == 0

    def test_filter(self):
        source = events(("a", 1, 5), ("a", 2, None), ("a", 3, -5))
        positive = Apply(GREATER, X, Constant(0))
        # The null row passes neither `x > 0` nor its contrary, but `count(*)` sees it.
        for where, expected in ((None, 3), (positive, 1)):
            feature = Feature("n", Aggregate("count", where=where), "1h")
            assert read(feature, source, 9).value == expected
        empty = Apply(GREATER, X, Constant(99))
        assert read(Feature("n", Aggregate("sum", X, empty), "1h"), source, 9).value is None
        last = Feature("n", Aggregate("last", X, Apply(IS_NULL, X)), "1h")
        assert read(last, source, 9).status == "NULL_VALUE"

    def test_a_scalar_expression_around_aggregates(self):
        source = events(("a", 1, 6), ("a", 2, 3))
        mean = Apply(DIVIDE, Aggregate("sum", X), Aggregate("count"))
        assert read(Feature("f", mean, "1h"), source, 9).value == 4.5
        assert read(Feature("f", mean, "1us"), source, 9).value is None


class TestVariances:
    def test_by_hand(self):
        # Mean 2, squares of deviations 1 + 0 + 1.
        values = [1.0, 2.0, None, 3.0]
        assert aggregate("var_samp", values) == 1.0
        assert aggregate("var_pop", values) == pytest.approx(2 / 3, abs=0)
        assert aggregate("stddev_samp", values) == 1.0

    def test_too_few_values(self):
        assert aggregate("var_samp", [5.0]) is None
        assert aggregate("stddev_samp", [5.0, None]) is None
        assert aggregate("var_pop", [5.0]) == 0.0
        assert aggregate("var_pop", []) is None

    def test_nan_and_infinities(self):
        assert math.isnan(aggregate("var_pop", [INF, 1.0]))
        assert math.isnan(aggregate("stddev_samp", [NAN, 1.0]))
        assert aggregate("var_samp", [INF]) is None

    def test_agreement_up_to_the_sum_of_squares(self):
        # Sum of squares 2e16: 1e-12 of it is 2e4.
        found = aggregate("var_pop", [1e8, 1e8])
        assert agrees(found, 1.9e4)
        assert not agrees(found, 2.1e4)
        assert not agrees(found, NAN)
        assert not agrees(found, None)


class TestSequences:
    def values(self, expression, *xs, frame=None, least=1):
        rows = [{"x": x} for x in xs]
        return [of_sequence(expression, rows[: i + 1], frame, least) for i in range(len(rows))]

    def test_lag(self):
        assert self.values(Lag(X), 1, None, 3) == [None, 1, None]
        assert self.values(Lag(X, 2), 1, None, 3) == [None, None, 1]
        assert self.values(Lag(X, 3), 1, 2, 3, 4) == [None, None, None, 1]
        assert self.values(Apply(SUBTRACT, X, Lag(X)), 1, 4, 9) == [None, 3, 5]

    def test_ema_of_differences(self):
        # Differences: null, 3, 5, 1. Seed (3 + 5) / 2 = 4; alpha 2/3: 4 + 2/3 * (1 - 4) = 2.
        assert self.values(Ema(Apply(SUBTRACT, X, Lag(X)), 2), 1, 4, 9, 10) == [None, None, 4, 2]

    def test_a_null_leaves_the_state_alone(self):
        assert self.values(Ema(X, 1, wilder=True), 3, None, 5) == [3, None, 5]

    def test_a_frame_of_differences_looks_back_beyond_the_frame(self):
        # The frame is the last two rows; the difference of its first row needs one before it.
        total = Aggregate("sum", Apply(SUBTRACT, X, Lag(X)))
        assert self.values(total, 1, 4, 9, frame=2, least=2) == [None, 3, 8]

    def test_rows_without_aggregates_waits(self):
        assert self.values(Lag(X), 1, 2, 3, frame=3, least=3) == [None, None, 2]


class TestScalars:
    def test_division(self):
        assert agrees(divide(1, 0), INF)
        assert agrees(divide(-1, 0.0), -INF)
        assert agrees(divide(0, 0), NAN)
        assert agrees(divide(NAN, 0), NAN)
        assert agrees(divide(7, 2), 3.5)

    def test_nulls(self):
        assert ADD(1, None) is None
        assert AND(None, False) is False
        assert AND(None, True) is None
        assert COALESCE(None, 2) == 2
        assert NULL_IF(1, None) == 1
        assert NULL_IF(2, 2) is None
        assert CASE(None, 1, 2) == 2

    def test_nan_compares_as_the_greatest(self):
        assert GREATER(NAN, INF) is True
        assert GREATER(NAN, NAN) is False
        assert EQUAL(NAN, NAN) is True
        assert GREATER(1.0, NAN) is False
        assert EQUAL(0.0, -0.0) is True


class TestEncoding:
    @pytest.mark.parametrize(
        "value",
        [
            *(None, True, False, 0, 127, 128, 255, 256, 65_535, 65_536, 2**32, 2**63 - 1),
            *(-1, -32, -33, -128, -129, -32_768, -32_769, -(2**31), -(2**31) - 1, -(2**63)),
            *(0.0, -0.0, 1.5, INF, "", "é", "a" * 31, "a" * 32, "a" * 256, "a" * 65_536),
            *(b"", b"x" * 300, [], [1, None, "a"], [0] * 16),
        ],
    )
    def test_is_message_pack(self, value):
        assert encode(value) == msgspec.msgpack.encode(value)

    def test_times_are_integers(self):
        assert encode(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == encode(1_000_000)
        assert encode(date(1970, 1, 2)) == encode(1)
        assert encode(Nanos(1_001)) == encode(2)

    def test_columns_by_name(self):
        assert canonical({"b": 1, "a": None}) == b"\x82\xa1a\xc0\xa1b\x01"
        wide = {f"c{i:02}": i for i in range(20)}
        assert canonical(wide) == msgspec.msgpack.encode(wide)


class TestAgreement:
    def test_types_and_bits(self):
        assert not agrees(1, 1.0)
        assert not agrees(True, 1)
        assert not agrees(0.0, -0.0)
        assert agrees(NAN, -NAN)
        assert not agrees(None, NAN)
        assert agrees([1, None], (1, None))
        assert not agrees([1], [1, 2])
        assert agrees(Near(1.0, 0.5), 1.4)


def test_a_column_of_nanoseconds_is_read_in_microseconds():
    source = events(("a", 1, Nanos(1_001)))
    assert read(Feature("f", Column("x")), source, 9).value == datetime(
        1970, 1, 1, 0, 0, 0, 2, tzinfo=UTC
    )
