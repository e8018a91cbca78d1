"""On-demand features: what of a request they need, and where they may stand."""

from __future__ import annotations

from collections.abc import Container, Iterable

from headwater.definitions.feature import Feature
from headwater.definitions.types import holds
from headwater.errors import DefinitionError
from headwater.expressions.analyzed import AnalyzedFeature
from headwater.expressions.drafts import Draft
from headwater.expressions.walk import columns_of


def refuse_shadowing(draft: Draft, feature: Feature, features: Container[str]) -> None:
    """Raise DefinitionError where a value of the request has the name of a feature."""
    for name in feature.request:
        if name in features:
            raise DefinitionError(
                f"{draft.where(feature.name, 'request')}: '{name}' is a feature too; name it "
                "otherwise"
            )


def check_request(draft: Draft, feature: Feature) -> None:
    """Raise DefinitionError where a value of the request is of no use or has the name of a key, or
    where the feature stands in a view that stores its values.
    """
    where = draft.where(feature.name, "request")
    tree = draft.trees[feature.name]
    names = columns_of(tree) if tree is not None else ()
    used = feature.function.inputs if feature.function is not None else names
    keys = {} if draft.entity is None else draft.entity.join_keys
    check_home(draft, feature, next(iter(feature.request)))
    for name, dtype in feature.request.items():
        if holds(dtype, "decimal"):
            raise DefinitionError(f"{where}: '{name}' can't be {dtype}; take float64 or string")
        if name in keys:
            raise DefinitionError(
                f"{where}: '{name}' is a join key of entity '{draft.view.entity_name}'; name it "
                "otherwise"
            )
        if name not in used:
            raise DefinitionError(f"{where}: the definition does not use '{name}'; leave it out")


def needed_request(
    draft: Draft, feature: Feature, inputs: Iterable[AnalyzedFeature]
) -> dict[str, str]:
    """The values that must come with a request, for a feature or for what it reads.

    Raises DefinitionError where two of one name have two types, or where the feature stands in a
    view whose values are stored: what depends on a request never is.
    """
    found = dict(feature.request)
    owners = dict.fromkeys(found, feature.name)
    for item in inputs:
        for name, dtype in item.request.items():
            if found.setdefault(name, dtype) != dtype:
                raise DefinitionError(
                    f"{draft.where(feature.name, 'request')}: '{name}' is {found[name]} for "
                    f"'{owners[name]}' and {dtype} for '{item.name}'; they must agree"
                )
            owners.setdefault(name, item.name)
    if found:
        check_home(draft, feature, next(iter(found)))
    return found


def check_home(draft: Draft, feature: Feature, name: str) -> None:
    """Raise DefinitionError where a view stores what depends on the value `name` of a request."""
    where = f"feature view '{draft.view.name}': feature '{feature.name}'"
    if draft.source is not None:
        raise DefinitionError(
            f"{where}: '{name}' is known when a request comes, and this view stores values of "
            f"source '{_source(draft)}'; put the feature into a view without 'source'"
        )
    if draft.view.ticks is not None:
        raise DefinitionError(
            f"{where}: '{name}' is known when a request comes, and this view is evaluated at "
            "ticks; put the feature into a view without 'update_frequency'"
        )


def _source(draft: Draft) -> str:
    return "" if draft.source is None else draft.source.name
