"""COLMAP models, binary and text."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from splat.capture.lens import Lens
from splat.capture.photos import list_photos
from splat.capture.posed import PosedPhoto, PosedPhotos
from splat.errors import SplatError

if TYPE_CHECKING:
    import pycolmap

_PLACES = ("", "sparse/0", "sparse", "colmap/sparse/0", "colmap/sparse", "dense/sparse", "0")


def find_model(source: Path) -> Path | None:
    """The folder with cameras, images and points3D files in or below ``source``; None if there is none.

    Where several numbered models lie side by side, the one with the largest images file is taken: it
    has most photos.
    """
    for place in _PLACES:
        folder = source / place
        if not _is_model(folder):
            continue
        siblings = [folder]
        if folder.name.isdigit() and folder != source:
            siblings = [path for path in folder.parent.iterdir() if path.name.isdigit() and _is_model(path)]
        return max(sorted(siblings), key=_images_size)
    return None


def read_colmap(source: Path) -> PosedPhotos:
    """The model in ``source`` with the photos beside it.

    Raises:
        SplatError: there is no model, it cannot be read, or none of its photos is found.
    """
    model = find_model(source)
    if model is None:
        raise SplatError(
            f"{source} has no COLMAP model",
            expected="cameras, images and points3D files (.bin or .txt), there or in sparse/0",
        )
    root = _photo_root(source, model)
    posed = read_model(model, root, "colmap")
    if not any(photo.path.is_file() for photo in posed.photos):
        example = posed.photos[0].name if posed.photos else "none"
        raise SplatError(
            f"None of the {len(posed.photos)} photos of the COLMAP model {model} is in {root}",
            expected=f"files like {root / example}",
            advice="Put the folder of photos, named images, beside sparse",
        )
    return posed


def read_model(model: Path, root: Path, source_kind: str) -> PosedPhotos:
    """A model's cameras and points, with photos below ``root`` found by name.

    Raises:
        SplatError: the model cannot be read.
    """
    import pycolmap

    pycolmap.logging.minloglevel = 3
    try:
        reconstruction = pycolmap.Reconstruction(model)
    except Exception as error:  # pycolmap raises several kinds for a damaged file
        raise SplatError(
            f"The COLMAP model {model} cannot be read ({str(error).splitlines()[0]})",
            expected="whole cameras, images and points3D files",
        ) from error
    files = _FileFinder(root)
    spaced = {} if (model / "images.bin").is_file() else _names_in_text(model / "images.txt")
    photos = []
    for image in reconstruction.images.values():
        if not image.has_pose:
            continue
        stored = spaced.get(image.image_id) or str(image.name)
        name = PurePosixPath(stored.replace("\\", "/")).as_posix()
        pose = np.eye(4)
        pose[:3] = image.cam_from_world().matrix()
        lens = _lens(reconstruction.cameras[image.camera_id])
        photos.append(PosedPhoto(name, files.find(name), lens, pose))
    points, colors = _points(reconstruction)
    mean_error = reconstruction.compute_mean_reprojection_error() if len(points) else 0.0
    return PosedPhotos(
        source=source_kind,
        root=root,
        found=len(reconstruction.images),
        photos=photos,
        points=points,
        point_colors=colors,
        reprojection_error=mean_error if mean_error > 0 and np.isfinite(mean_error) else None,
    )


class _FileFinder:
    """Finds photos by their name in the model, else by file name alone where that is unique."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._by_file_name: dict[str, list[Path]] | None = None

    def find(self, name: str) -> Path:
        """Where the photo is; the plain path if it is nowhere."""
        path = self.root / name
        if path.is_file() or not self.root.is_dir():
            return path
        if self._by_file_name is None:
            self._by_file_name = {}
            for other in list_photos(self.root):
                self._by_file_name.setdefault(PurePosixPath(other).name, []).append(self.root / other)
        matches = self._by_file_name.get(PurePosixPath(name).name, [])
        return matches[0] if len(matches) == 1 else path


def _names_in_text(path: Path) -> dict[int, str]:
    """Photo names by id; pycolmap cuts names at their first space in text models."""
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    fields = [line.split(maxsplit=9) for line in lines[::2]]
    return {int(parts[0]): parts[9].rstrip() for parts in fields if len(parts) == 10}


def _points(reconstruction: pycolmap.Reconstruction) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    found = list(reconstruction.points3D.values())
    if not found:
        return np.zeros((0, 3)), np.zeros((0, 3), np.uint8)
    return np.array([point.xyz for point in found]), np.array([point.color for point in found], np.uint8)


def _lens(camera: pycolmap.Camera) -> Lens:
    params = tuple(float(value) for value in camera.params)
    return Lens(camera.model.name, camera.width, camera.height, params)


def _photo_root(source: Path, model: Path) -> Path:
    """The folder of photos: ``images`` in the source or above the model, else the source itself."""
    above = [source, model, *list(model.parents)[:3]]
    for parent in above:
        if (parent / "images").is_dir():
            return parent / "images"
    return source


def _is_model(folder: Path) -> bool:
    return any(
        all((folder / f"{part}.{kind}").is_file() for part in ("cameras", "images", "points3D"))
        for kind in ("bin", "txt")
    )


def _images_size(folder: Path) -> int:
    files = [folder / f"images.{kind}" for kind in ("bin", "txt")]
    return max(file.stat().st_size for file in files if file.is_file())
