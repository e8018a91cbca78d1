"""Comparer: computes two versions of features over one sample, and says how they differ."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from headwater.comparison.difference import difference
from headwater.comparison.points import Leaf, Points, points_of
from headwater.comparison.reach import Reach, reach
from headwater.compute.engines.duckdb import DuckDBEngine
from headwater.compute.reading import Reader
from headwater.errors import (
    ComputeError,
    DefinitionError,
    MissingExtraError,
    NotFoundError,
    NotSupportedError,
    RefusedError,
    SourceError,
)
from headwater.expressions.analyzed import AnalyzedProject, AnalyzedView
from headwater.registry.comparisons import Changed, Comparison, Difference, Sample

_HINDRANCES = (
    ComputeError,
    DefinitionError,
    MissingExtraError,
    NotFoundError,  # a revision that was cleared away
    NotSupportedError,
    RefusedError,  # code of an author who is no longer trusted
    SourceError,
)
_SHOWN = 300


@dataclass(frozen=True)
class _Side:
    """Features of one view, as one version of the project computes them."""

    project: AnalyzedProject
    view: AnalyzedView
    reach: Reach
    leaves: tuple[Leaf, ...]

    @classmethod
    def of(
        cls, engine: DuckDBEngine, project: AnalyzedProject, view: AnalyzedView, names: list[str]
    ) -> _Side:
        found = reach(project, view, names)
        leaves = tuple(
            Leaf(v, engine.scan(v.source), v.name in found.here, v.name in found.elsewhere)
            for v in found.leaves
            if v.source is not None
        )
        return cls(project, view, found, leaves)

    def values(
        self, engine: DuckDBEngine, names: list[str], points: Points, side: int
    ) -> Mapping[str, pa.Array]:
        """The values of features of the view, without their own default and of any age."""
        reader = Reader(engine, self.project, scans=dict(points.scans[side]))
        ageless = replace(self.view, view=self.view.view.model_copy(update={"ttl": None}))
        return reader.read(ageless, names, points.keys, points.times, defaults=False).columns


class Comparer:
    """Compares features with what they were; `earlier` finds the project of a revision.

    For one plan no more than `limit` rows of sources are looked at; 0 switches it off.
    """

    def __init__(
        self, engine: DuckDBEngine, earlier: Callable[[str], AnalyzedProject], limit: int
    ) -> None:
        self._engine = engine
        self._earlier = earlier
        self._limit = limit

    def __call__(
        self, desired: AnalyzedProject, changed: Sequence[Changed]
    ) -> dict[str, Comparison]:
        """A comparison for each of the features, by name."""
        groups: dict[tuple[str, str], list[Changed]] = {}
        for one in changed:
            groups.setdefault((one.view.name, one.revision), []).append(one)
        found: dict[str, Comparison] = {}
        left = self._limit
        for (_, revision), members in groups.items():
            try:
                self._check_limit(0, left)
                sides = self._sides(desired, revision, members)
                rows = self._rows(sides)
                self._check_limit(rows, left)
                left -= rows
                found |= self._compared(sides, members)
            except _HINDRANCES as error:
                found |= _skipped(members, error)
        return found

    def _check_limit(self, rows: int, left: int) -> None:
        if self._limit == 0:
            raise NotSupportedError("setting 'registry.compare_rows' is 0")
        if rows > left:
            raise NotSupportedError(
                f"{rows:,} more rows would be read, and 'registry.compare_rows' is {self._limit:,}"
            )

    def _sides(
        self, desired: AnalyzedProject, revision: str, members: Sequence[Changed]
    ) -> tuple[_Side, _Side]:
        project = self._earlier(revision)
        before = next(view for view in project.views.values() if view.revision == revision)
        after = members[0].view
        if list(before.join_keys.items()) != list(after.join_keys.items()):
            raise NotSupportedError("its keys change")
        return (
            _Side.of(self._engine, project, before, [one.column for one in members]),
            _Side.of(self._engine, desired, after, [one.feature.name for one in members]),
        )

    def _rows(self, sides: Sequence[_Side]) -> int:
        """How many rows the sources of both sides hold."""
        scans = {leaf.rows: leaf.scan for side in sides for leaf in side.leaves}
        return sum(self._engine.count(scan) for scan in scans.values())

    def _compared(
        self, sides: tuple[_Side, _Side], members: Sequence[Changed]
    ) -> dict[str, Comparison]:
        with tempfile.TemporaryDirectory(dir=self._engine.scratch) as folder:
            spans = [(side.reach, side.leaves) for side in sides]
            points = points_of(self._engine, spans, sides[1].view.join_keys, Path(folder))
            if not points.times.size:
                return _skipped(members, SourceError("the source holds no rows"))
            found = self._differences(sides, members, points)
        sample = self._sample(sides, points)
        for leaf in (leaf for side in sides for leaf in side.leaves):
            self._engine.check_unchanged(leaf.scan)
        return {one.feature.name: _told(one, sample, found[one.feature.name]) for one in members}

    def _differences(
        self, sides: tuple[_Side, _Side], members: Sequence[Changed], points: Points
    ) -> dict[str, Difference | str]:
        """How each feature differs, or why that can't be computed; one by one if need be."""
        before, after = sides
        if not members:
            return {}
        asked = [m for m in members if before.view.feature(m.column).request or m.feature.request]
        if asked:
            others = [one for one in members if one not in asked]
            told = {one.feature.name: "it takes values of the request" for one in asked}
            return {**told, **self._differences(sides, others, points)}
        try:
            old = before.values(self._engine, [one.column for one in members], points, 0)
            new = after.values(self._engine, [one.feature.name for one in members], points, 1)
        except _HINDRANCES as error:
            if len(members) == 1:
                return {members[0].feature.name: str(error)}
            each = [self._differences(sides, [one], points) for one in members]
            return {name: found for part in each for name, found in part.items()}
        return {
            one.feature.name: _difference(old[one.column], new[one.feature.name], points)
            for one in members
        }

    def _sample(self, sides: Sequence[_Side], points: Points) -> Sample:
        sources = {leaf.scan.source.name: leaf.scan for side in sides for leaf in side.leaves}
        return Sample(
            sources={name: self._engine.snapshot(sources[name].source) for name in sorted(sources)},
            keys=points.distinct,
            rows=int(points.times.size),
            first=int(points.times.min()),
            last=int(points.times.max()),
        )


def _difference(old: pa.Array, new: pa.Array, points: Points) -> Difference | str:
    if old.null_count == len(old) and new.null_count == len(new):
        return "all sampled values are null, before and after"
    return difference(old, new, points.keys, points.times)


def _told(one: Changed, sample: Sample, found: Difference | str) -> Comparison:
    if isinstance(found, str):
        return Comparison(one.version, skipped=_short(found))
    return Comparison(one.version, sample, found)


def _skipped(members: Sequence[Changed], error: Exception) -> dict[str, Comparison]:
    return {
        one.feature.name: Comparison(one.version, skipped=_short(str(error))) for one in members
    }


def _short(text: str) -> str:
    line = text.splitlines()[0] if text else ""
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."
