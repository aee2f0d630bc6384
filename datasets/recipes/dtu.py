"""DTU as prepared by IDR and NeuS: photos, object masks and cameras with a world and a scale matrix."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from datasets.recipes.placing import Place, common_size, photos_in
from datasets.recipes.recipe import Prepared, Recipe
from datasets.recipes.transforms import FLIP, Frame, Matrix, write_transforms
from splat.errors import SplatError

# NeuS's file bounds the object tightly, IDR's bounds the visual hull of the cameras.
CAMERA_FILES = ("cameras_sphere.npz", "cameras.npz")


def build(scene: Path, out: Path, place: Place) -> Prepared:
    """transforms.json in the data set's own millimetres, with masks, and the object's sphere kept aside."""
    photos, masks = photos_in(scene / "image"), photos_in(scene / "mask")
    if len(photos) != len(masks):
        raise SplatError(
            f"{scene} has {len(photos)} photos and {len(masks)} masks", expected="one mask a photo"
        )
    size = common_size([*photos, *masks])
    cameras = read_cameras(_camera_file(scene))
    frames = []
    for index, (photo, mask) in enumerate(zip(photos, masks, strict=True)):
        place(photo, out / "images" / photo.name)
        place(mask, out / "masks" / f"{photo.stem}{mask.suffix}")
        pose, matrix = split_projection(_entry(cameras, f"world_mat_{index}")[:3])
        names = (f"images/{photo.name}", f"masks/{photo.stem}{mask.suffix}")
        frames.append(Frame(names[0], pose, matrix, size, names[1]))
    write_transforms(out, frames)
    scale = _entry(cameras, "scale_mat_0")
    facts: dict[str, object] = {
        "scale_matrix": scale.tolist(),
        "object_sphere": {"centre": scale[:3, 3].tolist(), "radius": float(scale[0, 0])},
    }
    protocol = [
        f"Photos at their native {size[0]}x{size[1]}, all of them trained on: the measure is the mesh",
        "Inside the masks only",
        "World in DTU's millimetres, so that a mesh compares with its scans as it is",
    ]
    return Prepared(len(photos), {"max_size": max(size), "test_every": 0}, protocol, facts)


def _camera_file(scene: Path) -> Path:
    return next(scene / name for name in CAMERA_FILES if (scene / name).is_file())


def read_cameras(path: Path) -> dict[str, NDArray[np.float64]]:
    """The [4, 4] matrices of cameras.npz by name."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: np.asarray(file[name], dtype=np.float64) for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SplatError(f"{path} cannot be read ({error})", expected="IDR's NumPy archive") from error


def _entry(cameras: dict[str, NDArray[np.float64]], name: str) -> NDArray[np.float64]:
    matrix = cameras.get(name)
    if matrix is None or matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        found = "it is not there" if matrix is None else f"it is of shape {matrix.shape} or not finite"
        raise SplatError(f"DTU's cameras need {name}: {found}", expected="one finite [4, 4] matrix a photo")
    return matrix


def split_projection(projection: Matrix) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Camera to world (OpenGL axes) and intrinsics of a [3, 4] projection, by RQ factorisation.

    DTU counts pixel centres at whole numbers; half a pixel is added to the principal point.
    Hartley and Zisserman, Multiple View Geometry, 6.2.4.
    """
    flip = np.eye(3)[::-1]
    lower, upper = np.linalg.qr((flip @ projection[:, :3]).T)
    matrix, rotation = flip @ upper.T @ flip, flip @ lower.T
    signs = np.diag(np.sign(np.diag(matrix)))
    matrix, rotation = matrix @ signs, signs @ rotation
    sign = float(np.sign(np.linalg.det(rotation)))
    rotation = sign * rotation
    shift = sign * np.linalg.solve(matrix, projection[:, 3])
    matrix = matrix / matrix[2, 2]
    if abs(matrix[0, 1]) > 1e-2 * matrix[0, 0]:
        raise SplatError("a DTU camera has skewed pixels", expected="square axes", advice="Is it DTU's file?")
    matrix[0, 1] = 0.0
    matrix[:2, 2] += 0.5
    world_to_camera = np.eye(4)
    world_to_camera[:3] = np.column_stack([rotation, shift])
    return np.linalg.inv(world_to_camera) @ FLIP, matrix


def is_scene(folder: Path) -> bool:
    """Photos, masks and cameras are there."""
    folders = all((folder / name).is_dir() for name in ("image", "mask"))
    return folders and any((folder / name).is_file() for name in CAMERA_FILES)


def wanted(name: str) -> bool:
    """Photos, masks and cameras."""
    path = PurePosixPath(name)
    return path.name in CAMERA_FILES or path.parent.name in ("image", "mask")


RECIPE = Recipe(
    name="dtu",
    title="DTU (as prepared for IDR and NeuS)",
    page='the project page of IDR or NeuS ("NeuS: Learning Neural Implicit Surfaces", data_DTU.zip)',
    layout="<scan>/image/*.png, <scan>/mask/*.png and <scan>/cameras_sphere.npz or cameras.npz",
    is_scene=is_scene,
    wanted=wanted,
    build=build,
)
