"""Channels around the price: an upper and a lower line, and what lies between."""

from __future__ import annotations

from headwater.definitions.feature import Feature
from headwater.errors import DefinitionError
from headwater.library.technical.bars import Bars, check, indicator

Features = tuple[Feature, ...]


def bollinger(bars: Bars, n: int = 20, width: float = 2.0, *, name: str | None = None) -> Features:
    """Bollinger bands: `_middle`, `_upper`, `_lower`, and the place of the close, `_percent_b`.

    Formula: m = mean of n closes, s = their deviation (of the population, as Bollinger says);
    m, m + width * s, m - width * s; %b = (close - lower) / (upper - lower).
    Unit: prices; %b is a fraction, 0 at the lower and 1 at the upper band.
    Null: until n bars exist; %b where the n closes are equal.
    TA-Lib: BBANDS with the same nbdevup and nbdevdn, and MA_Type.SMA. %b: none.
    Source: Bollinger, Bollinger on Bollinger Bands (2001).
    """
    check("bollinger: n", n, 2)
    base = name or f"bollinger_{n}"
    mean, spread = (
        f"avg({bars.c})",
        f"{_positive('bollinger: width', width)} * stddev_pop({bars.c})",
    )
    place = f"({bars.c} - {mean} + {spread}) / nullif(2 * {spread}, 0)"
    lines = {
        "middle": (bars.level(mean), f"Mean close of {n} bars"),
        "upper": (bars.level(f"{mean} + {spread}"), f"{width} deviations above the mean"),
        "lower": (bars.level(f"{mean} - {spread}"), f"{width} deviations below the mean"),
        "percent_b": (place, "Place of the close between the bands"),
    }
    return tuple(indicator(f"{base}_{line}", *what, rows=n) for line, what in lines.items())


def donchian(bars: Bars, n: int = 20, *, name: str | None = None) -> Features:
    """Donchian channel: `_upper`, `_lower`, `_middle`.

    Formula: the greatest high and the least low of the last n bars, this one included, and their
    mean.
    Unit: prices.
    Null: until n bars exist.
    TA-Lib: MAX of the highs, MIN of the lows, MIDPRICE.
    Source: Donchian, High Finance in Copper, Financial Analysts Journal 16 (1960).
    """
    check("donchian: n", n)
    base = name or f"donchian_{n}"
    high, low = f"max({bars.h})", f"min({bars.l})"
    lines = {
        "upper": (bars.level(high), f"Greatest high of {n} bars"),
        "lower": (bars.level(low), f"Least low of {n} bars"),
        "middle": (bars.level(f"({high} + {low}) / 2"), f"Middle of the range of {n} bars"),
    }
    return tuple(indicator(f"{base}_{line}", *what, rows=n) for line, what in lines.items())


def keltner(
    bars: Bars, n: int = 20, ranges: int = 10, width: float = 2.0, *, name: str | None = None
) -> Features:
    """Keltner channel: `_middle`, `_upper`, `_lower`.

    Formula: m = EMA of the close over n bars, r = ATR over `ranges` bars; m, m + width * r,
    m - width * r.
    Unit: prices.
    Null: the middle until n bars exist, the lines also until there are `ranges` + 1.
    TA-Lib: none; the channel is EMA and ATR of TA-Lib put together.
    Source: Keltner, How to Make Money in Commodities (1960), in Linda Raschke's form with the ATR.
    """
    check("keltner: n", n)
    check("keltner: ranges", ranges)
    base = name or f"keltner_{n}"
    middle = f"ema({bars.c}, {n})"
    spread = f"{_positive('keltner: width', width)} * wilder({bars.true_range}, {ranges})"
    lines = {
        "middle": (bars.level(middle), f"Exponential average of the close, {n} bars"),
        "upper": (bars.level(f"{middle} + {spread}"), f"{width} mean ranges above it"),
        "lower": (bars.level(f"{middle} - {spread}"), f"{width} mean ranges below it"),
    }
    return tuple(indicator(f"{base}_{line}", *what) for line, what in lines.items())


def _positive(what: str, number: float) -> float:
    if not number > 0:
        raise DefinitionError(f"{what} should be above 0, is {number!r}")
    return float(number)
