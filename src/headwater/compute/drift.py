"""A source that is no longer what it was when its features were applied is refused, not misread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headwater.compute.engines.duckdb import Scan
from headwater.definitions.source import Source
from headwater.errors import SourceError, near_miss
from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedView
from headwater.expressions.parse import parse
from headwater.expressions.walk import columns_of


def check_columns(view: AnalyzedView, scan: Scan, features: Sequence[AnalyzedFeature] = ()) -> None:
    """Check that the columns that are read are there, with the types that the analysis gave them.

    Those are the columns of the features, the view's join keys, and what orders the rows. Raises
    SourceError that names the column and who reads it.
    """
    where = f"source '{scan.source.name}'"
    for name, reader in _read(view, scan.source, features):
        found, applied = scan.columns.get(name), view.columns.get(name)
        if found is None:
            raise SourceError(
                f"{where}: column '{name}', which {reader} reads, is no longer there"
                f"{near_miss(name, scan.columns)}"
            )
        if applied is not None and found != applied:
            raise SourceError(
                f"{where}: column '{name}', which {reader} reads, is {found} now and was {applied} "
                f"when it was applied; correct the rows, say schema={{'{name}': '{applied}'}}, or "
                "apply again"
            )


def _read(
    view: AnalyzedView, source: Source, features: Sequence[AnalyzedFeature]
) -> Iterator[tuple[str, str]]:
    """Columns, each with what reads it."""
    for feature in features:
        for name in feature.columns:
            yield name, f"feature '{feature.name}'"
    for key in view.join_keys:
        yield key, f"the entity of view '{view.name}'"
    for field in ("event_time", "available_at"):
        text = getattr(source, field)
        for name in columns_of(parse(text, field)) if text is not None else ():
            yield name, f"field '{field}'"
    for name in source.id_columns:
        yield name, "field 'id'"
    if source.sequence is not None:
        yield source.sequence, "field 'sequence'"
