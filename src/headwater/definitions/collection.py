"""The objects of a project, gathered: nested objects pulled out, names checked, one of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar

from headwater.definitions.base import Definition
from headwater.definitions.entity import Entity
from headwater.definitions.feature import Feature
from headwater.definitions.service import FeatureRef, FeatureService
from headwater.definitions.source import Source
from headwater.definitions.view import IMPLICIT, FeatureView
from headwater.errors import DefinitionError, near_miss

_PLURALS: dict[type[Definition], str] = {
    Entity: "entities",
    Source: "sources",
    FeatureView: "feature views",
    FeatureService: "feature services",
}
_Object = TypeVar("_Object", bound=Definition)


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True)
class Placed:
    """An object and where it was declared (`features/ads.py`, `features.yaml:12`)."""

    declared: Any
    place: str


@dataclass(frozen=True)
class Definitions:
    """All objects of a project by name, in the order in which they were given.

    Views hold names in `entity` and `source`; each name is a key of `entities` or `sources`.
    """

    entities: Mapping[str, Entity] = field(default_factory=_nothing)
    sources: Mapping[str, Source] = field(default_factory=_nothing)
    views: Mapping[str, FeatureView] = field(default_factory=_nothing)
    services: Mapping[str, FeatureService] = field(default_factory=_nothing)

    def features(self) -> dict[str, tuple[FeatureView, Feature]]:
        """Every feature of the project by name, with its view."""
        return {
            feature.name: (view, feature)
            for view in self.views.values()
            for feature in view.features
        }

    def objects(self) -> list[Entity | Source | FeatureView | FeatureService]:
        """All objects, what others refer to first."""
        return [
            *self.entities.values(),
            *self.sources.values(),
            *self.views.values(),
            *self.services.values(),
        ]


def collect(
    objects: Iterable[Any] | Definitions, *, known: Definitions | None = None
) -> Definitions:
    """Gather entities, sources, views and services, those nested in views included.

    `objects` holds definitions, `Placed` ones, or nested lists of them. `known` is what the
    project has already: a given object replaces the known one of its name, and the result holds
    both. Raises DefinitionError when two objects of one name disagree, when a name is unknown,
    or when two views declare a feature of one name.
    """
    gathered = _Gathered()
    for declared, place in _flat(objects, None):
        gathered.add(declared, place)
    found = _yielding(gathered.over(known or Definitions()))
    _check_features(found)
    for view in found.views.values():
        _check_known(view, "entity", view.entity_name, found.entities)
        _check_known(view, "source", view.source_name, found.sources)
    for service in found.services.values():
        _check_service(service, found)
    return found


def _flat(item: Any, place: str | None) -> Iterable[tuple[Any, str | None]]:
    if isinstance(item, Placed):
        yield from _flat(item.declared, item.place)
    elif isinstance(item, Definitions):
        yield from _flat(item.objects(), place)
    elif isinstance(item, Iterable) and not isinstance(item, (str, bytes, Mapping, Definition)):
        for inner in item:
            yield from _flat(inner, place)
    else:
        yield item, place


class _Gathered:
    """Objects by class and name while they come in, each with its place."""

    def __init__(self) -> None:
        self._found: dict[type[Definition], dict[str, tuple[Any, str | None]]] = {
            cls: {} for cls in _PLURALS
        }

    def add(self, declared: Any, place: str | None) -> None:
        if isinstance(declared, FeatureView):
            for nested in (declared.entity, declared.source):
                if isinstance(nested, Definition):
                    self._put(nested, place)
            declared = declared.model_copy(
                update={"entity": declared.entity_name, "source": declared.source_name}
            )
        if type(declared) not in self._found:
            raise DefinitionError(_not_an_object(declared, place))
        self._put(declared, place)

    def _put(self, declared: Any, place: str | None) -> None:
        same = self._found[type(declared)]
        before, before_place = same.setdefault(declared.name, (declared, place))
        if before != declared:
            raise DefinitionError(_disagree(before, before_place, declared, place))

    def over(self, known: Definitions) -> Definitions:
        return Definitions(
            entities=self._merged(Entity, known.entities),
            sources=self._merged(Source, known.sources),
            views=self._merged(FeatureView, known.views),
            services=self._merged(FeatureService, known.services),
        )

    def _merged(self, cls: type[_Object], known: Mapping[str, _Object]) -> Mapping[str, _Object]:
        given = {name: found for name, (found, _) in self._found[cls].items()}
        return MappingProxyType({**known, **given})


def _not_an_object(declared: Any, place: str | None) -> str:
    where = f"{place}: " if place else ""
    if isinstance(declared, Feature):
        return f"{where}feature '{declared.name}' stands alone; put it into a FeatureView"
    return (
        f"{where}{declared!r} is not something to apply: give an Entity, a Source, "
        "a FeatureView or a FeatureService"
    )


def _disagree(
    first: Definition, first_place: str | None, second: Definition, second_place: str | None
) -> str:
    fields = type(first).model_fields.items()
    differing = [f.alias or n for n, f in fields if getattr(first, n) != getattr(second, n)]
    names = ", ".join(f"'{name}'" for name in differing)
    text = f"two {_PLURALS[type(first)]} named '{_name(first)}' disagree in {names}"
    places = list(dict.fromkeys(place for place in (first_place, second_place) if place))
    return f"{text}: declared in {' and in '.join(places)}" if places else text


def _name(declared: Definition) -> str:
    name: str = getattr(declared, "name")  # noqa: B009
    return name


def _yielding(found: Definitions) -> Definitions:
    """Features that a view declares leave the implicit view that they joined one by one."""
    declared = {
        feature.name
        for name, view in found.views.items()
        if not name.startswith(IMPLICIT)
        for feature in view.features
    }
    views = {}
    for name, view in found.views.items():
        kept = tuple(feature for feature in view.features if feature.name not in declared)
        if not name.startswith(IMPLICIT) or len(kept) == len(view.features):
            views[name] = view
        elif kept:
            views[name] = view.model_copy(update={"features": kept})
    return replace(found, views=MappingProxyType(views))


def implicit(found: Definitions) -> Definitions:
    """The views that features joined one by one, with what these refer to."""
    views = {name: view for name, view in found.views.items() if name.startswith(IMPLICIT)}
    entities = {view.entity_name for view in views.values()}
    sources = {view.source_name for view in views.values()}
    return Definitions(
        entities={name: item for name, item in found.entities.items() if name in entities},
        sources={name: item for name, item in found.sources.items() if name in sources},
        views=views,
    )


def _check_features(found: Definitions) -> None:
    """A feature's name is unique in a project: its view is not part of its identity."""
    owners: dict[str, str] = {}
    for view in found.views.values():
        for feature in view.features:
            owner = owners.setdefault(feature.name, view.name)
            if owner != view.name:
                raise DefinitionError(
                    f"feature '{feature.name}' is declared by two views, '{owner}' and "
                    f"'{view.name}'; its name is unique in a project, so rename one of them, "
                    f"as in '{view.name}__{feature.name}'"
                )


def _check_known(view: FeatureView, kind: str, name: str | None, known: Mapping[str, Any]) -> None:
    if name is None or name in known:
        return
    raise DefinitionError(
        f"feature view '{view.name}': field '{kind}': there is no {kind} '{name}'"
        f"{_hint(name, known)}"
    )


def _hint(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    listed = f" (known: {', '.join(names)})" if 0 < len(names) <= 8 else ""
    return near_miss(name, names) or listed or "; declare one of that name"


def _check_service(service: FeatureService, found: Definitions) -> None:
    features = found.features()
    for ref in service.features:
        # A pinned version may belong to a feature that is no longer declared: the registry knows.
        if ref.version is None:
            _check_ref(service, ref, {name: view.name for name, (view, _) in features.items()})


def _check_ref(service: FeatureService, ref: FeatureRef, owners: Mapping[str, str]) -> None:
    where = f"feature service '{service.name}': field 'features'"
    if ref.feature not in owners:
        hint = _hint(ref.feature, owners)
        raise DefinitionError(f"{where}: there is no feature '{ref.feature}'{hint}")
    owner = owners[ref.feature]
    if ref.view is not None and ref.view != owner:
        raise DefinitionError(
            f"{where}: view '{ref.view}' has no feature '{ref.feature}'; "
            f"it is in view '{owner}', so write '{owner}:{ref.feature}'"
        )
