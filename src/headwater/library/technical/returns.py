"""Returns of the close."""

from __future__ import annotations

from headwater.definitions.feature import Feature
from headwater.library.technical.bars import Bars, check, indicator


def simple_return(bars: Bars, n: int = 1, *, name: str | None = None) -> Feature:
    """Simple return over n bars.

    Formula: close / close[n bars before] - 1; with `factor` the total return.
    Unit: a fraction, 0.01 is 1 %.
    Null: on the first n bars; where either close is null or the earlier one is 0.
    TA-Lib: ROCP; it gives 0 after a price of 0.
    Source: Campbell, Lo, MacKinlay, The Econometrics of Financial Markets (1997), 1.4.
    """
    check("simple_return: n", n)
    text = simple(bars, n)
    return indicator(name or f"return_{n}", text, f"Simple return of the close over {n} bars")


def log_return(bars: Bars, n: int = 1, *, name: str | None = None) -> Feature:
    """Logarithmic return over n bars.

    Formula: ln(close / close[n bars before]).
    Unit: a natural logarithm; returns of neighbouring bars add up.
    Null: on the first n bars; where either close is null or not above 0.
    TA-Lib: none.
    Source: Campbell, Lo, MacKinlay (1997), 1.4.
    """
    check("log_return: n", n)
    text = logarithmic(bars, n)
    return indicator(name or f"log_return_{n}", text, f"Log return of the close over {n} bars")


def simple(bars: Bars, n: int = 1) -> str:
    return f"{bars.c} / nullif(lag({bars.c}, {n}), 0) - 1"


def logarithmic(bars: Bars, n: int = 1) -> str:
    before = f"lag({bars.c}, {n})"
    return f"CASE WHEN {bars.c} > 0 AND {before} > 0 THEN ln({bars.c} / {before}) END"
