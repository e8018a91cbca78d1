"""From the columns of a source that is a SQL query to those of the tables and files below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from headwater.definitions.source import Source

_CLAUSES = ("where", "group", "having", "qualify")


@dataclass(frozen=True)
class Origin:
    """A column of a table or file that a query reads; as a value, or to choose rows."""

    table: str
    column: str
    role: Literal["value", "filter"] = "value"


@dataclass(frozen=True)
class Origins:
    """Where the columns of a query come from.

    `columns` maps each of them, in small letters, to what it is computed from; one that is missing
    is unknown, as behind `SELECT *`. `filters` are what the query joins, filters and groups by,
    which touches all its columns. `tables` are all that it reads. `known` is false where the query
    can't be followed at all.
    """

    columns: Mapping[str, tuple[Origin, ...]]
    filters: tuple[Origin, ...] = ()
    tables: tuple[str, ...] = ()
    known: bool = True

    def of(self, column: str) -> tuple[Origin, ...] | None:
        """What a column is computed from; None where that is unknown. SQL ignores its case."""
        return self.columns.get(column.lower())


def origins_of(source: Source) -> Origins:
    """Where the rows of a source come from; a file or table has its columns of itself."""
    if source.query is None:
        return Origins({}, tables=source.paths or (f"{source.database}:{source.table}",))
    return _traced(source.query)


def _traced(sql: str) -> Origins:
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    try:
        written = parse_one(sql.strip().rstrip(";"), dialect="duckdb")
        tree: Any = qualify(
            written, dialect="duckdb", identify=False, validate_qualify_columns=False
        )
        scope = build_scope(tree)
        if scope is None:
            return Origins({}, known=False)
        scopes = list(scope.traverse())
        traced = {name: _behind(scope, name) for name in tree.named_selects if name != "*"}
        filters = dict.fromkeys(origin for one in scopes for origin in _filters(one))
        tables = [s for one in scopes for s in one.sources.values() if isinstance(s, exp.Table)]
    except (SqlglotError, RecursionError):
        return Origins({}, known=False)
    return Origins(
        columns={n.lower(): tuple(found) for n, found in traced.items() if found is not None},
        filters=tuple(filters),
        tables=tuple(dict.fromkeys(map(_table, tables))),
    )


def _behind(scope: Any, column: str) -> list[Origin] | None:
    """The columns of tables behind one of a query's; None where one of them can't be told."""
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage

    try:
        traced = lineage(column, scope.expression, {}, dialect="duckdb", scope=scope)
    except SqlglotError:
        return None
    found: list[Origin] = []
    for step in traced.walk():
        if step.downstream:
            continue
        if isinstance(step.expression, exp.Table):
            name = step.name.rpartition(".")[2].strip('"')
            if name == "*":
                return None
            found.append(Origin(_table(step.expression), name))
        elif step.expression.find(exp.Star, exp.Column, exp.Placeholder):
            return None
    return found


def _filters(scope: Any) -> Iterator[Origin]:
    """The columns of tables by which one SELECT joins, filters and groups."""
    from sqlglot import exp

    clauses = [scope.expression.args.get(name) for name in _CLAUSES]
    clauses += scope.expression.args.get("joins") or []
    columns = [c for part in clauses if part is not None for c in part.find_all(exp.Column)]
    for column in columns:
        only = next(iter(scope.sources), "") if len(scope.sources) == 1 else ""
        behind = scope.sources.get(column.table or only)
        if isinstance(behind, exp.Table):
            yield Origin(_table(behind), column.name, "filter")
        elif behind is not None and column.name in behind.expression.named_selects:
            for origin in _behind(behind, column.name) or ():
                yield Origin(origin.table, origin.column, "filter")


def _table(table: Any) -> str:
    """The name of a table or file, as a query may write it."""
    name = ".".join(part.name for part in table.parts if part.name)
    return name or str(table.this.sql(dialect="duckdb"))
