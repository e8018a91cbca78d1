"""What a compiled request is: plain data that `execute` runs and `wire` writes as JSON."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from headwater.online.codec import Layout
from headwater.online.store import Known


class KeyColumns(NamedTuple):
    """Columns of the request that form a key, in the entity's order, and their types.

    No columns: one row, of a view without entity, answers all rows of the request.
    """

    names: tuple[str, ...]
    dtypes: tuple[str, ...]


class Read(NamedTuple):
    """The rows of one revision under one key. `keys` is a place in `Plan.keys`."""

    revision: str
    layout: Layout
    keys: int


class Said(NamedTuple):
    """What a feature says of a key without rows."""

    value: Any
    status: str
    event_time: dt.datetime | None


class StoredCell(NamedTuple):
    """Values out of column `place` of a read's rows.

    `empty` stands for a missing windowed row, or what `nothing` gives for the published tick.
    `told` are the places of the columns that hold each value's own status and event time.
    """

    place: int
    has_null: Callable[[Sequence[Any]], bool]
    default: Any
    empty: Any
    nothing: Callable[[int], Said] | None = None
    told: tuple[int, int] | None = None


class Group(NamedTuple):
    """Cells of one read that grow old alike: they share times, and statuses but for nulls.

    `tick` is the place of the revision in `Plan.ticks_of` for windowed values, None for others;
    `pick` takes the cells' columns out of all columns of the read. Where cells are `told`, each has
    statuses and times of its own.
    """

    read: int
    tick: int | None
    ttl: dt.timedelta | None
    pick: Callable[[Sequence[Any]], tuple[Any, ...]]
    cells: tuple[StoredCell, ...]
    told: bool = False


class GivenColumn(NamedTuple):
    """A column of the request that holds values for a feature, which names it in errors."""

    name: str
    dtype: str
    feature: str


class DerivedCell(NamedTuple):
    """Values computed from other cells; `run` takes columns of inputs, then of what the request
    gives (places in `Plan.given`), and t last if `takes_t`.

    Its values are no younger than the cells at the places `via`, which gave keys of inputs.
    t is the time of reading, or the tick of the revision at the place `tick` in `Plan.ticks_of`.
    Where one of `keys` (places in `Plan.keys`) has a null part, there is no value.
    """

    run: Callable[[Sequence[Sequence[Any]], int, Collection[int]], list[Any]]
    inputs: tuple[int, ...]
    given: tuple[int, ...]
    keys: tuple[int, ...]
    takes_t: bool
    default: Any
    label: str
    tick: int | None = None
    via: tuple[int, ...] = ()


class Hop(NamedTuple):
    """What is read at values of cells, when these are known: one more round.

    `columns` are the cells whose values `plan` takes as columns of a request, beside those of the
    request itself. Its outputs are the next cells, then come the `derived` ones that read them.
    """

    columns: tuple[tuple[str, int], ...]
    plan: Plan
    derived: tuple[DerivedCell, ...]


class Output(NamedTuple):
    """One answered column: `name` as asked for, what it is, and what it is read by and from."""

    name: str
    cell: int
    feature: str
    view: str
    version: str
    dtype: str
    keys: tuple[int, ...]
    revisions: tuple[str, ...]


class Plan(NamedTuple):
    """A compiled request. The cells of the groups come first, then each derived one after its
    inputs, then those of the hops; a place of a cell is one in this order. `given` are the columns
    of the request that expressions read.

    `stored` are the cells of all groups, `answered` those of the outputs, None where these are all
    cells in their order; `columns` the columns that the request must give, and their types;
    `versions` those of the outputs by name; `views` are (view, number, revision) of what is read,
    in the order of first use; `service` is the one that was asked for by its name. `memo` is where
    an encoder of answers keeps what they have in common, `uses` where requests are counted. A read
    of the rows fails where the document `known` has changed, since the plan is out of date.
    """

    keys: tuple[KeyColumns, ...]
    given: tuple[GivenColumn, ...]
    reads: tuple[Read, ...]
    ticks_of: tuple[str, ...]
    groups: tuple[Group, ...]
    stored: Sequence[StoredCell]
    derived: tuple[DerivedCell, ...]
    outputs: tuple[Output, ...]
    answered: tuple[int, ...] | None
    columns: dict[str, str]
    versions: dict[str, str]
    views: tuple[tuple[str, int, str], ...]
    generation: int
    service: str | None
    memo: dict[Any, Any]
    uses: dict[bytes | None, Any]
    known: Known | None = None
    hops: tuple[Hop, ...] = ()
