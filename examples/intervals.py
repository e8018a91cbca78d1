"""Charts of estimates with their intervals as SVG: one column each, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from charts import COLOURS, LEFT, RIGHT, STYLE, TOP, WIDTH

HEIGHT, BOTTOM = 360, 44


@dataclass(frozen=True)
class Estimate:
    """A raw rate and the smoothed one with its interval, all as fractions, of so many trials."""

    trials: int
    raw: float
    smoothed: float
    low: float
    high: float


def chart(title: str, below: str, found: Sequence[Estimate], mean: float, most: float) -> str:
    """The SVG of estimates; raw rates above `most` are marked at the upper edge."""
    height = TOP + HEIGHT + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text class="title" x="{LEFT}" y="18">{escape(title)}</text>',
        *_legend(),
        *_axis(most),
        *_mean(mean, most),
    ]
    for place, one in enumerate(found):
        parts += _column(LEFT + (WIDTH - LEFT - RIGHT) * (place + 0.5) / len(found), one, most)
    parts.append(f'<text x="{LEFT}" y="{height - 6}">{escape(below)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _y(value: float, most: float) -> float:
    return TOP + HEIGHT * (1 - min(value, most) / most)


def _mean(mean: float, most: float) -> Iterator[str]:
    y, end = _y(mean, most), WIDTH - RIGHT
    yield f'<path d="M{LEFT} {y:.1f}H{end}" stroke="#7f7f7f" stroke-dasharray="4 3"/>'
    yield f'<text x="{end}" y="{y - 4:.1f}" text-anchor="end">mean of the prior {mean:.2%}</text>'


def _legend() -> Iterator[str]:
    for place, name in enumerate(("smoothed, with its interval", "raw")):
        x = WIDTH - RIGHT - 150 * place
        yield f'<text x="{x}" y="18" text-anchor="end" style="fill:{COLOURS[place]}">{name}</text>'


def _axis(most: float) -> Iterator[str]:
    for step in range(6):
        y = _y(most * step / 5, most)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{most * step / 5:.1%}</text>'


def _column(x: float, one: Estimate, most: float) -> Iterator[str]:
    blue, orange = COLOURS[0], COLOURS[1]
    low, high = _y(one.low, most), _y(one.high, most)
    bar = f'stroke="{blue}" opacity=".35" stroke-width="3"'
    yield f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" {bar}/>'
    yield f'<circle cx="{x:.1f}" cy="{_y(one.smoothed, most):.1f}" r="3" fill="{blue}"/>'
    if one.raw > most:
        yield (
            f'<path d="M{x - 4:.1f} {TOP + 8}L{x:.1f} {TOP}L{x + 4:.1f} {TOP + 8}Z" '
            f'fill="{orange}"/><text x="{x:.1f}" y="{TOP - 4}" text-anchor="middle" '
            f'style="font-size:9px;fill:{orange}">{one.raw:.0%}</text>'
        )
    else:
        y = _y(one.raw, most)
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="none" stroke="{orange}"/>'
    yield (
        f'<text x="{x:.1f}" y="{TOP + HEIGHT + 14}" text-anchor="middle" style="font-size:8px">'
        f"{one.trials}</text>"
    )
