"""Indicators in plain Python, bar by bar, straight from their formulas. Nothing is shared."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise

Bar = dict[str, float]
Value = float | None


def typical(bar: Bar) -> float:
    return (bar["high"] + bar["low"] + bar["close"]) / 3


def vwap(bars: Sequence[Bar], n: int = 20) -> Value:
    last = bars[-n:]
    shares = sum(bar["volume"] for bar in last)
    if len(bars) < n or shares == 0:
        return None
    return math.fsum(typical(bar) * bar["volume"] for bar in last) / shares


def returns(bars: Sequence[Bar], n: int) -> list[float]:
    closes = [bar["close"] for bar in bars[-n - 1 :]]
    return [after / before - 1 for before, after in pairwise(closes)]


def volatility(bars: Sequence[Bar], n: int = 20) -> Value:
    if len(bars) <= n:
        return None
    logs = [math.log1p(change) for change in returns(bars, n)]
    return statistics.stdev(logs) * math.sqrt(252)


def sharpe(bars: Sequence[Bar], n: int = 60) -> Value:
    if len(bars) <= n:
        return None
    found = returns(bars, n)
    spread = statistics.stdev(found)
    return None if spread == 0 else statistics.mean(found) / spread * math.sqrt(252)


def max_drawdown(bars: Sequence[Bar], n: int = 252) -> Value:
    if len(bars) < n:
        return None
    peak, depths = -math.inf, []
    for bar in bars:
        peak = max(peak, bar["close"])
        depths.append(bar["close"] / peak - 1)
    return min(depths[-n:])


PLAIN: dict[str, Callable[[Sequence[Bar]], Value]] = {
    "vwap_20": vwap,
    "volatility_20": volatility,
    "sharpe_60": sharpe,
    "max_drawdown_252": max_drawdown,
}
