"""From the mapper's solution to the model that is kept: lens refined, full size, upright, named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pycolmap
from numpy.typing import NDArray

_ENOUGH_PHOTOS = 8
"""Photos a camera needs before its principal point and tangential distortion are refined."""

_WORTH = 0.98
"""How much more parameters must lower the reprojection error to be kept."""

_FARTHEST_CENTER = 0.05
_UNEVEN_PIXELS = 0.03
_STRONG_DISTORTION = 1.0


def finish(model: pycolmap.Reconstruction, photos: dict[str, dict[str, Any]]) -> pycolmap.Reconstruction:
    """Refine, turn upright, and bring to the names and sizes of the original photos.

    Args:
        model: solution in the working copies' names and pixels.
        photos: by copy's file name, the photo's "name" and "size" (width, height).
    """
    model = _refined(model)
    model.transform(_upright(model))
    _to_full_size(model, photos)
    return model


def reprojection_error(model: pycolmap.Reconstruction) -> float:
    """Mean over all observations, in the model's pixels."""
    model.update_point_3d_errors()
    return float(model.compute_mean_reprojection_error()) if model.num_points3D() else 0.0


def _refined(model: pycolmap.Reconstruction) -> pycolmap.Reconstruction:
    """The best of three last bundle adjustments that is plausible, simplest first.

    The mapper keeps the principal point in the middle, which on real lenses turns every camera by a
    fraction of a degree (0.48 against 0.09 degrees on Strecha's fountain); so it is freed, with two
    radial terms. Uneven pixels and tangential distortion trade against the principal point, so they
    are freed only where that pays.
    """
    best = _as_model(model, "OPENCV")
    radial, full = _as_model(model, "RADIAL"), None
    _adjust(radial)
    if _is_better(radial, best, 1.0):
        full = _as_model(radial, "OPENCV")
        best = _as_model(radial, "OPENCV")
        _adjust(full)
    return full if full is not None and _is_better(full, best, _WORTH) else best


def _is_better(new: pycolmap.Reconstruction, old: pycolmap.Reconstruction, factor: float) -> bool:
    plausible = all(_is_plausible(camera) for camera in new.cameras.values())
    return plausible and reprojection_error(new) <= factor * reprojection_error(old)


def _adjust(model: pycolmap.Reconstruction) -> None:
    """Refine everything; lenses with few photos stay as they are."""
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_principal_point = True
    options.ceres.use_gpu = False
    options.ceres.solver_options.num_threads = 1
    options.ceres.solver_options.max_num_iterations = 50
    options.ceres.solver_options.function_tolerance = 1e-6
    config = pycolmap.BundleAdjustmentConfig()
    posed = [image for image in model.images.values() if image.has_pose]
    for image in posed:
        config.add_image(image.image_id)
    used = [image.camera_id for image in posed]
    for camera in set(used):
        if used.count(camera) < _ENOUGH_PHOTOS:
            config.set_constant_cam_intrinsics(camera)
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    pycolmap.create_default_bundle_adjuster(options, config, model).solve()


def _as_model(model: pycolmap.Reconstruction, lens: str) -> pycolmap.Reconstruction:
    """A copy whose cameras are the same under a wider camera model: "RADIAL" or "OPENCV"."""
    copy = pycolmap.Reconstruction(model)
    for camera in copy.cameras.values():
        params = list(camera.params)
        if camera.model.name == "OPENCV":
            continue
        f, cx, cy, k1, k2 = params if len(params) == 5 else (*params, 0.0)
        camera.model = getattr(pycolmap.CameraModelId, lens)
        camera.params = [f, cx, cy, k1, k2] if lens == "RADIAL" else [f, f, cx, cy, k1, k2, 0.0, 0.0]
    return copy


def _is_plausible(camera: pycolmap.Camera) -> bool:
    fx, fy = camera.focal_length_x, camera.focal_length_y
    center = (
        abs(camera.principal_point_x / camera.width - 0.5),
        abs(camera.principal_point_y / camera.height - 0.5),
    )
    distortion = [camera.params[index] for index in camera.extra_params_idxs()]
    return (
        max(center) < _FARTHEST_CENTER
        and abs(fx / fy - 1) < _UNEVEN_PIXELS
        and max(abs(value) for value in distortion) < _STRONG_DISTORTION
    )


def _upright(model: pycolmap.Reconstruction) -> pycolmap.Sim3d:
    """The rotation that turns the cameras' mean down axis to +y."""
    images = [image for image in model.images.values() if image.has_pose]
    down = np.mean([image.cam_from_world().rotation.matrix()[1] for image in images], axis=0)
    rotation = _shortest_rotation(down, np.array([0.0, 1.0, 0.0]))
    return pycolmap.Sim3d(1.0, pycolmap.Rotation3d(rotation), np.zeros(3))


def _shortest_rotation(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrix that turns the direction ``source`` to the unit vector ``target`` (Rodrigues)."""
    length = np.linalg.norm(source)
    if length < 1e-6:
        return np.eye(3)
    unit = source / length
    axis, cosine = np.cross(unit, target), float(unit @ target)
    if cosine < -0.999999:  # opposite: half a turn about x, which is at a right angle to y
        return np.diag([1.0, -1.0, -1.0])
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + skew + skew @ skew / (1.0 + cosine)


def _to_full_size(model: pycolmap.Reconstruction, photos: dict[str, dict[str, Any]]) -> None:
    """Scale cameras and keypoints from the working copies to the photos, and rename."""
    scaled: set[int] = set()
    for image in model.images.values():
        photo = photos[image.name]
        camera = model.cameras[image.camera_id]
        width, height = photo["size"]
        if image.camera_id not in scaled:
            scaled.add(image.camera_id)
            ratio = np.array([width / camera.width, height / camera.height])
            camera.rescale(width, height)
            _scale_keypoints(model, image.camera_id, ratio)
        image.name = photo["name"]
    model.update_point_3d_errors()


def _scale_keypoints(model: pycolmap.Reconstruction, camera_id: int, ratio: NDArray[np.float64]) -> None:
    for image in model.images.values():
        if image.camera_id == camera_id:
            for point in image.points2D:
                point.xy = point.xy * ratio
