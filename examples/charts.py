"""Charts of daily series as SVG: panels below one another, over one axis of days."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

Series = Sequence[float | None]
WIDTH, LEFT, RIGHT, TOP, GAP = 960, 56, 16, 40, 26
COLOURS = ("#1f4e79", "#c55a11", "#548235", "#7f7f7f")
STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#333}.title{font-weight:600}"
    ".grid{stroke:#ddd;stroke-width:1}.line{fill:none;stroke-width:1.3}"
)


@dataclass(frozen=True)
class Panel:
    """Lines over the same days; a band is filled between two lines, bars stand on zero."""

    title: str
    lines: Mapping[str, Series]
    height: int = 120
    band: tuple[Series, Series] | None = None
    bars: Series | None = None
    guides: Sequence[float] = field(default=())

    def bounds(self) -> tuple[float, float]:
        given = [*self.lines.values(), *(self.band or ()), *([self.bars] if self.bars else [])]
        known = [value for series in given for value in series if value is not None]
        known += self.guides
        low, high = min(known, default=0.0), max(known, default=1.0)
        margin = (high - low) * 0.05 or 1.0
        return low - margin, high + margin


def chart(title: str, days: Sequence[dt.date], panels: Sequence[Panel]) -> str:
    """The SVG of some panels; a missing value is a gap in its line."""
    height = TOP + sum(panel.height + GAP for panel in panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="title" x="{LEFT}" y="18">{escape(title)}</text>',
    ]
    top = TOP
    for panel in panels:
        parts += _panel(panel, days, top)
        top += panel.height + GAP
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel, days: Sequence[dt.date], top: int) -> Iterator[str]:
    low, high = panel.bounds()

    def x(place: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * place / max(len(days) - 1, 1)

    def y(value: float) -> float:
        return top + panel.height * (high - value) / (high - low)

    for value in panel.guides or _steps(low, high):
        yield f'<path class="grid" d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>'
    for place, day in _months(days):
        yield f'<path class="grid" d="M{x(place):.1f} {top}v{panel.height}"/>'
        yield f'<text x="{x(place):.1f}" y="{top + panel.height + 13}">{day:%Y-%m}</text>'
    if panel.band is not None:
        upper, lower = (
            [(x(i), y(v)) for i, v in enumerate(s) if v is not None] for s in panel.band
        )
        edge = " ".join(f"{px:.1f},{py:.1f}" for px, py in [*upper, *reversed(lower)])
        yield f'<polygon points="{edge}" fill="#1f4e79" opacity=".12"/>'
    for place, value in enumerate(panel.bars or ()):
        if value is not None:
            yield f'<path d="M{x(place):.1f} {y(0):.1f}V{y(value):.1f}" stroke="#bbb"/>'
    label = LEFT + 8 * len(panel.title)
    yield f'<text class="title" x="{LEFT}" y="{top - 5}">{escape(panel.title)}</text>'
    for colour, (name, series) in zip(COLOURS, panel.lines.items(), strict=False):
        points = [None if v is None else (x(i), y(v)) for i, v in enumerate(series)]
        yield f'<path class="line" stroke="{colour}" d="{_path(points)}"/>'
        yield f'<text x="{label}" y="{top - 5}" style="fill:{colour}">{escape(name)}</text>'
        label += 7 * len(name) + 16


def _steps(low: float, high: float) -> Iterator[float]:
    """Round numbers between two bounds, three to six of them."""
    size = 10 ** math.floor(math.log10((high - low) / 2))
    step = next(size * part for part in (0.5, 1, 2, 5) if (high - low) / (size * part) < 6)
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield number * step


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    """A line through the points; it begins anew behind a missing one."""
    found = []
    begins = True
    for point in points:
        if point is not None:
            found.append(f"{'M' if begins else 'L'}{point[0]:.1f} {point[1]:.1f}")
        begins = point is None
    return "".join(found)


def _months(days: Sequence[dt.date]) -> Iterator[tuple[int, dt.date]]:
    """The first day of every third month."""
    for place, day in enumerate(days):
        before = days[place - 1] if place else day
        if day.month != before.month and day.month % 3 == 1:
            yield place, day
