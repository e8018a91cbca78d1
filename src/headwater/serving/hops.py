"""Runs a compiled request that reads at values of features: one more round of reads a hop."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple

from headwater.online.store import Reads, Rows, Ticks
from headwater.serving.execute import (
    Cell,
    Prepared,
    add_derived,
    all_settled,
    answered,
    group_cells,
    prepare_keys,
    reads,
    settled,
)
from headwater.serving.plan import Hop, Plan

Columns = Mapping[str, Sequence[Any]]


class Wanted(NamedTuple):
    """What the store has to read for one round, in one transaction."""

    reads: Reads
    ticks_of: Sequence[str]


class Done(NamedTuple):
    """The cells of a plan's outputs, and the time (microseconds) as of which they are."""

    cells: list[Cell]
    now: int


Rounds = Generator[Wanted, tuple[Rows, Ticks], Done]
"""Asks for rounds of reads, is sent what they found, and gives the answer."""


def rounds(
    plan: Plan,
    prepared: Prepared,
    columns: Columns,
    count: int,
    clock: Callable[[], int],
) -> Rounds:
    """Run a plan for `count` rows. All that is read at values of one stage is read in one round;
    the time is that after the first.
    """
    found = yield Wanted(reads(plan, prepared[0]), plan.ticks_of)
    now = clock()
    cells = all_settled(plan.stored, group_cells(plan, prepared[0], found, now), count)
    add_derived(cells, plan.derived, prepared, found[1], count, now)
    for hop in plan.hops:
        cells += yield from _hop(hop, cells, columns, count, now)
        add_derived(cells, hop.derived, prepared, found[1], count, now)
    return Done(answered(plan, cells), now)


def _hop(
    hop: Hop, cells: Sequence[Cell], columns: Columns, count: int, now: int
) -> Generator[Wanted, tuple[Rows, Ticks], list[Cell]]:
    given = {**columns, **{name: cells[place][0] for name, place in hop.columns}}
    prepared = prepare_keys(hop.plan, given, count)
    done = yield from rounds(hop.plan, prepared, given, count, lambda: now)
    return settled(hop.plan, done.cells, count)
