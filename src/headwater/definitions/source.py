"""Source: rows with an event time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from headwater.definitions.base import Definition, DType, Name, Texts

Format = Literal["parquet", "csv", "delta", "duckdb", "sql"]
_FORMATS: dict[str, tuple[Format, ...]] = {
    "path": ("parquet", "csv", "delta"),
    "table": ("duckdb",),
    "query": ("sql",),
}
_SUFFIXES: dict[str, Format] = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv"}


def _format_of(path: str) -> Format:
    """A path without a known ending is the folder of a Delta table."""
    known = (fmt for ending, fmt in _SUFFIXES.items() if path.lower().endswith(ending))
    return next(known, "delta")


class Source(Definition):
    """Rows with an event time, read from files, a table or a SQL query.

        Source("ad_events", path="data/ad_events/*.parquet", event_time="event_time",
               available_at="ingested_at", id="event_id")

    Exactly one of `path` (files or globs: Parquet, CSV; or the folder of a Delta table), `table`
    (of the DuckDB file `database`) and `query` (SQL in DuckDB's dialect, over `database` where
    given) says where the rows are. Relative paths start at the project's folder.

    `event_time` and `available_at` are columns or SQL expressions over columns; a date means the
    end of that day. `id` names the columns that identify a fact, of which rows are versions;
    `sequence` is the column that orders rows within one instant.
    """

    kind: ClassVar[str] = "source"

    name: Name
    path: Texts | None = None
    table: str | None = None
    query: str | None = None
    database: str | None = None
    format: Format | None = Field(default=None, validate_default=False)
    event_time: str
    available_at: str | None = None
    id: Texts | None = None
    sequence: str | None = None
    schema_: dict[str, DType] | None = Field(default=None, alias="schema")
    description: str = ""
    owner: str | None = None
    tags: tuple[str, ...] = ()

    if TYPE_CHECKING:

        def __init__(
            self,
            name: str,
            *,
            event_time: str,
            path: str | Sequence[str] | None = None,
            table: str | None = None,
            query: str | None = None,
            database: str | None = None,
            format: Format | None = None,  # noqa: A002
            available_at: str | None = None,
            id: str | Sequence[str] | None = None,  # noqa: A002
            sequence: str | None = None,
            schema: Mapping[str, str] | None = None,
            description: str = "",
            owner: str | None = None,
            tags: Sequence[str] = (),
        ) -> None: ...

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        places = [n for n in ("path", "table", "query") if getattr(self, n) is not None]
        if len(places) != 1:
            said = " and ".join(f"'{p}'" for p in places) + " are" if places else "none is"
            raise ValueError(f"give exactly one of 'path', 'table' and 'query'; {said} given")
        if self.table is not None and self.database is None:
            raise ValueError("'table' needs 'database', the DuckDB file that holds it")
        if self.path is not None and self.database is not None:
            raise ValueError("'database' goes with 'table' or 'query', not with 'path'")
        if self.path is not None and not (self.paths and all(self.paths)):
            raise ValueError("'path' is empty; give a file, a glob or a Delta table's folder")
        for place in ("table", "query"):
            text = getattr(self, place)
            if text is not None and not text.strip():
                raise ValueError(f"'{place}' is empty; say where the rows are")
        if self.id is not None and not (self.id_columns and all(self.id_columns)):
            raise ValueError("'id' is empty; give a column or several, or leave it out")
        fitting = _FORMATS[places[0]]
        if self.format is not None and self.format not in fitting:
            raise ValueError(
                f"format '{self.format}' does not go with '{places[0]}'; "
                f"give {' or '.join(map(repr, fitting))}, or leave it out"
            )
        self.resolved_format()
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        if self.path is None:
            return ()
        return (self.path,) if isinstance(self.path, str) else self.path

    @property
    def id_columns(self) -> tuple[str, ...]:
        if self.id is None:
            return ()
        return (self.id,) if isinstance(self.id, str) else self.id

    def resolved_format(self) -> Format:
        """How the rows are stored: as declared, else from the ending of the path."""
        if self.format is not None:
            return self.format
        if self.table is not None:
            return "duckdb"
        if self.query is not None:
            return "sql"
        found = {_format_of(path) for path in self.paths}
        if len(found) != 1:
            raise ValueError("the paths have endings of several formats; give 'format'")
        return found.pop()
