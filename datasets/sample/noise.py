"""Seeded noise: the raw material of every texture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[np.floating]


def smooth_noise(rng: np.random.Generator, height: int, width: int, cell: tuple[float, float]) -> Array:
    """Bicubic value noise, [height, width], standard deviation about one.

    Args:
        rng: source of the random grid.
        height: rows of the result.
        width: columns of the result.
        cell: (rows, columns) between two grid points, pixels.
    """
    rows, columns = max(height / cell[0], 1e-3), max(width / cell[1], 1e-3)
    grid = rng.standard_normal((int(np.ceil(rows)) + 4, int(np.ceil(columns)) + 4)).astype(np.float32)
    box = (1.5, 1.5, 1.5 + columns, 1.5 + rows)
    scaled = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC, box=box)
    return np.asarray(scaled, dtype=np.float32)


def fractal_noise(
    rng: np.random.Generator,
    height: int,
    width: int,
    cell: tuple[float, float],
    octaves: int = 4,
    gain: float = 0.6,
) -> Array:
    """Sum of ``octaves`` of :func:`smooth_noise`, each half the size and ``gain`` times the height.

    Returns:
        [height, width], mean about 0, standard deviation about one.
    """
    total = np.zeros((height, width), dtype=np.float32)
    power = 0.0
    for octave in range(octaves):
        size = (max(cell[0] / 2**octave, 1.0), max(cell[1] / 2**octave, 1.0))
        weight = gain**octave
        total += np.float32(weight) * smooth_noise(rng, height, width, size)
        power += weight * weight
    return total / np.float32(np.sqrt(0.6 * power))


def rgb(colour: Sequence[float] | Sequence[Sequence[float]]) -> Array:
    """One colour [3], or several [n, 3], as an array."""
    return np.array(colour, dtype=np.float32)


def mix(first: Array, second: Array, share: Array) -> Array:
    """``first`` where ``share`` is 0, ``second`` where it is 1; [H, W, 3], [H, W, 3] or [3], [H, W]."""
    weight = np.clip(share, 0.0, 1.0)[..., None].astype(np.float32)
    return first * (1 - weight) + second * weight


def ramp(values: Array, stops: list[tuple[float, tuple[float, float, float]]]) -> Array:
    """Colours for [H, W] values by linear interpolation between ``stops``; [H, W, 3]."""
    places = [place for place, _ in stops]
    channels = [np.interp(values, places, [colour[c] for _, colour in stops]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)
