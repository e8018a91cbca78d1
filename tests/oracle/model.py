"""What the oracle is told about a project: sources with their rows, and views of features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from oracle.expressions import Aggregate, Ema, Expression, Input, Lag, Over, Row, Wma, walk
from oracle.times import Ticks

Kind = Literal["lookup", "windowed", "sequence", "derived"]


@dataclass(frozen=True)
class Source:
    """Rows as dicts that all have the same columns.

    `event_time` and `available_at` name columns that hold instants: ints (microseconds),
    datetimes, dates or `Nanos`.
    """

    name: str
    rows: tuple[Row, ...]
    event_time: str = "event_time"
    available_at: str | None = None
    id: tuple[str, ...] = ()
    sequence: str | None = None


@dataclass(frozen=True)
class Feature:
    """`window`, `tail_hop` and `offset` are durations (`7d`); a window may be `lifetime`.

    `via` names, for join keys of the features that it reads, the features whose values they are.
    """

    name: str
    expression: Expression
    window: str | None = None
    tail_hop: str | None = None
    offset: str | None = None
    rows: int | None = None
    min_rows: int | None = None
    default: Any = None
    via: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        nodes = walk(self.expression)
        if self.window is not None:
            return "windowed"
        if self.rows is not None or any(
            isinstance(n, (Aggregate, Over, Lag, Ema, Wma)) for n in nodes
        ):
            return "sequence"
        return "derived" if any(isinstance(n, Input) for n in nodes) else "lookup"

    @property
    def inputs(self) -> list[str]:
        return [node.name for node in walk(self.expression) if isinstance(node, Input)]


@dataclass(frozen=True)
class View:
    """Features over one source, keyed by `keys`; without `ticks` it is evaluated at every instant.

    `ttl` and `data_delay` are durations.
    """

    name: str
    features: tuple[Feature, ...]
    source: Source | None = None
    keys: tuple[str, ...] = ()
    ticks: Ticks | None = None
    data_delay: str = "0s"
    ttl: str | None = None


@dataclass(frozen=True)
class Ref:
    """A requested feature: the name of its column, and how the spine calls its join keys."""

    feature: str
    alias: str | None = None
    join_keys: Mapping[str, str] = field(default_factory=dict)

    @property
    def output(self) -> str:
        return self.alias or self.feature
