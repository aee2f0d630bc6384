"""Numbers and durations as a person writes them, and text made safe for HTML."""

from __future__ import annotations

import html
import math


def escape(text: object) -> str:
    """Any value as text that HTML shows literally, also inside a quoted attribute."""
    return html.escape(str(text), quote=True)


def fixed(value: float | None, digits: int) -> str:
    """A number with ``digits`` decimals; an en dash if there is none, the infinity sign if infinite."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:,.{digits}f}".replace("-", "−")


def count(value: float | None) -> str:
    """A whole number with thousands separators."""
    return fixed(value, 0)


def compact(value: float) -> str:
    """A short axis label: 1200 -> 1.2k, 0.025 -> 0.025."""
    for factor, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{suffix}"
    return f"{value:.3g}"


def duration(seconds: float | None) -> str:
    """Seconds as "8.4 s", "3 min 05 s" or "1 h 02 min"."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def plural(number: float, noun: str) -> str:
    """ "1 photo", "2 photos"."""
    return f"{count(number)} {noun}" + ("" if number == 1 else "s")
