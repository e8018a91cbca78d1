"""Spines made of events: labels that are known after a delay, and samples of the negatives."""

from __future__ import annotations

import os
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from headwater.compute.engines.duckdb import DuckDBEngine, first_line
from headwater.compute.frames import as_pandas, as_polars
from headwater.compute.labels import PLACE, Events, Labelling
from headwater.compute.relations import Relation, relation_of, write_in_order
from headwater.compute.sampling import NegativeSample
from headwater.definitions.durations import parse_duration
from headwater.definitions.instants import as_micros
from headwater.errors import SpineError

if TYPE_CHECKING:
    from headwater.store import FeatureStore

Names = str | Sequence[str]
OpenRows = Literal["drop", "mark"]


class SpineRows:
    """Rows of a spine. They are computed once, when they are asked for, into a temporary Parquet
    file, in bounded memory; `get_historical_features` and the functions here take them as they are.
    """

    def __init__(
        self, engine: DuckDBEngine, made: Callable[[Path], None], made_of: Sequence[Any] = ()
    ) -> None:
        self._engine = engine
        self._made = made
        self._made_of = made_of  # whose files have to be there until these rows are

    @cached_property
    def file(self) -> Path:
        """The temporary file with the rows, which is there as long as this object."""
        found = (
            self._engine.scratch / f"spine-{os.getpid()}-{threading.get_ident()}-{id(self)}.parquet"
        )
        weakref.finalize(self, found.unlink, missing_ok=True)
        self._made(found)
        return found

    def to_arrow(self) -> pa.Table:
        """An Arrow table."""
        return pq.ParquetFile(self.file).read()

    def to_polars(self) -> Any:
        """A polars DataFrame. Raises MissingExtraError where polars is not installed."""
        return as_polars(self.to_arrow())

    def to_pandas(self) -> Any:
        """A pandas DataFrame. Raises MissingExtraError where pandas is not installed."""
        return as_pandas(self.to_arrow())

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """The rows batch by batch."""
        yield from pq.ParquetFile(self.file).iter_batches()

    def to_parquet(self, path: str | Path) -> Path:
        """Write a Parquet file and return its path."""
        return Path(shutil.copyfile(self.file, path))

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.to_arrow().__arrow_c_stream__(requested_schema)


def label_spine(
    impressions: Any,
    outcomes: Any,
    *,
    on: Names,
    within: Any,
    keys: Names | None = None,
    delay: Any = "0s",
    until: Any = None,
    open_rows: OpenRows = "drop",
    event_time: str = "event_time",
    available_at: str | None = None,
    timestamp: str = "event_timestamp",
    store: FeatureStore | None = None,
) -> SpineRows:
    """A spine of impressions, labelled by whether an outcome came within a time.

    An outcome counts for an impression at t where it has the same values in the columns `on`, its
    time is in [t, t + within], both ends included, and it was known at t + within + delay. Columns:
    `keys` (all of the impressions but their time, unless given), `timestamp` (t), `label` (bool),
    `label_known_at` (t + within + delay) and `outcome_at` (the first outcome that counts).

    Both inputs are Sources, or rows in any form that a spine has, with times `event_time` and,
    for outcomes, `available_at`. Rows whose label is not known by `until` (now, unless given) are
    left out, or have a null label with `open_rows="mark"`. Relative paths start at the store's
    folder, or at the working one. Raises SpineError for columns that are missing, and for rows
    without a time.
    """
    engine = _engine_of(store)
    rows = relation_of(engine, _plain(impressions), "impressions", "impressions")
    seen = Events(rows, event_time, None)
    followed = relation_of(engine, _plain(outcomes), "outcomes", "outcomes")
    others = [name for name in rows.types if name not in seen.time_columns]
    labelling = Labelling(
        impressions=seen,
        outcomes=Events(followed, event_time, available_at),
        on=_named(on, "on"),
        keys=others if keys is None else _named(keys, "keys"),
        within=_duration("within", within),
        delay=_duration("delay", delay),
        until=_instant(until),
        marked=_is_marked(open_rows),
        timestamp=timestamp,
    )
    labelling.check()
    made_of = (impressions, outcomes)
    return SpineRows(engine, lambda target: _label(engine, labelling, target), made_of)


def sample_negatives(
    spine: Any,
    *,
    label: str = "label",
    rate: float | None = None,
    ratio: float | None = None,
    seed: int = 0,
    keys: Names | None = None,
    store: FeatureStore | None = None,
) -> SpineRows:
    """All positive rows of a spine and a sample of the others, with the probability of each.

    `rate` is the share of the negatives to keep, in (0, 1]; or `ratio` how many negatives for each
    positive, about. Whether a row is kept depends on its values in `keys` (all columns but the
    label, unless given) and the seed alone, not on its place or on other rows. Added columns:
    `propensity`, the probability with which the row was kept (1 for positives), and `weight`, one
    over it: weighted counts and rates are those of all rows, but for chance.

    Raises SpineError for labels other than true and false, or 1 and 0.
    """
    engine = _engine_of(store)
    rows = relation_of(engine, _plain(spine), "spine", "spine_rows")
    of = [name for name in rows.types if name != label] if keys is None else _named(keys, "keys")
    sample = NegativeSample(rows, label, of, seed)
    sample.check()
    _check_share(rate, ratio)
    return SpineRows(engine, lambda target: _sample(engine, sample, rate, ratio, target), (spine,))


def calibrated(prediction: Any, rate: float) -> Any:
    """The probability of a positive among all rows, from a model's prediction that was learned
    without weights on rows of which only `rate` of the negatives were kept.

    p / (p + (1 - p) / rate), for numbers and arrays. He et al., Practical Lessons from Predicting
    Clicks on Ads at Facebook, ADKDD 2014, section 6.3.
    """
    _check_share(rate, None)
    return prediction / (prediction + (1 - prediction) / rate)


def _label(engine: DuckDBEngine, labelling: Labelling, target: Path) -> None:
    tables = {**labelling.impressions.rows.tables, **labelling.outcomes.rows.tables}
    try:
        [counts] = engine.query(labelling.timeless(), tables).to_pylist()
        for what, count in zip(("impressions", "outcomes"), counts.values(), strict=True):
            if count:
                raise SpineError(
                    f"{what}: {count:,} rows have no time; leave them out with a query (WHERE ... "
                    "IS NOT NULL)"
                )
        write_in_order(engine, labelling.sql(), PLACE, target, tables)
    except duckdb.Error as error:
        raise SpineError(f"labels: {first_line(error)}") from None


def _sample(
    engine: DuckDBEngine,
    sample: NegativeSample,
    rate: float | None,
    ratio: float | None,
    target: Path,
) -> None:
    rows: Relation = sample.rows
    try:
        [found] = engine.query(sample.counts(), rows.tables).to_pylist()
        if found["unlabelled"] or found["wrong"]:
            raise SpineError(
                f"spine: column '{sample.label}': {found['unlabelled']:,} rows have no label, and "
                f"{found['wrong']:,} another than 0 and 1; leave them out, or label them"
            )
        wanted = rate if ratio is None else ratio * found["positives"] / max(found["negatives"], 1)
        if not wanted:
            raise SpineError(
                f"spine: no row of '{sample.label}' is positive, so ratio= keeps none; give rate="
            )
        engine.write(sample.sql(min(float(wanted), 1.0)), target, rows.tables)
    except duckdb.Error as error:
        raise SpineError(f"spine: {first_line(error)}") from None


def _check_share(rate: float | None, ratio: float | None) -> None:
    if (rate is None) == (ratio is None):
        raise SpineError("give rate= (the share of the negatives to keep) or ratio=, one of them")
    if rate is not None and not 0 < rate <= 1:
        raise SpineError(f"rate={rate!r}: give a share above 0, up to 1")
    if ratio is not None and not ratio > 0:
        raise SpineError(f"ratio={ratio!r}: give a number above 0")


def _plain(given: Any) -> Any:
    return given.file if isinstance(given, SpineRows) else given


def _engine_of(store: FeatureStore | None) -> DuckDBEngine:
    return DuckDBEngine(Path.cwd()) if store is None else store.engine


def _named(names: Names, what: str) -> list[str]:
    found = [names] if isinstance(names, str) else list(names)
    if not found:
        raise SpineError(f"{what}= names no column")
    return found


def _duration(name: str, value: Any) -> int:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise SpineError(f"{name}=: {error}") from None


def _instant(until: Any) -> int:
    found = as_micros(until)
    return time.time_ns() // 1_000 if found is None else found


def _is_marked(open_rows: str) -> bool:
    if open_rows not in ("drop", "mark"):
        raise SpineError(f"open_rows={open_rows!r}: give 'drop' or 'mark'")
    return open_rows == "mark"
