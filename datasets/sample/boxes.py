"""Boxes: furniture, books and blocks from outside; the room from inside."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from datasets.sample.shapes import NO_HIT, Array, Chart, Surface, turn

SIDES = ("east", "west", "north", "south", "top", "bottom")
# For each side: (axis, sign), then the local axes of u (right, seen from outside) and v (down).
_FRAMES = (
    ((0, 1.0), (1, 1.0), (2, -1.0)),
    ((0, -1.0), (1, -1.0), (2, -1.0)),
    ((1, 1.0), (0, -1.0), (2, -1.0)),
    ((1, -1.0), (0, 1.0), (2, -1.0)),
    ((2, 1.0), (0, 1.0), (1, -1.0)),
    ((2, -1.0), (0, 1.0), (1, 1.0)),
)


@dataclass(frozen=True)
class Box:
    """A box standing upright, turned about z; seen from inside when ``inside``.

    Attributes:
        centre: [3] metres.
        half: [3] half sizes, metres, local axes.
        textures: one name for each of :data:`SIDES`.
        yaw: degrees about z.
        inside: the room: normals point inward and rays leave through the far side.
        gloss: strength of the highlight.
    """

    centre: Array
    half: Array
    textures: tuple[str, ...]
    yaw: float = 0.0
    inside: bool = False
    gloss: float = 0.05
    rotation: Array = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rotation", turn(self.yaw))

    @property
    def charts(self) -> list[Chart]:
        """One chart a side."""
        sizes = [(2 * float(self.half[u[0]]), 2 * float(self.half[v[0]])) for _, u, v in _FRAMES]
        return [Chart(name, size, self.gloss) for name, size in zip(self.textures, sizes, strict=True)]

    @property
    def ball(self) -> tuple[Array, float]:
        """Centre and half diagonal."""
        return self.centre, float(np.linalg.norm(self.half))

    def intersect(self, origin: Array, direction: Array) -> Array:
        """Slab test (Kay and Kajiya 1986); the far crossing when seen from inside."""
        start = self.rotation.T @ (origin - self.centre[:, None])
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = 1.0 / (self.rotation.T @ direction)
            middle = -start * inverse
            reach = self.half[:, None] * np.abs(inverse)
        near = np.max(middle - reach, axis=0)
        far = np.min(middle + reach, axis=0)
        if self.inside:
            return far
        return np.where((far >= near) & (near > 1e-4), near, NO_HIT)

    def surface(self, points: Array) -> Surface:
        """The side is the one whose plane is nearest, relative to the box's size."""
        local = self.rotation.T @ (points - self.centre[:, None])
        scaled = local / self.half[:, None]
        axis = np.argmax(np.abs(scaled), axis=0)
        columns = np.arange(points.shape[1])
        positive = scaled[axis, columns] > 0
        chart = (2 * axis + np.where(positive, 0, 1)).astype(np.int16)
        u, v = self._coordinates(scaled, chart)
        sign = np.where(positive, 1.0, -1.0).astype(np.float32) * (-1.0 if self.inside else 1.0)
        normal = self.rotation[:, axis] * sign
        return Surface(chart, u, v, normal.astype(np.float32))

    def _coordinates(self, scaled: Array, chart: NDArray[np.int16]) -> tuple[Array, Array]:
        columns = np.arange(scaled.shape[1])
        u_axis = np.array([u[0] for _, u, _ in _FRAMES])[chart]
        v_axis = np.array([v[0] for _, _, v in _FRAMES])[chart]
        u_sign = np.array([self._flip * u[1] for _, u, _ in _FRAMES], dtype=np.float32)[chart]
        v_sign = np.array([v[1] for _, _, v in _FRAMES], dtype=np.float32)[chart]
        u = 0.5 + 0.5 * u_sign * scaled[u_axis, columns]
        v = 0.5 + 0.5 * v_sign * scaled[v_axis, columns]
        return u.astype(np.float32), v.astype(np.float32)

    @property
    def _flip(self) -> float:
        return -1.0 if self.inside else 1.0

    def patch(self, chart: int, u: Array, v: Array) -> tuple[Array, Array]:
        """Points and normals of one side."""
        (axis, sign), (u_axis, u_sign), (v_axis, v_sign) = _FRAMES[chart]
        local = np.zeros((3, u.size), dtype=np.float32)
        local[axis] = sign * self.half[axis]
        local[u_axis] = self._flip * u_sign * (2 * u - 1) * self.half[u_axis]
        local[v_axis] = v_sign * (2 * v - 1) * self.half[v_axis]
        normal = self.rotation[:, axis] * sign * self._flip
        points = self.rotation @ local + self.centre[:, None]
        return points, np.repeat(normal[:, None], u.size, axis=1).astype(np.float32)
