"""FeatureView: features computed together from one source for one entity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from headwater.definitions.base import (
    Definition,
    Duration,
    Name,
    check_name,
    fields_of,
    listed,
    shown,
)
from headwater.definitions.durations import format_duration
from headwater.definitions.entity import Entity
from headwater.definitions.feature import Feature
from headwater.definitions.source import Source
from headwater.definitions.ticks import (
    DAY,
    FREQUENCIES,
    REAL_TIME,
    Ticks,
    check_timezone,
    parse_clock,
    parse_frequency,
)
from headwater.errors import near_miss


def _format_frequency(value: str | int) -> str:
    if isinstance(value, str):
        return value
    names = {period: name for name, period in FREQUENCIES.items()}
    return names.get(value) or format_duration(value)


Frequency = Annotated[
    Literal["real_time"] | int,
    BeforeValidator(parse_frequency),
    PlainSerializer(_format_frequency, return_type=str),
]


def _name_of(value: Any) -> Any:
    return value.name if isinstance(value, (Entity, Source)) else value


def _object_or_name(model: type[Definition]) -> Callable[[Any], Any]:
    """One check instead of a union's two, so that a bad name gives one readable message."""

    def check(value: Any) -> Any:
        if value is None or isinstance(value, model):
            return value
        if isinstance(value, dict):
            return model.from_dict(value)
        if not isinstance(value, str):
            what = f"give {_article(model)}, or the name of one; got {shown(value)}"
            raise ValueError(what)  # noqa: TRY004 - Pydantic reads ValueError alone
        return check_name(value)

    return check


def _article(model: type[Definition]) -> str:
    return f"an {model.__name__}" if model is Entity else f"a {model.__name__}"


_OfEntity = Annotated[
    Entity | str | None, BeforeValidator(_object_or_name(Entity)), PlainSerializer(_name_of)
]
_OfSource = Annotated[
    Source | str | None, BeforeValidator(_object_or_name(Source)), PlainSerializer(_name_of)
]


IMPLICIT = "api__"
"""How the views begin that features join which were declared one by one."""


class FeatureView(Definition):
    """Features computed together from one source, or from other views, for one entity.

    `entity` and `source` are objects or names of objects; a view without an entity holds for
    everybody (a calendar, a macro series), one without a source computes from other features.
    `update_frequency` says when it is evaluated: at every instant (`real_time`) or at ticks,
    which `data_delay` gives time to arrive; `ttl` bounds the age of what is served.
    """

    kind: ClassVar[str] = "feature view"

    name: Name
    entity: _OfEntity = None
    source: _OfSource = None
    features: Annotated[
        tuple[Annotated[Feature, fields_of(Feature)], ...], BeforeValidator(listed)
    ] = Field(min_length=1)
    ttl: Duration | None = None
    update_frequency: Frequency = REAL_TIME
    at: str | None = None
    timezone: str | None = None
    data_delay: Duration = 0
    description: str = ""
    owner: str | None = None
    tags: tuple[str, ...] = ()

    if TYPE_CHECKING:

        def __init__(
            self,
            name: str,
            *,
            features: Sequence[Feature],
            entity: Entity | str | None = None,
            source: Source | str | None = None,
            ttl: str | timedelta | None = None,
            update_frequency: str | timedelta = REAL_TIME,
            at: str | None = None,
            timezone: str | None = None,
            data_delay: str | timedelta = "0s",
            description: str = "",
            owner: str | None = None,
            tags: Sequence[str] = (),
        ) -> None: ...

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [feature.name for feature in self.features]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"field 'features': '{twice}' is declared twice")
        if self.ttl == 0:
            raise ValueError("field 'ttl': must be longer than 0s; leave it out for no limit")
        if self.update_frequency == REAL_TIME and self.data_delay:
            raise ValueError("field 'data_delay': goes with ticks; set 'update_frequency'")
        if self.at is not None or self.timezone is not None:
            period = self.update_frequency
            if isinstance(period, str) or period % DAY:
                raise ValueError("fields 'at' and 'timezone' go with ticks of whole days")
        return self

    @field_validator("at")
    @classmethod
    def _clock(cls, value: str | None) -> str | None:
        if value is not None:
            parse_clock(value)
        return value

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        return value if value is None else check_timezone(value)

    @property
    def entity_name(self) -> str | None:
        name: str | None = _name_of(self.entity)
        return name

    @property
    def source_name(self) -> str | None:
        name: str | None = _name_of(self.source)
        return name

    @property
    def ticks(self) -> Ticks | None:
        """The instants of evaluation, or None for `real_time`."""
        if isinstance(self.update_frequency, str):
            return None
        return Ticks(self.update_frequency, parse_clock(self.at or "00:00"), self.timezone or "UTC")

    def feature(self, name: str) -> Feature:
        """The feature of that name. Raises KeyError with the nearest name."""
        for feature in self.features:
            if feature.name == name:
                return feature
        hint = near_miss(name, (feature.name for feature in self.features))
        raise KeyError(f"view '{self.name}' has no feature '{name}'{hint}")
