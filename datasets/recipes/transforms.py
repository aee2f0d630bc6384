"""Writing transforms.json (nerfstudio): camera to world, x right, y up, z back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.recipes.placing import write_json
from splat.errors import SplatError

Matrix = NDArray[np.floating]
# OpenCV (x right, y down, z forward) to OpenGL (x right, y up, z back) camera axes.
FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Frame:
    """One photo.

    Attributes:
        file: path below the scene's folder.
        camera_to_world: [4, 4], OpenGL camera axes.
        intrinsics: [3, 3] pixels; pixel centres at +0.5.
        size: (width, height) pixels.
        mask: path of its mask (white counts) below the scene's folder, or None.
    """

    file: str
    camera_to_world: Matrix
    intrinsics: Matrix
    size: tuple[int, int]
    mask: str | None = None


def write_transforms(folder: Path, frames: list[Frame], points: str | None = None) -> None:
    """Write ``folder``/transforms.json.

    Args:
        folder: of the scene.
        frames: the photos.
        points: path of a PLY with sparse points below ``folder``, or None.

    Raises:
        SplatError: a pose is not a rigid motion.
    """
    for frame in frames:
        _check(frame)
    record: dict[str, object] = {"camera_model": "OPENCV", "frames": [_record(frame) for frame in frames]}
    if points is not None:
        record["ply_file_path"] = points
    write_json(folder / "transforms.json", record)


def _record(frame: Frame) -> dict[str, object]:
    matrix = frame.intrinsics
    record: dict[str, object] = {
        "file_path": frame.file,
        "w": frame.size[0],
        "h": frame.size[1],
        "fl_x": float(matrix[0, 0]),
        "fl_y": float(matrix[1, 1]),
        "cx": float(matrix[0, 2]),
        "cy": float(matrix[1, 2]),
        "transform_matrix": frame.camera_to_world.tolist(),
    }
    if frame.mask is not None:
        record["mask_path"] = frame.mask
    return record


def _check(frame: Frame) -> None:
    rotation = frame.camera_to_world[:3, :3]
    right = np.isfinite(frame.camera_to_world).all() and np.isfinite(frame.intrinsics).all()
    if not right or np.abs(rotation.T @ rotation - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        raise SplatError(
            f"the pose of {frame.file} is not a rotation and a position",
            expected="finite numbers and an orthonormal right-handed rotation",
            advice="The file with the poses is damaged, or of another data set",
        )


def write_points(path: Path, positions: NDArray[np.float32], colors: NDArray[np.uint8]) -> None:
    """Binary PLY of [P, 3] positions and [P, 3] colours."""
    row = np.dtype([("p", "<f4", 3), ("c", "u1", 3)])
    table = np.empty(len(positions), dtype=row)
    table["p"], table["c"] = positions, colors
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(table)}"]
    header += [f"property float {axis}" for axis in "xyz"]
    header += [f"property uchar {name}" for name in ("red", "green", "blue")]
    path.write_bytes(("\n".join([*header, "end_header"]) + "\n").encode() + table.tobytes())
