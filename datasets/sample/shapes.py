"""What a scene is made of: shapes that meet rays and carry charts (textured patches).

Rays are ``origin + t * direction`` with the direction's length free: the renderer uses directions whose
camera z is 1, so that ``t`` is z-depth. World: metres, z up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
NO_HIT = np.float32(np.inf)


@dataclass(frozen=True)
class Chart:
    """One textured patch of a shape.

    Attributes:
        texture: name in the scene's texture table.
        size: (across, down) in metres, for choosing the mip level.
        gloss: strength of the highlight.
        sharpness: exponent of the highlight.
    """

    texture: str
    size: tuple[float, float]
    gloss: float = 0.05
    sharpness: float = 24.0


@dataclass(frozen=True)
class Surface:
    """What rays met: chart [n] (index in the shape's list), u, v [n] in [0, 1], normal [3, n] unit."""

    chart: NDArray[np.int16]
    u: Array
    v: Array
    normal: Array


class Shape(Protocol):
    """Something that rays meet."""

    @property
    def charts(self) -> list[Chart]:
        """The patches, in the order that :class:`Surface` numbers them."""
        ...

    @property
    def ball(self) -> tuple[Array, float]:
        """Bounding ball: centre [3], radius in metres."""
        ...

    def intersect(self, origin: Array, direction: Array) -> Array:
        """First t > 0 for each ray ([3, n] or [3, 1] origins, [3, n] directions); inf where none."""
        ...

    def surface(self, points: Array) -> Surface:
        """Chart coordinates and outward normals of [3, n] points on the surface."""
        ...

    def patch(self, chart: int, u: Array, v: Array) -> tuple[Array, Array]:
        """Points [3, n] and normals [3, n] at chart coordinates [n]: the inverse of :meth:`surface`."""
        ...


def turn(yaw_degrees: float) -> Array:
    """[3, 3] rotation about z, local to world."""
    angle = np.radians(yaw_degrees)
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=np.float32)


def nearest_positive(first: Array, second: Array) -> Array:
    """The smaller of two [n] solutions if positive, else the larger if positive, else inf."""
    near = np.where(first > 1e-4, first, second)
    return np.where(near > 1e-4, near, NO_HIT).astype(np.float32)
