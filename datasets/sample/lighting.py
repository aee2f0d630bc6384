"""Light that does not depend on the view, computed once: soft shadows of a lamp, and ambient occlusion."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from datasets.sample.atlas import Atlas, pack
from datasets.sample.shapes import Array, Shape

Rng = np.random.Generator

LAMP_RAYS = 12
SKY_RAYS = 14
SKY_REACH = 0.8
_TEXEL = 0.05
_BLOCK = 16384
_BIAS = 0.004


@dataclass(frozen=True)
class Lamp:
    """A round lamp.

    Attributes:
        centre: [3] metres.
        radius: metres; the larger, the softer the shadows.
        power: light on a surface facing it at one metre.
    """

    centre: Array
    radius: float
    power: float


@dataclass(frozen=True)
class _Patch:
    """Where one chart's light is computed: map size, points [3, n] just off the surface, normals [3, n]."""

    width: int
    height: int
    points: Array
    normals: Array


def bake(shapes: list[Shape], lamp: Lamp, seed: int) -> Atlas:
    """One small light map a chart: (lamp, surroundings, share of the lamp that is seen)."""
    patches = [_patch(shape, index) for shape in shapes for index in range(len(shape.charts))]
    points = np.concatenate([patch.points for patch in patches], axis=1)
    normals = np.concatenate([patch.normals for patch in patches], axis=1)
    blocks = [slice(at, at + _BLOCK) for at in range(0, points.shape[1], _BLOCK)]

    def work(number: int) -> Array:
        rng = np.random.default_rng([seed, 7, number])
        return _gather(points[:, blocks[number]], normals[:, blocks[number]], shapes[1:], lamp, rng)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        light = np.concatenate(list(pool.map(work, range(len(blocks)))))
    ends = np.cumsum([patch.points.shape[1] for patch in patches])
    parts = np.split(light, ends[:-1])
    return pack(
        [_soften(part.reshape(p.height, p.width, 3)) for part, p in zip(parts, patches, strict=True)],
        levels=1,
    )


def _patch(shape: Shape, index: int) -> _Patch:
    width, height = (int(np.clip(round(size / _TEXEL), 6, 140)) for size in shape.charts[index].size)
    u = np.tile((np.arange(width) + 0.5) / width, height).astype(np.float32)
    v = np.repeat((np.arange(height) + 0.5) / height, width).astype(np.float32)
    points, normals = shape.patch(index, u, v)
    return _Patch(width, height, points + np.float32(_BIAS) * normals, normals)


def _gather(points: Array, normals: Array, solids: list[Shape], lamp: Lamp, rng: Rng) -> Array:
    seen = _lamp_share(points, solids, lamp, rng)
    towards = lamp.centre[:, None] - points
    distance = np.linalg.norm(towards, axis=0)
    cosine = np.maximum(np.sum(towards * normals, axis=0) / distance, 0.0)
    direct = lamp.power * cosine / distance**2 * seen
    open_sky = _sky_share(points, normals, solids, rng)
    # A white ceiling gives more than the floor does.
    surroundings = open_sky * (0.75 + 0.25 * normals[2])
    return np.stack([direct, surroundings, seen], axis=-1).astype(np.float32)


def _lamp_share(points: Array, solids: list[Shape], lamp: Lamp, rng: Rng) -> Array:
    blocked = np.zeros(points.shape[1], dtype=np.float32)
    for _ in range(LAMP_RAYS):
        jitter = rng.standard_normal((3, points.shape[1])).astype(np.float32)
        jitter *= np.float32(lamp.radius) / np.linalg.norm(jitter, axis=0)
        direction = lamp.centre[:, None] + jitter - points
        blocked += _blocked(points, direction, solids, 1.0)
    return 1.0 - blocked / LAMP_RAYS


def _sky_share(points: Array, normals: Array, solids: list[Shape], rng: Rng) -> Array:
    blocked = np.zeros(points.shape[1], dtype=np.float32)
    for _ in range(SKY_RAYS):
        # Normal plus a point on the unit sphere is cosine distributed about the normal.
        ball = rng.standard_normal((3, points.shape[1])).astype(np.float32)
        direction = normals * 1.001 + ball / np.linalg.norm(ball, axis=0)
        direction *= SKY_REACH / np.linalg.norm(direction, axis=0)
        blocked += _blocked(points, direction, solids, 1.0)
    return 1.0 - blocked / SKY_RAYS


def _blocked(points: Array, direction: Array, solids: list[Shape], reach: float) -> Array:
    """1 where anything stands within ``reach`` (in units of the direction), else 0; [n]."""
    result = np.zeros(points.shape[1], dtype=bool)
    lengths = np.sum(direction * direction, axis=0)
    for shape in solids:
        centre, radius = shape.ball
        offset = centre[:, None] - points
        along = np.clip(np.sum(offset * direction, axis=0) / lengths, 0.0, reach)
        gap = offset - along * direction
        near = np.flatnonzero((np.sum(gap * gap, axis=0) < radius * radius) & ~result)
        if near.size:
            result[near] = shape.intersect(points[:, near], direction[:, near]) < reach
    return result.astype(np.float32)


def _soften(light: Array) -> Array:
    """Two passes of a 3 x 3 tent filter with repeated edges: hides the sampling noise."""
    for _ in range(2):
        padded = np.pad(light, ((1, 1), (1, 1), (0, 0)), mode="edge")
        rows = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
        light = 0.25 * rows[:, :-2] + 0.5 * rows[:, 1:-1] + 0.25 * rows[:, 2:]
    return light
