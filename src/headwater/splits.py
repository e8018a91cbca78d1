"""How the rows of a training dataset are told apart: at random, or by time with a gap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headwater.definitions.durations import format_duration, parse_duration
from headwater.definitions.instants import as_micros
from headwater.errors import SpineError, near_miss

Ints = NDArray[np.int64]
TRAIN, VALIDATION, TEST = "train", "validation", "test"


class Split(Protocol):
    """Tells rows apart into parts."""

    def parts(self, spine: pa.Table, times: Ints) -> dict[str, Ints]:
        """The positions of the rows of each part, in their order; `times` are microseconds."""

    def to_dict(self) -> dict[str, Any]:
        """Its fields, as JSON."""


@dataclass(frozen=True)
class RandomSplit:
    """Shares of the rows, or of the values of the column `by`, drawn at random by a seed.

        RandomSplit(test=0.2, validation=0.1, seed=7, by="user_id")

    With `by`, all rows of one value are in one part: a user of the training part is not tested on.
    The same seed over the same rows gives the same parts.
    """

    test: float
    validation: float = 0.0
    seed: int = 0
    by: str | None = None

    def __post_init__(self) -> None:
        for name in (TEST, VALIDATION):
            share = getattr(self, name)
            if not isinstance(share, (int, float)) or not 0 <= share < 1:
                raise SpineError(
                    f"RandomSplit: field '{name}': give a share from 0 to 1; got {share!r}"
                )
        if self.test + self.validation >= 1:
            raise SpineError("RandomSplit: 'test' and 'validation' leave no rows to train on")

    def parts(self, spine: pa.Table, times: Ints) -> dict[str, Ints]:
        group = np.arange(times.size) if self.by is None else self._groups(spine, self.by)
        groups = int(group.max(initial=-1)) + 1
        drawn = np.random.Generator(np.random.PCG64(self.seed)).permutation(groups)
        tested = round(groups * self.test)
        validated = tested + round(groups * self.validation)
        place = np.empty(groups, dtype=np.int64)
        place[drawn] = np.arange(groups)
        where = place[group]
        found = {
            TRAIN: where >= validated,
            VALIDATION: (where >= tested) & (where < validated),
            TEST: where < tested,
        }
        return _named(found, {VALIDATION} if self.validation == 0 else set())

    @staticmethod
    def _groups(spine: pa.Table, by: str) -> Ints:
        """Numbers of the values in their own order, so that the order of rows is of no matter."""
        if by not in spine.column_names:
            raise SpineError(
                f"RandomSplit: field 'by': the spine has no column '{by}'"
                f"{near_miss(by, spine.column_names)}"
            )
        column = spine[by].combine_chunks()
        ranks = pc.rank(column, tiebreaker="dense").to_numpy().astype(np.int64)
        groups: Ints = ranks - 1
        return groups

    def to_dict(self) -> dict[str, Any]:
        fields = {
            "test": self.test,
            "validation": self.validation,
            "seed": self.seed,
            "by": self.by,
        }
        return {"kind": "random", **fields}


@dataclass(frozen=True)
class TimeSplit:
    """Parts that follow one another in time: `test` begins at an instant, `validation` before it.

        TimeSplit(test="2024-01-08", validation="2024-01-06", gap="1d")

    Rows within `gap` before the beginning of a part are left out, so that no label of the earlier
    part is learned from the time of the later one.
    """

    test: str | datetime | date | int
    validation: str | datetime | date | int | None = None
    gap: str | timedelta = "0s"

    def __post_init__(self) -> None:
        test, validation, _ = self._edges
        if validation is not None and validation >= test:
            raise SpineError(
                "TimeSplit: field 'validation': it begins before 'test', or is left out"
            )

    @property
    def _edges(self) -> tuple[int, int | None, int]:
        try:
            test, validation = as_micros(self.test), as_micros(self.validation)
            gap = parse_duration(self.gap)
        except ValueError as error:
            raise SpineError(f"TimeSplit: {error}") from None
        if test is None:
            raise SpineError("TimeSplit: field 'test': give the time at which the test part begins")
        return test, validation, int(gap)

    def parts(self, spine: pa.Table, times: Ints) -> dict[str, Ints]:  # noqa: ARG002
        test, validation, gap = self._edges
        found = {TEST: times >= test}
        if validation is None:
            return _named({TRAIN: times < test - gap, **found}, set())
        found[VALIDATION] = (times >= validation) & (times < test - gap)
        return _named({TRAIN: times < validation - gap, **found}, set())

    def to_dict(self) -> dict[str, Any]:
        test, validation, gap = self._edges
        return {"kind": "time", "test": test, "validation": validation, "gap": format_duration(gap)}


@dataclass(frozen=True)
class NoSplit:
    """All rows are for training."""

    def parts(self, spine: pa.Table, times: Ints) -> dict[str, Ints]:  # noqa: ARG002
        return {TRAIN: np.arange(times.size)}

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "none"}


def split_of(fields: Mapping[str, Any]) -> Split:
    """The split whose `to_dict` wrote these fields."""
    given = {name: value for name, value in fields.items() if name != "kind"}
    kinds: dict[str, type[Any]] = {"random": RandomSplit, "time": TimeSplit, "none": NoSplit}
    made: Split = kinds[fields["kind"]](**given)
    return made


def _named(masks: Mapping[str, NDArray[np.bool_]], without: set[str]) -> dict[str, Ints]:
    order = (TRAIN, VALIDATION, TEST)
    return {n: np.flatnonzero(masks[n]) for n in order if n in masks and n not in without}
