"""The body of POST /get-online-features: Feast's JSON, read strictly."""

from __future__ import annotations

from typing import Any

import msgspec

from headwater.errors import RequestError
from headwater.serving.catalogue import Reference
from headwater.serving.hints import hint_for, shown
from headwater.serving.problem import Problem

EXPECTED = "an object with 'entities' and 'features' (or 'feature_service')"
_HINTS = ("allow_registry_cache", "registry_allow_cache")


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """Feast's request. The two hints about a registry cache are taken and have no effect."""

    entities: dict[str, list[Any]]
    features: list[str | Reference] | None = None
    feature_service: str | None = None
    full_feature_names: bool = False
    include_feature_view_version_metadata: bool = False
    allow_registry_cache: bool = True
    registry_allow_cache: bool = True


_FIELDS = tuple(field.name for field in msgspec.structs.fields(Body))
_decode = msgspec.json.Decoder(Body).decode


def read_body(body: bytes) -> Body:
    """The request in `body`. Raises Problem: 400 where it isn't JSON, 422 where it is wrong."""
    try:
        return _decode(body)
    except msgspec.ValidationError as error:
        wrong = str(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(error) from None
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(error) from None
    raise Problem(422, RequestError.title, _explain(found) or wrong)


def _not_json(error: Exception) -> Problem:
    said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return Problem(400, "Bad request", f"the body is not JSON ({said}); expected {EXPECTED}")


def _explain(found: Any) -> str | None:
    """What a wrong or missing field deserves beyond msgspec's own words, where it does."""
    if not isinstance(found, dict):
        return f"the body is a JSON {_json_type(found)}; expected {EXPECTED}"
    known = [field for field in _FIELDS if field not in _HINTS]
    unknown = next((field for field in found if field not in _FIELDS), None)
    if unknown is not None:
        hint = hint_for(unknown, known) or f"; known fields: {', '.join(known)}"
        return f"unknown field '{shown(unknown)}'{hint}"
    features = found.get("features")
    if not isinstance(features, list | None):
        return (
            f"field 'features' is a JSON {_json_type(features)}; expected an array, as "
            '["user_ctr_7d"]'
        )
    entities = found.get("entities")
    if not isinstance(entities, dict):
        return "field 'entities' must be an object of columns, as {\"user_id\": [1, 2]}"
    for column, values in entities.items():
        if not isinstance(values, list):
            return (
                f"field 'entities', column '{shown(column)}' is a JSON {_json_type(values)}; "
                "expected an array with one value a row"
            )
    return None


def _json_type(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")
