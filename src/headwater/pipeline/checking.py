"""Check rows by their features' rules on their way to a store; what is blocked is set aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from headwater.definitions.rules import ValidationRule
from headwater.expressions.analyzed import AnalyzedView
from headwater.quality.quarantine import Quarantine
from headwater.quality.validation import RuleCount, add_counts, check, rules_of


@dataclass
class Gate:
    """The rules of one view, and what they have let through and set aside in one run."""

    view: AnalyzedView
    quarantine: Quarantine
    run_id: str
    passed: int = 0
    rejected: int = 0
    counts: tuple[RuleCount, ...] = ()
    _rules: Mapping[str, tuple[ValidationRule, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rules = rules_of(feature.feature for feature in self.view.features)

    def let_through(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that pass; the others go to the view's quarantine with the rule's name."""
        checked = check(batch, self._rules)
        if checked.rejected.num_rows:
            self.quarantine.append(self.view.name, self.run_id, checked.rejected)
        self.passed += checked.passed.num_rows
        self.rejected += checked.rejected_rows
        self.counts = add_counts(self.counts, checked.counts)
        return checked.passed
