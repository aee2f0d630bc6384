"""Pictures for the walls and patterns for the rug and the cloth."""

from __future__ import annotations

import numpy as np

from datasets.sample.noise import Array, fractal_noise, mix, ramp, rgb, smooth_noise
from datasets.sample.prints import INKS, Sheet

Rng = np.random.Generator


_SKIES = (
    ((0.22, 0.32, 0.52), (0.68, 0.56, 0.6), (0.97, 0.72, 0.45), (1.0, 0.87, 0.62)),
    ((0.16, 0.42, 0.62), (0.45, 0.68, 0.78), (0.78, 0.88, 0.86), (0.95, 0.95, 0.85)),
    ((0.1, 0.1, 0.25), (0.25, 0.2, 0.42), (0.5, 0.3, 0.5), (0.85, 0.5, 0.5)),
    ((0.5, 0.2, 0.16), (0.82, 0.38, 0.2), (0.96, 0.64, 0.3), (1.0, 0.85, 0.55)),
)
_HILLS = (
    ((0.62, 0.5, 0.58), (0.1, 0.17, 0.2)),
    ((0.5, 0.66, 0.66), (0.1, 0.28, 0.16)),
    ((0.36, 0.3, 0.5), (0.05, 0.06, 0.14)),
    ((0.75, 0.45, 0.32), (0.22, 0.08, 0.1)),
)


def landscape(rng: Rng, height: int, width: int) -> Array:
    """Hills in haze under a low sun; the hour is drawn by lot."""
    hour = int(rng.integers(len(_SKIES)))
    v = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    haze = v + 0.05 * fractal_noise(rng, height, width, (20, 90), 3)
    sky = ramp(haze, list(zip((0.0, 0.3, 0.55, 0.7), _SKIES[hour], strict=True)))
    sun_x, sun_y = rng.uniform(0.2, 0.8) * width, rng.uniform(0.15, 0.45) * height
    sun = np.hypot(np.arange(width)[None] - sun_x, np.arange(height)[:, None] - sun_y)
    scene = mix(sky, rgb([1.0, 0.95, 0.8]), (rng.uniform(0.05, 0.12) * height - sun) / 2 + 0.5)
    far, near = (rgb(colour) for colour in _HILLS[hour])
    layers = int(rng.integers(3, 7))
    for layer in range(layers):
        share = layer / (layers - 1)
        crest = 0.46 + 0.45 * share + 0.07 * fractal_noise(rng, 1, width, (1, width / (2 + 1.5 * layer)), 5)
        trees = 1 + 0.1 * fractal_noise(rng, height, width, (12, 8), 3)[..., None]
        colour = (far * (1 - share) + near * share) * trees
        scene = mix(scene, np.clip(colour, 0, 1), (v - crest) * height / 2)
    return np.clip(scene, 0, 1)


def composition(rng: Rng, height: int, width: int) -> Array:
    """Circles, bars and triangles on paper."""
    sheet = Sheet(rng, height, width, (238, 228, 206))
    for _ in range(9):
        x, y, size = (
            rng.uniform(0.1, 0.9) * width,
            rng.uniform(0.1, 0.9) * height,
            rng.uniform(0.06, 0.22) * height,
        )
        sheet.disc(x, y, size, sheet.ink())
        if rng.uniform() < 0.6:
            sheet.disc(x, y, size * 0.55, sheet.ink())
    for _ in range(10):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        angle, long, thick = rng.uniform(0, np.pi), rng.uniform(0.1, 0.4) * height, rng.uniform(2, 9)
        along = np.array([np.cos(angle), np.sin(angle)]) * long
        across = np.array([-np.sin(angle), np.cos(angle)]) * thick
        corners = [
            (x, y) + along + across,
            (x, y) + along - across,
            (x, y) - along - across,
            (x, y) - along + across,
        ]
        sheet.polygon([(float(a), float(b)) for a, b in corners], sheet.ink())
    sheet.text(width * 0.5, height * 0.93, height * 0.055, f"{sheet.word()} & {sheet.word()}", (40, 40, 46))
    return sheet.finish()


def wallpaper(rng: Rng, height: int, width: int, ground: tuple[int, int, int]) -> Array:
    """Scattered leaves and berries, none like another."""
    sheet = Sheet(rng, height, width, ground)
    for _ in range(height * width // 2300):
        x, y, angle, size = (
            rng.uniform(0, width),
            rng.uniform(0, height),
            rng.uniform(0, 2 * np.pi),
            rng.uniform(9, 26),
        )
        axis = np.array([np.cos(angle), np.sin(angle)])
        side = np.array([-axis[1], axis[0]]) * rng.uniform(0.2, 0.42)
        shape = [(-1, 0), (-0.3, 0.9), (0.4, 0.7), (1, 0), (0.4, -0.7), (-0.3, -0.9)]
        corners = [np.array([x, y]) + size * (a * axis + b * side) for a, b in shape]
        shade = rng.uniform(0.62, 1.5)
        ink = [int(np.clip(c * shade * f, 0, 255)) for c, f in zip(ground, (0.86, 1.0, 0.92), strict=True)]
        sheet.polygon([(float(a), float(b)) for a, b in corners], (ink[0], ink[1], ink[2]))
        if rng.uniform() < 0.2:
            sheet.disc(
                float(x + rng.uniform(-20, 20)),
                float(y + rng.uniform(-20, 20)),
                float(rng.uniform(2, 5)),
                sheet.ink(),
            )
    return sheet.finish(0.04)


_STRIPES = ((226, 206, 164), (42, 62, 86), (190, 120, 62), (60, 34, 32))


def patchwork(rng: Rng, height: int, width: int, rows: int, columns: int) -> Array:
    """A woven rug: every field has its own colours and motif, inside a striped border."""
    sheet = Sheet(rng, height, width, (92, 40, 38))
    border = 0.05 * height
    for inset, colour in (
        (0.2, (226, 206, 164)),
        (0.45, (42, 62, 86)),
        (0.7, (190, 120, 62)),
        (0.85, (60, 34, 32)),
    ):
        sheet.box(inset * border, inset * border, width - inset * border, height - inset * border, colour)
    tall, wide = (height - 2 * border) / rows, (width - 2 * border) / columns
    for row in range(rows):
        for column in range(columns):
            _field(sheet, border + column * wide, border + row * tall, wide, tall)
    weave = smooth_noise(rng, height, width, (1.5, 3)) * 0.08
    return np.clip(sheet.finish(0.06) * (1 + weave[..., None]), 0, 1)


def _field(sheet: Sheet, x: float, y: float, wide: float, tall: float) -> None:
    """One field of the rug: nested diamonds, stripes, discs or steps."""
    rng = sheet.rng
    inks = [INKS[i] for i in rng.permutation(len(INKS))[:4]]
    sheet.box(x + 1, y + 1, x + wide - 1, y + tall - 1, inks[0])
    cx, cy, kind = x + wide / 2, y + tall / 2, int(rng.integers(4))
    for step, ink in zip((0.44, 0.3, 0.17), inks[1:], strict=True):
        dx, dy = step * wide * rng.uniform(0.8, 1.05), step * tall * rng.uniform(0.8, 1.05)
        if kind == 0:
            sheet.polygon([(cx - dx, cy), (cx, cy - dy), (cx + dx, cy), (cx, cy + dy)], ink)
        elif kind == 1:
            sheet.box(x + 3, cy - dy, x + wide - 3, cy - dy * 0.45, ink)
            sheet.box(cx + dx * 0.3, y + 3, cx + dx * 0.7, y + tall - 3, ink)
        elif kind == 2:
            sheet.disc(cx + dx * 0.15, cy - dy * 0.1, min(dx, dy), ink)
        else:
            sheet.polygon([(cx - dx, cy + dy), (cx - dx * 0.2, cy - dy), (cx + dx, cy + dy * 0.4)], ink)
