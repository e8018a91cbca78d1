"""Training datasets: immutable, with everything that they were computed from pinned."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from headwater.compute.arrays import matrix as as_matrix
from headwater.compute.frames import to_pandas
from headwater.compute.historical import Options, Request, compute_historical
from headwater.compute.spine import read_spine
from headwater.definitions.service import FeatureRef
from headwater.errors import DefinitionError, MissingExtraError, SpineError, near_miss
from headwater.offline.datasets import (
    SPINE,
    DatasetFeature,
    DatasetFolder,
    DatasetSource,
    Manifest,
)
from headwater.offline.statistics import statistics_of
from headwater.registry.kinds import now_us
from headwater.splits import TRAIN, NoSplit, Split, split_of

if TYPE_CHECKING:
    from headwater.compute.engines.duckdb import DuckDBEngine
    from headwater.definitions.source import Source
    from headwater.historical import Features
    from headwater.store import FeatureStore

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")


class TrainingDataset:
    """One version of a dataset. Its parts are read from their files, and checked, when asked for.

    dataset = store.create_dataset("churn", spine, "churn_model", label="churned")
    x, y = dataset.to_numpy("train")
    """

    def __init__(self, folder: DatasetFolder, manifest: Manifest) -> None:
        self._folder = folder
        self.manifest = manifest

    def __repr__(self) -> str:
        rows = ", ".join(f"{name}: {part.rows:,}" for name, part in self.manifest.parts.items())
        return f"TrainingDataset('{self.manifest.reference}', {rows})"

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def version(self) -> int:
        return self.manifest.version

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that hold features, in their order."""
        return tuple(feature.output for feature in self.manifest.features)

    @property
    def statistics(self) -> dict[str, dict[str, Any]]:
        """What its columns looked like when it was made."""
        return self.manifest.statistics

    def to_arrow(self, part: str = TRAIN) -> pa.Table:
        """A part as an Arrow table: the spine's columns, then the features."""
        return self._folder.read(self.manifest, part)

    def to_polars(self, part: str = TRAIN) -> Any:
        """A part as a polars DataFrame."""
        try:
            import polars as pl
        except ImportError:
            raise MissingExtraError("to_polars()", "polars") from None
        return pl.from_arrow(self.to_arrow(part))

    def to_pandas(self, part: str = TRAIN) -> Any:
        """A part as a pandas DataFrame."""
        try:
            import pandas as pd  # noqa: F401
        except ImportError:
            raise MissingExtraError("to_pandas()", "pandas") from None
        return to_pandas(self.to_arrow(part))

    def to_numpy(self, part: str = TRAIN) -> tuple[Any, Any]:
        """Features as a float64 array [rows, columns], and the label, or None, as an array [rows].

        Each feature is a column, a vector as many as it has elements. Nulls are NaN. Raises
        DefinitionError for a feature that is no number, truth value or vector.
        """
        table = self.to_arrow(part)
        ends = np.cumsum([_width(table.schema.field(name).type) for name in self.features])
        matrix = np.empty((table.num_rows, int(ends[-1]) if len(ends) else 0), dtype=np.float64)
        for end, name in zip(ends.tolist(), self.features, strict=True):
            found = _floats(table[name].combine_chunks(), name)
            matrix[:, end - found.shape[1] : end] = found
        label = self.manifest.label
        return matrix, None if label is None else table[label].to_numpy()

    def to_torch(self, part: str = TRAIN) -> tuple[Any, Any]:
        """`to_numpy` as torch tensors."""
        try:
            import torch
        except ImportError:
            raise MissingExtraError("to_torch()", "torch") from None
        x, y = self.to_numpy(part)
        return torch.from_numpy(x), None if y is None else torch.from_numpy(y)


@dataclass(frozen=True)
class Reproduction:
    """How a recomputation compares with the bytes that are kept.

    `differing` counts the rows, by column, whose value is another; `sources` names those whose
    rows may have changed since.
    """

    dataset: str
    rows: int
    differing: dict[str, int]
    sources: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        return not self.differing


def create_dataset(
    store: FeatureStore,
    name: str,
    spine: Any,
    features: Features,
    *,
    split: Split | None = None,
    label: str | None = None,
    options: Options,
) -> TrainingDataset:
    """Compute a training set and keep it as the next version of a dataset.

    Raises DefinitionError for a name that is none, SpineError for a label that the spine lacks or
    a split that leaves a part without rows.
    """
    if not _NAME.fullmatch(name):
        raise DefinitionError(
            f"dataset {name!r}: is not a name; use a letter, then letters, digits and '_', 128 at "
            "the most"
        )
    chosen = split or NoSplit()
    given = read_spine(spine, options.timestamp, store.engine)
    if label is not None and label not in given.table.column_names:
        names = given.table.column_names
        raise SpineError(f"label '{label}': the spine has no such column{near_miss(label, names)}")
    parts = chosen.parts(given.table, given.times)
    for part, rows in parts.items():
        if rows.size == 0:
            raise SpineError(f"dataset '{name}': the split leaves part '{part}' without rows")
    job = store.get_historical_features(
        given.table,
        features,
        timestamp=options.timestamp,
        knowledge=options.knowledge,
        on_progress=options.on_progress,
    )
    requests = job.requests
    # before and after the work: what was read belongs to both or to neither
    sources = _sources(store.engine, requests)
    table = job.to_arrow()
    if _sources(store.engine, requests) != sources:
        raise SpineError(f"dataset '{name}': a source has changed while it was read; try again")
    manifest = Manifest(
        name=name,
        version=0,
        project=store.project,
        created_at=now_us(),
        created_by=store.author,
        timestamp=options.timestamp,
        knowledge=options.knowledge,
        label=label,
        split=chosen.to_dict(),
        features=tuple(_pinned(request) for request in requests),
        sources=sources,
        left_out=given.rows - sum(rows.size for rows in parts.values()),
        statistics=statistics_of(table),
    )
    kept = {part: table.take(pa.array(rows)) for part, rows in parts.items()}
    return TrainingDataset(store.datasets, store.datasets.write(manifest, given.table, kept))


def reproduce(store: FeatureStore, reference: str) -> Reproduction:
    """Compute a dataset again from its pinned definitions, and compare it with what is kept.

    Delta tables are read at the versions at which they stood.
    """
    manifest = store.datasets.find(reference)
    spine = store.datasets.read(manifest, SPINE)
    refs = [
        FeatureRef(f.reference, alias=f.output, join_keys=f.join_keys) for f in manifest.features
    ]
    requests = store.get_historical_features(spine, refs).requests
    engine = store.engine.at_versions({s.name: s.versions for s in manifest.sources if s.versions})
    now = {source.name: source.snapshot for source in _sources(engine, requests)}
    options = Options(manifest.timestamp, manifest.knowledge)
    table = compute_historical(engine, spine, requests, options)
    times = read_spine(spine, manifest.timestamp, engine).times
    differing: dict[str, int] = {}
    for part, rows in split_of(manifest.split).parts(spine, times).items():
        kept, again = store.datasets.read(manifest, part), table.take(pa.array(rows))
        for name in kept.column_names:
            count = _differing(kept[name].combine_chunks(), again[name].combine_chunks())
            if count:
                differing[name] = differing.get(name, 0) + count
    changed = tuple(s.name for s in manifest.sources if now.get(s.name) != s.snapshot)
    return Reproduction(manifest.reference, spine.num_rows, differing, changed)


def _pinned(request: Request) -> DatasetFeature:
    feature = request.project.views[request.view].feature(request.feature)
    return DatasetFeature(
        output=request.output,
        feature=request.feature,
        version=request.version or "",
        view=request.view,
        revision=request.project.views[request.view].revision,
        data_hash=feature.data_hash,
        join_keys=dict(request.join_keys),
    )


def _sources(engine: DuckDBEngine, requests: Sequence[Request]) -> tuple[DatasetSource, ...]:
    """The sources behind some requests, those of what they read included, by name."""
    found: dict[str, Source] = {}
    for request in requests:
        waiting = [request.view]
        while waiting:
            view = request.project.views[waiting.pop()]
            if view.source is not None:
                found[view.source.name] = view.source
            waiting.extend(view.inputs)
    return tuple(_source(engine, found[name]) for name in sorted(found))


def _source(engine: DuckDBEngine, source: Source) -> DatasetSource:
    is_delta = source.resolved_format() == "delta"
    versions = engine.table_versions(source) if is_delta else ()
    return DatasetSource(source.name, engine.snapshot(source), versions)


def _width(kind: pa.DataType) -> int:
    """How many columns of a matrix the values of a type take."""
    return int(kind.list_size) if pa.types.is_fixed_size_list(kind) else 1


def _floats(column: pa.Array, name: str) -> Any:
    """The values as columns of a matrix, NaN for null."""
    kinds = pa.types
    if kinds.is_fixed_size_list(column.type):
        found = as_matrix(column).astype(np.float64)
        found[_truth(column.is_null())] = np.nan
        return found
    numbers = (kinds.is_integer, kinds.is_floating, kinds.is_boolean)
    if not any(test(column.type) for test in numbers):
        raise DefinitionError(
            f"feature '{name}' is {column.type}, which is no number; encode it first, or take "
            "to_arrow() or to_polars()"
        )
    if kinds.is_boolean(column.type):
        column = column.cast(pa.int8())
    return column.to_numpy(zero_copy_only=False).astype(np.float64).reshape(-1, 1)


def _differing(kept: pa.Array, again: pa.Array) -> int:
    """In how many rows two columns differ; NaN equals NaN, and the sign of zero counts."""
    if kept.type != again.type:
        return len(kept)
    if kept.equals(again) and not pa.types.is_floating(kept.type):
        return 0
    if pa.types.is_floating(kept.type):
        bits = np.int64 if kept.type == pa.float64() else np.int32
        one, other = (c.fill_null(0).to_numpy().view(bits) for c in (kept, again))
        nan = _truth(kept.is_nan()) & _truth(again.is_nan())
        null, null_too = _truth(kept.is_null()), _truth(again.is_null())
        same = ((one == other) | nan) & (null == null_too)
        return int(np.count_nonzero(~same))
    # the text of a Python value is exact, and one for all NaN, however deep inside
    pairs = zip(kept.to_pylist(), again.to_pylist(), strict=True)
    return sum(repr(one) != repr(other) for one, other in pairs)


def _truth(column: pa.Array) -> Any:
    return column.fill_null(False).to_numpy(zero_copy_only=False)
