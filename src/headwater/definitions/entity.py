"""Entity: what a feature describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from headwater.definitions.base import Definition, DType, Name, shown
from headwater.definitions.types import KEY_TYPES


def _key_type(dtype: str) -> str:
    if dtype not in KEY_TYPES:
        raise ValueError(f"'{dtype}' can't be a join key; use one of {', '.join(KEY_TYPES)}")
    return dtype


def _keys(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004 - Pydantic reads ValueError alone
            f"give join keys with their types, as {{'user_id': 'string'}}; got {shown(value)}"
        )
    return value


KeyType = Annotated[DType, AfterValidator(_key_type)]


class Entity(Definition):
    """What a feature describes: a name and one or several typed join keys.

        Entity("user", join_keys={"user_id": "string"})

    The order of the join keys is part of the entity. Where a spine calls a key otherwise
    (`origin_id` for `location_id`), say so in the feature reference: `FeatureRef.join_keys`.
    """

    kind: ClassVar[str] = "entity"
    positional: ClassVar[tuple[str, ...]] = ("name", "join_keys")

    name: Name
    join_keys: Annotated[dict[Name, KeyType], BeforeValidator(_keys)] = Field(min_length=1)
    description: str = ""
    owner: str | None = None
    tags: tuple[str, ...] = ()

    if TYPE_CHECKING:

        def __init__(
            self,
            name: str,
            join_keys: Mapping[str, str],
            *,
            description: str = "",
            owner: str | None = None,
            tags: Sequence[str] = (),
        ) -> None: ...
