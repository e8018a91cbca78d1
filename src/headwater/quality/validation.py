"""Validation rules over Arrow record batches.

`check_rules` refuses at `plan` what could not be checked; `check` splits a batch into the rows
that pass and the rows that a blocking rule rejects, and counts the failures of every rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from headwater.definitions.feature import Feature
from headwater.definitions.rules import ValidationRule
from headwater.errors import ComputeError
from headwater.quality.conditions import failures

FEATURE_COLUMN = "_feature"
RULE_COLUMN = "_rule"

Rules = Mapping[str, Sequence[ValidationRule]]


@dataclass(frozen=True)
class RuleCount:
    """How many rows a rule has seen, and how many of them failed it."""

    feature: str
    rule: str
    is_blocking: bool
    checked: int
    failed: int


@dataclass(frozen=True)
class Checked:
    """What `check` made of a batch.

    `passed` holds the rows that no blocking rule rejects, in order. `rejected` holds the others,
    once for each blocking rule that they fail, with the columns of the batch and `_feature` and
    `_rule`; `rejected_rows` counts each of them once. `counts` has one entry a rule.
    """

    passed: pa.RecordBatch
    rejected: pa.RecordBatch
    rejected_rows: int
    counts: tuple[RuleCount, ...]


def rules_of(features: Iterable[Feature]) -> dict[str, tuple[ValidationRule, ...]]:
    """The rules of the features that have any, by feature name."""
    return {f.name: f.validation_rules for f in features if f.validation_rules}


def check(batch: pa.RecordBatch, rules: Rules) -> Checked:
    """Split a batch by the rules of its columns.

    Raises ComputeError where a feature that has rules is no column of the batch.
    """
    counts: list[RuleCount] = []
    blocked: list[tuple[str, str, pa.Array]] = []
    for feature, of_feature in rules.items():
        column = _column(batch, feature)
        for rule in of_feature:
            failed = failures(column, rule)
            found = failed.true_count
            counts.append(RuleCount(feature, rule.name, rule.is_blocking, batch.num_rows, found))
            if rule.is_blocking and found:
                blocked.append((feature, rule.name, failed))
    return _split(batch, blocked, tuple(counts))


def add_counts(*parts: Iterable[RuleCount]) -> tuple[RuleCount, ...]:
    """The counts of several batches, added up rule by rule, in order of first appearance."""
    total: dict[tuple[str, str, bool], RuleCount] = {}
    for count in (count for part in parts for count in part):
        key = (count.feature, count.rule, count.is_blocking)
        sofar = total.get(key, replace(count, checked=0, failed=0))
        total[key] = replace(
            sofar, checked=sofar.checked + count.checked, failed=sofar.failed + count.failed
        )
    return tuple(total.values())


def _column(batch: pa.RecordBatch, feature: str) -> pa.Array:
    if feature not in batch.schema.names:
        raise ComputeError(
            f"feature '{feature}' has validation rules, but the rows lack its column"
        )
    column = batch.column(feature)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _split(
    batch: pa.RecordBatch, blocked: list[tuple[str, str, pa.Array]], counts: tuple[RuleCount, ...]
) -> Checked:
    parts = [_labelled(batch.filter(failed), name, rule) for name, rule, failed in blocked]
    schema = _labelled(batch.slice(0, 0), "", "").schema
    rejected = pa.Table.from_batches(parts, schema=schema).combine_chunks().to_batches()
    if not blocked:
        return Checked(batch, pa.RecordBatch.from_pylist([], schema=schema), 0, counts)
    any_failed = blocked[0][2]
    for _, _, failed in blocked[1:]:
        any_failed = pc.or_(any_failed, failed)
    passed = batch.filter(pc.invert(any_failed))
    return Checked(passed, rejected[0], any_failed.true_count, counts)


def _labelled(rows: pa.RecordBatch, feature: str, rule: str) -> pa.RecordBatch:
    names = [*rows.schema.names, FEATURE_COLUMN, RULE_COLUMN]
    labels = [pa.array([text] * rows.num_rows, pa.string()) for text in (feature, rule)]
    return pa.RecordBatch.from_arrays([*rows.columns, *labels], names=names)
