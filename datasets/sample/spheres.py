"""Spheres, mapped by longitude and latitude."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets.sample.shapes import NO_HIT, Array, Chart, Surface, nearest_positive


@dataclass(frozen=True)
class Sphere:
    """A sphere.

    Attributes:
        centre: [3] metres.
        radius: metres.
        texture: name; u runs with longitude from the -x axis, v from the top down.
        axis: [3, 3] local to world; its third column is the axis of the map.
        gloss: strength of the highlight.
    """

    centre: Array
    radius: float
    texture: str
    axis: Array
    gloss: float = 0.3

    @property
    def charts(self) -> list[Chart]:
        """One chart for the whole sphere."""
        around = 2 * np.pi * self.radius
        return [Chart(self.texture, (around, around / 2), self.gloss, 60.0)]

    @property
    def ball(self) -> tuple[Array, float]:
        """The sphere itself."""
        return self.centre, self.radius

    def intersect(self, origin: Array, direction: Array) -> Array:
        """Nearest root of the quadratic."""
        offset = origin - self.centre[:, None]
        a = np.sum(direction * direction, axis=0)
        b = np.sum(offset * direction, axis=0)
        # |offset - (b/a) direction|^2 rather than b^2 - a c: no cancellation in float32.
        miss = offset - (b / a) * direction
        left = np.float32(self.radius**2) - np.sum(miss * miss, axis=0)
        root = np.sqrt(np.maximum(left, 0.0) / a)
        hit = nearest_positive(-b / a - root, -b / a + root)
        return np.where(left > 0, hit, NO_HIT)

    def surface(self, points: Array) -> Surface:
        """Longitude and latitude."""
        normal = (points - self.centre[:, None]) / np.float32(self.radius)
        normal /= np.linalg.norm(normal, axis=0)
        local = self.axis.T @ normal
        u = 0.5 + np.arctan2(local[1], local[0]) / np.float32(2 * np.pi)
        v = np.arccos(np.clip(local[2], -1, 1)) / np.float32(np.pi)
        return Surface(np.zeros(points.shape[1], dtype=np.int16), u, v, normal)

    def patch(self, chart: int, u: Array, v: Array) -> tuple[Array, Array]:
        """Points and normals at longitude and latitude."""
        longitude, colatitude = (u - 0.5) * 2 * np.pi, v * np.pi
        ring = np.sin(colatitude)
        local = np.stack([ring * np.cos(longitude), ring * np.sin(longitude), np.cos(colatitude)])
        normal = (self.axis @ local.astype(np.float32)).astype(np.float32)
        return self.centre[:, None] + self.radius * normal, normal
