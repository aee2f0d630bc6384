"""Camera paths through a scene, in the world of its splat file.

Frames are OpenCV (x right, y down, z forward). A path's cameras share one image size and focal length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from splat.cameras import Camera

Array = NDArray[np.float64]

_FULL_CIRCLE = np.radians(270.0)
"""Training cameras that cover more than this round the scene get a full circle, others a swing."""
_NARROW = 0.02
"""Smallest spread of viewing directions (eigenvalue; about 8 degrees) that fixes a point to look at."""


@dataclass(frozen=True)
class Lens:
    """Image size and focal length of a path's cameras, in pixels; the principal point is the middle."""

    width: int
    height: int
    focal: float

    def looking(self, position: Array, target: Array, up: Array) -> Camera:
        """A camera at ``position`` that looks at ``target``, with ``up`` upwards in the image."""
        return self.posed(position, _frame(target - position, up))

    def posed(self, position: Array, rotation: Array) -> Camera:
        """A camera at ``position`` whose axes are the rows of ``rotation`` [3, 3]."""
        pose = np.eye(4)
        pose[:3, :3] = rotation
        pose[:3, 3] = -rotation @ position
        intrinsics = [[self.focal, 0, self.width / 2], [0, self.focal, self.height / 2], [0, 0, 1]]
        return Camera(
            torch.tensor(pose, dtype=torch.float32), torch.tensor(intrinsics), self.width, self.height
        )


def lens_for(cameras: Sequence[Camera], size: tuple[int, int] | None) -> Lens:
    """The median size and field of view of some cameras; another size never shows more than they saw."""
    width = int(np.median([camera.width for camera in cameras]))
    height = int(np.median([camera.height for camera in cameras]))
    focal = float(np.median([np.mean(camera.focal) for camera in cameras]))
    if size is None:
        return Lens(width, height, focal)
    return Lens(*size, focal * max(size[0] / width, size[1] / height))


def look_at_point(cameras: Sequence[Camera], points: Array) -> Array:
    """The point that the cameras look at: least-squares intersection of their optical axes.

    Where the axes are almost parallel, or meet behind most cameras, the point lies on the mean axis
    at the median depth of ``points``.

    Args:
        cameras: one or more.
        points: [N, 3] scene points, for the depth.

    Returns:
        [3] world point, argmin_p sum_i |(I - d_i d_i^T)(p - c_i)|^2.
    """
    centres, axes = _centres(cameras), _axes(cameras)[:, 2]
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    mean_across = across.mean(0)
    if np.linalg.eigvalsh(mean_across)[0] > _NARROW:
        point = np.linalg.solve(mean_across, np.einsum("nij,nj->i", across, centres) / len(centres))
        if np.mean(np.einsum("nj,nj->n", point - centres, axes) > 0) > 0.5:
            return point
    centre, axis = centres.mean(0), _unit(axes.mean(0), axes[0])
    depths = (points - centre) @ axis
    ahead = depths[depths > 0]
    return centre + axis * (np.median(ahead) if len(ahead) else 1.0)


def orbit(cameras: Sequence[Camera], points: Array, lens: Lens, frames: int) -> list[Camera]:
    """A closed path round what the cameras look at, at their median height and distance.

    A full circle if the cameras go round the scene; otherwise a swing to and fro within the angles
    that they cover, so that the path shows nothing that no photo saw.
    """
    target = look_at_point(cameras, points)
    up = mean_up(cameras)
    offsets = _centres(cameras) - target
    east = _unit(_cross(up, offsets.mean(0)), _cross(up, np.array([1.0, 0.1, 0.2])))
    north = _cross(east, up)
    azimuth = np.arctan2(offsets @ north, offsets @ east)
    heights = offsets @ up
    flat = np.linalg.norm(offsets - heights[:, None] * up, axis=1)
    elevation = np.arctan2(heights, flat)
    distance = float(np.median(np.linalg.norm(offsets, axis=1)))
    phase = np.linspace(0, 2 * np.pi, frames, endpoint=False)
    first, arc = covered_arc(azimuth)
    if arc > _FULL_CIRCLE:
        turn = first + phase
        tilt = np.full(frames, np.median(elevation))
    else:
        turn = first + arc * (0.5 + 0.4 * np.sin(phase))
        low, middle, high = np.quantile(elevation, [0.1, 0.5, 0.9])
        tilt = middle + 0.4 * (high - low) * np.cos(phase)
    ring = np.cos(turn)[:, None] * east + np.sin(turn)[:, None] * north
    positions = target + distance * (np.cos(tilt)[:, None] * ring + np.sin(tilt)[:, None] * up)
    return [lens.looking(position, target, up) for position in positions]


def orbit_of_points(points: Array, lens: Lens, frames: int) -> list[Camera]:
    """A circle round a scene without cameras: about its middle 80 %, y down, from slightly above."""
    target = np.quantile(points, [0.1, 0.9], axis=0).mean(axis=0)
    radius = float(np.quantile(np.linalg.norm(points - target, axis=1), 0.9)) or 1.0
    distance = 1.3 * radius * lens.focal / (0.5 * min(lens.width, lens.height))
    up, tilt = np.array([0.0, -1.0, 0.0]), np.radians(15.0)
    turn = np.linspace(0, 2 * np.pi, frames, endpoint=False)
    ring = np.stack([np.sin(turn), np.zeros(frames), -np.cos(turn)], axis=1)
    positions = target + distance * (np.cos(tilt) * ring + np.sin(tilt) * up)
    return [lens.looking(position, target, up) for position in positions]


def through(cameras: Sequence[Camera], lens: Lens, frames: int) -> list[Camera]:
    """A smooth path through cameras: Catmull-Rom splines of position and axes, at an even pace.

    Cameras are taken in the order given, unless going from each to its nearest neighbour is far
    shorter (photos whose names follow no path).
    """
    order = travel_order(_centres(cameras))
    centres, axes = _centres(cameras)[order], _axes(cameras)[order]
    keys = np.concatenate([centres, axes[:, 1], axes[:, 2]], axis=1)  # position, down, forward
    if len(keys) == 1:
        keys = np.repeat(keys, 2, axis=0)
    spread = float(np.linalg.norm(centres - centres.mean(0), axis=1).mean()) or 1.0
    steps = np.linalg.norm(np.diff(keys[:, :3], axis=0), axis=1)
    steps += spread * np.linalg.norm(np.diff(keys[:, 6:], axis=0), axis=1)
    at = np.concatenate([[0.0], np.cumsum(steps + 1e-9 * spread)])
    poses = _catmull_rom(at, keys, np.linspace(0, at[-1], frames))
    return [lens.posed(pose[:3], _frame(pose[6:], -pose[3:6])) for pose in poses]


def exactly(cameras: Sequence[Camera], size: tuple[int, int] | None) -> list[Camera]:
    """The cameras as they are, if they share one size and no other is asked for; else through one lens."""
    sizes = {(camera.width, camera.height) for camera in cameras}
    if len(sizes) == 1 and size in (None, *sizes):
        return list(cameras)
    lens = lens_for(cameras, size)
    return [lens.posed(*pose) for pose in zip(_centres(cameras), _axes(cameras), strict=True)]


def mean_up(cameras: Sequence[Camera]) -> Array:
    """Unit mean of the cameras' upward image axes (-y)."""
    up = -_axes(cameras)[:, 1]
    return _unit(up.mean(0), up[0])


def covered_arc(azimuth: Array) -> tuple[float, float]:
    """(start, length) in radians of the shortest arc that holds all azimuths."""
    ordered = np.sort(np.mod(azimuth, 2 * np.pi))
    gaps = np.diff(np.append(ordered, ordered[0] + 2 * np.pi))
    widest = int(np.argmax(gaps))
    start = ordered[(widest + 1) % len(ordered)]
    return float(start), float(2 * np.pi - gaps[widest])


def travel_order(centres: Array) -> list[int]:
    """Indices along a path: as they are, or by nearest neighbour where that is less than half as long."""
    left = set(range(1, len(centres)))
    order = [0]
    while left:
        candidates = sorted(left)
        distances = np.linalg.norm(centres[candidates] - centres[order[-1]], axis=1)
        order.append(candidates[int(np.argmin(distances))])
        left.remove(order[-1])

    def length(indices: Sequence[int]) -> float:
        return float(np.linalg.norm(np.diff(centres[list(indices)], axis=0), axis=1).sum())

    as_given = list(range(len(centres)))
    return order if length(order) < 0.5 * length(as_given) else as_given


def _catmull_rom(at: Array, keys: Array, where: Array) -> Array:
    """Cubic Hermite spline through (at, keys) with central-difference tangents (non-uniform)."""
    slope = np.diff(keys, axis=0) / np.diff(at)[:, None]
    tangent = np.concatenate([slope[:1], slope, slope[-1:]])
    tangent = 0.5 * (tangent[:-1] + tangent[1:])
    left = np.clip(np.searchsorted(at, where, side="right") - 1, 0, len(at) - 2)
    width = (at[left + 1] - at[left])[:, None]
    t = (where[:, None] - at[left][:, None]) / width
    return (
        (2 * t**3 - 3 * t**2 + 1) * keys[left]
        + (t**3 - 2 * t**2 + t) * width * tangent[left]
        + (-2 * t**3 + 3 * t**2) * keys[left + 1]
        + (t**3 - t**2) * width * tangent[left + 1]
    )


def _frame(forward: Array, up: Array) -> Array:
    """[3, 3] rows x right, y down, z forward of a camera looking along ``forward``."""
    z = _unit(forward, np.array([0.0, 0.0, 1.0]))
    other = np.array([0.6, 0.0, 0.8] if abs(z[0]) < 0.5 else [0.0, 0.6, 0.8])
    x = _unit(_cross(z, up), _cross(z, other))
    return np.stack([x, _cross(z, x), z])


def _cross(a: Array, b: Array) -> Array:
    return np.cross(a, b).astype(np.float64)


def _centres(cameras: Sequence[Camera]) -> Array:
    return np.stack([camera.position.detach().double().numpy() for camera in cameras])


def _axes(cameras: Sequence[Camera]) -> Array:
    """[N, 3, 3] rows: right, down, forward of each camera in the world."""
    return np.stack([camera.world_to_camera[:3, :3].detach().double().numpy() for camera in cameras])


def _unit(vector: Array, fallback: Array) -> Array:
    length = np.linalg.norm(vector)
    return vector / length if length > 1e-9 else _unit(fallback, np.array([1.0, 0.0, 0.0]))
