"""Shapes against formulas of their own and against themselves from the other side."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from datasets.sample.boxes import Box
from datasets.sample.scene import Scene
from datasets.sample.shapes import Shape
from datasets.sample.spheres import Sphere
from datasets.sample.turned import Turned


def vector(values: list) -> NDArray[np.float32]:
    """A float32 array."""
    return np.array(values, dtype=np.float32)


BOX = Box(vector([0.3, -0.2, 0.5]), vector([0.4, 0.25, 0.6]), ("x",) * 6, yaw=31.0)
ROOM = Box(vector([0, 0, 1]), vector([3, 2, 1]), ("x",) * 6, inside=True)
SPHERE = Sphere(vector([0.1, 0.2, 0.3]), 0.7, "x", np.eye(3, dtype=np.float32))
ANGLES = np.linspace(-0.5 * np.pi, -2.5 * np.pi, 257)
RING = Turned(
    vector([0.1, 0.2, 0.5]), np.stack([0.3 + 0.12 * np.cos(ANGLES), 0.12 * np.sin(ANGLES)], axis=1), "x"
)


def random_rays(count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rays from a shell around the origin towards its middle, of different lengths."""
    rng = np.random.default_rng(3)
    origin = rng.standard_normal((3, count))
    origin *= 2.0 / np.linalg.norm(origin, axis=0)
    direction = rng.uniform(-0.6, 0.6, (3, count)) + [[0.1], [0.1], [0.4]] - origin
    return origin.astype(np.float32), (direction * rng.uniform(0.3, 2, count)).astype(np.float32)


def first_crossing(inside: NDArray, steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """First step at which each ray is inside; inf if never. [n] from [n, steps]."""
    return np.where(inside.any(axis=1), steps[inside.argmax(axis=1)], np.inf)


@pytest.mark.parametrize("shape", [BOX, SPHERE, RING], ids=["box", "sphere", "ring"])
def test_intersect_finds_the_first_point_inside(shape: Shape) -> None:
    origin, direction = random_rays(400)
    steps = np.linspace(0, 8, 8001)
    points = origin.T[:, None] + steps[None, :, None] * direction.T[:, None]
    if isinstance(shape, Box):
        local = (points - shape.centre) @ shape.rotation
        inside = np.all(np.abs(local) < shape.half, axis=-1)
    elif isinstance(shape, Sphere):
        inside = np.linalg.norm(points - shape.centre, axis=-1) < shape.radius
    else:
        local = points - np.array([0.1, 0.2, 0.5])
        inside = np.hypot(np.hypot(local[..., 0], local[..., 1]) - 0.3, local[..., 2]) < 0.12
    expected = first_crossing(inside, steps)
    found = shape.intersect(origin, direction)
    hit = np.isfinite(expected)
    assert 60 < hit.sum() < 400
    # A ray that only grazes a shape may be judged either way.
    assert (np.isfinite(found) == hit).mean() > 0.985
    both = hit & np.isfinite(found)
    assert np.quantile(np.abs(found[both] - expected[both]), 0.98) < 2e-3


@pytest.mark.parametrize("shape", [BOX, ROOM, SPHERE, RING], ids=["box", "room", "sphere", "ring"])
def test_patch_is_the_inverse_of_surface(shape: Shape) -> None:
    rng = np.random.default_rng(1)
    for chart in range(len(shape.charts)):
        u, v = rng.uniform(0.03, 0.97, (2, 200)).astype(np.float32)
        points, normals = shape.patch(chart, u, v)
        surface = shape.surface(points)
        assert (surface.chart == chart).all()
        np.testing.assert_allclose(surface.u, u, atol=3e-3)
        np.testing.assert_allclose(surface.v, v, atol=3e-3)
        assert (np.sum(surface.normal * normals, axis=0) > 0.999).all()


def test_normals_face_the_viewer(scene: Scene) -> None:
    origin, direction = random_rays(3000)
    for shape in (BOX, SPHERE, RING):
        t = shape.intersect(origin, direction)
        hit = np.isfinite(t)
        normal = shape.surface(origin[:, hit] + t[hit] * direction[:, hit]).normal
        assert (np.sum(normal * direction[:, hit], axis=0) < 0).mean() > 0.995
    room = scene.shapes[0]
    middle = vector([[0], [0], [1]])
    t = room.intersect(middle, direction)
    assert np.isfinite(t).all()
    assert (np.sum(room.surface(middle + t * direction).normal * direction, axis=0) < 0).all()
