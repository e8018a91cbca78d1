"""Which types of values a feature's declared kind of value fits."""

from __future__ import annotations

from headwater.definitions.feature import Feature
from headwater.definitions.types import (
    FLOATS,
    INTEGERS,
    NUMBERS,
    element,
    is_decimal,
    is_list,
    is_map,
    is_struct,
    is_vector,
)
from headwater.errors import DefinitionError
from headwater.expressions.drafts import Draft

_CATEGORIES = ("string", "bool", "date", "bytes", *INTEGERS)


def check_value_kind(draft: Draft, feature: Feature, dtype: str) -> None:
    """Raise DefinitionError where `value_kind` says something else than the values are."""
    if feature.value_kind is not None and feature.value_kind not in kinds_of(dtype):
        found = ", ".join(kinds_of(dtype)) or "none"
        raise DefinitionError(
            f"{draft.where(feature.name, 'value_kind')}: '{feature.value_kind}' does not fit "
            f"{dtype} (kinds that do: {found})"
        )


def kinds_of(dtype: str) -> tuple[str, ...]:
    """The kinds of values that values of a type may be, the most usual one first."""
    if is_vector(dtype):
        return ("embedding",)
    if is_list(dtype):
        return ("list", "embedding") if element(dtype) in FLOATS else ("list",)
    if is_struct(dtype) or is_map(dtype):
        return ("struct",) if is_struct(dtype) else ("map",)
    found = ("numerical",) if dtype in NUMBERS or is_decimal(dtype) else ()
    if dtype == "bool":
        return ("binary", "categorical")
    return (
        *found,
        *(("categorical",) if dtype in _CATEGORIES else ()),
        *(("binary",) if dtype in INTEGERS else ()),
    )
