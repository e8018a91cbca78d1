"""What a backend indexes follows from KINDS alone."""

from typing import Any, Literal

import msgspec
import pytest

from headwater.errors import StoreError
from headwater.registry.fields import (
    Field,
    indexed_fields,
    kept_fields,
    kept_values,
    order_of,
)
from headwater.registry.kinds import KINDS, Kind


class Usage(msgspec.Struct, frozen=True):
    id: str
    feature: str
    environment: Literal["dev", "production"]
    at: int
    importance: float | None = None
    active: bool = True
    content: dict[str, Any] = {}


def usage(**fields):
    return Usage("u", "f", "dev", 5, **fields)


KIND = Kind(
    "usage",
    Usage,
    lambda item: item.id,
    indexed=("feature", "environment", "importance", "active"),
    order="at",
)


def test_types_come_from_annotations():
    assert indexed_fields(KIND) == {
        "feature": Field(str),
        "environment": Field(str),
        "importance": Field(float, nullable=True),
        "active": Field(bool),
        "at": Field(int),
    }
    assert order_of(KIND) == "at"


def test_a_kind_without_order_is_sorted_by_when_it_was_stored():
    kind = Kind("usage", Usage, lambda item: item.id, indexed=("feature",))
    assert list(indexed_fields(kind)) == ["feature", "stored_at"]
    assert kept_values(kind, usage())["stored_at"] > 1_700_000_000_000_000


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_can_be_indexed(kind):
    assert set(kind.indexed) <= set(indexed_fields(kind))
    assert {*indexed_fields(kind), *kind.added} == set(kept_fields(kind))


def test_what_is_no_plain_value_can_not_be_indexed():
    kind = Kind("usage", Usage, lambda item: item.id, indexed=("content",))
    with pytest.raises(TypeError, match="usage: 'content' can't be indexed"):
        indexed_fields(kind)


def test_a_value_of_another_type_is_refused():
    assert kept_values(KIND, usage())["importance"] is None
    with pytest.raises(StoreError, match="usage 'u': 'importance' is 'high', expected float"):
        kept_values(KIND, usage(importance="high"))
    with pytest.raises(StoreError, match="usage 'u': 'active' is None, expected bool"):
        kept_values(KIND, usage(active=None))
