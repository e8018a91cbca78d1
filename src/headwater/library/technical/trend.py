"""Wilder's true range and directional movement."""

from __future__ import annotations

from headwater.definitions.feature import Feature
from headwater.library.technical.bars import FIRST, Bars, check, indicator


def atr(bars: Bars, n: int = 14, *, name: str | None = None) -> Feature:
    """Average true range.

    Formula: Wilder's average over n of the true range: the greatest of high - low,
    |high - close before|, |low - close before|; beginning with the mean of the first n.
    Unit: a price.
    Null: until n + 1 bars exist, since the first has no close before it; where a price is null.
    TA-Lib: ATR.
    Source: Wilder (1978), section III.
    """
    check("atr: n", n)
    text = bars.level(f"wilder({bars.true_range}, {n})")
    return indicator(name or f"atr_{n}", text, f"Average true range, {n} bars (Wilder)")


def adx(bars: Bars, n: int = 14, *, name: str | None = None) -> tuple[Feature, Feature, Feature]:
    """Average directional index: the index itself, `_plus_di` and `_minus_di`.

    Formula: +DM is the rise of the high where it is above 0 and above the fall of the low, else 0;
    -DM the other way round. +DI = 100 * W(+DM) / W(true range), DX = 100 * |+DI - -DI| /
    (+DI + -DI), ADX = W(DX), where W is Wilder's average over n. As in TA-Lib the first bar counts
    as one without movement and range, so that W begins with n - 1 movements; Wilder's own sheet
    begins with n. The difference fades with (1 - 1 / n) per bar.
    Unit: 0 to 100.
    Null: the DIs until n + 1 bars exist, the ADX until there are 2 * n; where a price is null; the
    DIs where there was no range, and the ADX where nothing has moved.
    TA-Lib: ADX, PLUS_DI, MINUS_DI; where there was no range it gives 0 and the last ADX.
    Source: Wilder (1978), section IV.
    """
    check("adx: n", n)
    base = name or f"adx_{n}"
    plus, minus, ranges = (f"wilder({text}, {n})" for text in _movements(bars))
    dx = f"100 * abs({plus} - {minus}) / nullif({plus} + {minus}, 0)"
    later = f"CASE WHEN count(*) OVER (ROWS {n} PRECEDING) > {n} THEN {dx} END"
    up, down = (f"100 * {part} / nullif({ranges}, 0)" for part in (plus, minus))
    return (
        indicator(base, f"wilder({later}, {n})", f"Average directional index, {n} bars"),
        indicator(f"{base}_plus_di", up, "Share of rises in the true range", rows=n + 1),
        indicator(f"{base}_minus_di", down, "Share of falls in the true range", rows=n + 1),
    )


def _movements(bars: Bars) -> tuple[str, str, str]:
    """+DM, -DM and the true range, each 0 on the first bar."""
    up, down = f"({bars.h} - lag({bars.h}))", f"(lag({bars.l}) - {bars.l})"
    none = f"WHEN {up} + {down} IS NOT NULL THEN 0.0"
    return (
        f"CASE WHEN {FIRST} THEN 0.0 WHEN {up} > {down} AND {up} > 0 THEN {up} {none} END",
        f"CASE WHEN {FIRST} THEN 0.0 WHEN {down} > {up} AND {down} > 0 THEN {down} {none} END",
        f"CASE WHEN {FIRST} THEN 0.0 ELSE {bars.true_range} END",
    )
