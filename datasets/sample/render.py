"""The sample's ray tracer: primary rays, looked-up light, a mild highlight, box-filtered samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datasets.sample.atlas import LEVELS, display
from datasets.sample.scene import Scene
from datasets.sample.shapes import NO_HIT, Array, Shape

LAMP_COLOUR = np.array([1.0, 0.93, 0.82], dtype=np.float32)
ROOM_COLOUR = np.array([0.37, 0.40, 0.45], dtype=np.float32)
EXPOSURE = np.float32(1.15)
_STRIP_ROWS = 48


@dataclass(frozen=True)
class PinholeCamera:
    """A camera as :class:`splat.cameras.Camera` describes it, in numpy float64.

    Attributes:
        world_to_camera: [4, 4] rigid; OpenCV frame.
        intrinsics: [3, 3] pixels; pixel centres at +0.5.
        width: pixels.
        height: pixels.
    """

    world_to_camera: NDArray[np.float64]
    intrinsics: NDArray[np.float64]
    width: int
    height: int


class Picture(NamedTuple):
    """A rendered photo.

    Attributes:
        rgb: [H, W, 3] uint8, display-referred.
        depth: [H, W] float32 z-depth along the ray through each pixel's centre, metres.
    """

    rgb: NDArray[np.uint8]
    depth: Array


@dataclass(frozen=True)
class _Hits:
    """What a block of rays met, [n] each: depth, chart, u, v, and normals [3, n]."""

    depth: Array
    chart: NDArray[np.int64]
    u: Array
    v: Array
    normal: Array


def render(scene: Scene, camera: Any, supersample: int = 2) -> Picture:
    """Photo and exact depth of ``scene``.

    Args:
        scene: what to look at.
        camera: a :class:`PinholeCamera` or a :class:`splat.cameras.Camera` in the scene's world.
        supersample: samples a pixel side for the photo.
    """
    return Picture(photograph(scene, camera, supersample), depth_map(scene, camera))


def photograph(scene: Scene, camera: Any, supersample: int = 2) -> NDArray[np.uint8]:
    """[H, W, 3] uint8 photo; ``supersample`` squared samples a pixel, averaged in linear light."""
    focal = float(np.asarray(camera.intrinsics)[0, 0]) * supersample
    rgb = np.empty((camera.height, camera.width, 3), dtype=np.uint8)
    for top in range(0, camera.height, _STRIP_ROWS // supersample):
        rows = min(_STRIP_ROWS // supersample, camera.height - top)
        origin, direction = rays(camera, top, rows, supersample)
        hits = _trace(scene, origin, direction)
        light = _shade(scene, hits, origin, direction, focal)
        samples = light.reshape(rows, supersample, camera.width, supersample, 3)
        rgb[top : top + rows] = np.rint(255 * display(samples.mean(axis=(1, 3)))).astype(np.uint8)
    return rgb


def depth_map(scene: Scene, camera: Any) -> Array:
    """[H, W] float32 z-depth through pixel centres, metres."""
    depth = np.empty((camera.height, camera.width), dtype=np.float32)
    for top in range(0, camera.height, _STRIP_ROWS):
        rows = min(_STRIP_ROWS, camera.height - top)
        hits = _trace(scene, *rays(camera, top, rows, 1))
        depth[top : top + rows] = hits.depth.reshape(rows, camera.width)
    return depth


def rays(camera: Any, top: int, rows: int, supersample: int) -> tuple[Array, Array]:
    """Origin [3, 1] and directions [3, n] in the world, camera z equal to one, row by row."""
    pose = np.asarray(camera.world_to_camera, dtype=np.float64)
    matrix = np.asarray(camera.intrinsics, dtype=np.float64)
    x = (np.arange(camera.width * supersample) + 0.5) / supersample
    y = top + (np.arange(rows * supersample) + 0.5) / supersample
    grid_x, grid_y = np.meshgrid((x - matrix[0, 2]) / matrix[0, 0], (y - matrix[1, 2]) / matrix[1, 1])
    local = np.stack([grid_x.ravel(), grid_y.ravel(), np.ones(grid_x.size)])
    rotation = pose[:3, :3]
    origin = -rotation.T @ pose[:3, 3]
    return origin[:, None].astype(np.float32), (rotation.T @ local).astype(np.float32)


def _trace(scene: Scene, origin: Array, direction: Array) -> _Hits:
    count = direction.shape[1]
    depth = np.full(count, NO_HIT, dtype=np.float32)
    owner = np.zeros(count, dtype=np.int64)
    squared = np.sum(direction * direction, axis=0)
    for index, shape in enumerate(scene.shapes):
        near = _near(shape, origin, direction, squared) if index else slice(None)
        found = shape.intersect(origin, direction[:, near])
        closer = found < depth[near]
        owner[near] = np.where(closer, index, owner[near])
        depth[near] = np.where(closer, found, depth[near])
    return _describe(scene, origin, direction, depth, owner)


def _near(shape: Shape, origin: Array, direction: Array, squared: Array) -> NDArray[np.int64]:
    """Indices of the rays that pass the shape's bounding ball."""
    centre, radius = shape.ball
    offset = centre - origin[:, 0]
    along = offset @ direction
    beyond = np.float32(offset @ offset - radius * radius) * squared
    return np.flatnonzero(along * along > beyond)


def _describe(scene: Scene, origin: Array, direction: Array, depth: Array, owner: NDArray[np.int64]) -> _Hits:
    count = depth.size
    chart = np.zeros(count, dtype=np.int64)
    u, v = np.zeros(count, dtype=np.float32), np.zeros(count, dtype=np.float32)
    normal = np.zeros((3, count), dtype=np.float32)
    points = origin + depth * direction
    for index, shape in enumerate(scene.shapes):
        mine = np.flatnonzero(owner == index)
        if not mine.size:
            continue
        surface = shape.surface(points[:, mine])
        chart[mine] = scene.charts.first[index] + surface.chart
        u[mine], v[mine] = surface.u, surface.v
        normal[:, mine] = surface.normal
    return _Hits(depth, chart, u, v, normal)


def _shade(scene: Scene, hits: _Hits, origin: Array, direction: Array, focal: float) -> Array:
    """[n, 3] linear light; ``focal`` in samples."""
    texels = hits.depth / np.float32(focal) * scene.charts.density[hits.chart]
    level = np.clip(np.rint(np.log2(np.maximum(texels, 1e-6))), 0, LEVELS - 1).astype(np.int32)
    albedo = scene.albedo.sample(scene.charts.texture[hits.chart], level, hits.u, hits.v)
    light = scene.light.sample(hits.chart, np.zeros_like(level), hits.u, hits.v)
    diffuse = light[:, :1] * LAMP_COLOUR + light[:, 1:2] * ROOM_COLOUR
    highlight = _highlight(scene, hits, origin + hits.depth * direction, direction) * light[:, 2]
    return EXPOSURE * (albedo * diffuse + highlight[:, None] * LAMP_COLOUR)


def _highlight(scene: Scene, hits: _Hits, points: Array, direction: Array) -> Array:
    """Blinn-Phong (1977), [n]."""
    towards = scene.lamp.centre[:, None] - points
    towards /= np.linalg.norm(towards, axis=0)
    halfway = towards - direction / np.linalg.norm(direction, axis=0)
    halfway /= np.maximum(np.linalg.norm(halfway, axis=0), 1e-6)
    cosine = np.maximum(np.sum(halfway * hits.normal, axis=0), 0.0)
    return scene.charts.gloss[hits.chart] * cosine ** scene.charts.sharpness[hits.chart]
