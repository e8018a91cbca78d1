"""Features in a plan: the version that each one gets, why, and where its values live."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedView
from headwater.registry.base import Base
from headwater.registry.changes import Bump, Downstream, FeatureChange, FieldChange
from headwater.registry.comparisons import Changed, Compare, Comparison, figures
from headwater.registry.diff import DESCRIBES, field_changes
from headwater.registry.graph import Readers
from headwater.registry.head import APPLIED, FeatureEntry, VersionEntry
from headwater.registry.judging import Judged, is_unchanged, judged
from headwater.registry.kinds import FeatureVersion, content_key
from headwater.registry.records import (
    FeatureRecord,
    record_of,
    restored,
    transformation_of,
    upstream_of,
    upstream_of_version,
)
from headwater.registry.settling import Settled
from headwater.registry.versions import FIRST, Wanted, check_wanted, next_version

ObjectFields = Mapping[tuple[str, str], tuple[FieldChange, ...]]
_VALUES = (
    "expression",
    "function",
    "window",
    "tail_hop",
    "offset",
    "rows",
    "min_rows",
    "request",
    "via",
    "dtype",
    "kind",
)
_VIEW_VALUES = ("entity", "source", "update_frequency", "at", "timezone", "data_delay")


@dataclass(frozen=True)
class Outcome:
    """What a plan makes of one feature: its new entry, and what it tells and stores about it."""

    entry: FeatureEntry
    change: FeatureChange | None = None
    version: FeatureVersion | None = None
    record: FeatureRecord | None = None


class FeaturePlanner:
    """Compares the wanted features of a project with those of its head.

    `fields` holds the field changes of the objects (entities, sources, views) that change,
    `numbers` the versions that were asked for by number. `compare` looks at the values of those
    that are defined otherwise.
    """

    def __init__(
        self,
        base: Base,
        desired: Settled,
        fields: ObjectFields,
        readers: Readers,
        numbers: Mapping[str, Wanted],
        *,
        compare: Compare | None = None,
    ) -> None:
        self._base = base
        self._fields = fields
        self._numbers = numbers
        self._readers = readers
        self._desired = desired
        self._views = desired.project.views.values()
        self._stored = base.features()
        self._changed_views = base.definitions["view"]
        self._generation = base.head.generation + 1
        self._touched = {
            feature.name
            for _, feature in self._wanted()
            if (old := base.versions.get(feature.name)) is not None
            and old.serving_hash != desired.meaning(feature).serving_hash
        }
        self._compared = {} if compare is None else self._comparisons(compare)

    def _wanted(self) -> Iterable[tuple[AnalyzedView, AnalyzedFeature]]:
        return ((view, feature) for view in self._views for feature in view.features)

    def _comparisons(self, compare: Compare) -> dict[str, Comparison]:
        """What changes beside what it was, each in the project in which its view is computed."""
        changed = self._changed()
        apart = self._desired.projects
        found = dict(
            compare(self._desired.project, [one for one in changed if one.view.name not in apart])
        )
        for name, project in apart.items():
            found |= compare(project, [one for one in changed if one.view.name == name])
        return found

    def _changed(self) -> list[Changed]:
        """The features that have values and get others, of the type that they had."""
        found = []
        for view, feature in self._wanted():
            old = self._base.versions.get(feature.name)
            if old is None or old.data_hash in ("", feature.data_hash):
                continue
            if old.dtype == feature.dtype and feature.name not in self._desired.meanings:
                entry = self._base.head.features[feature.name]
                home = entry.versions[entry.declared].home
                found.append(Changed(view, feature, entry.declared, *home))
        return found

    def outcomes(self) -> dict[str, Outcome]:
        """Every feature of the head after the plan, by name."""
        found = dict(self._removed())
        for view, feature in self._wanted():
            found[feature.name] = self._outcome(view, feature)
        return {name: found[name] for name in sorted(found)}

    def _outcome(self, view: AnalyzedView, feature: AnalyzedFeature) -> Outcome:
        entry = self._base.head.features.get(feature.name)
        if entry is None:
            return self._first(view, feature)
        return self._next(view, feature) if entry.view else self._adopted(view, feature, entry)

    def _adopted(
        self, view: AnalyzedView, feature: AnalyzedFeature, entry: FeatureEntry
    ) -> Outcome:
        """What had an entry alone gets values: a draft under its version, all else a new one."""
        is_draft = entry.status == "draft"
        number = entry.current if is_draft else next_version(entry.versions, "minor")
        reason = f"its values are computed from now on; it was {_article(entry.status)}"
        version = _version(view, feature, number, None if is_draft else "minor", reason)
        record = record_of(view, feature)
        after = replace(
            entry,
            view=view.name,
            current=number,
            versions={**entry.versions, number: self._entry(view, version)},
            status="active" if is_draft else entry.status,
            record=content_key(record),
            upstream=upstream_of(feature),
            touched=self._generation,
        )
        change = FeatureChange(
            "changed",
            feature.name,
            view.name,
            old_version=entry.current,
            new_version=number,
            dtype=feature.dtype,
            bump=version.bump,
            reason=reason,
        )
        return Outcome(after, change, version, record)

    def _removed(self) -> Iterable[tuple[str, Outcome]]:
        wanted = self._desired.project.features()
        for name, entry in self._base.head.features.items():
            if name in wanted:
                continue
            if not entry.view or entry.status not in APPLIED:
                yield name, Outcome(entry)
                continue
            gone = replace(entry, status="archived", touched=self._generation)
            change = FeatureChange(
                "removed",
                name,
                entry.view,
                old_version=entry.current,
                downstream=self._readers.of_features([name]),
            )
            yield name, Outcome(gone, change)

    def _first(self, view: AnalyzedView, feature: AnalyzedFeature) -> Outcome:
        version = _version(view, feature, FIRST, None, "")
        record = record_of(view, feature)
        entry = FeatureEntry(
            view.name,
            FIRST,
            {FIRST: self._entry(view, version)},
            record=content_key(record),
            upstream=upstream_of(feature),
            touched=self._generation,
        )
        change = FeatureChange(
            "added", feature.name, view.name, new_version=FIRST, dtype=feature.dtype
        )
        return Outcome(entry, change, version, record)

    def _next(self, view: AnalyzedView, feature: AnalyzedFeature) -> Outcome:
        entry = self._base.head.features[feature.name]
        old = self._base.versions[feature.name]
        placed, feature = feature, self._desired.meaning(feature)
        wanted = self._numbers.get(feature.name)
        found = judged(old, view, feature, self._compared.get(feature.name))
        bump = found.bump
        fields = self._field_changes(entry, old, feature)
        returned = self._base.returned.get(feature.name)
        version = None
        if returned is not None and is_unchanged(returned, feature):
            after = replace(entry, held=None, versions=self._homes(entry, view, placed))
            bump, reason = None, f"its definition is again that of {entry.current}"
        elif bump is None and wanted is None:
            reason = self._reason(view, feature, found, fields)
            after = replace(entry, versions=self._homes(entry, view, placed))
        else:
            reason = self._reason(view, feature, found, fields)
            homes = self._homes(entry, view, placed)
            after, version = self._raised(
                view, feature, replace(entry, versions=homes), (found, reason), wanted
            )
        back = entry.status == "archived" and not self._was_declared(view, feature)
        record, upstream = record_of(view, feature), upstream_of(feature)
        if after.held is not None and returned is not None:
            record = restored(record, returned)
            upstream = upstream_of_version(returned, record)
        after = replace(
            after,
            view=view.name,
            status="active" if back else entry.status,
            record=content_key(record),
            upstream=upstream,
        )
        touched = back or version is not None or bool(fields) or after.record != entry.record
        if touched:
            after = replace(after, touched=self._generation)
        if not (back or version is not None or fields):
            return Outcome(after, record=record if touched else None)
        change = FeatureChange(
            "added" if back else "changed",
            feature.name,
            view.name,
            old_version=entry.current,
            new_version=after.current,
            dtype=feature.dtype,
            bump=bump,
            reason=f"comes back; {reason}" if back else reason,
            fields=fields,
            downstream=self._readers.of_features([feature.name]) if bump else Downstream(),
            comparison=found.comparison if version is not None else None,
        )
        return Outcome(after, change, version, record)

    def _was_declared(self, view: AnalyzedView, feature: AnalyzedFeature) -> bool:
        """Whether the stored definitions hold a feature: then it was archived by request, and
        stays so.
        """
        if feature.name in self._stored:
            return True
        return view.name in self._base.head.views and view.name not in self._changed_views

    def _raised(
        self,
        view: AnalyzedView,
        feature: AnalyzedFeature,
        entry: FeatureEntry,
        cause: tuple[Judged, str],
        wanted: Wanted | None,
    ) -> tuple[FeatureEntry, FeatureVersion]:
        """A feature with one version more: of the next number, or of the one that is wanted."""
        found, reason = cause
        if wanted is not None:
            check_wanted(
                feature.name, entry.versions, wanted, found.bump, cause=found.cause or reason
            )
            current = wanted.version
        else:
            current = next_version(entry.versions, found.bump or "patch")
        version = _version(view, feature, current, found.bump, reason)
        version = replace(version, comparison=found.comparison)
        if wanted is not None:
            version = replace(
                version, changelog=wanted.changelog, breaking_changes=wanted.breaking_changes
            )
        made = self._entry(view, version)
        if self._base.versions[feature.name].data_hash == feature.data_hash:
            # it has all the homes of the version that it replaces
            made = replace(entry.versions[entry.declared], object=made.object, since=made.since)
        versions = {**entry.versions, current: made}
        return replace(entry, current=current, held=None, versions=versions), version

    def _homes(
        self, entry: FeatureEntry, view: AnalyzedView, placed: AnalyzedFeature
    ) -> dict[str, VersionEntry]:
        """The versions, those whose values a view will hold with their home in its revision."""
        contents = (
            (entry.declared, self._base.versions.get(placed.name)),
            (entry.current, self._base.returned.get(placed.name)),
        )
        versions = entry.versions
        for version, content in contents:
            if content is not None and content.data_hash == placed.data_hash:
                versions = _moved(versions, version, view.revision)
        return versions

    def _entry(self, view: AnalyzedView, version: FeatureVersion) -> VersionEntry:
        return VersionEntry(content_key(version), view.revision, version.name, self._generation)

    def _field_changes(
        self, entry: FeatureEntry, old: FeatureVersion, feature: AnalyzedFeature
    ) -> tuple[FieldChange, ...]:
        after = feature.feature.to_dict()
        stored = self._stored.get(feature.name)
        if stored is not None:
            before = stored.to_dict()
        else:  # its view's definition is what it was, unless it comes back
            before = old.definition if entry.status == "archived" else after
        skip = {"dtype"} if old.dtype != feature.dtype else set()
        found = field_changes(before, after, skip=skip)
        seen = (
            ("view", entry.view, feature.view),
            ("kind", old.kind, feature.kind),
            ("dtype", old.dtype, feature.dtype),
        )
        return found + tuple(FieldChange(*item) for item in seen if item[1] != item[2])

    def _reason(
        self,
        view: AnalyzedView,
        feature: AnalyzedFeature,
        found: Judged,
        fields: tuple[FieldChange, ...],
    ) -> str:
        bump, compared = found.bump, found.comparison
        names = [change.field for change in fields]
        if bump == "major" or compared is not None:
            causes = "; ".join(self._value_causes(view, feature, names))
            causes = causes or "its canonical definition"
            if compared is None or bump == "major":
                return f"its values change: {causes}"
            also = f"; served otherwise: {self._serving_causes(view, names)}"
            return f"{figures(compared)}: {causes}{also if bump == 'minor' else ''}"
        if bump == "minor":
            return f"the same values, served otherwise: {self._serving_causes(view, names)}"
        if bump == "patch":
            return "the same values, other validation rules"
        if any(name in _VALUES for name in names):
            return "written otherwise, with the same meaning"
        return f"the same values: only {', '.join(names)}" if names else "as it was"

    def _value_causes(
        self, view: AnalyzedView, feature: AnalyzedFeature, names: list[str]
    ) -> Iterable[str]:
        own = [name for name in names if name in _VALUES]
        if own:
            yield ", ".join(own)
        yield from self._cause("view", view.name, _VIEW_VALUES)
        yield from self._cause("entity", view.view.entity_name, ("join_keys",))
        described = self._fields.get(("source", view.view.source_name or ""), ())
        yield from self._cause(
            "source",
            view.view.source_name,
            tuple(c.field for c in described if c.field not in DESCRIBES),
        )
        inputs = [name for name in feature.inputs if name in self._touched]
        if inputs:
            yield f"input {', '.join(inputs)}"

    def _serving_causes(self, view: AnalyzedView, names: list[str]) -> str:
        causes = ["default"] if "default" in names else []
        return "; ".join([*causes, *self._cause("view", view.name, ("ttl",))]) or "ttl, default"

    def _cause(self, kind: str, name: str | None, fields: tuple[str, ...]) -> Iterable[str]:
        changed = self._fields.get((kind, name or ""), ())
        found = [change.field for change in changed if change.field in fields]
        if found:
            yield f"{', '.join(found)} of {kind} '{name}'"


def _version(
    view: AnalyzedView, feature: AnalyzedFeature, version: str, bump: Bump | None, reason: str
) -> FeatureVersion:
    definition: dict[str, Any] = feature.feature.to_dict()
    return FeatureVersion(
        name=feature.name,
        version=version,
        view=view.name,
        kind=feature.kind,
        dtype=feature.dtype,
        data_hash=feature.data_hash,
        serving_hash=feature.serving_hash,
        definition=definition,
        ttl=view.view.ttl,
        columns=feature.columns,
        inputs=feature.inputs,
        bump=bump,
        reason=reason,
        transformation=transformation_of(feature.feature),
    )


def _article(status: str) -> str:
    return "a draft" if status == "draft" else f"{status} in the catalogue alone"


def _moved(
    versions: dict[str, VersionEntry], version: str, revision: str
) -> dict[str, VersionEntry]:
    """The versions, with those whose values are that one's in the view's new revision."""
    home = versions[version].home
    return {
        name: found.moved(revision) if found.home == home and home[0] != revision else found
        for name, found in versions.items()
    }
