"""What all definitions share: frozen Pydantic models with readable errors."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

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


Name = Annotated[str, BeforeValidator(check_name)]


class Definition(BaseModel):
    """A frozen object that a user declares.

    The fields named in `positional` may be given by position, in that order. A mistake raises
    DefinitionError that names the object, the field and what was expected.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=False, protected_namespaces=()
    )
    kind: ClassVar[str] = "definition"
    positional: ClassVar[tuple[str, ...]] = ("name",)

    def __init__(self, *args: Any, **fields: Any) -> None:
        if len(args) > len(self.positional):
            raise DefinitionError(
                f"{self.kind}: takes {len(self.positional)} positional values "
                f"({', '.join(self.positional)}), got {len(args)}"
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

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The object that `to_dict` wrote, or that stands in a YAML file."""
        return cls(**data)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready fields without those left at their default."""
        return self.model_dump(mode="json", exclude_defaults=True)


def label(kind: str, data: Any) -> str:
    name = data.get("name") if isinstance(data, dict) else None
    return f"{kind} '{name}'" if isinstance(name, str) else kind


def explain(model: type[Definition], data: dict[str, Any], error: ValidationError) -> str:
    """One line a mistake: object, field, what was expected, the near-miss name."""
    lines = [f"{label(model.kind, data)}: {_one(model, item)}" for item in error.errors()]
    return "\n".join(dict.fromkeys(lines))


def _one(model: type[Definition], item: ErrorDetails) -> str:
    path = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        hint = near_miss(path, model.model_fields)
        known = f" (fields: {', '.join(model.model_fields)})" if not hint else ""
        return f"unknown field '{path}'{hint}{known}"
    if item["type"] == "missing":
        return f"field '{path}' is required"
    text = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return f"field '{path}': {text}" if path else text
