"""The product's training sets equal the oracle's, value for value, on generated projects."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from hypothesis import given

from pit import product
from pit.checks import assert_same, examples
from pit.scenario import Scenario, scenarios


def check(scenario: Scenario, **options: Any) -> None:
    assert_same(scenario, scenario.expected(), product.training_set(scenario, **options))


@examples(60)
@given(scenarios(("lookup",), views=1, with_derived=False))
def test_lookups(scenario):
    check(scenario)


@examples(100)
@given(scenarios(("windowed",), views=1, with_derived=False))
def test_windows(scenario):
    check(scenario)


@examples(80)
@given(scenarios(("sequence",), views=1, with_derived=False))
def test_sequences(scenario):
    check(scenario)


@examples(80)
@given(scenarios())
def test_whole_projects(scenario):
    check(scenario)


@examples(80)
@given(scenarios(across=True))
def test_values_of_features_as_keys(scenario):
    check(scenario)


@examples(20)
@given(scenarios(across=True))
def test_values_of_features_as_keys_in_parts(scenario):
    check(scenario, part_rows=3)


@examples(30)
@given(scenarios())
def test_keys_in_parts(scenario):
    """The kernel works on a part of the keys at a time: three source rows a part, here."""
    check(scenario, part_rows=3)


@examples(40)
@given(scenarios())
def test_keys_by_position(scenario):
    """Many keys are looked up by position, few are joined: both find the same."""
    with patch("headwater.compute.facts.MANY_KEYS", 0):
        check(scenario)


@examples(30)
@given(scenarios())
def test_types(scenario):
    """Requested types arrive, nulls or not (C1)."""
    found = product.training_table(scenario).schema
    for ref in scenario.refs:
        assert product.dtype_of(found.field(ref.output).type) == scenario.dtypes[ref.feature]


@examples(40)
@given(scenarios())
def test_code_of_the_api(scenario):
    """What runs in a process of its own has the same values (and the same types)."""
    check(scenario, code_by="ann")


@examples(40)
@given(scenarios(views=3))
def test_views_side_by_side(scenario):
    """Views that don't read one another are computed at once: the values are the same."""
    check(scenario, threads=4)
