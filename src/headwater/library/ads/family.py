"""How the features of the library are written."""

from __future__ import annotations

from typing import Any

from headwater.definitions.durations import parse_duration
from headwater.definitions.feature import Feature
from headwater.errors import DefinitionError

Features = tuple[Feature, ...]
DAY = 86_400_000_000


def windowed(name: str, expression: str, description: str, window: str, **more: Any) -> Feature:
    """A feature over the events of a window. Raises DefinitionError where it is none."""
    if window != "lifetime":
        _length(name, window)
    return _feature(name, expression, description, window=window, **more)


def derived(name: str, expression: str, description: str, **more: Any) -> Feature:
    """A feature over other features, stored or not."""
    return _feature(name, expression, description, **more)


def _feature(name: str, expression: str, description: str, **more: Any) -> Feature:
    given = {"value_kind": "numerical", **more}
    return Feature(
        name,
        expression,
        description=description,
        tags=["ads"],
        feature_type="derived",
        **given,
    )


def days(what: str, window: str) -> float:
    """The days of a window. Raises DefinitionError where it has no end."""
    if window == "lifetime":
        raise DefinitionError(
            f"{what}: window should be a duration as '30d'; 'lifetime' has no end"
        )
    return _length(what, window) / DAY


def positive(what: str, number: float) -> float:
    """A number above 0. Raises DefinitionError where it is not."""
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not number > 0:
        raise DefinitionError(f"{what} should be above 0, is {number!r}")
    return float(number)


def _length(what: str, window: str) -> int:
    try:
        return parse_duration(window)
    except ValueError as error:
        raise DefinitionError(f"{what}: window: {error}") from None
