"""Line charts over a logarithmic axis as one SVG file, for the documentation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

WIDTH, HEIGHT = 440, 280
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 30, 30
COLORS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a", "#bf3989", "#0a7d91")


@dataclass(frozen=True)
class Line:
    """One line: a name, positive x and y, as many."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """One pair of axes with lines in it."""

    title: str
    lines: Sequence[Line]


def write_chart(path: Path, panels: Sequence[Panel], columns: int = 2) -> None:
    """Panels side by side, ``columns`` a row, white behind so that dark pages show them too."""
    rows = math.ceil(len(panels) / columns)
    width, height = columns * WIDTH, rows * HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11"><rect width="{width}" height="{height}" fill="#fff"/>'
    ]
    names = list(dict.fromkeys(line.name for panel in panels for line in panel.lines))
    for index, panel in enumerate(panels):
        place = f"translate({index % columns * WIDTH} {index // columns * HEIGHT})"
        parts.append(f'<g transform="{place}">{_panel(panel, names)}</g>')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def _panel(panel: Panel, names: Sequence[str]) -> str:
    xs = [math.log10(x) for line in panel.lines for x in line.x]
    ys = [y for line in panel.lines for y in line.y]
    if not xs:
        return ""
    low_x, high_x = min(xs), max(max(xs), min(xs) + 0.1)
    step = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10) if (max(ys) - min(ys)) / s <= 7)
    low_y, high_y = math.floor(min(ys) / step) * step, (math.floor(max(ys) / step) + 1) * step

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - low_x) / (high_x - low_x)
        up = (y - low_y) / (high_y - low_y)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = [f'<text x="{LEFT}" y="18" font-weight="bold">{escape(panel.title)}</text>']
    for tick in range(round((high_y - low_y) / step) + 1):
        value = low_y + tick * step
        y = place(10**low_x, value)[1]
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#d0d7de"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    for x in _marks(10**low_x, 10**high_x):
        parts.append(
            f'<text x="{place(x, low_y)[0]:.1f}" y="{HEIGHT - 12}" text-anchor="middle">{_short(x)}</text>'
        )
    for line in panel.lines:
        color = COLORS[names.index(line.name) % len(COLORS)]
        points = [place(x, y) for x, y in zip(line.x, line.y, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in points]
    for row, line in enumerate(panel.lines):
        color, y = COLORS[names.index(line.name) % len(COLORS)], HEIGHT - BOTTOM - 10 - 14 * row
        where = f'x="{WIDTH - RIGHT - 4}" y="{y}" text-anchor="end"'
        parts.append(f'<text {where} fill="{color}">{escape(line.name)}</text>')
    return "".join(parts)


def _marks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten in a range."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = [m * 10.0**power for power in powers for m in (1, 2, 5)]
    return [mark for mark in marks if low * 0.99 <= mark <= high * 1.01]


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
