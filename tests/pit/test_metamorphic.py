"""What must change nothing changes nothing: the product, and the oracle, against themselves."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pit import product
from pit.checks import assert_unchanged, examples
from pit.scenario import scenarios
from pit.transforms import (
    more_spine_rows,
    permuted,
    shifted,
    with_future_rows,
    with_late_rows,
    with_other_keys,
)

ORDERS = st.randoms(use_true_random=False)
pytestmark = pytest.mark.parametrize("compute", [product.training_set, lambda s: s.expected()])


@examples(25)
@given(scenarios(), ORDERS)
def test_more_spine_rows(compute, scenario, order):
    changed, positions = more_spine_rows(scenario, order)
    found = compute(changed)
    kept = [found[position] for position in positions]
    assert_unchanged(scenario, compute(scenario), kept)


@examples(25)
@given(scenarios())
def test_rows_of_other_keys(compute, scenario):
    assume(any(table.keys for table in scenario.tables))
    assert_unchanged(scenario, compute(scenario), compute(with_other_keys(scenario)))


@examples(25)
@given(scenarios(), ORDERS)
def test_order_and_files_of_the_rows(compute, scenario, order):
    assert_unchanged(scenario, compute(scenario), compute(permuted(scenario, order)))


@examples(25)
@given(scenarios())
def test_rows_of_the_future(compute, scenario):
    assert_unchanged(scenario, compute(scenario), compute(with_future_rows(scenario)))


@examples(25)
@given(scenarios())
def test_rows_that_arrive_later(compute, scenario):
    assume(scenario.knowledge)
    assume(any(table.source.available_at for table in scenario.tables))
    assert_unchanged(scenario, compute(scenario), compute(with_late_rows(scenario)))


@examples(25)
@given(scenarios(null_available=False))
def test_all_times_moved(compute, scenario):
    changed = shifted(scenario)
    assume(changed is not None)
    assert_unchanged(scenario, compute(scenario), compute(changed))
