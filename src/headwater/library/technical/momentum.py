"""How fast the price moves."""

from __future__ import annotations

from headwater.definitions.feature import Feature
from headwater.errors import DefinitionError
from headwater.library.technical.bars import Bars, check, indicator


def momentum(bars: Bars, n: int = 10, *, name: str | None = None) -> Feature:
    """Momentum: the change of the close over n bars.

    Formula: close - close[n bars before].
    Unit: a price.
    Null: on the first n bars; where either close is null.
    TA-Lib: MOM.
    Source: Murphy (1999), ch. 10.
    """
    check("momentum: n", n)
    text = bars.level(f"{bars.c} - lag({bars.c}, {n})")
    return indicator(name or f"momentum_{n}", text, f"Change of the close over {n} bars")


def roc(bars: Bars, n: int = 10, *, name: str | None = None) -> Feature:
    """Rate of change of the close over n bars.

    Formula: 100 * (close / close[n bars before] - 1).
    Unit: per cent.
    Null: on the first n bars; where either close is null or the earlier one is 0.
    TA-Lib: ROC; it gives 0 after a price of 0.
    Source: Murphy (1999), ch. 10.
    """
    check("roc: n", n)
    text = f"100 * ({bars.c} / nullif(lag({bars.c}, {n}), 0) - 1)"
    return indicator(name or f"roc_{n}", text, f"Change of the close over {n} bars in per cent")


def rsi(bars: Bars, n: int = 14, *, name: str | None = None) -> Feature:
    """Relative strength index.

    Formula: 100 * g / (g + l), g and l Wilder's averages over n of the gains and losses of the
    close, beginning with the mean of the first n.
    Unit: 0 to 100.
    Null: until n + 1 closes exist; where the close or that before it is null; where the close has
    not moved yet.
    TA-Lib: RSI; where the close has not moved it gives 0.
    Source: Wilder, New Concepts in Technical Trading Systems (1978), section VI.
    """
    check("rsi: n", n)
    change = f"({bars.c} - lag({bars.c}))"
    gain = f"wilder((abs({change}) + {change}) / 2, {n})"
    loss = f"wilder((abs({change}) - {change}) / 2, {n})"
    text = f"100 * {gain} / nullif({gain} + {loss}, 0)"
    return indicator(name or f"rsi_{n}", text, f"Relative strength index, {n} bars (Wilder)")


def macd(
    bars: Bars, fast: int = 12, slow: int = 26, signal: int = 9, *, name: str | None = None
) -> tuple[Feature, Feature, Feature]:
    """Moving average convergence/divergence: the line itself, `_signal` and `_histogram`.

    Formula: line = EMA(fast) - EMA(slow) of the close, signal = EMA(line, signal),
    histogram = line - signal. As in TA-Lib both averages begin at the same bar: that of `fast` with
    the mean of the last `fast` of the first `slow` closes. The difference to a fast average that
    began earlier fades with (1 - 2 / (fast + 1)) per bar.
    Unit: prices.
    Null: the line until `slow` bars exist, the others until there are `slow` + `signal` - 1.
    TA-Lib: MACD; it gives the line, too, only where there is a signal.
    Source: Appel, The Moving Average Convergence-Divergence Trading Method (1985).
    """
    for what, number in (("fast", fast), ("slow", slow), ("signal", signal)):
        check(f"macd: {what}", number)
    if fast >= slow:
        raise DefinitionError(f"macd: fast should be below slow, is {fast} and {slow}")
    base = name or f"macd_{fast}_{slow}_{signal}"
    late = (
        f"CASE WHEN count(*) OVER (ROWS {slow - fast} PRECEDING) > {slow - fast} THEN {bars.c} END"
    )
    line = f"(ema({late}, {fast}) - ema({bars.c}, {slow}))"
    average = f"ema({line}, {signal})"
    return (
        indicator(base, bars.level(line), "Fast less slow exponential average of the close"),
        indicator(f"{base}_signal", bars.level(average), "Exponential average of the MACD line"),
        indicator(f"{base}_histogram", bars.level(f"{line} - {average}"), "MACD less its signal"),
    )
