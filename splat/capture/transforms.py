"""transforms.json, as nerfstudio and instant-ngp write it."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splat.capture.decode import IMAGE_SUFFIXES, read_header
from splat.capture.lens import Lens
from splat.capture.masks import MaskFile
from splat.capture.options import CaptureOptions
from splat.capture.points import read_points
from splat.capture.posed import PosedPhoto, PosedPhotos
from splat.errors import SplatError

OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
"""Camera axes: x right, y up, z back to x right, y down, z forward."""

_POINT_FILES = ("sparse_pc.ply", "points3D.ply", "points3d.ply")
_PINHOLE = ("PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE")
_RADIAL = ("OPENCV", "SIMPLE_RADIAL", "RADIAL", "FULL_OPENCV")
_COEFFICIENTS = ("k1", "k2", "k3", "k4", "p1", "p2")


def read_transforms(path: Path, options: CaptureOptions) -> PosedPhotos:
    """Photos, cameras and points of a transforms.json.

    The world is the file's own; an ``applied_transform`` holds for poses and points alike.

    Raises:
        SplatError: the file is no transforms.json, a camera model is not supported, or none of the
            photos exists.
    """
    document = read_document(path)
    frames = document["frames"]
    photos = [frame_photo(path, document, frame, i, options) for i, frame in enumerate(frames)]
    photos = _with_split(photos, document, path.parent)
    if not any(photo.path.is_file() for photo in photos):
        raise SplatError(
            f"None of the {len(photos)} photos that {path} names exists",
            expected=f"files like {photos[0].path}",
            advice="Put the photos where the file says they are, relative to itself",
        )
    points, colors, notes = _read_points(path, document)
    return PosedPhotos(
        source="transforms",
        root=path.parent,
        found=len(photos),
        photos=photos,
        points=points,
        point_colors=colors,
        notes=notes,
    )


def read_document(path: Path) -> dict[str, Any]:
    """The parsed file, whose ``frames`` is a list that is not empty.

    Raises:
        SplatError: it is not.
    """
    if not path.is_file():
        raise SplatError(f"{path} does not exist", expected="a JSON file with cameras, and its photos")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SplatError(
            f"{path} cannot be read as JSON ({error})",
            advice="It was cut short or edited wrongly, or is another kind of file: copy or export it again",
        ) from error
    frames = document.get("frames") if isinstance(document, dict) else None
    if not isinstance(frames, list) or not frames:
        raise SplatError(f"{path} has no frames", expected="a list of them, each with file_path")
    return document


def frame_photo(
    path: Path, document: dict[str, Any], frame: Any, index: int, options: CaptureOptions
) -> PosedPhoto:
    """One frame; its file may be missing and its pose NaN: that is checked later, for all readers.

    Raises:
        SplatError: the frame lacks what is needed, naming it.
    """
    where = f"{path}, frame {index}"
    if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
        raise SplatError(f"{where} has no file_path", expected="the name of a photo")
    file = _find_file(path.parent, frame["file_path"])
    settings = {**document, **frame}
    mask = frame.get("mask_path")
    return PosedPhoto(
        name=_name(file, path.parent),
        path=file,
        lens=_lens(settings, file, where),
        world_to_camera=_pose(frame.get("transform_matrix"), where),
        mask=MaskFile(path.parent / mask, options.invert_masks) if isinstance(mask, str) else None,
    )


def _find_file(folder: Path, name: str) -> Path:
    """The photo; Blender sets leave out its suffix."""
    path = folder / name.replace("\\", "/")
    if path.is_file():
        return path
    for suffix in [".png", *sorted(IMAGE_SUFFIXES)]:
        for ending in (suffix, suffix.upper()):
            if (longer := path.with_name(path.name + ending)).is_file():
                return longer
    return path


def _name(file: Path, folder: Path) -> str:
    return Path(os.path.relpath(file, folder)).as_posix()


def _pose(matrix: Any, where: str) -> NDArray[np.float64]:
    """world_to_camera in OpenCV axes from the file's OpenGL camera_to_world."""
    try:
        camera_to_world = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError):
        camera_to_world = np.zeros(0)
    if camera_to_world.shape not in ((4, 4), (3, 4)):
        raise SplatError(f"{where} has no 4 x 4 transform_matrix", expected="camera-to-world, OpenGL axes")
    full = np.eye(4)
    full[:3] = camera_to_world[:3]
    if not np.isfinite(full).all() or abs(np.linalg.det(full)) < 1e-12:
        return np.full((4, 4), np.nan)
    full = full @ OPENGL_TO_OPENCV
    rotation = _nearest_rotation(full[:3, :3])
    pose = np.eye(4)
    pose[:3, :3] = rotation.T
    pose[:3, 3] = -rotation.T @ full[:3, 3]
    return pose


def _nearest_rotation(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation closest to a nearly orthonormal matrix; others are given back for the check to see."""
    if np.abs(matrix @ matrix.T - np.eye(3)).max() > 0.02:
        return matrix
    u, _, vt = np.linalg.svd(matrix)
    return u @ vt


def _lens(settings: dict[str, Any], file: Path, where: str) -> Lens:
    width, height = _size(settings, file, where)
    fx = _focal(settings, "fl_x", ("camera_angle_x", "x_fov"), width, where)
    fy = _focal(settings, "fl_y", ("camera_angle_y", "y_fov"), height, where)
    # A field of view along one axis means square pixels; fl_y alone wins over a missing fl_x.
    fx, fy = fx or fy, fy if fy and "fl_y" in settings else fx or fy
    if not fx or not fy:
        raise SplatError(f"{where} has no focal length", expected="fl_x (pixels) or camera_angle_x (radians)")
    if fx < 0 or fy < 0:
        raise SplatError(f"{where} has focal lengths {fx:g} and {fy:g}", expected="more than 0 pixels")
    center = _number(settings, "cx", where, width / 2), _number(settings, "cy", where, height / 2)
    return _model(settings, width, height, (fx, fy, *center), where)


def _model(settings: dict[str, Any], width: int, height: int, pixels: tuple[float, ...], where: str) -> Lens:
    name = str(settings.get("camera_model", "OPENCV")).upper()
    k1, k2, k3, k4, p1, p2 = (_number(settings, key, where, 0.0) for key in _COEFFICIENTS)
    if name == "OPENCV_FISHEYE" or settings.get("is_fisheye"):
        return Lens("OPENCV_FISHEYE", width, height, (*pixels, k1, k2, k3, k4))
    if name in _PINHOLE:
        return Lens("PINHOLE", width, height, pixels)
    if name not in _RADIAL or k4:
        what = f"camera_model {name}" if name not in _RADIAL else "k4 on a lens that is no fisheye"
        raise SplatError(f"{where} has {what}", expected="PINHOLE, OPENCV or OPENCV_FISHEYE")
    if k3:
        return Lens("FULL_OPENCV", width, height, (*pixels, k1, k2, p1, p2, k3, 0.0, 0.0, 0.0))
    return Lens("OPENCV", width, height, (*pixels, k1, k2, p1, p2))


def _number(settings: dict[str, Any], key: str, where: str, default: float) -> float:
    """A number of the file, ``default`` where it has none.

    Raises:
        SplatError: what is there is no finite number.
    """
    value = settings.get(key)
    if value is None:
        return default
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise SplatError(f"{where} has {key} = {value!r}", expected="a finite number")
    return number


def _focal(settings: dict[str, Any], key: str, angles: tuple[str, ...], side: int, where: str) -> float:
    """Pixels, from the focal length or a field of view; 0 where the file has neither."""
    if settings.get(key) is not None:
        return _number(settings, key, where, 0.0)
    for name in angles:
        if settings.get(name) is not None:
            angle = _number(settings, name, where, 0.0)
            angle = math.radians(angle) if name.endswith("fov") else angle
            if not 0 < angle < math.pi:
                raise SplatError(f"{where} has {name} = {settings[name]!r}", expected="0 to 180 degrees")
            return 0.5 * side / math.tan(0.5 * angle)
    return 0.0


def _size(settings: dict[str, Any], file: Path, where: str) -> tuple[int, int]:
    width, height = settings.get("w"), settings.get("h")
    if width and height:
        size = int(_number(settings, "w", where, 0.0)), int(_number(settings, "h", where, 0.0))
        if min(size) < 1:
            raise SplatError(f"{where} has size {width} x {height}", expected="pixels, 1 or more")
        return size
    try:
        return read_header(file).size()
    except SplatError as error:
        if "heic" in error.advice:
            raise
        # A photo that cannot be read is counted as skipped later; any size will do until then.
        return 16, 16


def _with_split(photos: list[PosedPhoto], document: dict[str, Any], folder: Path) -> list[PosedPhoto]:
    """Mark held-out photos where the file has test_filenames (or val_filenames)."""
    names = document.get("test_filenames") or document.get("val_filenames")
    if not isinstance(names, list):
        return photos
    held = {_name(_find_file(folder, str(name)), folder) for name in names}
    return [replace(photo, held_out=photo.name in held) for photo in photos]


def _read_points(
    path: Path, document: dict[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.uint8], list[str]]:
    named = document.get("ply_file_path")
    names = [named] if isinstance(named, str) else list(_POINT_FILES)
    for name in names:
        if (path.parent / name).is_file():
            points, colors = read_points(path.parent / name)
            note = [] if named else [f"The points come from {name}, which lies beside {path.name}."]
            return points, colors, note
    missing = [f"{named}, which {path.name} names for its points, does not exist."] if named else []
    return np.zeros((0, 3)), np.zeros((0, 3), np.uint8), missing
