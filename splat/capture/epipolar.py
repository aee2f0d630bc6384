"""How many matched features agree with given cameras, whether or not they can be placed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
from numpy.typing import NDArray

_TOLERANCE = 4.0
"""Pixels, as structure from motion's own check of matches allows."""

_NO_PARALLAX = np.sin(np.radians(1.0))


def count_matches(database: Path, model: pycolmap.Reconstruction) -> tuple[int, int]:
    """(matches, matches that fit the cameras), summed over the pairs of images that share any.

    A match fits where its Sampson distance from the epipolar geometry of the two cameras is at most
    4 pixels (Hartley and Zisserman 2003, section 11.4.3), and its rays, unless they are near parallel,
    meet in front of both.

    Args:
        database: with verified matches.
        model: with the poses and cameras of the same images.
    """
    store = pycolmap.Database.open(database)
    pairs, geometries = store.read_two_view_geometries()
    keypoints = {i: np.asarray(store.read_keypoints(i), np.float64)[:, :2] for i in model.images}
    store.close()
    count, fitting = 0, 0
    for pair, geometry in zip(pairs, geometries, strict=True):
        one, other = pycolmap.pair_id_to_image_pair(pair)
        rows = np.asarray(geometry.inlier_matches)
        if len(rows):
            fits = _fit(model, one, other, keypoints[one][rows[:, 0]], keypoints[other][rows[:, 1]])
            count += len(rows)
            fitting += int(fits.sum())
    return count, fitting


def _fit(
    model: pycolmap.Reconstruction, one: int, other: int, a: NDArray[np.float64], b: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """[M] whether keypoints [M, 2] of two images can be the same point."""
    first, second = model.images[one], model.images[other]
    cameras = model.cameras[first.camera_id], model.cameras[second.camera_id]
    between = second.cam_from_world() * first.cam_from_world().inverse()
    rotation, shift = between.rotation.matrix(), np.asarray(between.translation)
    rays_a, rays_b = _rays(cameras[0], a) @ rotation.T, _rays(cameras[1], b)
    focal = np.mean([camera.mean_focal_length() for camera in cameras])
    distance = focal * _sampson(rays_a, rays_b, rotation, shift)
    return (distance <= _TOLERANCE) & _in_front(rays_a, rays_b, shift)


def _sampson(
    rays_a: NDArray[np.float64], rays_b: NDArray[np.float64], rotation: NDArray, shift: NDArray
) -> NDArray[np.float64]:
    """[M] distance in units of the focal length; infinite where it is not defined.

    Args:
        rays_a: [M, 3] of the first camera, in the axes of the second.
        rays_b: [M, 3] of the second.
        rotation: [3, 3] from the first camera's axes to the second's.
        shift: [3] the first camera's centre, in the second's frame.
    """
    x, y, z = shift
    across = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    line_b, line_a = rays_a @ across.T, rays_b @ across @ rotation
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (line_a[:, :2] ** 2).sum(1) + (line_b[:, :2] ** 2).sum(1)
        distance = np.abs((rays_b * line_b).sum(1)) / np.sqrt(slope)
    return np.nan_to_num(distance, nan=np.inf)


def _in_front(rays_a: NDArray, rays_b: NDArray, shift: NDArray) -> NDArray[np.bool_]:
    """[M] whether shift + s a and t b are nearest for positive s and t, or a and b are near parallel."""
    aa, bb, ab = (rays_a**2).sum(1), (rays_b**2).sum(1), (rays_a * rays_b).sum(1)
    to_a, to_b = rays_a @ shift, rays_b @ shift
    system = aa * bb - ab**2
    first, second = ab * to_b - bb * to_a, aa * to_b - ab * to_a  # both times a positive number
    return ((first > 0) & (second > 0)) | (system < _NO_PARALLAX**2 * aa * bb)


def _rays(camera: pycolmap.Camera, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """[M, 3] rays (x/z, y/z, 1); NaN where the lens has none."""
    flat = np.asarray(camera.cam_from_img(pixels))
    return np.concatenate([flat, np.ones((len(flat), 1))], axis=1)
