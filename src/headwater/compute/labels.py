"""Labels of impressions: SQL that joins them with what came of them within a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headwater.compute.engines.duckdb import ROW_ID
from headwater.compute.relations import Relation
from headwater.definitions.types import INTEGERS, from_arrow
from headwater.errors import SpineError
from headwater.expressions.printing import quote

LABEL, KNOWN_AT, OUTCOME_AT = "label", "label_known_at", "outcome_at"
ADDED = (LABEL, KNOWN_AT, OUTCOME_AT)
PLACE = "#n"
_BEFORE_ALL = 1 << 60
"""Microseconds that make every time positive, so that division rounds all of them down."""


@dataclass(frozen=True)
class Events:
    """Impressions or outcomes: rows, their time, and when they became known (columns, unless the
    rows are a source's, which says so itself).
    """

    rows: Relation
    event_time: str
    available_at: str | None

    def check(self) -> None:
        """Raises SpineError for a column of times that is not there."""
        if self.rows.source is None:
            known = () if self.available_at is None else (self.available_at,)
            self.rows.check((self.event_time, *known), "its time")

    @property
    def time_columns(self) -> tuple[str, ...]:
        """The column that is replaced by the spine's time."""
        source = self.rows.source
        return (self.event_time if source is None else source.event_time,)

    def time(self, *, up: bool) -> str:
        """SQL for the microseconds at which a row happened."""
        if self.rows.source is not None:
            return self.rows.source_time("event_time")
        return self.rows.time(self.event_time, up=up)

    def known(self, *, up: bool) -> str:
        """SQL for the microseconds at which a row became known."""
        source, happened = self.rows.source, self.time(up=up)
        if source is not None:
            named = source.available_at is not None
            return (
                f"coalesce({self.rows.source_time('available_at')}, {happened})"
                if named
                else happened
            )
        if self.available_at is None:
            return happened
        return f"coalesce({self.rows.time(self.available_at, up=True)}, {happened})"

    def versions(self, columns: Sequence[str], *, up: bool) -> str:
        """SQL for rows with their times, and the time `#replaced` (null: never) from which on a
        later version of the same fact holds, where a source says which rows are versions of one.
        """
        source = self.rows.source
        order = quote(ROW_ID) if source is not None else "row_number() OVER ()"
        listed = {"#t": self.time(up=up), "#known": self.known(up=up), "#n": order}
        listed |= {name: self.rows.column(name) for name in columns}
        ids = () if source is None else source.id_columns
        if source is None or not ids:
            return f'SELECT {_aliased(listed)}, NULL::BIGINT AS "#replaced" FROM {self.rows.sql}'
        parts = {f"#id {place}": quote(name) for place, name in enumerate(ids)}
        sequence = "0" if source.sequence is None else quote(source.sequence)
        inner = f"SELECT {_aliased({**listed, **parts, '#s': sequence})} FROM {self.rows.sql}"
        ties = ", ".join(quote(name) for name in columns)
        ordered = f'ORDER BY "#known", "#t", "#s" NULLS FIRST, {ties}'
        later = f'lead("#known") OVER (PARTITION BY {", ".join(map(quote, parts))} {ordered})'
        null = " OR ".join(f"{quote(name)} IS NULL" for name in parts)
        later = f'CASE WHEN {null} THEN NULL ELSE {later} END AS "#replaced"'
        return f"SELECT *, {later} FROM ({inner})"


def _aliased(listed: Mapping[str, str]) -> str:
    return ", ".join(f"{sql} AS {quote(name)}" for name, sql in listed.items())


@dataclass(frozen=True)
class Labelling:
    """Which impressions get which label. Times are microseconds.

    An outcome counts for an impression at t where it has the same values `on`, its time is in
    [t, t + within], and it was known at t + within + delay: then the label is known. Of impressions
    whose label is not known by `until` there is no row, or one without label if they are `marked`.
    """

    impressions: Events
    outcomes: Events
    on: Sequence[str]
    keys: Sequence[str]
    within: int
    delay: int
    until: int
    marked: bool
    timestamp: str

    def check(self) -> None:
        """Raises SpineError for columns that are missing, of different types or taken."""
        for events in (self.impressions, self.outcomes):
            events.check()
            events.rows.check(self.on, "on=")
        self.impressions.rows.check(self.keys, "keys=")
        for name in self.on:
            one, other = (e.rows.types[name] for e in (self.impressions, self.outcomes))
            kinds = {from_arrow(one), from_arrow(other)}
            if one != other and len(kinds) > 1 and not kinds <= {*INTEGERS}:
                raise SpineError(
                    f"column '{name}' (on=) is {one} in the impressions and {other} in the "
                    "outcomes; cast one of them"
                )
        taken = next((n for n in self.keys if n in {*ADDED, self.timestamp}), None)
        if taken is not None:
            raise SpineError(
                f"impressions: column '{taken}' would be there twice; leave it out with keys=, or "
                "rename it"
            )

    def timeless(self) -> str:
        """SQL that counts the rows without a time of each."""
        each = (self.impressions, False), (self.outcomes, True)
        counts = (
            f"(SELECT count(*) FROM {e.rows.sql} WHERE {e.time(up=up)} IS NULL)" for e, up in each
        )
        return f"SELECT {', '.join(f'{sql} AS n{i}' for i, sql in enumerate(counts))}"

    def sql(self) -> str:
        """SQL for the spine's rows in any order, that of the impressions being in PLACE."""
        kept = list(dict.fromkeys((*self.keys, *self.on)))
        impressions = self.impressions.versions(kept, up=False)
        outcomes = self.outcomes.versions(list(self.on), up=True)
        # An outcome within the time is in the bucket of its impression, or in the next one.
        bucket = f'("#t" + {_BEFORE_ALL}) // {max(self.within, 1)}'
        same = " AND ".join(f"i.{quote(name)} = o.{quote(name)}" for name in self.on)
        decided = f'i."#t" + {self.within + self.delay}'
        return f"""
            WITH i AS (
                SELECT * FROM ({impressions}) WHERE "#known" <= {self.until}
                    AND ("#replaced" IS NULL OR "#replaced" > {self.until})
            ),
            o AS (SELECT *, {bucket} AS "#b" FROM ({outcomes})),
            near AS (SELECT *, unnest([{bucket}, {bucket} + 1]) AS "#b" FROM i),
            found AS (
                SELECT i."#n", min(o."#t") AS "#at"
                FROM near AS i JOIN o ON i."#b" = o."#b" AND {same}
                WHERE o."#t" >= i."#t" AND o."#t" <= i."#t" + {self.within}
                    AND o."#known" <= {decided}
                    AND (o."#replaced" IS NULL OR o."#replaced" > {decided})
                GROUP BY i."#n"
            )
            SELECT {self._shown(decided)} FROM i LEFT JOIN found AS f ON i."#n" = f."#n"
            {"" if self.marked else f"WHERE {decided} <= {self.until}"}
        """

    def _shown(self, decided: str) -> str:
        """The columns of the spine. What is not decided yet is null."""
        is_open = f"{decided} > {self.until}"
        listed = {PLACE: 'i."#n"', **{name: f"i.{quote(name)}" for name in self.keys}}
        listed[self.timestamp] = 'make_timestamptz(i."#t")'
        listed[LABEL] = f'CASE WHEN {is_open} THEN NULL ELSE f."#at" IS NOT NULL END'
        listed[KNOWN_AT] = f"make_timestamptz({decided})"
        listed[OUTCOME_AT] = f'CASE WHEN {is_open} THEN NULL ELSE make_timestamptz(f."#at") END'
        return _aliased(listed)
