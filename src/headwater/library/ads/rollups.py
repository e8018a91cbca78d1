"""Sources that count a log by periods, as it was known at the end of each day or hour.

What is learned from all rows reads such a source: it is small, and it is bitemporal itself. The
row of a group and period is a fact with versions: each day on which events of it became known
makes a new one, late and corrected events too, known at the end of that day. So a feature over it
uses nothing that was not known at its tick.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from headwater.definitions.source import Source
from headwater.errors import DefinitionError
from headwater.library.ads.schema import Events
from headwater.library.columns import quoted

Period = Literal["hour", "day", "week", "month"]


def trials(
    name: str,
    source: Source,
    events: Events,
    *,
    by: str,
    per: Period = "month",
    trial: str = "impression",
    success: str = "click",
) -> Source:
    """Columns `trials` and `successes` a period and value of `by`, for `beta_prior`.

    `by` is a column of the log: what differs in its rate (the ad, the user, the segment). Rows
    where it is null belong to no group.
    """
    counts = {"trials": events.where(trial), "successes": events.where(success)}
    return rollup(name, source, by=by, per=per, counts=counts)


def activity(
    name: str, source: Source, events: Events, *, per: Period = "hour", what: str = "impression"
) -> Source:
    """Column `activity`: the events of one kind in each hour (or another period) that had any."""
    return rollup(name, source, per=per, counts={"activity": events.where(what)})


def rollup(
    name: str,
    source: Source,
    *,
    counts: Mapping[str, str],
    by: str | None = None,
    per: Period = "day",
) -> Source:
    """A source that counts the rows of another: columns `period`, `known_at`, and one a count.

    `counts` says what is counted, name to condition. The event time of a period is its beginning,
    so that a window holds the periods that began in it, the last one as far as it is known: at the
    end of a day (of an hour, where periods are hours). Where the source has an `id`, a row counts
    in its latest version; rows delivered twice count once. Rows without an event time count
    nowhere.
    """
    periods = get_args(Period)
    if per not in periods:
        raise DefinitionError(f"rollup '{name}': per should be one of {periods}, is {per!r}")
    what = f"{', '.join(counts)} of '{source.name}' a {per}"
    return Source(
        name,
        query=_query(source, by, per, counts),
        database=source.database,
        event_time="period",
        available_at="known_at",
        id=["unit", "period"],
        description=what if by is None else f"{what} and {by}",
    )


def _query(source: Source, by: str | None, per: Period, counts: Mapping[str, str]) -> str:
    known = source.available_at or source.event_time
    flags = ", ".join(f"coalesce({one}, false)::BIGINT AS {name}" for name, one in counts.items())
    sums = ", ".join(f"sum({name})::BIGINT AS {name}" for name in counts)
    so_far = ", ".join(f"(sum({name}) OVER versions)::BIGINT AS {name}" for name in counts)
    step = "hour" if per == "hour" else "day"
    return f"""
        WITH log AS (
            SELECT {by or "0"} AS unit, {source.event_time} AS happened, {known} AS known,
                   {_until(source, known)} AS until, {flags}
            FROM {_rows(source)}
        ),
        counted AS (SELECT * FROM log WHERE unit IS NOT NULL AND {" + ".join(counts)} > 0),
        changes AS (
            SELECT unit, happened, known, {", ".join(counts)} FROM counted
            UNION ALL
            SELECT unit, happened, until, {", ".join(f"-{name}" for name in counts)} FROM counted
            WHERE until IS NOT NULL
        ),
        steps AS (
            SELECT unit, date_trunc('{per}', happened) AS period,
                   date_trunc('{step}', greatest(known, happened)) + INTERVAL 1 {step} AS known_at,
                   {sums}
            FROM changes WHERE happened IS NOT NULL GROUP BY ALL
        )
        SELECT unit, period, known_at, {so_far} FROM steps
        WINDOW versions AS (PARTITION BY unit, period ORDER BY known_at)
    """


def _until(source: Source, known: str) -> str:
    """When the next version of a row became known."""
    if not source.id_columns:
        return "NULL::TIMESTAMPTZ"
    names = ", ".join(source.id_columns)
    fact = " AND ".join(f"{name} IS NOT NULL" for name in source.id_columns)
    order = ", ".join(filter(None, (known, source.event_time, source.sequence)))
    return f"CASE WHEN {fact} THEN lead({known}) OVER (PARTITION BY {names} ORDER BY {order}) END"


def _rows(source: Source) -> str:
    if source.query is not None:
        return f"({source.query})"
    if source.table is not None:
        return source.table
    readers = {"parquet": "read_parquet", "csv": "read_csv"}
    form = source.resolved_format()
    reader = readers.get(form)
    if reader is None:
        raise DefinitionError(
            f"source '{source.name}': can't be counted by a query over a {form} table; declare it "
            "with query="
        )
    return f"{reader}([{', '.join(map(quoted, source.paths))}])"
