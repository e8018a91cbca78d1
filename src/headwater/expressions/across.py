"""Inputs at other keys than a feature's own: `via` names the features whose values the keys are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headwater.definitions.feature import Feature
from headwater.definitions.types import INTEGERS
from headwater.errors import DefinitionError, near_miss
from headwater.expressions.analyzed import AnalyzedFeature, Hop
from headwater.expressions.drafts import Draft, hint

Keys = Mapping[str, Mapping[str, str]]
"""The join keys of each view, name to type."""


def refuse_unknown_keys(draft: Draft, feature: Feature, features: Iterable[str]) -> None:
    """Raise DefinitionError where `via` stands in a view of rows, or names no other feature."""
    if not feature.via:
        return
    where = draft.where(feature.name, "via")
    if draft.source is not None:
        raise DefinitionError(
            f"{where}: this view computes from rows of source '{draft.source.name}', which have "
            "their own keys; put the feature into a view without 'source'"
        )
    others = [name for name in features if name != feature.name]
    for key, name in feature.via.items():
        if name not in others:
            what = "is the feature itself" if name == feature.name else "no such feature"
            raise DefinitionError(
                f"{where}: join key '{key}' is to be '{name}': {what}{near_miss(name, others)}"
            )


def check_keys(draft: Draft, owners: Mapping[str, str], keys: Keys) -> None:
    """Raise DefinitionError unless each key of what is read is one of the entity's, or the value of
    a feature; `owners` are the views of features, `keys` those of the views that this one reads.
    """
    own = {} if draft.entity is None else dict(draft.entity.join_keys)
    read = {(owners[n], tuple(f.via)) for f in draft.view.features for n in draft.named(f)}
    read |= {(owners[n], ()) for f in draft.view.features for n in f.via.values()}
    for home, via in sorted(read):
        for key, dtype in keys.get(home, {}).items():
            if key not in via and own.get(key) != dtype:
                entity = f"entity '{draft.entity.name}'" if draft.entity else "no entity"
                raise DefinitionError(
                    f"feature view '{draft.view.name}': field 'entity': reads view '{home}', keyed "
                    f"by '{key}' ({dtype}), but {entity} has no such join key; name the feature "
                    f"that gives it: via={{'{key}': '...'}}"
                )


def hops_of(
    draft: Draft, feature: Feature, known: Mapping[str, AnalyzedFeature], keys: Keys
) -> dict[str, Hop]:
    """The operands of a feature that are read at values of others, with the keys that these give.

    `keys` are those of the views that this one reads. Raises DefinitionError where a value can't be
    a key, or a key is of no use.
    """
    if not feature.via:
        return {}
    needed: dict[str, str] = {}
    found: dict[str, Hop] = {}
    for name in draft.named(feature):
        home = known[name].view
        if home == draft.view.name:
            _check_own(draft, feature, name)
            continue
        hop = tuple((key, feature.via[key]) for key in keys[home] if key in feature.via)
        if hop:
            found[name] = hop
        for key, dtype in keys[home].items():
            needed[key] = dtype
            if key in feature.via:
                _check_type(draft, feature, (key, dtype, home), known[feature.via[key]])
    _check_needed(draft, feature, needed)
    return found


def _check_own(draft: Draft, feature: Feature, name: str) -> None:
    """A feature of the same row has the row's key, whatever key others are read at."""
    own = {} if draft.entity is None else draft.entity.join_keys
    key = next((key for key in feature.via if key in own), None)
    if key is not None:
        raise DefinitionError(
            f"{draft.where(feature.name, 'via')}: '{key}' is a join key of this view too, and "
            f"'{name}' stands in it, at its own key; put one of the two into another view"
        )


def _check_type(
    draft: Draft, feature: Feature, needed: tuple[str, str, str], given: AnalyzedFeature
) -> None:
    key, dtype, home = needed
    if given.dtype == dtype or (dtype == "int64" and given.dtype in INTEGERS):
        return
    raise DefinitionError(
        f"{draft.where(feature.name, 'via')}: join key '{key}' of view '{home}' is {dtype}, and "
        f"feature '{given.name}' is {given.dtype}; the two must agree"
    )


def _check_needed(draft: Draft, feature: Feature, needed: Mapping[str, str]) -> None:
    unused = next((key for key in feature.via if key not in needed), None)
    if unused is not None:
        near = hint(unused, needed).replace("columns:", "join keys:") if needed else ""
        raise DefinitionError(
            f"{draft.where(feature.name, 'via')}: nothing that the definition reads of other views "
            f"is keyed by '{unused}'{near}"
        )
