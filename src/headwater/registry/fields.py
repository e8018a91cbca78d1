"""The fields by which a registry selects and sorts: derived from `KINDS`, for every backend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from headwater.errors import StoreError
from headwater.registry.kinds import Kind, now_us

STORED_AT = "stored_at"
_SCALARS = (str, int, float, bool, NoneType)


@dataclass(frozen=True)
class Field:
    """An attribute that a backend indexes: its type (str, int, float or bool), and null or not."""

    type: type[Any]
    nullable: bool = False


@cache
def indexed_fields(kind: Kind[Any]) -> dict[str, Field]:
    """What a backend finds and sorts objects by: their indexed fields and their order."""
    found = _fields(kind, kind.indexed)
    order = Field(int) if kind.order is None else _fields(kind, [kind.order])[kind.order]
    return {**found, order_of(kind): order}


@cache
def kept_fields(kind: Kind[Any]) -> dict[str, Field]:
    """What a backend keeps beside the text of an object: the indexed fields, and the added."""
    return indexed_fields(kind) | _fields(kind, kind.added)


def _fields(kind: Kind[Any], names: Iterable[str]) -> dict[str, Field]:
    hints = get_type_hints(kind.type)
    return {name: _field(kind, name, hints[name]) for name in names}


def order_of(kind: Kind[Any]) -> str:
    """The field by which objects of a kind are sorted."""
    return STORED_AT if kind.order is None else kind.order


def kept_values(kind: Kind[Any], item: Any) -> dict[str, Any]:
    """The values of an object's kept fields. Raises StoreError for one of another type."""
    found: dict[str, Any] = {}
    for name, field in kept_fields(kind).items():
        if name == STORED_AT and kind.order is None:
            found[name] = now_us()
            continue
        value = getattr(item, name)
        types = (int, float) if field.type is float else field.type
        if not (isinstance(value, types) or (value is None and field.nullable)):
            raise StoreError(
                f"{kind.name} '{kind.key(item)}': '{name}' is {value!r}, "
                f"expected {field.type.__name__}"
            )
        found[name] = value
    return found


def check_where(kind: Kind[Any], where: Mapping[str, Any] | None) -> dict[str, Any]:
    """What `list` selects by. Raises ValueError for other fields, TypeError for no plain value."""
    for name, value in (where or {}).items():
        if name not in kind.indexed:
            raise ValueError(f"{kind.name}: '{name}' is none of {', '.join(kind.indexed)}")
        if not isinstance(value, _SCALARS):
            raise TypeError(f"{kind.name}: '{name}' is compared with one value, not {value!r}")
    return dict(where or {})


def _field(kind: Kind[Any], name: str, hint: Any) -> Field:
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    options = [member for member in members if member is not NoneType]
    types = {_scalar(option) for option in options}
    if len(types) != 1 or None in types:
        raise TypeError(f"{kind.name}: '{name}' can't be indexed: it is {hint}")
    (found,) = types
    assert found is not None  # noqa: S101 - for the type checker: refused above
    return Field(found, nullable=NoneType in members)


def _scalar(hint: Any) -> type[Any] | None:
    if get_origin(hint) is Literal:
        types = {type(value) for value in get_args(hint)}
        return types.pop() if len(types) == 1 else None
    return hint if hint in (str, int, float, bool) else None
