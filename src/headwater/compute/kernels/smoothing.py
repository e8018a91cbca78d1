"""Exponential smoothing as TA-Lib does it: EMA and Wilder's moving average."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headwater.compute.kernels.exact import float_sums
from headwater.compute.kernels.rows import Bool, Column, Float64, Int64, Values
from headwater.compute.kernels.sorting import run_begins

_FEW = 32  # segments below which a loop over numbers beats one over arrays


def smooth(
    segment: Int64,
    values: Values,
    valid: Bool | None,
    n: int,
    alpha: float,
    *,
    origin: Int64 | None = None,
) -> Column:
    """Smoothed values of each segment: previous + alpha * (x - previous).

    The n-th value that is not null gives the mean of the first n (their exact sum, rounded once,
    over n); earlier ones and nulls give null, and a null leaves the state as it was. With the
    `origin` of a Replay, an entry that stands for an earlier one carries its state on, which makes
    the result independent of the replay's context.
    """
    smoothing = _Smoothing(segment, values.astype(np.float64), valid, n, alpha)
    if origin is None:
        origin = np.full(len(segment), -1, dtype=np.int64)
    late = np.flatnonzero(origin[smoothing.begin[:-1]] >= 0)
    smoothing.run_whole()
    for number in late.tolist():
        smoothing.run_late(number, origin)
    return Column(smoothing.state, smoothing.given & (smoothing.count >= n))


@dataclass(frozen=True, eq=False)
class Smoothed:
    """Of each segment how many values have been given so far, and the state that they have left;
    a state of fewer than n values means nothing.
    """

    count: Int64
    state: Float64


def resume(  # noqa: PLR0917
    segment: Int64, values: Values, valid: Bool | None, n: int, alpha: float, begun: Smoothed
) -> tuple[Column, Smoothed]:
    """`smooth` for segments of which each goes on from a state, and the states that they leave.

    A segment that had fewer than n values begins with those, and its count is 0.
    """
    given = np.ones(len(segment), dtype=np.bool_) if valid is None else valid
    begin, before = run_begins(segment), np.append(0, np.cumsum(given))
    numbers, edges = values.astype(np.float64)[given], before[begin]
    ready = begun.count >= n
    found = _smooth_given(numbers, edges, n, alpha)
    sizes = np.diff(edges)
    goes_on = np.flatnonzero(ready & (sizes > 0))
    goes_on = goes_on[np.argsort(-sizes[goes_on], kind="stable")]
    at, left = edges[goes_on], sizes[goes_on]
    _carry_on(found, numbers, at, left, begun.state[goes_on], alpha)
    count = before[1:] + np.repeat(begun.count - edges[:-1], np.diff(begin))
    smoothed = np.zeros(len(segment))
    smoothed[given] = found
    last = np.where(sizes > 0, found[edges[1:] - 1] if len(found) else 0.0, begun.state)
    return Column(smoothed, given & (count >= n)), Smoothed(begun.count + sizes, last)


class _Smoothing:
    """The state after each entry: how many values were given so far, and the smoothed value."""

    def __init__(
        self, segment: Int64, values: Float64, valid: Bool | None, n: int, alpha: float
    ) -> None:
        self.values, self.n, self.alpha = values, n, alpha
        self.given = np.ones(len(values), dtype=np.bool_) if valid is None else valid
        self.begin = run_begins(segment)
        self.count = np.zeros(len(values), dtype=np.int64)
        self.state = np.zeros(len(values))

    def run_whole(self) -> None:
        """Smooth all segments at once, as if none carried a state on from an earlier one."""
        sizes = np.diff(self.begin)
        before = np.append(0, np.cumsum(self.given))
        self.count = before[1:] - np.repeat(before[self.begin[:-1]], sizes)
        entries = np.flatnonzero(self.given)
        smoothed = _smooth_given(self.values[entries], before[self.begin], self.n, self.alpha)
        # A null keeps the state; where none is given yet, the count says so.
        if len(entries):
            self.state = smoothed[np.maximum(before[1:] - 1, 0)]

    def run_late(self, number: int, origin: Int64) -> None:
        """Smooth one segment from the state that its last repeated entry carries."""
        begin, end = int(self.begin[number]), int(self.begin[number + 1])
        first = begin + int(np.count_nonzero(origin[begin:end] >= 0))
        self.count[begin:first] = self.count[origin[begin:first]]
        self.state[begin:first] = self.state[origin[begin:first]]
        count, state = int(self.count[first - 1]), float(self.state[first - 1])
        counts: list[int] = []
        states: list[float] = []
        rest = slice(first, end)
        for given, x in zip(self.given[rest].tolist(), self.values[rest].tolist(), strict=True):
            if given:
                count += 1
                if count == self.n:
                    state = self._first_mean(first + len(states), origin)
                elif count > self.n:
                    state += self.alpha * (x - state)
            counts.append(count)
            states.append(state)
        self.count[rest], self.state[rest] = counts, states

    def _first_mean(self, entry: int, origin: Int64) -> float:
        """The mean of the first n values up to an entry, gathered through earlier segments."""
        found: list[float] = []
        while len(found) < self.n:
            if origin[entry] >= 0:
                entry = int(origin[entry])
                continue
            if self.given[entry]:
                found.append(float(self.values[entry]))
            entry -= 1
        return float(_means(np.array(found), np.zeros(1, dtype=np.int64), self.n)[0])


def _smooth_given(values: Float64, begin: Int64, n: int, alpha: float) -> Float64:
    """Smooth runs of values without nulls; the first n - 1 of each run mean nothing."""
    found = np.zeros(len(values))
    sizes = np.diff(begin)
    ready = np.flatnonzero(sizes >= n)
    ready = ready[np.argsort(-sizes[ready], kind="stable")]
    at, left = begin[ready] + n, sizes[ready] - n
    state = _means(values, begin[ready], n)
    found[at - 1] = state
    _carry_on(found, values, at, left, state, alpha)
    return found


def _carry_on(  # noqa: PLR0917
    found: Float64, values: Float64, at: Int64, left: Int64, state: Float64, alpha: float
) -> None:
    """Smooth `left` values from each place on, from the states before them; the longest first."""
    longest = int(left.max(initial=0))
    actives = np.searchsorted(-left, -np.arange(longest + 1)).tolist()
    step = 0
    with np.errstate(over="ignore", invalid="ignore"):
        while (active := actives[step]) >= _FEW:
            here = at[:active] + step
            state = state[:active] + alpha * (values[here] - state[:active])
            found[here] = state
            step += 1
    for run in range(active):
        begin_at, end_at = int(at[run]) + step, int(at[run] + left[run])
        found[begin_at:end_at] = _smooth_one(float(state[run]), values[begin_at:end_at], alpha)


def _smooth_one(state: float, values: Float64, alpha: float) -> list[float]:
    found = []
    for x in values.tolist():
        state += alpha * (x - state)
        found.append(state)
    return found


def _means(values: Float64, begin: Int64, n: int) -> Float64:
    """The mean of n values from each place on: the exact sum, rounded once, over n."""

    def totals(numbers: Int64) -> Int64:
        before = np.append(0, np.cumsum(numbers))
        found: Int64 = before[begin + n] - before[begin]
        return found

    return float_sums(values, totals) / n
