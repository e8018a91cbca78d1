"""What definitions mean after a rollback: who reads what is declared, and who what is current.

A rollback leaves the definition of a feature as it is, and moves what is current. What was derived
before it goes on reading what it was made for; what is made or changed afterwards reads what is
current. So one definition may mean two things, and each view is taken as those of its features
need it that are new. A version is told by its hash, which covers all that it reads: where no
combination of versions gives an input the hash of what is current, the plan is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter

from headwater.expressions.analyzed import AnalyzedFeature, AnalyzedProject, AnalyzedView
from headwater.registry.base import Base
from headwater.registry.head import Head
from headwater.registry.kinds import FeatureVersion
from headwater.registry.state import fetch
from headwater.registry.store import Registry
from headwater.registry.worlds import DECLARED, Pins, Worlds


@dataclass(frozen=True)
class Settled:
    """The views of a project, each as it will be computed.

    `meanings` holds the features that keep another meaning than the one which they have there;
    `pins` and `projects` say, of the views that read what features went back to, which versions
    these are, and in which project the view is computed. What can't be settled is in `errors`.
    """

    project: AnalyzedProject
    meanings: Mapping[str, AnalyzedFeature] = field(default_factory=dict)
    pins: Mapping[str, Pins] = field(default_factory=dict)
    projects: Mapping[str, AnalyzedProject] = field(default_factory=dict)
    errors: tuple[str, ...] = ()

    def meaning(self, feature: AnalyzedFeature) -> AnalyzedFeature:
        """A feature of the project as its definition means it."""
        return self.meanings.get(feature.name, feature)

    def project_of(self, view: str) -> AnalyzedProject:
        """The project in which a view is computed."""
        return self.projects.get(view, self.project)


def settled(registry: Registry, project: str, base: Base, declared: AnalyzedProject) -> Settled:
    """What the definitions mean on a base; as they stand where nothing in it was rolled back."""
    if not base.returned:
        return Settled(declared)

    def version(name: str, number: str) -> FeatureVersion:
        key = base.head.features[name].versions[number].object
        return fetch(registry, project, FeatureVersion, {name: key})[name]

    return _Settling(base, declared, Worlds(declared, version)).done()


class _Settling:
    def __init__(self, base: Base, declared: AnalyzedProject, worlds: Worlds) -> None:
        self._base = base
        self._declared = declared
        self._worlds = worlds
        self._meanings: dict[str, AnalyzedFeature] = {}
        self._expected: dict[str, str] = {}
        self._errors: list[str] = []
        self._backs = {frozenset(e.back) for e in base.head.revisions.values() if e.back}
        self._live = self._still_held()
        self._all = frozenset(_pin(base.head, name) for name in self._live)
        self._affected = self._readers() if self._live else frozenset()

    def done(self) -> Settled:
        """Settle view by view, each after those that it reads."""
        for name in self._affected - self._live:
            found = self._meant(name, self._candidates())
            if found is not None:
                self._meanings[name] = found
                self._expected[name] = found.serving_hash
        self._expected |= {name: self._base.returned[name].serving_hash for name in self._live}
        pins = {name: self._settle(name) for name in self._order()}
        chosen = {name: found for name, found in pins.items() if found != DECLARED}
        projects = {name: self._project(found) for name, found in chosen.items()}
        views = {
            name: projects[name].views[name] if name in projects else view
            for name, view in self._declared.views.items()
        }
        return Settled(
            project=replace(self._declared, views=views),
            meanings=self._meanings,
            pins={name: _reached(projects[name], name, found) for name, found in chosen.items()},
            projects=projects,
            errors=tuple(self._errors),
        )

    # --- what is affected -------------------------------------------------------------------

    def _still_held(self) -> frozenset[str]:
        """The features whose definitions still say what was rolled back."""
        versions, returned = self._base.versions, self._base.returned
        away = [n for n in returned if returned[n].serving_hash != versions[n].serving_hash]
        live: frozenset[str] = frozenset()
        while True:
            backs = [DECLARED, *(b for b in self._backs if _names(b) <= live)]
            found = {name: self._meant(name, backs) for name in away if name not in live}
            more = {name: meaning for name, meaning in found.items() if meaning is not None}
            if not more:
                return live
            self._meanings |= more
            live |= more.keys()

    def _meant(self, name: str, candidates: Iterable[Pins]) -> AnalyzedFeature | None:
        """The feature as what it was declared as, if any of these worlds gives it that meaning."""
        old = self._base.versions.get(name)
        for pins in candidates if old is not None else ():
            project = self._worlds.project(pins)
            found = None if project is None else project.features()[name]
            if found is not None and old is not None and _is(old, found):
                return found
        return None

    def _readers(self) -> frozenset[str]:
        """The live features and all that read them, whichever of their versions."""
        worlds = [self._worlds.project(pins) for pins in (DECLARED, self._all)]
        below: dict[str, set[str]] = {}
        for project in worlds:
            for feature in () if project is None else project.features().values():
                for name in feature.inputs:
                    below.setdefault(name, set()).add(feature.name)
        seen, waiting = set(self._live), list(self._live)
        while waiting:
            found = below.get(waiting.pop(), set()) - seen
            seen |= found
            waiting.extend(found)
        return frozenset(seen)

    def _candidates(self) -> list[Pins]:
        backs = [b for b in self._backs if _names(b) <= self._live]
        return list(dict.fromkeys([DECLARED, self._all, *sorted(backs, key=sorted), *self._each()]))

    def _each(self) -> Iterator[Pins]:
        return (frozenset({pin}) for pin in sorted(self._all))

    # --- view by view -----------------------------------------------------------------------

    def _order(self) -> list[str]:
        views = self._declared.views
        inputs = {name: set(view.inputs) for name, view in views.items()}
        names = {views[v].name for v in views if self._anew(views[v]) or self._is_pinned(v)}
        return [name for name in TopologicalSorter(inputs).static_order() if name in names]

    def _is_pinned(self, view: str) -> bool:
        return bool(self._kept(view))

    def _kept(self, view: str) -> Pins:
        """The versions with which a view is computed now, as far as they are still rolled back."""
        entry = self._base.head.views.get(view)
        back = () if entry is None else self._base.head.revisions[entry.revision].back
        return frozenset(pin for pin in back if pin.partition("@")[0] in self._live)

    def _anew(self, view: AnalyzedView) -> list[str]:
        """The features of a view that are new or changed, and may read another version."""
        affected = self._affected - self._meanings.keys()
        return [feature.name for feature in view.features if feature.name in affected]

    def _settle(self, name: str) -> Pins:
        anew = self._anew(self._declared.views[name])
        if not anew:
            return self._kept(name)
        candidates = dict.fromkeys([self._kept(name), *self._candidates()])
        found = next((pins for pins in candidates if self._fits(pins, name, anew)), None)
        if found is None:
            self._errors.append(self._refusal(name, anew))
            found = DECLARED
        features = self._project(found).features()
        self._expected |= {feature: features[feature].serving_hash for feature in anew}
        return found

    def _fits(self, pins: Pins, view: str, anew: Collection[str]) -> bool:
        """Whether what new features read is what is current of it."""
        project = self._worlds.project(pins)
        if project is None:
            return False
        features = project.features()
        return all(
            features[name].serving_hash == self._expected[name]
            for name in self._read(project.views[view], anew)
        )

    def _read(self, view: AnalyzedView, anew: Collection[str]) -> list[str]:
        read = [name for f in view.features if f.name in anew for name in f.inputs]
        return [name for name in dict.fromkeys(read) if name in self._expected and name not in anew]

    def _project(self, pins: Pins) -> AnalyzedProject:
        return self._worlds.project(pins) or self._declared

    def _refusal(self, view: str, anew: Collection[str]) -> str:
        read = self._read(self._declared.views[view], anew)
        named = ", ".join(f"'{name}'" for name in anew)
        label = f"feature{'' if len(anew) == 1 else 's'} {named}: reads {self._told(read)}"
        for name in read:
            if name in self._live and not self._can_be_read(name):
                home = self._declared.features()[name].view
                return (
                    f"{label}, and view '{home}' is not what it was then; let the definition of "
                    f"'{name}' and its view say what is current"
                )
        return (
            f"{label}, which one view can't compute together; roll back or change what was made "
            "for the other version first, or let the definitions say what is current"
        )

    def _can_be_read(self, name: str) -> bool:
        projects = (self._worlds.project(pins) for pins in self._candidates())
        hashes = {p.features()[name].serving_hash for p in projects if p is not None}
        return self._expected[name] in hashes

    def _told(self, names: Iterable[str]) -> str:
        entries = self._base.head.features
        return " and ".join(
            f"{name} (rolled back to {entries[name].current})"
            if name in self._live
            else f"{name} ({entries[name].current if name in entries else 'new'})"
            for name in names
        )


def _is(version: FeatureVersion, feature: AnalyzedFeature) -> bool:
    hashes = version.data_hash, version.serving_hash
    return hashes == (feature.data_hash, feature.serving_hash)


def _pin(head: Head, name: str) -> str:
    return f"{name}@{head.features[name].current}"


def _names(pins: Pins) -> set[str]:
    return {pin.partition("@")[0] for pin in pins}


def _reached(project: AnalyzedProject, view: str, pins: Pins) -> Pins:
    """Those of some versions that a view holds or reads, directly or not."""
    features = project.features()
    seen = {feature.name for feature in project.views[view].features}
    waiting = list(seen)
    while waiting:
        found = set(features[waiting.pop()].inputs) - seen
        seen |= found
        waiting.extend(found)
    return frozenset(pin for pin in pins if pin.partition("@")[0] in seen)


def as_computed(
    declared: AnalyzedProject, head: Head, project_of: Callable[[str], AnalyzedProject]
) -> AnalyzedProject:
    """The views of a head, those as they are computed that read what features went back to."""
    apart = {
        name: project_of(entry.revision).views[name]
        for name, entry in head.views.items()
        if head.stands_apart(entry.revision)
    }
    return replace(declared, views={**declared.views, **apart}) if apart else declared
