"""Check rows by their features' rules on their way to a store; what is blocked is set aside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow as pa

from headwater.compute.fetch import rows_without_time
from headwater.compute.reading import Reader
from headwater.definitions.rules import ValidationRule
from headwater.expressions.analyzed import AnalyzedView
from headwater.offline.quarantine import FEATURE, RULE, Quarantine, RejectedRows
from headwater.quality.validation import RuleCount, add_counts, check, rules_of

NO_TIME = "event_time is null"


@dataclass
class Gate:
    """The rules of one view, and what they have let through and set aside in one run.

    Rejected rows of a part of the run are kept together, in one commit when the part is done.
    """

    view: AnalyzedView
    quarantine: Quarantine
    run_id: str
    passed: int = 0
    rejected: int = 0
    counts: tuple[RuleCount, ...] = ()
    _rules: Mapping[str, tuple[ValidationRule, ...]] = field(default_factory=dict)
    _sink: RejectedRows | None = None

    def __post_init__(self) -> None:
        self._rules = rules_of(f.feature for f in self.view.stored_features)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Keep what is rejected meanwhile as one part of the run, once however often it runs."""
        with self.quarantine.collect(self.view.name, self.run_id, name) as rejected:
            self._sink = rejected
            yield
        self._sink = None

    def let_through(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that pass; the others go to the view's quarantine with the rule's name."""
        checked = check(batch, self._rules)
        if self._sink is not None:
            self._sink.add(checked.rejected)
        self.passed += checked.passed.num_rows
        self.rejected += checked.rejected_rows
        self.counts = add_counts(self.counts, checked.counts)
        return checked.passed


def set_aside_timeless(
    reader: Reader, view: AnalyzedView, quarantine: Quarantine, snapshot: str
) -> int:
    """Quarantine the source's rows without an event time (C2), once a snapshot; their number."""
    if view.source is None:
        return 0
    rows = rows_without_time(reader.engine, reader.scan(view.source))
    if rows.num_rows == 0:
        return 0
    count = rows.num_rows
    rows = rows.append_column(FEATURE, pa.array([""] * count))
    rows = rows.append_column(RULE, pa.array([NO_TIME] * count))
    run_id = f"source-{view.source.name}-{snapshot}"
    return quarantine.write(view.name, run_id, rows.to_batches(), part=NO_TIME)
