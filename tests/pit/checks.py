"""Compare what the product says with what the oracle says, and name the first difference."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import settings

from oracle import Ref, agrees
from oracle.times import spine_instant
from pit.scenario import Scenario

Rows = Sequence[Mapping[str, Any]]


def examples(count: int) -> settings:
    """How many examples a property gets; `PIT_EXAMPLES=20` tries twenty times as many."""
    return settings(max_examples=count * int(os.environ.get("PIT_EXAMPLES", "1")))


def assert_same(scenario: Scenario, expected: Rows, actual: Rows) -> None:
    """Every row in its place, the spine's columns untouched, every value the expected one."""
    assert len(actual) == len(expected)
    for place, (wanted, found) in enumerate(zip(expected, actual, strict=True)):
        assert list(found) == list(wanted), f"columns of row {place}"
        for column, value in wanted.items():
            if column == scenario.timestamp:
                assert spine_instant(value) == spine_instant(found[column])
                continue
            assert agrees(value, found[column]), (
                f"row {place}, {_about(scenario, column)}: expected {value!r}, "
                f"got {found[column]!r}"
            )


def outputs(scenario: Scenario, rows: Rows) -> list[list[Any]]:
    """The requested values alone, row by row."""
    return [[row[ref.output] for ref in scenario.refs] for row in rows]


def assert_unchanged(scenario: Scenario, before: Rows, after: Rows) -> None:
    """The requested values of two runs are the same, bit for bit."""
    first, second = outputs(scenario, before), outputs(scenario, after)
    assert len(first) == len(second)
    for place, (old, new) in enumerate(zip(first, second, strict=True)):
        for ref, was, now in zip(scenario.refs, old, new, strict=True):
            assert agrees(was, now), (
                f"row {place}, {_about(scenario, ref.output)}: {was!r}, {now!r}"
            )


def _about(scenario: Scenario, column: str) -> str:
    ref = next((ref for ref in scenario.refs if ref.output == column), Ref(column))
    for view in scenario.views:
        for feature in view.features:
            if feature.name == ref.feature:
                return f"'{column}' ({feature.name} of {view.name}, {feature.kind})"
    return f"'{column}'"
