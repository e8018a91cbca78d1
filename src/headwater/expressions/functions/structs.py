"""Functions of structs: values that have named parts."""

from __future__ import annotations

from typing import Any

from headwater.expressions.functions.declare import Function


def struct_extract(value: dict[str, Any], name: str) -> Any:
    return value[name]


STRUCTS = (
    Function(
        "struct_extract",
        ("struct", "field"),
        "F",
        "The field of that name, letter case aside; also written `s.name`.",
        struct_extract,
        (
            (({"ctr": 0.5, "clicks": 3}, "ctr"), 0.5),
            (({"ctr": None, "clicks": 3}, "ctr"), None),
            (({"of day": "am", "clicks": None}, "of day"), "am"),
        ),
    ),
)
