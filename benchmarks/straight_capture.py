"""A capture with all its slow work done: photos without lens distortion, cameras and sparse points in files.

    python benchmarks/straight_capture.py photos/fox data/fox

What comes out, a transforms.json beside ``images/`` and ``points3D.ply``, is read on a machine that has no
pycolmap, and gives the same views, split and points again. Photos are written as JPEG, quality 95.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from splat.capture import CaptureOptions, open_capture
from splat.capture.types import Capture, View
from splat.io.image import write_image

OPENCV_TO_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


def write_straight(capture: Capture, folder: Path) -> None:
    """Write a capture of opaque photos; its normalised world becomes the file's own.

    Raises:
        ValueError: a photo is transparent or masked.
    """
    frames = [_frame(view, folder) for view in capture.views]
    held_out = [frames[index]["file_path"] for index in capture.test]
    document = {"frames": frames, "test_filenames": held_out, "ply_file_path": "points3D.ply"}
    _write_points(folder / "points3D.ply", capture.points.numpy(), capture.point_colors.numpy())
    (folder / "transforms.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _frame(view: View, folder: Path) -> dict[str, object]:
    pixels, camera = view.load(), view.camera
    if pixels.alpha is not None or pixels.mask is not None:
        raise ValueError(f"{view.name} is transparent or masked, which a JPEG cannot say")
    name = f"images/{Path(view.name).with_suffix('').as_posix().replace('/', '__')}.jpg"
    write_image(folder / name, pixels.rgb)
    to_world = np.linalg.inv(camera.world_to_camera.double().numpy())
    return {
        "file_path": name,
        "w": camera.width,
        "h": camera.height,
        **dict(zip(("fl_x", "fl_y"), camera.focal, strict=True)),
        **dict(zip(("cx", "cy"), camera.principal_point, strict=True)),
        "transform_matrix": (to_world @ OPENCV_TO_OPENGL).tolist(),
    }


def _write_points(path: Path, points: NDArray[np.float32], colors: NDArray[np.uint8]) -> None:
    rows = np.empty(len(points), [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    rows["xyz"], rows["rgb"] = points, colors
    properties = [f"property float {axis}" for axis in "xyz"]
    properties += [f"property uchar {channel}" for channel in ("red", "green", "blue")]
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}", *properties]
    path.write_bytes("\n".join([*lines, "end_header", ""]).encode("ascii") + rows.tobytes())


def main() -> None:
    """Read and write."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("source", type=Path, help="any source that `splat fit` takes")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--max-size", type=int, help="longer side of the photos, pixels; default: as is")
    parser.add_argument("--cache", type=Path, help="folder for the cameras found")
    asked = parser.parse_args()
    capture = open_capture(asked.source, CaptureOptions(max_size=asked.max_size), asked.cache)
    write_straight(capture, asked.out)
    print(f"{asked.out}: {len(capture.views)} photos, {len(capture.points)} points")


if __name__ == "__main__":
    main()
