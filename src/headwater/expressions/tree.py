"""The tree of an expression: our own few nodes, frozen, ready for JSON and MessagePack."""

from __future__ import annotations

import msgspec

Scalar = bool | int | float | str | None


class Literal(msgspec.Struct, frozen=True, tag="literal"):
    """A constant and its type; a null has the type `null`.

    A timestamp is held as microseconds since the epoch, a date as days since it, bytes as hex.
    """

    value: Scalar
    dtype: str


class Column(msgspec.Struct, frozen=True, tag="column"):
    """A name: a source's column or a feature; what it is, the analysis decides."""

    name: str


class Call(msgspec.Struct, frozen=True, tag="call"):
    """A function or operator of the allow-list, by its canonical lower-case name."""

    name: str
    args: tuple[Node, ...] = ()


class Pack(msgspec.Struct, frozen=True, tag="pack"):
    """A struct out of values, each under its name."""

    names: tuple[str, ...]
    values: tuple[Node, ...]


class Case(msgspec.Struct, frozen=True, tag="case"):
    """CASE WHEN: (condition, value) pairs in order, then the value otherwise."""

    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node | None = None


class Cast(msgspec.Struct, frozen=True, tag="cast"):
    """CAST, or TRY_CAST, to one of our types."""

    arg: Node
    dtype: str
    is_try: bool = False


class Aggregate(msgspec.Struct, frozen=True, tag="aggregate"):
    """An aggregate over a window or a frame of rows; `count(*)` has no argument.

    `parameters` holds constants: the fraction of a quantile, the k of last-k.
    """

    name: str
    args: tuple[Node, ...] = ()
    distinct: bool = False
    where: Node | None = None
    parameters: tuple[Scalar, ...] = ()


class Over(msgspec.Struct, frozen=True, tag="over"):
    """An aggregate with a frame of its own: the last `rows` rows, the current one included.

    None means all rows of the key up to the current one.
    """

    aggregate: Aggregate
    rows: int | None = None


Node = Literal | Column | Call | Pack | Case | Cast | Aggregate | Over
