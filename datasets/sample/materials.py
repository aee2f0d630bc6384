"""Grown materials: wood, planks, brick, plaster, ceramics, a planet. All display-referred, 0 to 1."""

from __future__ import annotations

import numpy as np

from datasets.sample.noise import Array, fractal_noise, mix, ramp, rgb, smooth_noise

Rng = np.random.Generator
Colour = tuple[float, float, float]
SUGAR = rgb([(0.98, 0.95, 0.9), (0.98, 0.8, 0.2), (0.2, 0.6, 0.85), (0.35, 0.75, 0.4), (0.5, 0.2, 0.55)])


def wood(rng: Rng, height: int, width: int, dark: Colour, light: Colour, grain: float = 1.0) -> Array:
    """Boards cut along the grain, which runs across the image; with knots and pores."""
    y = np.arange(height, dtype=np.float32)[:, None] / 26
    warp = 2.2 * fractal_noise(rng, height, width, (60, 260), 3)
    rings = np.sin(2 * np.pi * (y + warp) * 0.55 * grain)
    fibres = smooth_noise(rng, height, width, (1.6, 40))
    pores = np.clip(smooth_noise(rng, height, width, (2.2, 14)) - 1.3, 0, 1)
    tone = 0.5 + 0.2 * rings + 0.12 * fibres + 0.16 * fractal_noise(rng, height, width, (90, 200), 3)
    board = mix(np.broadcast_to(rgb(dark), (height, width, 3)), rgb(light), tone)
    return board * (1 - 0.45 * pores[..., None])


def planks(rng: Rng, height: int, width: int, rows: int, dark: Colour, light: Colour) -> Array:
    """A floor of boards, each with its own tone, staggered, with dark joints."""
    floor = wood(rng, height, width, dark, light, grain=0.8)
    depth = height // rows
    for row in range(rows):
        at = int(rng.integers(-width // 6, 0))
        while at < width:
            length = int(rng.integers(width // 7, width // 4))
            part = np.s_[row * depth : (row + 1) * depth, max(at, 0) : max(at + length, 0)]
            shift = int(rng.integers(0, 400))
            floor[part] = np.roll(floor[part], shift, axis=1) * rng.uniform(0.72, 1.16)
            floor[row * depth : (row + 1) * depth, max(at, 0) : max(at + 2, 0)] *= 0.35
            at += length
        floor[row * depth : row * depth + 2] *= 0.4
    return np.clip(floor, 0, 1)


def bricks(rng: Rng, height: int, width: int, rows: int) -> Array:
    """Running bond in worn reds, with pale mortar and a few painted-over stones."""
    course = height // rows
    length = int(course * 2.9)
    palette = rgb([(0.62, 0.33, 0.25), (0.52, 0.26, 0.2), (0.7, 0.43, 0.33), (0.45, 0.24, 0.21)])
    wall = np.empty((height, width, 3), dtype=np.float32)
    wall[:] = (0.72, 0.69, 0.64)
    for row in range(rows + 1):
        for at in range(-length + (row % 2) * length // 2, width, length):
            colour = palette[rng.integers(4)] * rng.uniform(0.8, 1.2)
            gap = int(rng.integers(2, 5))
            top, left = row * course + gap, max(at + gap, 0)
            wall[top : (row + 1) * course - 1, left : max(at + length - 1, 0)] = colour
    blotches = fractal_noise(rng, height, width, (70, 70), 6, gain=0.75)
    return np.clip(wall * (1 + 0.13 * blotches[..., None]), 0, 1)


def plaster(rng: Rng, height: int, width: int, colour: Colour, depth: float = 0.06) -> Array:
    """Painted plaster: blotches, strokes and a few darker scuffs."""
    strokes = fractal_noise(rng, height, width, (18, 50), 4, gain=0.7)
    blotches = fractal_noise(rng, height, width, (160, 160), 4)
    scuffs = np.clip(fractal_noise(rng, height, width, (30, 16), 4, gain=0.8) - 1.6, 0, 1)
    tone = 1 + depth * strokes + depth * blotches - 0.35 * scuffs
    return np.clip(rgb(colour) * tone[..., None], 0, 1)


def planet(rng: Rng, height: int, width: int) -> Array:
    """A made-up globe: seas, land by height, ice and meridians. Seamless in longitude."""
    land = _wrapped(rng, height, width)
    colours = ramp(
        land,
        [
            (-1.5, (0.05, 0.16, 0.36)),
            (-0.05, (0.16, 0.44, 0.62)),
            (0.02, (0.86, 0.80, 0.56)),
            (0.14, (0.45, 0.62, 0.28)),
            (0.8, (0.26, 0.42, 0.20)),
            (1.2, (0.55, 0.42, 0.28)),
            (1.9, (0.92, 0.9, 0.88)),
        ],
    )
    latitude = np.abs(np.linspace(-1, 1, height, dtype=np.float32))[:, None]
    ice = (latitude + 0.05 * land - 0.84) / 0.03
    colours = mix(colours, rgb([0.94, 0.95, 0.97]), ice)
    lines = np.zeros((height, width), dtype=np.float32)
    lines[:: height // 12] = 0.5
    lines[:, :: width // 24] = 0.5
    return mix(colours, rgb([0.95, 0.9, 0.75]), lines)


def glazed_jar(rng: Rng, height: int, width: int) -> Array:
    """White glaze with cobalt painting: bands, dots and brushed leaves."""
    v = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    leaves = np.abs(_wrapped(rng, height, width, 60)) - 0.32
    paint = np.clip(-leaves * 9, 0, 1) * ((v > 0.42) & (v < 0.82))
    dots = np.clip((_wrapped(rng, height, width, 24) - 0.8) * 6, 0, 1) * (v < 0.36)
    ink = np.maximum(paint, dots)
    for centre, half in (
        (0.37, 0.012),
        (0.41, 0.005),
        (0.84, 0.012),
        (0.88, 0.005),
        (0.1, 0.02),
        (0.97, 0.03),
    ):
        ink = np.maximum(ink, (np.abs(v - centre) < half) * np.ones((1, width)))
    strength = ink * (0.82 + 0.14 * _wrapped(rng, height, width, 90))
    glaze = np.broadcast_to(rgb([0.93, 0.93, 0.9]), (height, width, 3))
    glaze = glaze * (1 + 0.015 * _wrapped(rng, height, width, 12))[..., None]
    return np.clip(mix(glaze, rgb([0.08, 0.17, 0.5]), strength), 0, 1)


def iced_ring(rng: Rng, height: int, width: int) -> Array:
    """Baked dough with dripping pink icing and sugar sprinkles; the profile starts inside, at the bottom."""
    v = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    drip = 0.035 * _wrapped(rng, height, width, 70)[height // 2][None]
    crumb = 1 + 0.07 * fractal_noise(rng, height, width, (16, 16), 4, gain=0.8)
    dough = ramp(np.abs(v - 0.5) * 2, [(0, (0.82, 0.6, 0.34)), (1, (0.6, 0.36, 0.16))])
    iced = np.clip((0.27 + drip - np.abs(v - 0.5)) / 0.008, 0, 1)
    icing = rgb([0.93, 0.5, 0.62]) * (1 + 0.02 * smooth_noise(rng, height, width, (14, 14)))[..., None]
    ring = mix(dough * crumb[..., None], icing, iced)
    for _ in range(360):
        _sprinkle(rng, ring, height * rng.uniform(0.29, 0.71), width * rng.uniform(0, 1))
    return np.clip(ring, 0, 1)


def _sprinkle(rng: Rng, ring: Array, y: float, x: float) -> None:
    """One stroke of sugar, drawn in place."""
    palette = rgb(
        [(0.98, 0.95, 0.9), (0.98, 0.8, 0.2), (0.2, 0.6, 0.85), (0.35, 0.75, 0.4), (0.5, 0.2, 0.55)]
    )
    colour = palette[rng.integers(len(palette))]
    angle = rng.uniform(0, np.pi)
    width = ring.shape[1]
    for step in np.linspace(-5, 5, 22):
        row, column = int(y + step * np.sin(angle)), int(x + step * np.cos(angle))
        for right in range(3):
            ring[max(row, 0) : row + 3, (column + right) % width] = colour


def _wrapped(rng: Rng, height: int, width: int, cell: float | None = None) -> Array:
    """Fractal noise [height, width] without a seam between the left and the right edge."""
    size = cell or height / 3.2
    noise = fractal_noise(rng, height, width + width // 4, (size, size), 5)
    overlap = width // 4
    share = np.linspace(0, 1, overlap, dtype=np.float32)
    # Weights whose squares add to one keep the contrast through the overlap.
    noise[:, :overlap] = noise[:, width:] * np.sqrt(1 - share) + noise[:, :overlap] * np.sqrt(share)
    return noise[:, :width]
