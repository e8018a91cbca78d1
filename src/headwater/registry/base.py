"""What a plan starts from: the head, and the stored definitions that it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headwater.definitions.base import Definition
from headwater.definitions.entity import Entity
from headwater.definitions.feature import Feature
from headwater.definitions.service import FeatureService
from headwater.definitions.source import Source
from headwater.definitions.view import FeatureView
from headwater.expressions.analyzed import AnalyzedProject
from headwater.registry.head import Head
from headwater.registry.kinds import FeatureVersion, Packed, pack
from headwater.registry.state import fetch
from headwater.registry.store import Registry

Kinds = Mapping[str, Mapping[str, Packed]]
CLASSES: dict[str, type[Definition]] = {
    "entity": Entity,
    "source": Source,
    "view": FeatureView,
    "service": FeatureService,
}


@dataclass(frozen=True)
class Base:
    """The present state of a project, as far as a plan needs it.

    `definitions` holds the stored objects that are changed or removed, by kind and name;
    `versions` the FeatureVersion that is declared of each feature that is wanted, archived ones
    included; `returned` the one that was rolled back to, where one was.
    """

    head: Head
    definitions: Mapping[str, Mapping[str, Definition]]
    versions: Mapping[str, FeatureVersion]
    returned: Mapping[str, FeatureVersion]

    def features(self) -> dict[str, Feature]:
        """The stored definitions of features in views that are changed or removed."""
        views = self.definitions["view"].values()
        return {f.name: f for view in views if isinstance(view, FeatureView) for f in view.features}


def wanted_objects(desired: AnalyzedProject) -> dict[str, dict[str, Packed]]:
    """The definitions of a project as text, by kind and name."""
    found: dict[str, Mapping[str, Any]] = {
        "entity": desired.entities,
        "source": desired.sources,
        "view": {name: view.view for name, view in desired.views.items()},
        "service": desired.services,
    }
    return {
        kind: {name: pack(objects[name]) for name in sorted(objects)}
        for kind, objects in found.items()
    }


def stored_keys(head: Head) -> dict[str, dict[str, str]]:
    """The keys of the definitions that a head points to, by kind and name."""
    return {
        "entity": head.entities,
        "source": head.sources,
        "view": {name: entry.object for name, entry in head.views.items()},
        "service": head.services,
    }


def load_base(
    registry: Registry, project: str, head: Head, desired: AnalyzedProject, wanted: Kinds
) -> Base:
    """Read, of what a head points to, no more than has to be compared."""
    stored = stored_keys(head)
    definitions = {
        kind: fetch(registry, project, cls, _differing(stored[kind], wanted[kind]))
        for kind, cls in CLASSES.items()
    }
    known = [name for name in desired.features() if name in head.features]
    entries = {name: head.features[name] for name in known}
    keys = {name: entry.versions[entry.declared].object for name, entry in entries.items()}
    held = {n: entry.versions[entry.current].object for n, entry in entries.items() if entry.held}
    return Base(
        head,
        definitions,
        versions=fetch(registry, project, FeatureVersion, keys),
        returned=fetch(registry, project, FeatureVersion, held),
    )


def _differing(stored: Mapping[str, str], wanted: Mapping[str, Packed]) -> dict[str, str]:
    return {
        name: key for name, key in stored.items() if name not in wanted or wanted[name].key != key
    }
