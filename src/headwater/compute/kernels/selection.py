"""The k-th smallest of many windows at once: a descent over the bits of ranks.

This is the wavelet matrix of Claude, Navarro and Ordóñez ("The wavelet matrix", 2015), walked
level by level, so that only one level is held. Counts of rows may be subtracted, so a window may
also be what one prefix of rows adds less what another prefix takes away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headwater.compute.kernels.rows import Int64
from headwater.compute.kernels.sorting import order_by

Ranks = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Ranking:
    """The rank of each row among the rows of its group, and the rows in ranked order."""

    rank: Ranks
    at: Int64
    begin: Int64

    @property
    def bits(self) -> int:
        return int(np.diff(self.begin).max(initial=0)).bit_length()

    def row(self, group: Int64, rank: Int64) -> Int64:
        found: Int64 = self.at[self.begin[group] + rank]
        return found


def rank_by_position(begin: Int64) -> Ranking:
    at = np.arange(begin[-1])
    return Ranking((at - _own_begin(begin)).astype(np.int32), at, begin)


def rank_by_code(codes: Int64, begin: Int64) -> Ranking:
    """Rank the rows of each group by code, equal ones by position."""
    group = np.repeat(np.arange(len(begin) - 1), np.diff(begin))
    at = order_by(group, codes)
    rank = np.empty(len(at), dtype=np.int32)
    rank[at] = np.arange(len(at)) - _own_begin(begin)
    return Ranking(rank, at, begin)


def rank_by_label(label: Int64, begin: Int64) -> Ranking:
    """Rank the rows of each group by label, equal ones alike; rows are the labels themselves.

    Labels are numbered from 0, those of each group behind those of the group before it.
    """
    labels = int(label.max(initial=-1)) + 1
    group = np.repeat(np.arange(len(begin) - 1), np.diff(begin))
    edges = np.zeros(len(begin), dtype=np.int64)
    np.maximum.at(edges, group + 1, label + 1)
    np.maximum.accumulate(edges, out=edges)
    rank = (label - edges[group]).astype(np.int32)
    return Ranking(rank, np.arange(labels), edges)


def kth_ranks(
    ranks: tuple[Ranks, Ranks], places: tuple[Int64, Int64], k: Int64, bits: int
) -> Int64:
    """The k-th smallest rank (from 0) among what a window adds less what it takes away.

    With `added, taken = ranks`, a window holds `added[:places[0]]` without `taken[:places[1]]`.
    Both hold the same ranks, perhaps in another order; pass the same array twice
    for windows that are ranges. Every window must hold more than k ranks.
    O(len(added) * bits + windows * bits).
    """
    (added, taken), (added_to, taken_to) = ranks, places
    found = np.zeros(len(k), dtype=np.int64)
    for bit in range(bits - 1, -1, -1):
        is_range = added is taken
        zeros, added = _part(added, bit)
        taken_zeros, taken = (zeros, added) if is_range else _part(taken, bit)
        upper, lower = zeros[added_to], taken_zeros[taken_to]
        smaller = upper - lower
        is_right = k >= smaller
        k = np.where(is_right, k - smaller, k)
        added_to = np.where(is_right, zeros[-1] + added_to - upper, upper)
        taken_to = np.where(is_right, zeros[-1] + taken_to - lower, lower)
        found |= is_right.astype(np.int64) << bit
    return found


def _part(ranks: Ranks, bit: int) -> tuple[Ranks, Ranks]:
    """Zeros of a bit before each place, and the ranks with zeros moved before ones, stably."""
    is_zero = (ranks & np.int32(1 << bit)) == 0
    zeros = np.zeros(len(ranks) + 1, dtype=np.int32)
    np.cumsum(is_zero, out=zeros[1:], dtype=np.int32)
    return zeros, np.concatenate([ranks[is_zero], ranks[~is_zero]])


def _own_begin(begin: Int64) -> Int64:
    return np.repeat(begin[:-1], np.diff(begin))
