"""Tiny stand-ins for the known data sets, in their official layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
from numpy.typing import NDArray
from PIL import Image


def photo(path: Path, width: int, height: int, mode: str = "RGB") -> None:
    """A plain picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (width, height), 90 if mode == "L" else (90, 120, 60, 128)[: len(mode)]).save(path)


def colmap_scene(scene: Path, names: list[str], camera: pycolmap.Camera) -> None:
    """sparse/0 as COLMAP itself writes it, with one pose a photo and two points."""
    model = pycolmap.Reconstruction()
    model.add_camera_with_trivial_rig(camera)
    for number, name in enumerate(names, start=1):
        image = pycolmap.Image(name=name, camera_id=camera.camera_id, image_id=number)
        image.points2D = pycolmap.Point2DList([pycolmap.Point2D([3.0, 4.0])])
        pose = pycolmap.Rigid3d(np.eye(3, 4) + 0.1 * number * np.eye(3, 4, 3))
        model.add_image_with_trivial_frame(image, pose)
    for number in range(2):
        track = pycolmap.Track()
        track.add_element(number + 1, 0)
        model.add_point3D(
            np.array([number, 2.0, 5.0]), track, np.array([10, 20, 30 + number], dtype=np.uint8)
        )
    (scene / "sparse" / "0").mkdir(parents=True)
    model.write_binary(str(scene / "sparse" / "0"))


def random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """[3, 3], right-handed."""
    matrix, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    return matrix * np.sign(np.linalg.det(matrix))
