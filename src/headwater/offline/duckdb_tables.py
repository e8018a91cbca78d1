"""Tables of the project's DuckDB file from which features are computed.

A feature that came over REST with SQL and an entity, but without a source, reads its
`duckdb_table`. With a source, that is where its values are kept.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.definitions.source import Source
from headwater.errors import DefinitionError, SourceError
from headwater.offline.duckdb_names import READ, is_read, same_relation, split

if TYPE_CHECKING:  # the definitions are heavy, and a writer of rows needs none
    from headwater.expressions.analyzed import AnalyzedView

_TIME = "event_time"
_KNOWN = ("available_at", "known_at")


def table_source(table: str, database: str) -> Source:
    """The source whose rows are those of a table, by the time in its `event_time`.

    Raises ValueError for a name that no table of a user has.
    """
    schema, relation = split(table)
    name = READ + (f"{schema}__{relation}" if schema != "main" else relation)
    return Source(name[:128], table=f"{schema}.{relation}", database=database, event_time=_TIME)


def with_times(source: Source, columns: Collection[str]) -> Source:
    """The source with the times that its table has. Raises SourceError where one is missing."""
    if _TIME not in columns:
        raise SourceError(
            f"table '{source.table}' has no column '{_TIME}' (columns: {', '.join(columns)}); "
            "name the column so, or declare a source that says which it is"
        )
    known = next((name for name in _KNOWN if name in columns), None)
    return source.model_copy(update={"available_at": known})


def check_not_overwritten(view: AnalyzedView, database: Path, base: Path) -> None:
    """Raise DefinitionError where a feature would write over the table that it is computed from."""
    source = view.source
    if source is None or source.table is None or source.database is None:
        return
    if (base / source.database).resolve() != database.resolve():
        return
    for feature in view.features:
        for field in ("duckdb_table", "duckdb_view"):
            name = getattr(feature.feature, field)
            if name is None or not same_relation(name, source.table):
                continue
            if field == "duckdb_table" and is_read(view, name):
                continue
            raise DefinitionError(
                f"feature '{feature.name}': field '{field}': '{name}' is the table from which "
                f"source '{source.name}' reads its rows, and would be written over; keep its "
                "values under another name"
            )
