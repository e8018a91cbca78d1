"""About how many different values each window holds, from hashes.

This is HyperLogLog (Flajolet, Fusy, Gandouet, Meunier, 2007) with 2048 registers and the improved
estimator of Ertl ("New cardinality estimation algorithms for HyperLogLog sketches", 2017), whose
standard error is 1.04 / sqrt(2048), 2.3 %, over the whole range. A register holds the greatest rank
of the hashes that fall into it; the estimate needs no more of a window than how many registers
reach each rank. That is a count of different registers among the rows of that rank or more, half
as many rows for each rank. Ranks are taken from above: where all registers reach one, they reach
all below, so that the many rows of low rank in large windows are never looked at.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from headwater.compute.kernels.rows import Float64, Int64
from headwater.compute.kernels.seen import Seen
from headwater.compute.kernels.sorting import bit_lengths

BITS = 11
REGISTERS = 1 << BITS
RANKS = 64 - BITS


def approximate_counts(seen: Seen, hashes: Int64) -> Int64:
    """The estimate of each window; 0 in an empty one.

    The same whatever the order of rows. O(rows + ranks * queries), and less where windows are
    large.
    """
    register, rank = _registers(hashes)
    reached = _reached(seen, register, rank)
    return _estimates(*reached)


def _registers(hashes: Int64) -> tuple[Int64, Int64]:
    words = hashes.view(np.uint64)
    register = (words >> np.uint64(RANKS)).astype(np.int64)
    rest = (words & np.uint64((1 << RANKS) - 1)).astype(np.int64)
    return register, np.minimum(RANKS - bit_lengths(rest) + 1, RANKS)


def _reached(seen: Seen, register: Int64, rank: Int64) -> tuple[Int64, Float64]:
    """For each window how many registers are used, and the sum of 2**-rank over these."""
    levels = [(seen, register)]
    while len(rank := rank[high := rank > len(levels)]):
        before, registers = levels[-1]
        levels.append((before.keep(high), registers[high]))
    windows = len(seen.counts())
    count = np.zeros(windows, dtype=np.int64)
    total = np.zeros(windows)
    is_open = np.ones(windows, dtype=np.bool_)
    for level in range(len(levels), 0, -1):
        part, registers = levels[level - 1]
        mask = part.seen_by(is_open)
        if not mask.all():
            part, registers = part.keep(mask), registers[mask]
        count = np.where(is_open, part.distinct(registers), REGISTERS)
        is_open &= count < REGISTERS
        total += count * (0.5 if level == 1 else -(0.5**level))
    return count, total


def _estimates(used: Int64, total: Float64) -> Int64:
    free = _free_terms()[REGISTERS - used]
    with np.errstate(divide="ignore"):
        found = (REGISTERS * REGISTERS / (2 * math.log(2))) / (total + REGISTERS * free)
    return np.rint(found).astype(np.int64)


@cache
def _free_terms() -> Float64:
    """What registers that no hash fell into add, by their number: Ertl's sigma."""
    return np.array([_sigma(free / REGISTERS) for free in range(REGISTERS + 1)])


def _sigma(share: float) -> float:
    """The sum of share**(2**k) * 2**(k - 1) over k, from the share itself on."""
    if share == 1.0:
        return math.inf
    total, power, weight = share, share, 1.0
    while True:
        power *= power
        before, total = total, total + power * weight
        if total == before:
            return total
        weight += weight
