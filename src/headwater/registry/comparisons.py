"""How the values of two versions of a feature differ on a sample of rows. Plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedProject, AnalyzedView


class Example(msgspec.Struct, frozen=True, omit_defaults=True):
    """One value that differs: whose it is, as of when (microseconds UTC), before and after.

    Values are JSON; what JSON has no form for is a text.
    """

    key: dict[str, Any]
    at: int
    old: Any = None
    new: Any = None


class Difference(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many of `rows` values differ, and by how much.

    `nulls_gained` counts values that became null, `nulls_lost` nulls that became values. The rest
    is over pairs of finite numbers that differ: absolute, and relative to the greater of the two.
    """

    rows: int
    differing: int
    nulls_gained: int = 0
    nulls_lost: int = 0
    max_abs: float | None = None
    mean_abs: float | None = None
    max_rel: float | None = None
    mean_rel: float | None = None
    examples: tuple[Example, ...] = ()


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    """At what was looked: sources with their snapshots, keys, instants from `first` to `last`."""

    sources: dict[str, str]
    keys: int
    rows: int
    first: int
    last: int


class Comparison(msgspec.Struct, frozen=True, omit_defaults=True):
    """The values of a feature beside those of its version `against`.

    Where they were not compared, `skipped` says why, and there is no sample.
    """

    against: str
    sample: Sample | None = None
    difference: Difference | None = None
    skipped: str = ""

    @property
    def is_equal(self) -> bool:
        """Whether values were compared, and none differs."""
        return self.difference is not None and self.difference.differing == 0


@dataclass(frozen=True)
class Changed:
    """A feature whose values may change: as it will be, and the version that it was.

    `revision` and `column` are where the values of that version live.
    """

    view: AnalyzedView
    feature: AnalyzedFeature
    version: str
    revision: str
    column: str


class Compare(Protocol):
    """Compares features as a project will have them with what they were."""

    def __call__(
        self, desired: AnalyzedProject, changed: Sequence[Changed]
    ) -> Mapping[str, Comparison]:
        """A comparison for each feature, by name."""


def figures(found: Comparison) -> str:
    """In a few words how many values differ, and by how much; or why nobody knows."""
    if found.difference is None:
        return f"not compared: {found.skipped}"
    count, rows = found.difference.differing, found.difference.rows
    if not count:
        return f"none of {rows:,} sampled values differs"
    verb = "differs" if count == 1 else "differ"
    at_most = found.difference.max_abs
    by = "" if at_most is None else f", at most by {_number(at_most)}"
    return f"{count:,} of {rows:,} sampled values {verb}{by}"


def details(found: Difference) -> str:
    """What `figures` leaves out: averages, shares and nulls; an empty text where there is none."""
    parts = []
    if found.mean_abs is not None and found.max_rel is not None and found.mean_rel is not None:
        parts.append(
            f"{_number(found.mean_abs)} on average; {found.max_rel:.2%} of the value at most, "
            f"{found.mean_rel:.2%} on average"
        )
    if found.nulls_gained:
        parts.append(f"{found.nulls_gained:,} became null")
    if found.nulls_lost:
        parts.append(f"{found.nulls_lost:,} were null")
    return "; ".join(parts)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and value < 1e15 else f"{value:.4g}"
