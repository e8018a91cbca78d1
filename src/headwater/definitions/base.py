"""What all definitions share: frozen Pydantic models with readable errors."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
)
from pydantic_core import ErrorDetails

from headwater.definitions.durations import format_duration, parse_duration
from headwater.definitions.types import parse_dtype
from headwater.errors import DefinitionError, near_miss

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
RESERVED_NAMES = frozenset({"usage"})


def check_name(value: Any) -> Any:
    """A name is a letter, then letters, digits and underscores, 128 at the most."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a name; use a letter, then letters, digits and '_', 128 at the most"
        )
    if value in RESERVED_NAMES:
        raise ValueError(f"'{value}' is a reserved name; choose another")
    return value


def plain(value: Any) -> Any:
    """A value as JSON holds it; dates and times become ISO text. Raises ValueError."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        return value
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    raise ValueError(
        f"{value!r} has the type {type(value).__name__}; "
        "give a number, a text, true or false, a date or time, or a list of these"
    )


def _texts(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, (list, tuple)):
        value = [str(item) if isinstance(item, PurePath) else item for item in value]
    many = value if isinstance(value, (list, tuple)) else [value]
    if not all(isinstance(item, str) for item in many):
        raise ValueError(f"give a text or a list of texts; got {shown(value)}")
    return value


def or_empty(value: Any) -> Any:
    """None as an empty mapping, which is what an empty key of a YAML file says."""
    return {} if value is None else value


def listed(value: Any) -> Any:
    """Only a list or tuple: a single object is iterable too, over its fields."""
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"give a list; got {shown(value)}")  # noqa: TRY004
    return value


def shown(value: Any) -> str:
    """A value as an error quotes it: an object by its name, the rest shortened."""
    if isinstance(value, Definition):
        return label(value.kind, {"name": getattr(value, "name", None)})
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _type_text(value: Any) -> Any:
    if isinstance(value, type):
        raise ValueError(f"give a type by its name, as 'int64'; got {shown(value)}")  # noqa: TRY004
    return value


Name = Annotated[str, BeforeValidator(check_name)]
DType = Annotated[str, BeforeValidator(_type_text), AfterValidator(parse_dtype)]
Texts = Annotated[str | tuple[str, ...], BeforeValidator(_texts)]
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=1)]
Duration = Annotated[
    int, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)
]


class Definition(BaseModel):
    """A frozen object that a user declares.

    The fields named in `positional` may be given by position, in that order. A mistake raises
    DefinitionError that names the object, the field and what was expected. Each class repeats its
    signature for type checkers and editors, since Pydantic's own would forbid positions.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=False, protected_namespaces=()
    )
    kind: ClassVar[str] = "definition"
    positional: ClassVar[tuple[str, ...]] = ("name",)

    def __init__(self, /, *args: Any, **fields: Any) -> None:
        if len(args) > len(self.positional):
            named = label(self.kind, dict(zip(self.positional, args, strict=False)))
            raise DefinitionError(
                f"{named}: only {' and '.join(self.positional)} may be given by position; name the "
                f"field of {shown(args[len(self.positional)])}"
            )
        given = dict(zip(self.positional, args, strict=False))
        twice = sorted(given.keys() & fields.keys())
        if twice:
            raise DefinitionError(f"{self.kind}: '{twice[0]}' is given by position and by name")
        given.update(fields)
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise DefinitionError(explain(type(self), given, error)) from None
        except DefinitionError as error:  # of an object inside this one, written as a mapping
            raise DefinitionError(f"{label(self.kind, given)}: {error}") from None

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        shown = self.model_dump(exclude_defaults=True).keys()
        return [(name, getattr(self, name)) for name in type(self).model_fields if name in shown]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The object that `to_dict` wrote, or that stands in a YAML file."""
        odd = [key for key in data if not isinstance(key, str)]
        if odd:
            raise DefinitionError(f"{label(cls.kind, data)}: unknown field {odd[0]!r}")
        return cls(**data)

    def to_dict(self, only: set[str] | None = None) -> dict[str, Any]:
        """JSON-ready fields, all or some, without those left at their default."""
        return self.model_dump(mode="json", exclude_defaults=True, by_alias=True, include=only)


def fields_of(model: type[Definition]) -> BeforeValidator:
    """Reads a mapping as the object whose fields it holds, whatever its keys are."""
    return BeforeValidator(
        lambda value: model.from_dict(value) if isinstance(value, dict) else value
    )


def label(kind: str, data: Any) -> str:
    """What an error calls an object: its kind, and its name where it has one."""
    name = data.get("name") if isinstance(data, dict) else None
    return f"{kind} '{name}'" if isinstance(name, str) else kind


def explain(model: type[Definition], data: dict[str, Any], error: ValidationError) -> str:
    """One line a mistake: object, field, what was expected, the near-miss name."""
    items = error.errors()
    inner = {item["loc"][:-1] for item in items}  # a list whose items failed counts as too short
    wrong = [item for item in items if item["type"] != "too_short" or item["loc"] not in inner]
    lines = [f"{label(model.kind, data)}: {_one(model, item)}" for item in wrong]
    return "\n".join(dict.fromkeys(lines))


def _one(model: type[Definition], item: ErrorDetails) -> str:
    path = ".".join(str(part) for part in item["loc"] if part != "[key]")
    if item["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in model.model_fields.items()]
        hint = near_miss(path, known) or f" (fields: {', '.join(known)})"
        return f"unknown field '{path}'{hint}"
    if item["type"] == "missing":
        return f"field '{path}' is required"
    text = expected(item)
    return f"field '{path}': {text}" if path else text


def expected(item: ErrorDetails) -> str:
    """What one failed check wanted, and what it got."""
    if item["type"] in _EXPECTED:
        wanted = _EXPECTED[item["type"]](item.get("ctx", {}))
        return f"{wanted}; got {shown(item['input'])}"
    return item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _at_least(context: dict[str, Any]) -> str:
    return "must not be empty" if context["min_length"] == 1 else f"needs {context['min_length']}"


_EXPECTED: dict[str, Callable[[dict[str, Any]], str]] = {
    "bool_type": lambda _: "give true or false",
    "bool_parsing": lambda _: "give true or false",
    "dict_type": lambda _: "give a mapping",
    "float_type": lambda _: "give a number",
    "float_parsing": lambda _: "give a number",
    "int_type": lambda _: "give a whole number",
    "int_parsing": lambda _: "give a whole number",
    "int_from_float": lambda _: "give a whole number",
    "greater_than_equal": lambda context: f"give {context['ge']} or more",
    "less_than_equal": lambda context: f"give {context['le']} or less",
    "literal_error": lambda context: f"give {context['expected']}",
    "model_type": lambda context: f"give a {context['class_name']}, or its fields",
    "string_pattern_mismatch": lambda context: f"give a text of the form {context['pattern']}",
    "string_too_short": _at_least,
    "string_type": lambda _: "give a text",
    "too_short": _at_least,
    "tuple_type": lambda _: "give a list",
}
