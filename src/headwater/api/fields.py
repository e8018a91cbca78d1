"""The fields of the REST schemas: each with its bounds, so that nothing unbounded gets in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from headwater.api.declared import check_source
from headwater.definitions.base import Definition, check_name, plain
from headwater.definitions.durations import format_duration, parse_duration
from headwater.definitions.entity import Entity
from headwater.definitions.rules import ValidationRule
from headwater.definitions.source import Source
from headwater.definitions.ticks import parse_frequency
from headwater.definitions.types import parse_dtype
from headwater.errors import HeadwaterError
from headwater.registry.versions import parse_version
from headwater.registry.words import check_words

CODE_LIMIT = 100_000
"""Bytes of a transformation's code."""
_JSON_LIMIT = 20_000
_INTEGERS = range(-(2**63), 2**63)
NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,127}$"
_RELATION_PATTERN = r"^[A-Za-z][A-Za-z0-9_]{0,127}(\.[A-Za-z][A-Za-z0-9_]{0,127})?$"
_CONTROL = {chr(code) for code in range(32)} - set("\t\n\r")
_WRITTEN = {"float64": "float", "int64": "integer", "bool": "boolean"}


def _printable(value: str) -> str:
    if not _CONTROL.isdisjoint(value):
        raise ValueError("give a text without control characters")
    return value


def _line(value: str) -> str:
    if _printable(value) != value.strip() or "\n" in value or "\r" in value:
        raise ValueError("give one line without blanks at its ends")
    return value


def _distinct(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _words(value: str) -> str:
    try:
        check_words(value)
    except HeadwaterError as error:
        raise ValueError(str(error)) from None
    return value


def _code(value: str) -> str:
    size = len(value.encode())
    if size > CODE_LIMIT:
        raise ValueError(f"the code has {size} bytes, {CODE_LIMIT} at the most")
    return value


def _json(value: Any) -> Any:
    """A JSON value within what every store keeps. Raises ValueError."""
    found = plain(value)
    _check_leaves(found)
    size = len(msgspec.json.encode(found))
    if size > _JSON_LIMIT:
        raise ValueError(f"it has {size} bytes as JSON, {_JSON_LIMIT} at the most")
    return found


def _values(given: list[Any]) -> list[Any]:
    _check_leaves(given)
    return given


def _check_leaves(value: Any) -> None:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += [*item.values(), *item]
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, str):
            _printable(item)
        elif isinstance(item, int) and item not in _INTEGERS:
            raise ValueError(f"{item} is not within 64 bits")


def _version(value: str) -> str:
    try:
        return str(parse_version(value))
    except HeadwaterError as error:
        raise ValueError(str(error)) from None


def _window(value: str) -> str:
    return value if value == "lifetime" else _duration(value)


def _duration(value: str) -> str:
    return format_duration(parse_duration(value))


def _frequency(value: str) -> str:
    parse_frequency(value)
    return value


def _moment(value: datetime) -> datetime:
    """In UTC, which a time without offset is in."""
    try:
        found = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("give a time after 1970") from None
    if found.year < 1970:
        raise ValueError("give a time after 1970")
    return found


def _breaking(value: Any) -> Any:
    """Whether there are breaking changes, or which."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("give true, false or a list of texts")
    if len(value) > 50 or any(not 0 < len(item) <= 1000 for item in value):
        raise ValueError("give 50 texts at the most, each of 1 to 1000 letters")
    return [_printable(item) for item in value]


def _declared(
    model: type[Definition], check: Callable[[Any], None] | None = None
) -> Callable[[Any], Any]:
    """Reads the name of an object, or its whole definition."""

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            return value if isinstance(value, model) else check_name(value)
        try:
            found = model.from_dict(_json(value))
        except HeadwaterError as error:
            raise ValueError(str(error)) from None
        if check is not None:
            check(found)
        return found

    return read


def shown_dtype(dtype: str) -> str:
    """The word of the API for a type: `float` for float64, `integer` for int64."""
    return _WRITTEN.get(dtype, dtype)


def checked_rule(rule_type: str, parameters: dict[str, Any], *, is_blocking: bool) -> None:
    """Raise ValueError where a rule of a known kind has wrong parameters."""
    try:
        ValidationRule(rule_type, parameters=parameters, is_blocking=is_blocking)
    except HeadwaterError as error:
        raise ValueError(str(error)) from None


_NAME_SCHEMA = {"type": "string", "pattern": NAME_PATTERN, "not": {"const": "usage"}}
Name = Annotated[str, BeforeValidator(check_name), WithJsonSchema(_NAME_SCHEMA)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_line)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_line)]
Text = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(_printable)]
Told = Annotated[Text, StringConstraints(min_length=1)]
Words = Annotated[str, StringConstraints(max_length=256), AfterValidator(_words)]
Tags = Annotated[list[Tag], Field(max_length=50), AfterValidator(_distinct)]
Names = Annotated[list[Name], Field(max_length=500), AfterValidator(_distinct)]
Code = Annotated[
    str,
    StringConstraints(min_length=1, max_length=CODE_LIMIT),
    AfterValidator(_printable),
    AfterValidator(_code),
]
Parameters = Annotated[dict[str, Any], AfterValidator(_json)]
Values = Annotated[list[Any], Field(min_length=1, max_length=10_000), AfterValidator(_values)]
Json = Annotated[Any, AfterValidator(_json)]
DataType = Annotated[str, StringConstraints(max_length=1000), AfterValidator(parse_dtype)]
RequestValues = Annotated[dict[Name, DataType], Field(max_length=100)]
KeyFeatures = Annotated[dict[Name, Name], Field(max_length=100)]
Relation = Annotated[str, StringConstraints(pattern=_RELATION_PATTERN)]
Version = Annotated[str, StringConstraints(max_length=64), AfterValidator(_version)]
Duration = Annotated[str, StringConstraints(max_length=32), AfterValidator(_duration)]
Window = Annotated[str, StringConstraints(max_length=32), AfterValidator(_window)]
Moment = Annotated[datetime, AfterValidator(_moment)]
Breaking = Annotated[
    bool | list[str],
    BeforeValidator(_breaking),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "boolean"},
                {
                    "type": "array",
                    "maxItems": 50,
                    "items": {"type": "string", "minLength": 1, "maxLength": 1000},
                },
            ]
        }
    ),
]
Frequency = Annotated[str, StringConstraints(max_length=32), AfterValidator(_frequency)]
_NAME_OR_OBJECT = WithJsonSchema({"anyOf": [_NAME_SCHEMA, {"type": "object"}]})
OfEntity = Annotated[str | Entity, BeforeValidator(_declared(Entity)), _NAME_OR_OBJECT]
OfSource = Annotated[
    str | Source, BeforeValidator(_declared(Source, check_source)), _NAME_OR_OBJECT
]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Correlation = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

FeatureStatus = Literal["draft", "active", "deprecated", "archived"]
TransformationType = Literal["sql", "python", "spark"]
Environment = Literal["dev", "staging", "production"]
