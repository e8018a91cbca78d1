"""Validation rules: what the values of a feature must satisfy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from headwater.definitions.base import Definition, Flag, or_empty, plain

BUILT_RULES = ("range", "not_null", "enum", "regex")
BUILT = "range, not_null (or null_check), enum, regex"
"""The same as a message names them: REST says `null_check`."""
_SPELLINGS = {"null_check": "not_null"}
_PARAMETERS = {
    "range": ({"min", "max"}, "at least one of 'min' and 'max'"),
    "not_null": (set[str](), "no parameters"),
    "enum": ({"values"}, "'values', a list that is not empty"),
    "regex": ({"pattern"}, "'pattern', a regular expression"),
}


class ValidationRule(Definition):
    """A rule on the values of one feature.

    `rule_type` is `range`, `not_null` (also spelt `null_check`), `enum` or `regex`. Any other
    kind is kept as it is, but refused by `plan`, since it could not be checked. Rows that fail
    a blocking rule go to quarantine; failures of other rules are only counted.
    """

    kind: ClassVar[str] = "validation rule"
    positional: ClassVar[tuple[str, ...]] = ("rule_type",)

    rule_type: str
    parameters: Annotated[dict[str, Any], BeforeValidator(plain), BeforeValidator(or_empty)] = (
        Field(default_factory=dict)
    )
    is_blocking: Flag = False

    if TYPE_CHECKING:

        def __init__(
            self,
            rule_type: str,
            *,
            parameters: dict[str, Any] | None = None,
            is_blocking: bool = False,
        ) -> None: ...

    @field_validator("rule_type")
    @classmethod
    def _spelling(cls, value: str) -> str:
        return _SPELLINGS.get(value, value)

    @model_validator(mode="after")
    def _known_parameters(self) -> Self:
        if self.rule_type not in _PARAMETERS:
            return self
        known, expected = _PARAMETERS[self.rule_type]
        given = self.parameters
        wrong = bool(given.keys() - known)
        missing = bool(known) and not any(given.get(k) is not None for k in known)
        if wrong or missing:
            raise ValueError(f"rule '{self.rule_type}' takes {expected}; got {sorted(given)}")
        if self.rule_type == "range":
            _check_range(given)
        if self.rule_type == "enum" and not (isinstance(given["values"], list) and given["values"]):
            raise ValueError(f"rule 'enum' takes {expected}; got {given['values']!r}")
        if self.rule_type == "regex":
            _check_pattern(given["pattern"])
        return self

    @property
    def is_built(self) -> bool:
        return self.rule_type in BUILT_RULES

    @property
    def name(self) -> str:
        """What quarantine and reports call the rule: `range(max=1, min=0)`."""
        inner = ", ".join(f"{k}={v!r}" for k, v in sorted(self.parameters.items()))
        return f"{self.rule_type}({inner})" if inner else self.rule_type


def _check_range(given: dict[str, Any]) -> None:
    for name, value in given.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise ValueError(f"rule 'range': '{name}' must be a number; got {value!r}")
    low, high = given.get("min"), given.get("max")
    if low is not None and high is not None and low > high:
        raise ValueError(f"rule 'range': min {low} is greater than max {high}")


def _check_pattern(pattern: Any) -> None:
    """Refuse what RE2 can't read, the engine that will check the values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not isinstance(pattern, str):
        raise ValueError(f"rule 'regex': 'pattern' must be a text; got {pattern!r}")  # noqa: TRY004
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as error:
        reason = str(error).removeprefix("Invalid regular expression: ").splitlines()[0]
        raise ValueError(
            f"rule 'regex': {pattern!r} is not a regular expression: {reason}"
        ) from None


def Range(  # noqa: N802
    *,
    min: float | None = None,  # noqa: A002
    max: float | None = None,  # noqa: A002
    is_blocking: bool = False,
) -> ValidationRule:
    """Values lie within [min, max], bounds included; NaN fails, null passes."""
    bounds = {k: v for k, v in (("min", min), ("max", max)) if v is not None}
    return ValidationRule("range", parameters=bounds, is_blocking=is_blocking)


def NotNull(*, is_blocking: bool = False) -> ValidationRule:  # noqa: N802
    """Values are not null."""
    return ValidationRule("not_null", is_blocking=is_blocking)


def Enum(values: Iterable[Any], *, is_blocking: bool = False) -> ValidationRule:  # noqa: N802
    """Values are among those listed; null passes."""
    return ValidationRule("enum", parameters={"values": list(values)}, is_blocking=is_blocking)


def Regex(pattern: str, *, is_blocking: bool = False) -> ValidationRule:  # noqa: N802
    """The whole text matches the pattern; null passes."""
    return ValidationRule("regex", parameters={"pattern": pattern}, is_blocking=is_blocking)
