"""A scene: shapes, their textures in one atlas, and the light that falls on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.sample.atlas import Atlas, linear, pack
from datasets.sample.lighting import Lamp, bake
from datasets.sample.shapes import Array, Chart, Shape


@dataclass(frozen=True)
class ChartTable:
    """What the renderer looks up for each chart; all [C].

    Attributes:
        first: index of each shape's first chart, [S].
        texture: row in the albedo atlas.
        density: texels a metre at the finest level.
        gloss: strength of the highlight.
        sharpness: exponent of the highlight.
    """

    first: NDArray[np.int64]
    texture: NDArray[np.int64]
    density: Array
    gloss: Array
    sharpness: Array


@dataclass(frozen=True)
class Scene:
    """Everything that the renderer needs.

    Attributes:
        shapes: the room first.
        charts: per-chart look-up table.
        albedo: linear reflectance of every texture, C = 3.
        light: baked light of every chart, C = 3: lamp, surroundings, share of the lamp that is seen.
        lamp: the lamp.
    """

    shapes: list[Shape]
    charts: ChartTable
    albedo: Atlas
    light: Atlas
    lamp: Lamp


def assemble(shapes: list[Shape], textures: Mapping[str, Array], lamp: Lamp, seed: int) -> Scene:
    """Pack the display-referred ``textures`` ([h, w, 3], 0 to 1) and bake the light.

    Args:
        shapes: the room first.
        textures: by the names that the shapes' charts use.
        lamp: the one lamp.
        seed: of the light's sampling.
    """
    names = sorted(textures)
    rows = {name: index for index, name in enumerate(names)}
    albedo = pack([linear(textures[name]) for name in names])
    charts = [chart for shape in shapes for chart in shape.charts]
    first = np.cumsum([0] + [len(shape.charts) for shape in shapes])[:-1]
    texture = np.array([rows[chart.texture] for chart in charts])
    table = ChartTable(
        first=first,
        texture=texture,
        density=_density(charts, albedo, texture),
        gloss=np.array([chart.gloss for chart in charts], dtype=np.float32),
        sharpness=np.array([chart.sharpness for chart in charts], dtype=np.float32),
    )
    return Scene(shapes, table, albedo, bake(shapes, lamp, seed), lamp)


def _density(charts: list[Chart], albedo: Atlas, texture: NDArray[np.int64]) -> Array:
    across = np.array([chart.size[0] for chart in charts])
    down = np.array([chart.size[1] for chart in charts])
    return np.sqrt(albedo.width[texture, 0] / across * albedo.height[texture, 0] / down).astype(np.float32)
