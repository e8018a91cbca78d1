"""The columns of price bars, and how indicators are written over them."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.definitions.feature import Feature
from headwater.errors import DefinitionError
from headwater.library.columns import grouped

FIRST = "count(*) OVER (ROWS 1 PRECEDING) = 1"
"""True on the first bar of a key."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Where a source has high, low, close and volume: columns, or expressions over columns.

    Prices are those as traded. Where shares split or pay dividends, `factor` is the vendor's
    cumulative adjustment factor (`"adj_close / close"`, or a column): every price is multiplied
    by it, and a price level is divided by that of its own bar. So a level is in the money of its
    own day, and only what happened between the bars of the indicator counts, all of it known by
    then; that the vendor restates factors after later splits changes nothing. Volume stays as
    traded.
    """

    high: str = "high"
    low: str = "low"
    close: str = "close"
    volume: str = "volume"
    factor: str | None = None

    @property
    def h(self) -> str:
        return self._price(self.high)

    @property
    def l(self) -> str:  # noqa: E743 - the letters of the formulas
        return self._price(self.low)

    @property
    def c(self) -> str:
        return self._price(self.close)

    @property
    def v(self) -> str:
        return grouped(self.volume)

    @property
    def typical(self) -> str:
        """The mean of high, low and close."""
        return f"(({self.h} + {self.l} + {self.c}) / 3)"

    @property
    def true_range(self) -> str:
        """The range of a bar and the close before it; null on the first bar (Wilder 1978)."""
        before = f"lag({self.c})"
        return (
            f"CASE WHEN {self.h} + {self.l} + {before} IS NOT NULL THEN greatest("
            f"{self.h} - {self.l}, abs({self.h} - {before}), abs({self.l} - {before})) END"
        )

    def level(self, expression: str) -> str:
        """A price in the money of its own bar."""
        if self.factor is None:
            return expression
        return f"({expression}) / {grouped(self.factor)}"

    def _price(self, column: str) -> str:
        if self.factor is None:
            return grouped(column)
        return f"({grouped(column)} * {grouped(self.factor)})"


def indicator(name: str, expression: str, description: str, *, rows: int | None = None) -> Feature:
    """A feature of the library; `rows` is the number of bars that it needs."""
    return Feature(
        name,
        expression,
        rows=rows,
        description=description,
        tags=["technical"],
        feature_type="technical_indicator",
        value_kind="numerical",
    )


def over(expression: str, rows: int) -> str:
    """An aggregate over the last `rows` bars."""
    return f"{expression} OVER (ROWS {rows - 1} PRECEDING)"


def check(what: str, number: int, least: int = 1) -> int:
    """A number of bars. Raises DefinitionError where it is too small."""
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise DefinitionError(
            f"{what} should be a whole number of bars, at least {least}; is {number!r}"
        )
    return number
