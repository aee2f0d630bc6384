"""Line charts as inline SVG, drawn by hand so that the page needs no library."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from splat.report.text import compact, escape

WIDTH, HEIGHT = 420, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 34
MAX_POINTS = 300


@dataclass(frozen=True)
class Curve:
    """One chart: a quantity against time.

    Attributes:
        title: heading, also what a screen reader says.
        unit: unit of ``y``, or empty.
        x: seconds, not decreasing.
        y: values, as many.
        dots: mark each point (few points) rather than draw only the line.
        from_zero: start the vertical axis at zero.
    """

    title: str
    unit: str
    x: Sequence[float]
    y: Sequence[float]
    dots: bool = False
    from_zero: bool = False


def smoothed(values: Sequence[float], span: float) -> list[float]:
    """Exponential moving average over about ``span`` values, unbiased at the start."""
    keep = 1.0 - 1.0 / max(span, 1.0)
    total = weight = 0.0
    result = []
    for value in values:
        total = keep * total + (1.0 - keep) * value
        weight = keep * weight + (1.0 - keep)
        result.append(total / weight)
    return result


def thinned(x: Sequence[float], y: Sequence[float], limit: int) -> tuple[list[float], list[float]]:
    """At most ``limit`` points: means over equal runs of points, first and last kept as they are."""
    if len(x) <= limit:
        return list(x), list(y)
    inner = limit - 2
    edges = [1 + round(i * (len(x) - 2) / inner) for i in range(inner + 1)]
    xs, ys = [x[0]], [y[0]]
    for start, end in zip(edges, edges[1:], strict=False):
        if end > start:
            xs.append(sum(x[start:end]) / (end - start))
            ys.append(sum(y[start:end]) / (end - start))
    return [*xs, x[-1]], [*ys, y[-1]]


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers covering [low, high], a step of 1, 2 or 5 times a power of ten apart."""
    if high <= low:
        margin = 0.05 * abs(low) or 0.5
        low, high = low - margin, high + margin
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def line_chart(curve: Curve) -> str:
    """The chart as a ``<figure>``; where there are no finite points, the figure says so."""
    pairs = [(a, b) for a, b in zip(curve.x, curve.y, strict=True) if math.isfinite(a) and math.isfinite(b)]
    heading = f"<figcaption>{escape(curve.title)}</figcaption>"
    if not pairs:
        return f'<figure class="chart">{heading}<p class="empty">Nothing was logged.</p></figure>'
    x, y = thinned([p[0] for p in pairs], [p[1] for p in pairs], MAX_POINTS)
    axes = _Axes.around(x, y, curve.from_zero)
    path = "M" + "L".join(f"{axes.px(a):.1f} {axes.py(b):.1f}" for a, b in zip(x, y, strict=True))
    marks = "".join(
        f'<circle class="dot" cx="{axes.px(a):.1f}" cy="{axes.py(b):.1f}" r="3"/>'
        for a, b in zip(x, y, strict=True)
        if curve.dots or len(x) == 1
    )
    unit = f" {curve.unit}" if curve.unit else ""
    spoken = f"{curve.title}: {compact(y[0])}{unit} at {x[0]:.0f} s, {compact(y[-1])}{unit} at {x[-1]:.0f} s"
    points = [
        [round(axes.px(a), 1), round(axes.py(b), 1), _seconds(a), _label(b) + unit]
        for a, b in zip(x, y, strict=True)
    ]
    return (
        f'<figure class="chart">{heading}'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" tabindex="0" aria-label="{escape(spoken)}" '
        f'data-points="{escape(json.dumps(points, separators=(",", ":")))}">'
        f'{axes.grid()}<path class="line" d="{path}"/>{marks}'
        f'<g class="cursor" hidden><line y1="{TOP}" y2="{HEIGHT - BOTTOM}"/><circle r="4"/><text/></g>'
        "</svg></figure>"
    )


def _label(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 100 else f"{value:.0f} s"


@dataclass(frozen=True)
class _Axes:
    """Round limits of both axes and the way from data to SVG units."""

    x_ticks: list[float]
    y_ticks: list[float]
    x_end: float

    @classmethod
    def around(cls, x: Sequence[float], y: Sequence[float], from_zero: bool) -> _Axes:
        low = min(0.0, *y) if from_zero else min(y)
        x_end = max(x[-1], 1e-9)
        return cls([t for t in ticks(0.0, x_end, 5) if t <= x_end * 1.001], ticks(low, max(y)), x_end)

    def px(self, value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * value / self.x_end

    def py(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)

    def grid(self) -> str:
        rows = "".join(
            f'<path class="grid" d="M{LEFT} {self.py(t):.1f}H{WIDTH - RIGHT}"/>'
            f'<text class="tick" x="{LEFT - 6}" y="{self.py(t) + 4:.1f}" text-anchor="end">'
            f"{compact(t)}</text>"
            for t in self.y_ticks
        )
        columns = "".join(
            f'<text class="tick" x="{self.px(t):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
            f"{compact(t)}{' s' if t == self.x_ticks[-1] else ''}</text>"
            for t in self.x_ticks
        )
        return rows + columns
