"""Training sets without a spine: all known keys at an instant, or over a range of times."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headwater.compute.historical import Options
from headwater.compute.pieces import Rows
from headwater.compute.population import Changes, KeysAt
from headwater.definitions.durations import parse_duration
from headwater.definitions.instants import as_micros
from headwater.errors import SpineError
from headwater.historical import HistoricalJob, asked
from headwater.recording import training_recorder

if TYPE_CHECKING:
    from headwater.compute.progress import OnProgress
    from headwater.historical import Features
    from headwater.store import FeatureStore

MOST_INSTANTS = 10_000_000


def get_features_at(
    store: FeatureStore,
    features: Features,
    at: Any = None,
    *,
    start: Any = None,
    end: Any = None,
    every: Any = None,
    timestamp: str = "event_timestamp",
    knowledge: bool = True,
    on_progress: OnProgress | None = None,
) -> HistoricalJob:
    """The features of all keys that are known: at a time (`at`, now unless given), at `start` and
    each `every` after it before `end`, or, without `every`, where a row of theirs took effect in
    [start, end).

    Columns are the join keys, the time, and the features, rows in the order of times, then of
    keys. The features are of one entity; those of a part of its keys, or of none, may be among
    them. Computed when the result is asked for, as `get_historical_features` is.
    """
    wanted = asked(store, features)
    options = Options(timestamp, knowledge, on_progress)
    taken = training_recorder(store, wanted)
    rows = _rows(at, start, end, every)
    return HistoricalJob(store.engine, rows, wanted.requests, options, taken)


def _rows(at: Any, start: Any, end: Any, every: Any) -> Rows:
    if start is None and end is None:
        if every is not None:
            raise SpineError("every= needs a range: give start= and end=, too")
        instant = as_micros(at)
        return KeysAt([time.time_ns() // 1_000 if instant is None else instant])
    if at is not None:
        raise SpineError("give either one time, or a range with start= and end=")
    first, last = as_micros(start), as_micros(end)
    if first is None or last is None or first >= last:
        raise SpineError("give both ends of the range, start= before end= (which is not in it)")
    return Changes(first, last) if every is None else KeysAt(_instants(first, last, every))


def _instants(start: int, end: int, every: Any) -> Sequence[int]:
    try:
        step = parse_duration(every)
    except ValueError as error:
        raise SpineError(f"every=: {error}") from None
    instants = range(start, end, max(step, 1))
    if step == 0 or len(instants) > MOST_INSTANTS:
        raise SpineError(f"every={every!r}: that is too often for this range; give a longer one")
    return instants
