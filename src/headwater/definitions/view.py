"""FeatureView: features computed together from one source for one entity."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from headwater.definitions.base import Definition, Name
from headwater.definitions.durations import Duration, format_duration
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


class FeatureView(Definition):
    """Features computed together from one source, or from other views, for one entity.

    `entity` and `source` are objects or names of objects; a view without an entity holds for
    everybody (a calendar, a macro series), one without a source computes from other features.
    `update_frequency` says when it is evaluated: at every instant (`real_time`) or at ticks,
    which `data_delay` gives time to arrive; `ttl` bounds the age of what is served.
    """

    kind: ClassVar[str] = "feature view"

    name: Name
    entity: Annotated[Entity | Name | None, PlainSerializer(_name_of)] = None
    source: Annotated[Source | Name | None, PlainSerializer(_name_of)] = None
    features: tuple[Feature, ...] = Field(min_length=1)
    ttl: Duration | None = None
    update_frequency: Frequency = REAL_TIME
    at: str | None = None
    timezone: str | None = None
    data_delay: Duration = 0
    description: str = ""
    owner: str | None = None
    tags: tuple[str, ...] = ()

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
            parse_clock(self.at or "00:00")
            check_timezone(self.timezone or "UTC")
        return self

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
