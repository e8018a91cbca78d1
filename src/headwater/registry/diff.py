"""Differences between stored and wanted definitions, field by field."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from headwater.registry.changes import FieldChange

DESCRIBES = (  # fields that change no value and no service
    "description",
    "owner",
    "tags",
    "feature_type",
    "value_kind",
    "data_source",
    "computation_logic",
    "upstream_features",
    "code_by",
)


def field_changes(
    old: Mapping[str, Any], new: Mapping[str, Any], *, skip: Collection[str] = ()
) -> tuple[FieldChange, ...]:
    """The fields whose JSON values differ, in the order of the new definition."""
    names = [name for name in dict.fromkeys([*new, *old]) if name not in skip]
    pairs = ((name, old.get(name), new.get(name)) for name in names)
    return tuple(FieldChange(*pair) for pair in pairs if not same(*pair[1:]))


def same(old: Any, new: Any) -> bool:
    """Whether two JSON values are one; the order of keys counts, as it does for join keys."""
    return json.dumps(old) == json.dumps(new)


def same_rules(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two definitions of a feature have the same rules, in whatever order."""

    def rules(definition: Mapping[str, Any]) -> list[str]:
        found = definition.get("validation_rules") or []
        return sorted(json.dumps(rule, sort_keys=True) for rule in found)

    return rules(old) == rules(new)
