"""Feature: a named, typed, owned column of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from headwater.definitions.base import (
    Count,
    Definition,
    DType,
    Duration,
    Name,
    fields_of,
    listed,
    plain,
    shown,
)
from headwater.definitions.durations import format_duration, parse_duration
from headwater.definitions.functions import FeatureFunction, FunctionRef
from headwater.definitions.rules import ValidationRule


def _parse_window(value: Any) -> Any:
    return value if value == "lifetime" else parse_duration(value)


def _format_window(value: int | str) -> str:
    return value if isinstance(value, str) else format_duration(value)


Window = Annotated[
    Literal["lifetime"] | int,
    BeforeValidator(_parse_window),
    PlainSerializer(_format_window, return_type=str),
]


def _request(value: Any) -> Any:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004 - Pydantic reads ValueError alone
            f"give request values with their types, as {{'hour': 'int64'}}; got {shown(value)}"
        )
    return value


def _via(value: Any) -> Any:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004 - Pydantic reads ValueError alone
            "give join keys with the features whose values they are, as "
            f"{{'category': 'item_category'}}; got {shown(value)}"
        )
    return value


FeatureType = Literal[
    "technical_indicator", "fundamental", "sentiment", "macro_economic", "derived", "raw"
]
ValueKind = Literal["categorical", "numerical", "binary", "embedding", "struct", "list", "map"]


class Feature(Definition):
    """A named, typed column of values, defined by a SQL expression or a Python function.

        Feature("user_clicks_7d", "count(*) FILTER (WHERE event_type = 'click')", window="7d")

    `window` makes it an aggregate over [t - window, t); `offset` moves that window into the past,
    `tail_hop` rounds its left edge down. `rows=n` makes it a function of a row and the n - 1 rows
    before it; fewer give null, unless `min_rows` says otherwise. With neither it is the latest
    row's value, or an expression over other features. `default` replaces a missing value.

    `request` makes it an on-demand feature, an expression over other features and over values
    that come with each request, here with their types: `request={"hour": "int64"}`. In a training
    set they are columns of the spine.

    `via` reads what an expression names at other keys than the feature's own: at values of other
    features. `via={"category": "item_category"}` reads what is keyed by `category` at the item's.

    `feature_type`, `value_kind`, `data_source` and `computation_logic` describe it for those who
    look for features; `upstream_features` names what it depends on beside what it reads.
    `code_by` names who gave its code over the API, which is then run in a process of its own.
    """

    kind: ClassVar[str] = "feature"
    positional: ClassVar[tuple[str, ...]] = ("name", "expression")

    name: Name
    expression: str | None = Field(default=None, min_length=1)
    function: Annotated[FunctionRef, fields_of(FunctionRef)] | None = None
    window: Window | None = None
    tail_hop: Duration | None = None
    offset: Duration | None = None
    rows: Count | None = Field(default=None, le=100_000)
    min_rows: Count | None = None
    default: Annotated[Any, BeforeValidator(plain)] = None
    request: Annotated[dict[Name, DType], BeforeValidator(_request)] = Field(default_factory=dict)
    via: Annotated[dict[Name, Name], BeforeValidator(_via)] = Field(default_factory=dict)
    dtype: DType | None = None
    description: str = ""
    owner: str | None = None
    tags: tuple[str, ...] = ()
    validation_rules: Annotated[
        tuple[Annotated[ValidationRule, fields_of(ValidationRule)], ...], BeforeValidator(listed)
    ] = ()
    duckdb_table: str | None = None
    duckdb_view: str | None = None
    feature_type: FeatureType | None = None
    value_kind: ValueKind | None = None
    data_source: str | None = None
    computation_logic: str | None = None
    upstream_features: Annotated[tuple[Name, ...], BeforeValidator(listed)] = ()
    code_by: str | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            name: str,
            expression: str | FeatureFunction | None = None,
            *,
            function: FeatureFunction | FunctionRef | None = None,
            window: str | timedelta | None = None,
            tail_hop: str | timedelta | None = None,
            offset: str | timedelta | None = None,
            rows: int | None = None,
            min_rows: int | None = None,
            default: Any = None,
            request: Mapping[str, str] | None = None,
            via: Mapping[str, str] | None = None,
            dtype: str | None = None,
            description: str = "",
            owner: str | None = None,
            tags: Sequence[str] = (),
            validation_rules: Sequence[ValidationRule] = (),
            duckdb_table: str | None = None,
            duckdb_view: str | None = None,
            feature_type: FeatureType | None = None,
            value_kind: ValueKind | None = None,
            data_source: str | None = None,
            computation_logic: str | None = None,
            upstream_features: Sequence[str] = (),
            code_by: str | None = None,
        ) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _function(cls, data: Any) -> Any:
        for field in ("expression", "function"):
            given = data.get(field) if isinstance(data, dict) else None
            if callable(given) and not isinstance(given, FeatureFunction):
                raise ValueError(  # noqa: TRY004 - Pydantic reads ValueError alone
                    f"field '{field}': '{getattr(given, '__name__', given)}' is a plain function; "
                    "decorate it with @feature_function"
                )
        if isinstance(data, dict) and isinstance(data.get("expression"), FeatureFunction):
            if data.get("function") is not None:
                raise ValueError("'function' is given twice, by position and by name")
            return {**data, "expression": None, "function": data["expression"]}
        return data

    @field_validator("function", mode="before")
    @classmethod
    def _ref(cls, value: Any) -> Any:
        return value.ref if isinstance(value, FeatureFunction) else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.expression is not None and self.function is not None:
            raise ValueError("give 'expression' or 'function', not both")
        for frame in ("window", "rows"):
            if self.request and getattr(self, frame) is not None:
                raise ValueError(
                    f"'request' and '{frame}' exclude each other: values of a request have no "
                    f"history; give the feature with '{frame}' a name, and read it in another "
                    "feature that has 'request'"
                )
            if self.via and getattr(self, frame) is not None:
                raise ValueError(
                    f"'via' and '{frame}' exclude each other: rows have their own keys; give the "
                    f"feature with '{frame}' a name, and read it in another feature that has 'via'"
                )
        if self.window is not None and self.rows is not None:
            raise ValueError("'window' and 'rows' exclude each other; a feature has one frame")
        for field in ("tail_hop", "offset"):
            if getattr(self, field) is not None and self.window is None:
                raise ValueError(f"'{field}' needs 'window'")
        if self.window == 0:
            raise ValueError("'window' must be longer than 0s")
        if self.tail_hop == 0:
            raise ValueError("'tail_hop' must be longer than 0s")
        if self.window == "lifetime" and self.tail_hop is not None:
            raise ValueError("'tail_hop' rounds a left edge, and window='lifetime' has none")
        if self.min_rows is not None and self.rows is None:
            raise ValueError("'min_rows' needs 'rows'")
        if self.min_rows is not None and self.rows is not None and self.min_rows > self.rows:
            raise ValueError(f"'min_rows' {self.min_rows} is greater than 'rows' {self.rows}")
        if self.function is not None and self.window is not None:
            raise ValueError("a function has no 'window'; use mode='row' or mode='sequence'")
        return self

    @property
    def definition(self) -> str:
        """The expression, where none is written the name itself (the column of that name)."""
        return self.expression if self.expression is not None else self.name
