"""Validation rules: what passes, what fails, what is refused at plan."""

from __future__ import annotations

import math
import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.definitions.feature import Feature
from headwater.definitions.rules import Enum, NotNull, Range, Regex, ValidationRule
from headwater.definitions.types import to_arrow
from headwater.errors import ComputeError, DefinitionError, NotSupportedError
from headwater.quality.conditions import check_rules, failures
from headwater.quality.validation import add_counts, check, rules_of

NAN, INF = math.nan, math.inf


def failing(dtype: str, values: list, rule: ValidationRule) -> list:
    """The values that fail, after plan has accepted the rule."""
    check_rules(Feature("x", validation_rules=[rule]), dtype)
    failed = failures(pa.array(values, to_arrow(dtype)), rule).to_pylist()
    return [value for value, bad in zip(values, failed, strict=True) if bad]


@pytest.mark.parametrize(
    ("dtype", "rule", "values", "expected"),
    [
        ("float64", Range(min=0, max=1), [0.0, 1.0, -0.0, None, 0.5], []),
        ("float64", Range(min=0, max=1), [-1e-300, 1.0000000000000002], [-1e-300, 1 + 2**-52]),
        ("float64", Range(max=1e308), [INF, -INF], [INF]),
        ("float32", Range(max=0.1), [0.1, 0.2], [0.2]),
        ("int64", Range(max=2**53), [2**53, 2**53 + 1], [2**53 + 1]),
        ("int64", Range(min=0.5, max=2.5), [0, 1, 2, 3], [0, 3]),
        ("int64", Range(min=-1e30, max=1e30), [-(2**63), 2**63 - 1], []),
        ("int64", Range(min=1e30), [2**63 - 1, None], [2**63 - 1]),
        ("int64", Range(max=-1e30), [-(2**63), None], [-(2**63)]),
        ("int32", Range(min=1), [0, 1, None], [0]),
        ("string", NotNull(), ["", None], [None]),
        ("list[int64]", NotNull(), [[], [None], None], [None]),
        ("string", Enum(["a", ""]), ["a", "", "b", "A", None], ["b", "A"]),
        ("int64", Enum([1, 2]), [1, 3, None], [3]),
        ("bool", Enum([True]), [True, False, None], [False]),
        ("float64", Enum([0, 1.5]), [-0.0, 0.0, 1.5, 2.0, INF], [2.0, INF]),
        ("float32", Enum([0.1]), [0.1, 0.2], [0.2]),
        ("string", Regex("a|b+"), ["a", "bb", "ab", "ca", None, "a\n"], ["ab", "ca", "a\n"]),
        ("string", Regex("(?m)a$"), ["a", "a\nb"], ["a\nb"]),
        ("string", Regex(".*é"), ["café", "cafe"], ["cafe"]),
    ],
)
def test_values_that_fail(dtype, rule, values, expected):
    assert failing(dtype, values, rule) == expected


@pytest.mark.parametrize("rule", [Range(min=0), Range(max=0), Enum([1.0])])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_fails_ranges_and_enums(dtype, rule):
    assert len(failing(dtype, [NAN, None], rule)) == 1


@given(
    st.lists(st.none() | st.floats() | st.sampled_from([0.0, -0.0, 1.0])),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
def test_float_ranges_agree_with_python(values, low, high):
    if low is None and high is None:
        return
    if low is not None and high is not None and low > high:
        low, high = high, low
    rule = Range(min=low, max=high)
    expected = [
        value is not None
        and not ((low is None or value >= low) and (high is None or value <= high))
        for value in values
    ]
    assert failures(pa.array(values, pa.float64()), rule).to_pylist() == expected


@given(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)),
    st.integers(-(2**64), 2**64) | st.floats(allow_nan=False, allow_infinity=False),
)
def test_integer_ranges_agree_with_python(values, bound):
    column = pa.array(values, pa.int64())
    below = [value is not None and value < bound for value in values]
    above = [value is not None and value > bound for value in values]
    assert failures(column, Range(min=bound)).to_pylist() == below
    assert failures(column, Range(max=bound)).to_pylist() == above


@given(st.lists(st.none() | st.text(alphabet="ab1\n", max_size=4)))
def test_regexes_agree_with_python(values):
    pattern = "a*|b[1a]"
    expected = [v is not None and re.fullmatch(pattern, v) is None for v in values]
    assert failures(pa.array(values, pa.string()), Regex(pattern)).to_pylist() == expected


@pytest.mark.parametrize(
    ("dtype", "rule", "message"),
    [
        ("string", Range(min=0), "range(min=0)' does not fit string"),
        ("bool", Range(min=0), "does not fit bool"),
        ("timestamp", Range(min=0), "does not fit timestamp"),
        ("int64", Regex("a"), "does not fit int64; a regex needs string"),
        ("string", Regex(r"\Qa"), "is not in the syntax of RE2"),
        ("list[float64]", Range(min=0), "a list takes only 'not_null'"),
        ("list[string]", Enum(["a"]), "a list takes only 'not_null'"),
        ("date", Enum(["2020-01-01"]), "does not fit date"),
        ("int64", Enum([1, "a"]), "lists 'a', which is no int64"),
        ("int64", Enum([1.5]), "lists 1.5"),
        ("int64", Enum([True]), "lists True"),
        ("int32", Enum([2**31]), "lists 2147483648"),
        ("bool", Enum([1]), "lists 1"),
        ("string", Enum(["a", None]), "lists None"),
    ],
)
def test_rules_that_do_not_fit_are_refused_at_plan(dtype, rule, message):
    feature = Feature("x", validation_rules=[NotNull(), rule])
    with pytest.raises(DefinitionError, match="feature 'x': rule") as caught:
        check_rules(feature, dtype)
    assert message in str(caught.value)


def test_a_kind_that_is_not_built_is_refused_at_plan():
    feature = Feature("x", validation_rules=[ValidationRule("rnge", parameters={"min": 1})])
    with pytest.raises(NotSupportedError, match="did you mean 'range'"):
        check_rules(feature, "float64")


def batch(**columns) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def test_blocking_failures_are_rejected_and_others_only_counted():
    rules = rules_of(
        [
            Feature("a", validation_rules=[Range(min=0, is_blocking=True), NotNull()]),
            Feature("b", validation_rules=[Enum(["x", "y"], is_blocking=True)]),
            Feature("c"),
        ]
    )
    rows = batch(k=[1, 2, 3, 4, 5], a=[1, -1, None, -2, 3], b=["x", "y", "x", "z", "w"])
    checked = check(rows, rules)
    assert checked.passed.to_pydict() == {"k": [1, 3], "a": [1, None], "b": ["x", "x"]}
    assert checked.rejected.schema.names == ["k", "a", "b", "_feature", "_rule"]
    rejected = checked.rejected.to_pydict()
    assert list(zip(rejected["k"], rejected["_feature"], rejected["_rule"], strict=True)) == [
        (2, "a", "range(min=0)"),
        (4, "a", "range(min=0)"),
        (4, "b", "enum(values=['x', 'y'])"),
        (5, "b", "enum(values=['x', 'y'])"),
    ]
    assert checked.rejected_rows == 3
    assert [(c.feature, c.rule, c.checked, c.failed) for c in checked.counts] == [
        ("a", "range(min=0)", 5, 2),
        ("a", "not_null", 5, 1),
        ("b", "enum(values=['x', 'y'])", 5, 2),
    ]


def test_a_batch_without_failures_passes_untouched():
    rows = batch(a=[1.0, 2.0])
    checked = check(rows, {"a": [Range(min=0, is_blocking=True)]})
    assert checked.passed is rows
    assert checked.rejected.num_rows == 0
    assert checked.rejected.schema.names == ["a", "_feature", "_rule"]


def test_an_empty_batch_and_dictionary_columns():
    column = pa.array(["x", "z", None]).dictionary_encode()
    rules = {"a": [Enum(["x"], is_blocking=True), Regex("[a-z]")]}
    rows = pa.RecordBatch.from_arrays([column], names=["a"])
    assert check(rows, rules).passed.column(0).to_pylist() == ["x", None]
    assert check(rows.slice(0, 0), rules).counts[0].checked == 0


def test_a_rule_without_its_column_is_an_error():
    with pytest.raises(ComputeError, match="feature 'b' has validation rules"):
        check(batch(a=[1]), {"b": [NotNull()]})


def test_splitting_a_batch_changes_no_count_and_no_row():
    rules = {"a": [Range(min=3, is_blocking=True), Range(max=7)]}
    rows = batch(a=[*range(10), None])
    whole = check(rows, rules)
    parts = [check(rows.slice(0, 4), rules), check(rows.slice(4), rules)]
    assert add_counts(*(part.counts for part in parts)) == whole.counts
    passed = [v for part in parts for v in part.passed.column(0).to_pylist()]
    assert passed == whole.passed.column(0).to_pylist()
