"""Turned shapes (jar, ring, plate): a closed profile spun about a vertical axis."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from datasets.sample.shapes import NO_HIT, Array, Chart, Surface

_STEPS = 40
_CELL = 0.0025
_CLOSE = 5e-5
_MARGIN = 0.02


@dataclass(frozen=True)
class ProfileTable:
    """Signed distance to a profile and the place along it, on a grid over (radius, height).

    Attributes:
        low: (radius, height) of the first sample.
        shape: (R, Z) samples.
        values: [4, R * Z] distance, its two derivatives, place along the profile in [0, 1].
    """

    low: tuple[float, float]
    shape: tuple[int, int]
    values: Array

    def at(self, radius: Array, height: Array) -> Array:
        """Distance and its two derivatives and the place, bilinear, [4, n]."""
        corner, step, fx, fy = self._cell(radius, height)
        near = self.values[:, corner] * (1 - fy) + self.values[:, corner + 1] * fy
        corner += step
        far = self.values[:, corner] * (1 - fy) + self.values[:, corner + 1] * fy
        return near * (1 - fx) + far * fx

    def distance(self, radius: Array, height: Array) -> Array:
        """The first row of :meth:`at`, [n]."""
        corner, step, fx, fy = self._cell(radius, height)
        table = self.values[0]
        near = table.take(corner)
        near += (table.take(corner + 1) - near) * fy
        corner += step
        far = table.take(corner)
        far += (table.take(corner + 1) - far) * fy
        return near + (far - near) * fx

    def _cell(self, radius: Array, height: Array) -> tuple[NDArray[np.int32], int, Array, Array]:
        """First corner, step to the next row, and the place inside the cell."""
        rows, columns = self.shape
        x = np.minimum((radius - np.float32(self.low[0])) * np.float32(1 / _CELL), np.float32(rows - 1.01))
        y = (height - np.float32(self.low[1])) * np.float32(1 / _CELL)
        y = np.minimum(np.maximum(y, np.float32(0)), np.float32(columns - 1.01))
        i, j = x.astype(np.int32), y.astype(np.int32)
        corner: NDArray[np.int32] = i * np.int32(columns) + j
        return corner, columns, np.subtract(x, i, dtype=np.float32), np.subtract(y, j, dtype=np.float32)


def tabulate(profile: Array) -> ProfileTable:
    """Table of the polyline ``profile`` [P, 2] of (radius, height), closed by its ends or by the axis."""
    low = (-_MARGIN, float(profile[:, 1].min()) - _MARGIN)
    high = profile.max(axis=0) + _MARGIN
    radius = np.arange(low[0], high[0] + _CELL, _CELL)
    height = np.arange(low[1], high[1] + _CELL, _CELL)
    grid = np.stack(np.meshgrid(np.abs(radius), height, indexing="ij"), axis=-1)
    distance = np.full(grid.shape[:2], np.inf)
    place = np.zeros(grid.shape[:2])
    inside = np.zeros(grid.shape[:2], dtype=bool)
    lengths = np.linalg.norm(np.diff(profile, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(lengths)]) / lengths.sum()
    for index, (a, b) in enumerate(zip(profile[:-1], profile[1:], strict=True)):
        edge = b - a
        share = np.clip(((grid - a) @ edge) / max(float(edge @ edge), 1e-12), 0, 1)
        gap = np.linalg.norm(grid - a - share[..., None] * edge, axis=-1)
        closer = gap < distance
        distance = np.where(closer, gap, distance)
        place = np.where(closer, along[index] + share * (along[index + 1] - along[index]), place)
        # Crossing number of the horizontal ray towards the axis.
        spans = (a[1] > grid[..., 1]) != (b[1] > grid[..., 1])
        crossing = a[0] + (grid[..., 1] - a[1]) / (edge[1] if edge[1] else 1.0) * edge[0]
        inside ^= spans & (crossing > grid[..., 0])
    signed = np.where(inside, -distance, distance)
    slopes = np.gradient(signed, _CELL)
    values = np.stack([signed, *slopes, place]).reshape(4, -1).astype(np.float32)
    return ProfileTable(low, (radius.size, height.size), values)


@dataclass(frozen=True)
class Turned:
    """A profile spun about the vertical through ``base``.

    Attributes:
        base: [3] metres; the profile's (0, 0).
        profile: [P, 2] (radius, height) in metres, from the top down; on the axis at both ends, or a loop.
        texture: name; u runs around from -x, v along the profile.
        gloss: strength of the highlight.
    """

    base: Array
    profile: Array
    texture: str
    gloss: float = 0.25
    table: ProfileTable = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", tabulate(np.asarray(self.profile, dtype=np.float64)))

    @property
    def charts(self) -> list[Chart]:
        """One chart for all of it."""
        length = float(np.linalg.norm(np.diff(self.profile, axis=0), axis=1).sum())
        return [Chart(self.texture, (2 * np.pi * float(self.profile[:, 0].max()), length), self.gloss, 50.0)]

    @property
    def ball(self) -> tuple[Array, float]:
        """Around the middle of the axis."""
        middle = 0.5 * float(self.profile[:, 1].min() + self.profile[:, 1].max())
        radius = np.linalg.norm(self.profile - np.array([0.0, middle]), axis=1).max()
        return self.base + np.array([0, 0, middle], dtype=np.float32), float(radius) + 1e-3

    def intersect(self, origin: Array, direction: Array) -> Array:
        """Sphere tracing (Hart 1996) of the tabulated distance within the bounding box."""
        start = origin - self.base[:, None]
        wide = np.float32(self.profile[:, 0].max() + 1e-3)
        low = np.array([-wide, -wide, self.profile[:, 1].min() - 1e-3], dtype=np.float32)[:, None]
        high = np.array([wide, wide, self.profile[:, 1].max() + 1e-3], dtype=np.float32)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = 1.0 / direction
            first, second = (low - start) * inverse, (high - start) * inverse
        near = np.maximum(np.max(np.minimum(first, second), axis=0), 1e-4)
        far = np.min(np.maximum(first, second), axis=0)
        result = np.full(direction.shape[1], NO_HIT, dtype=np.float32)
        active = np.flatnonzero(far > near)
        if active.size:
            begin = np.broadcast_to(start, direction.shape)[:, active]
            result[active] = self._march(begin, direction[:, active], near[active], far[active])
        return result

    def _march(self, origin: Array, direction: Array, t: Array, end: Array) -> Array:
        hit = np.full(t.size, NO_HIT, dtype=np.float32)
        ray = np.arange(t.size)
        pace = 1.0 / np.sqrt(np.sum(direction * direction, axis=0))
        for _ in range(_STEPS):
            x, y, z = origin + t * direction
            gap = self.table.distance(np.sqrt(x * x + y * y), z)
            t = t + gap * pace
            done = gap < _CLOSE
            hit[ray[done]] = t[done]
            going = np.flatnonzero(~done & (t < end))
            if not going.size:
                break
            if going.size < 0.8 * ray.size or done.any():
                origin, direction = origin[:, going], direction[:, going]
                t, end, pace, ray = t[going], end[going], pace[going], ray[going]
        return hit

    def surface(self, points: Array) -> Surface:
        """Angle around the axis and place along the profile."""
        local = points - self.base[:, None]
        radius = np.maximum(np.hypot(local[0], local[1]), 1e-9)
        _, outward, upward, place = self.table.at(radius, local[2])
        normal = np.stack([outward * local[0] / radius, outward * local[1] / radius, upward])
        normal /= np.maximum(np.linalg.norm(normal, axis=0), 1e-9)
        u = 0.5 + np.arctan2(local[1], local[0]) / np.float32(2 * np.pi)
        chart = np.zeros(points.shape[1], dtype=np.int16)
        return Surface(chart, u.astype(np.float32), place, normal.astype(np.float32))

    def patch(self, chart: int, u: Array, v: Array) -> tuple[Array, Array]:
        """Points at an angle and a place along the profile, with normals from the table."""
        lengths = np.linalg.norm(np.diff(self.profile, axis=0), axis=1)
        along = np.concatenate([[0.0], np.cumsum(lengths)]) / lengths.sum()
        radius = np.interp(v, along, self.profile[:, 0])
        height = np.interp(v, along, self.profile[:, 1])
        angle = (u - 0.5) * 2 * np.pi
        points = np.stack([radius * np.cos(angle), radius * np.sin(angle), height]).astype(np.float32)
        points += self.base[:, None]
        return points, self.surface(points).normal
