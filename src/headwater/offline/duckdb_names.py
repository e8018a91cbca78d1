"""Features under a name of their own in DuckDB: `duckdb_view` and `duckdb_table`.

The project's DuckDB file holds a view over the Parquet files of the feature's offline table, or a
table with a copy of them. Both are renewed after every commit; what the file holds otherwise is
left alone. The schema `headwater` keeps the list of names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import duckdb
import pyarrow as pa

from headwater.errors import DefinitionError, StoreError
from headwater.offline.layout import RESERVED as TIMES
from headwater.offline.tables import OfflineTables

if TYPE_CHECKING:
    from headwater.definitions.feature import Feature
    from headwater.expressions.analyzed import AnalyzedView

# `offline` is the catalog, after the file's name; a schema of that name would be ambiguous.
_TAKEN_SCHEMAS = ("headwater", "information_schema", "offline", "pg_catalog", "system", "temp")
READ = "duckdb__"
"""How the sources begin whose rows are those of a feature's `duckdb_table`."""
_NAMES = "headwater.names"
_CREATE_NAMES = f"""
    CREATE SCHEMA IF NOT EXISTS headwater;
    CREATE TABLE IF NOT EXISTS {_NAMES} (
        name VARCHAR PRIMARY KEY, kind VARCHAR, feature VARCHAR, revision VARCHAR,
        join_keys VARCHAR[], version BIGINT
    )
"""
Kind = Literal["view", "table"]


@dataclass(frozen=True)
class NamedFeature:
    """A feature that is queried as `name`: `schema.relation`, in the letters of the definition."""

    name: str
    kind: Kind
    feature: str
    revision: str
    join_keys: tuple[str, ...]


@dataclass(frozen=True)
class DuckDBNames:
    """The names of one project, in the DuckDB file `database`."""

    database: Path
    tables: OfflineTables

    def publish(self, named: Iterable[NamedFeature]) -> None:
        """Make these all the names that there are: new ones appear, others go.

        A name appears with the first backfill of its revision. Raises StoreError where a name
        belongs to something that somebody else made, or the file is open in another process.
        """
        wanted = {item.name: item for item in named}
        if not wanted and not self.database.exists():
            return
        with self._connect() as connection:
            for known in _known(connection):
                if wanted.get(known.name) != known:
                    _drop(connection, known)
            recorded = {known.name for known in _known(connection)}
            for item in wanted.values():
                if item.name not in recorded:
                    _check_free(connection, item)
                    connection.execute(
                        f"INSERT INTO {_NAMES} VALUES (?, ?, ?, ?, ?, NULL)",
                        [*astuple(item)[:4], list(item.join_keys)],
                    )
            for item in wanted.values():
                self._renew(connection, item)

    def refresh(self, revision: str) -> None:
        """Renew the names of a revision after a commit; nothing where it has none."""
        if not self.database.exists():
            return
        with self._connect() as connection:
            for item in _known(connection):
                if item.revision == revision:
                    self._renew(connection, item)

    def _renew(self, connection: duckdb.DuckDBPyConnection, item: NamedFeature) -> None:
        if not self.tables.exists(item.revision):
            return
        version = self.tables.version(item.revision)
        shown = connection.execute(
            f"SELECT version FROM {_NAMES} WHERE name = ?", [item.name]
        ).fetchone()
        if shown == (version,):
            return
        schema, _ = split(item.name)
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_quote(schema)}")
        connection.execute(
            f"CREATE OR REPLACE {item.kind.upper()} {_relation(item.name)} AS {self._select(item)}"
        )
        connection.execute(f"UPDATE {_NAMES} SET version = ? WHERE name = ?", [version, item.name])

    def _select(self, item: NamedFeature) -> str:
        schema = self.tables.schema(item.revision)
        times = [name for name in TIMES if name in schema.names]
        columns = [*item.join_keys, *times, item.feature]
        files = [_text(str(Path(file).resolve())) for file in self.tables.files(item.revision)]
        if not files:
            empty = ", ".join(
                f"NULL::{_sql_type(schema.field(name).type)} AS {_quote(name)}" for name in columns
            )
            return f"SELECT {empty} WHERE false"
        listed = ", ".join(_quote(name) for name in columns)
        return f"SELECT {listed} FROM read_parquet([{', '.join(files)}])"

    @contextmanager
    def _connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction on the file."""
        self.database.parent.mkdir(parents=True, exist_ok=True)
        try:
            with duckdb.connect(str(self.database)) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                connection.execute(_CREATE_NAMES)
                connection.begin()
                yield connection
                connection.commit()
        except duckdb.Error as error:
            reason = str(error).partition("\n")[0]
            raise StoreError(
                f"DuckDB file '{self.database}': {reason} (if another process has it open, close "
                "it there and run this again)"
            ) from None


def is_read(view: AnalyzedView, table: str) -> bool:
    """Whether a feature's `duckdb_table` is the one whose rows its view reads, without saying so
    by a source of its own: then no values are kept there.
    """
    source = view.source
    if source is None or source.table is None or not source.name.startswith(READ):
        return False
    return same_relation(source.table, table)


def same_relation(one: str, other: str) -> bool:
    """Whether two names mean one table: DuckDB overlooks the case of letters."""
    return _key(one) == _key(other)


def _key(name: str) -> tuple[str, ...]:
    schema, _, relation = name.rpartition(".")
    return (schema.lower() or "main", relation.lower())


def written(view: AnalyzedView) -> Iterator[Feature]:
    """The features of a view, without the tables that are only read."""
    for analyzed in view.features:
        feature, table = analyzed.feature, analyzed.feature.duckdb_table
        is_source = table is not None and is_read(view, table)
        yield feature.model_copy(update={"duckdb_table": None}) if is_source else feature


def named_features(view: AnalyzedView) -> list[NamedFeature]:
    """The names that the features of a view ask for."""
    keys = tuple(view.join_keys)
    found: list[NamedFeature] = []
    for feature in written(view):
        asked: list[tuple[Kind, str | None]] = [
            ("view", feature.duckdb_view),
            ("table", feature.duckdb_table),
        ]
        found += [
            NamedFeature(name, kind, feature.name, view.revision, keys)
            for kind, name in asked
            if name is not None
        ]
    return found


def check_duckdb_names(features: Iterable[Feature]) -> None:
    """Refuse names that DuckDB could not hold, and two features of one name.

    Raises DefinitionError that names the feature and the field.
    """
    seen: dict[tuple[str, str], str] = {}
    for feature in features:
        for field in ("duckdb_table", "duckdb_view"):
            name = getattr(feature, field)
            if name is None:
                continue
            where = f"feature '{feature.name}': field '{field}'"
            try:
                schema, relation = split(name)
            except ValueError as error:
                raise DefinitionError(f"{where}: {error}") from None
            key = (schema.lower(), relation.lower())
            if key in seen:
                raise DefinitionError(f"{where}: '{name}' is taken by {seen[key]}")
            seen[key] = where


def split(name: str) -> tuple[str, str]:
    """Schema (`main` where none is written) and relation. Raises ValueError."""
    from headwater.definitions.base import check_name

    parts = name.split(".")
    if len(parts) > 2:
        raise ValueError(f"'{name}' has {len(parts)} parts; write 'relation' or 'schema.relation'")
    for part in parts:
        check_name(part)
    schema = parts[0] if len(parts) == 2 else "main"
    if schema.lower() in _TAKEN_SCHEMAS:
        raise ValueError(f"'{name}': the schema '{schema}' is reserved; choose another")
    return schema, parts[-1]


def _known(connection: duckdb.DuckDBPyConnection) -> list[NamedFeature]:
    rows = connection.execute(
        f"SELECT name, kind, feature, revision, join_keys FROM {_NAMES} ORDER BY name"
    ).fetchall()
    return [
        NamedFeature(name, kind, feature, revision, tuple(keys))
        for name, kind, feature, revision, keys in rows
    ]


def _drop(connection: duckdb.DuckDBPyConnection, item: NamedFeature) -> None:
    connection.execute(f"DROP {item.kind.upper()} IF EXISTS {_relation(item.name)}")
    connection.execute(f"DELETE FROM {_NAMES} WHERE name = ?", [item.name])


def _check_free(connection: duckdb.DuckDBPyConnection, item: NamedFeature) -> None:
    schema, relation = split(item.name)
    found = connection.execute(
        "SELECT count(*) FROM information_schema.tables WHERE table_catalog = current_database() "
        "AND lower(table_schema) = lower(?) AND lower(table_name) = lower(?)",
        [schema, relation],
    ).fetchone()
    if found != (0,):
        raise StoreError(
            f"DuckDB file: feature '{item.feature}' is to be queried as '{item.name}', but there "
            "is something of that name which Headwater did not make; rename one of them"
        )


def _sql_type(arrow: pa.DataType) -> str:
    """DuckDB's type of a column in a file; timestamps have their zone there."""
    from headwater.definitions.types import from_arrow
    from headwater.expressions.printing import duckdb_type

    dtype = from_arrow(arrow)
    if dtype is None:
        raise StoreError(f"an offline table holds {arrow}, which is no type of a feature")
    return duckdb_type(dtype, timestamp="TIMESTAMPTZ")


def _relation(name: str) -> str:
    schema, relation = split(name)
    return f"{_quote(schema)}.{_quote(relation)}"


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
