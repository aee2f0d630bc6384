"""LLFF: forward-facing phone captures with poses_bounds.npy."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from datasets.recipes.colmap_model import points
from datasets.recipes.placing import Place, common_size, photos_in
from datasets.recipes.recipe import Prepared, Recipe
from datasets.recipes.transforms import Frame, write_points, write_transforms
from splat.errors import SplatError

# The protocol of NeRF uses an eighth of the size; others state a quarter.
FOLDERS = ("images_8", "images_4", "images")


def build(scene: Path, out: Path, place: Place) -> Prepared:
    """poses_bounds.npy to transforms.json, photos from images_8 where it is there."""
    images = next(scene / name for name in FOLDERS if (scene / name).is_dir())
    photos = photos_in(images)
    table = read_poses(scene / "poses_bounds.npy")
    if len(table) != len(photos):
        raise SplatError(
            f"{scene / 'poses_bounds.npy'} has {len(table)} poses, {images} has {len(photos)} photos",
            expected="one pose a photo, in the order of the names",
        )
    size = common_size(photos)
    frames = []
    for path, row in zip(photos, table, strict=True):
        place(path, out / "images" / path.name)
        pose, matrix = camera(row, size)
        frames.append(Frame(f"images/{path.name}", pose, matrix, size))
    sparse = scene / "sparse" / "0" / "points3D.bin"
    if sparse.is_file():
        write_points(out / "points3D.ply", *points(sparse))
    write_transforms(out, frames, "points3D.ply" if sparse.is_file() else None)
    protocol = [
        f"Photos as provided in {images.name} ({size[0]}x{size[1]}; the original is {_original(table)})",
        "Every 8th photo by name is held out",
    ]
    options: dict[str, str | int] = {"max_size": max(size), "test_every": 8}
    return Prepared(len(photos), options, protocol, {"near_far": table[:, 15:].tolist()})


def read_poses(path: Path) -> NDArray[np.float64]:
    """[N, 17]: 3x5 (rotation, position, [height, width, focal]) row by row, then near and far depth."""
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SplatError(f"{path} cannot be read ({error})", expected="LLFF's NumPy file") from error
    if table.ndim != 2 or table.shape[1] != 17 or not np.issubdtype(table.dtype, np.floating):
        raise SplatError(
            f"{path} holds a {table.dtype} array of shape {table.shape}", expected="shape [N, 17]"
        )
    if not np.isfinite(table).all():
        raise SplatError(f"{path} holds numbers that are not finite", advice="Download it again")
    return table.astype(np.float64)


def camera(
    row: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Camera to world [4, 4] (OpenGL axes) and intrinsics [3, 3] for photos of ``size``.

    LLFF's camera axes are (down, right, back), the columns of its rotation (LLFF's README,
    "Using your own poses"); OpenGL's are (right, up, back).
    """
    block = row[:15].reshape(3, 5)
    pose = np.eye(4)
    pose[:3] = np.stack([block[:, 1], -block[:, 0], block[:, 2], block[:, 3]], axis=1)
    height, width, focal = block[:, 4]
    fx, fy = focal * size[0] / width, focal * size[1] / height
    return pose, np.array([[fx, 0, size[0] / 2], [0, fy, size[1] / 2], [0, 0, 1]])


def _original(table: NDArray[np.float64]) -> str:
    return f"{table[0, 9]:.0f}x{table[0, 4]:.0f}"


def is_scene(folder: Path) -> bool:
    """Poses and photos are there."""
    return (folder / "poses_bounds.npy").is_file() and any((folder / name).is_dir() for name in FOLDERS)


def wanted(name: str) -> bool:
    """Photos of the protocol's sizes, poses and points; not the database."""
    path = PurePosixPath(name)
    return path.name == "poses_bounds.npy" or any(part in (*FOLDERS, "sparse") for part in path.parts)


RECIPE = Recipe(
    name="llff",
    title="LLFF (forward-facing)",
    page='the project page "NeRF: Representing Scenes as Neural Radiance Fields" (nerf_llff_data.zip)',
    layout="<scene>/poses_bounds.npy and <scene>/images_8, images_4 or images",
    is_scene=is_scene,
    wanted=wanted,
    build=build,
)
