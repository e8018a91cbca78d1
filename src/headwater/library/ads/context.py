"""Rates in the context of a request: device, hour, income. Nothing of it is stored."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from headwater.definitions.feature import Feature
from headwater.errors import DefinitionError
from headwater.library.ads.family import Features, derived, positive, windowed
from headwater.library.ads.schema import Events
from headwater.library.columns import grouped, quoted, refuse_text


@dataclass(frozen=True, slots=True)
class Lift:
    """How a value of a request changes the click-through rate: one feature for each value.

        device = Lift(events, "device", values=("mobile", "desktop", "tablet"))
        hour = Lift(events, "hour", column="hour(event_time)", values=tuple(range(24)))

    View: `features` stand in a view without entity, over the events, with a tick of its own:
    learned from what was known at the tick. `column` is where the log has the value that a request
    calls `request`; the values are all texts or all whole numbers.
    Formula: (clicks + weight) / (expected + weight), expected = impressions with the value * the
    rate of all impressions; `weight` clicks draw it towards 1.
    Unit: a factor, 1 where the value makes no difference.
    Null: without impressions in the window.
    Source: Clayton, Kaldor, Biometrics 43 (1987), as a ratio of observed and expected counts.
    """

    events: Events
    request: str
    values: tuple[str, ...] | tuple[int, ...]
    column: str = ""
    window: str = "28d"
    weight: float = 20.0
    name: str = ""

    def __post_init__(self) -> None:
        refuse_text(f"lift '{self.request}': values", self.values)
        kinds = {type(value) for value in self.values}
        if kinds not in ({str}, {int}):
            raise DefinitionError(
                f"lift '{self.request}': values should be texts or whole numbers, are "
                f"{self.values!r}"
            )
        positive(f"lift '{self.request}': weight", self.weight)

    @property
    def dtype(self) -> str:
        """The type of the request's value."""
        return "string" if isinstance(self.values[0], str) else "int64"

    @property
    def features(self) -> Features:
        return tuple(
            windowed(
                self._name(value),
                self._expression(value),
                f"Click-through where {self.request} is {value}, 1 on average, {self.window}",
                self.window,
            )
            for value in self.values
        )

    def factor(self) -> str:
        """The factor of the request's value: 1 for values without a feature, and for null."""
        cases = " ".join(f"WHEN {self._literal(v)} THEN {self._name(v)}" for v in self.values)
        return f"CASE {self.request} {cases} ELSE 1.0 END"

    def _expression(self, value: str | int) -> str:
        mine = f"{grouped(self.column or self.request)} = {self._literal(value)}"
        weight = float(self.weight)
        clicks, shown = (self.events.number(kind, mine) for kind in ("click", "impression"))
        rate = f"{self.events.number('click')} / nullif({self.events.number('impression')}, 0)"
        return f"({clicks} + {weight}) / ({shown} * ({rate}) + {weight})"

    def _literal(self, value: str | int) -> str:
        return quoted(value) if isinstance(value, str) else str(int(value))

    def _name(self, value: str | int) -> str:
        base = self.name or f"ctr_lift_{self.request}"
        return f"{base}_{re.sub(r'[^A-Za-z0-9]', '_', str(value)).strip('_')}"


def in_context(rate: Feature, lifts: Sequence[Lift], *, name: str | None = None) -> Features:
    """A rate as it is in a request: on demand, from the stored one and the request's values.

    View: without source and without ticks, of the rate's entity; it reads `rate` and the features
    of `lifts`. The request has to name a value for each lift.
    Formula: rate * the factor of each value, 1 at the most. It takes values to act independently.
    Unit: a fraction.
    Null: where the rate is, or a factor. A value that no lift knows, or null, has the factor 1.
    Source: Bishop, Fienberg, Holland, Discrete Multivariate Analysis (1975), ch. 2: a log-linear
    model without interactions.
    """
    if not lifts:
        raise DefinitionError("in_context: lifts is empty; name what a request tells")
    factors = " * ".join(lift.factor() for lift in lifts)
    return (
        derived(
            name or f"{rate.name}_in_context",
            f"CASE WHEN {rate.name} * {factors} IS NOT NULL "
            f"THEN least({rate.name} * {factors}, 1.0) END",
            f"{rate.name} for the {', '.join(lift.request for lift in lifts)} of a request",
            request={lift.request: lift.dtype for lift in lifts},
        ),
    )
