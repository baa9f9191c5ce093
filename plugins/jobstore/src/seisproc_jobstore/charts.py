"""Charts as SVG texts that need nothing else: bars, stacked columns, a line. Dark on white, readable when printed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

WIDTH = 680
_INK, _GRID, _ROW, _LABEL = "#1a1a1a", "#d5d5d5", 22, 150
_FONT = f'font-family="Helvetica, Arial, sans-serif" font-size="12" fill="{_INK}"'
# Dark, middle, light: printed in black they can still be told apart.
COLOURS = {"completed": "#1d5238", "failed": "#d9654f", "cancelled": "#cfcfcf"}
PLAIN = "#3b6ea5"


def bars(title: str, values: Sequence[tuple[str, float, str]], colours: Sequence[str] = ()) -> str:
    """Horizontal bars: (name, value, text at its end)."""
    most = max((value for _, value, _ in values), default=0) or 1
    room = WIDTH - _LABEL - 130
    parts = []
    for number, (name, value, shown) in enumerate(values):
        y, length = number * _ROW, max(1.0, room * value / most)
        colour = colours[number] if colours else PLAIN
        parts.append(_text(_LABEL - 8, y + 15, _short(name, 21), "end"))
        parts.append(f'<rect x="{_LABEL}" y="{y + 3}" width="{length:.1f}" height="16" fill="{colour}"/>')
        parts.append(_text(_LABEL + length + 6, y + 15, shown))
    return _svg(title, len(values) * _ROW + 4, parts)


def columns(title: str, names: Sequence[str], series: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Stacked columns, one a name; each series is (what it is, values)."""
    height, left, top = 180, 48, 24
    totals = [sum(values[k] for _, values in series) for k in range(len(names))]
    limit = _round_up(max(totals, default=0))
    step = (WIDTH - left - 8) / max(len(names), 1)
    width = min(40.0, step * 0.8)
    parts = [*_legend([name for name, _ in series], left), *_levels(limit, left, top, height)]
    bases = [0.0] * len(names)
    for name, values in series:
        for k, value in enumerate(values):
            if value:
                x, tall = left + k * step + (step - width) / 2, height * value / limit
                y = top + height - bases[k] - tall
                colour = COLOURS.get(name, PLAIN)
                parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{tall:.1f}" fill="{colour}"/>')
                bases[k] += tall
    return _svg(title, top + height + 24, [*parts, *_names(names, left, step, top + height + 16)])


def line(title: str, names: Sequence[str], values: Sequence[float | None], limit: float, unit: str) -> str:
    """A line with a point for each value; None leaves a gap."""
    height, left, top = 150, 48, 12
    step = (WIDTH - left - 8) / max(len(names), 1)
    parts = _levels(limit, left, top, height, unit)
    before: tuple[float, float] | None = None
    for k, value in enumerate(values):
        here = None
        if value is not None:
            here = (left + (k + 0.5) * step, top + height * (1 - value / limit))
            if before:
                ends = f'x1="{before[0]:.1f}" y1="{before[1]:.1f}" x2="{here[0]:.1f}" y2="{here[1]:.1f}"'
                parts.append(f'<line {ends} stroke="{PLAIN}" stroke-width="2"/>')
            parts.append(f'<circle cx="{here[0]:.1f}" cy="{here[1]:.1f}" r="3" fill="{PLAIN}"/>')
        before = here
    return _svg(title, top + height + 24, [*parts, *_names(names, left, step, top + height + 16)])


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    inside = "".join(parts) or _text(0, 15, "nothing to show")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {max(height, 24):g}" '
        f'width="{WIDTH}" height="{max(height, 24):g}" {_FONT}><title>{escape(title)}</title>{inside}</svg>'
    )


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _legend(names: Sequence[str], left: float) -> list[str]:
    parts = []
    for k, name in enumerate(names):
        x = left + k * 110
        parts.append(f'<rect x="{x}" y="2" width="11" height="11" fill="{COLOURS.get(name, PLAIN)}"/>')
        parts.append(_text(x + 16, 12, name))
    return parts


def _levels(limit: float, left: float, top: float, height: float, unit: str = "") -> list[str]:
    parts = []
    for k in range(5):
        y = top + height * (1 - k / 4)
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{WIDTH - 8}" y2="{y:.1f}" stroke="{_GRID}"/>')
        parts.append(_text(left - 6, y + 4, f"{limit * k / 4:g}{unit}", "end"))
    return parts


def _names(names: Sequence[str], left: float, step: float, y: float) -> list[str]:
    """Names under columns, as many as there is room for."""
    every = max(1, math.ceil(86 / step))
    half = 36  # of a name's width: none sticks out at the sides
    places = ((k, min(left + (k + 0.5) * step, WIDTH - half)) for k in range(0, len(names), every))
    return [_text(max(x, half), y, names[k], "middle") for k, x in places]


def _round_up(value: float) -> float:
    """A limit that divides well by four, at least 4."""
    if value <= 4:
        return 4
    size: float = 10 ** math.floor(math.log10(value))
    return next(step * size for step in (1, 2, 4, 8, 10) if step * size >= value)
