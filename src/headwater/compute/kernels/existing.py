"""The facts that exist at one instant, key by key in C4's order (C3), and since when they do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headwater.compute.kernels.rows import Bool, Int64, Rows
from headwater.compute.kernels.sorting import order_by, run_begins, starts_of_runs


@dataclass(frozen=True, eq=False)
class Existing:
    """Rows of the caller that exist at an instant, sorted by key and C4's order.

    `segment` numbers the keys that have any from 0. For each of these `key` is its code and
    `known_at` when the last row's value, as C7 computes it, became known.
    """

    row: Int64
    segment: Int64
    key: Int64
    known_at: Int64


def existing_at(rows: Rows, instant: int) -> Existing:
    """What there is of some keys at an instant: of each id the version known last, and of these
    the rows that have happened. O(rows) beyond the sort.
    """
    known = np.flatnonzero(rows.available_at <= instant)
    order = known[order_by(rows.key[known], rows.order[known])]
    since = rows.available_at[order]
    is_old = np.zeros(len(order), dtype=np.bool_)
    if rows.fact is not None:
        is_old, since = _replaced(rows.fact[order], since)
    place = np.flatnonzero((rows.event_time[order] <= instant) & ~is_old)
    row = order[place]
    begin = run_begins(rows.key[row])
    last = place[begin[1:] - 1]
    key = rows.key[row[begin[:-1]]]
    segment = np.repeat(np.arange(len(key)), np.diff(begin))
    return Existing(row, segment, key, _greatest(rows.key[order], since, last))


def _replaced(fact: Int64, known_at: Int64) -> tuple[Bool, Int64]:
    """Of rows in C4's order those that a newer version of their id has replaced, and from when on
    each stands, or has gone.
    """
    is_old, since = np.zeros(len(fact), dtype=np.bool_), known_at.copy()
    named = np.flatnonzero(fact >= 0)
    versions = named[order_by(fact[named], known_at[named])]
    is_same = ~starts_of_runs(fact[versions])[1:]
    old, new = versions[:-1][is_same], versions[1:][is_same]
    is_old[old] = True
    since[old] = known_at[new]
    return is_old, since


def _greatest(key: Int64, since: Int64, last: Int64) -> Int64:
    """The greatest of the instants of a key up to each of the given last places, one a key."""
    if len(last) == 0:
        return since[:0]
    begin = np.searchsorted(key, key[last])
    edges = np.stack([begin, last + 1], axis=1).reshape(-1)
    padded = np.append(since, since[:1])  # an edge may lie behind the last row
    found: Int64 = np.maximum.reduceat(padded, edges)[::2]
    return found
