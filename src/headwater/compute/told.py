"""What a reader is told beside a value: why there is none, and how old it is (C10, C12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headwater.expressions.analyzed import AnalyzedFeature

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
PRESENT, NULL_VALUE, NOT_FOUND, OUTSIDE_MAX_AGE = range(4)
STATUSES = ("PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE")
_TEXTS = np.array([None, None, "NOT_FOUND", "OUTSIDE_MAX_AGE"], dtype=object)
_NEVER = 2**63 - 1
_TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Told:
    """The status of each value, and its event time (microseconds; the last int64 where none is)."""

    status: NDArray[np.int8]
    event_time: Ints

    def take(self, positions: Ints) -> Told:
        return Told(self.status[positions], self.event_time[positions])

    def where(self, keep: Bools) -> Told:
        """Nothing is found where `keep` is false."""
        status = np.where(keep, self.status, NOT_FOUND).astype(np.int8)
        return Told(status, np.where(keep, self.event_time, _NEVER))

    def columns(self) -> tuple[pa.Array, pa.Array]:
        """The status where the value itself does not tell it, and the event time, if any."""
        times = pa.array(self.event_time, mask=self.event_time == _NEVER)
        return pa.array(_TEXTS[self.status], pa.string()), times.cast(_TIME)


def of_rows(column: pa.Array, found: Bools, outside: Bools, event_time: Ints) -> Told:
    """A value that a row gives: there is one, one that is too old, or none."""
    status = np.where(_is_null(column), NULL_VALUE, PRESENT)
    status = np.where(found, status, np.where(outside, OUTSIDE_MAX_AGE, NOT_FOUND))
    return Told(status.astype(np.int8), np.where(found | outside, event_time, _NEVER))


def of_inputs(column: pa.Array, inputs: Sequence[Told], keys: Sequence[Told] = ()) -> Told:
    """A derived value: a null one says what all its inputs say, and is as old as the oldest of them
    and of the `keys` by which they were read.
    """
    null = _is_null(column)
    if not inputs:
        status = np.where(null, NULL_VALUE, PRESENT).astype(np.int8)
        return Told(status, np.full(len(column), _NEVER, dtype=np.int64))
    first = inputs[0].status
    agree = np.logical_and.reduce([first == one.status for one in inputs]) & (first != PRESENT)
    status = np.where(null, np.where(agree, first, NULL_VALUE), PRESENT).astype(np.int8)
    oldest = np.minimum.reduce([one.event_time for one in (*inputs, *keys)])
    return Told(status, np.where(status == NOT_FOUND, _NEVER, oldest))


def of_derived(
    features: Sequence[AnalyzedFeature], columns: Mapping[str, pa.Array], known: Mapping[str, Told]
) -> dict[str, Told]:
    """`known`, and what is told of the derived ones among the features, each after its inputs."""
    found = dict(known)
    for feature in features:
        if feature.reads_features:
            inputs = [found[name] for name in feature.operands]
            found[feature.name] = of_inputs(columns[feature.name], inputs)
    return found


def _is_null(column: pa.Array) -> Bools:
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=bool)
