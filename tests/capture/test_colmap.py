"""COLMAP models, text and binary: poses, names, missing photos, the largest of several models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray

from splat.capture import CaptureOptions, open_capture
from splat.errors import SplatError
from tests.capture.scenes import COLORS, POINTS, draw, find_dots, in_camera, projected, ring, save

WIDTH, HEIGHT, FOCAL, CX, CY = 96, 64, 110.0, 50.0, 30.0


def quiet(_: str) -> None:
    """Say nothing."""


def quaternion(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """(w, x, y, z), by the eigenvector of the largest eigenvalue of Bar-Itzhack's matrix."""
    r = rotation
    k = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], 0, 0, 0],
            [r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], 0, 0],
            [r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1], 0],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], r[0, 0] + r[1, 1] + r[2, 2]],
        ]
    )
    _, vectors = np.linalg.eigh(k / 3.0)
    x, y, z, w = vectors[:, -1]
    return np.array([w, x, y, z])


def write_text_model(folder: Path, names: list[str]) -> None:
    """A text model in the old layout (no rigs), written by hand."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cameras.txt").write_text(f"# camera\n1 PINHOLE {WIDTH} {HEIGHT} {FOCAL} {FOCAL} {CX} {CY}\n")
    lines = []
    for i, (name, pose) in enumerate(zip(names, ring(len(names)), strict=True)):
        values = " ".join(repr(float(v)) for v in [*quaternion(pose[:3, :3]), *pose[:3, 3]])
        lines += [f"{i + 1} {values} 1 {name}", ""]
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    rows = [
        f"{i + 1} {x} {y} {z} {r} {g} {b} 0.5"
        for i, ((x, y, z), (r, g, b)) in enumerate(zip(POINTS, COLORS, strict=True))
    ]
    (folder / "points3D.txt").write_text("\n".join(rows) + "\n")


def to_binary(model: Path) -> None:
    """Add the binary files, by pycolmap (which cuts names at spaces when it reads text)."""
    reconstruction = pycolmap.Reconstruction(model)
    for i, name in enumerate(names_of(6)):
        reconstruction.images[i + 1].name = name
    reconstruction.write_binary(model)


def write_photos(folder: Path, names: list[str]) -> None:
    """Photos with the dots where the model's cameras see them."""
    for name, pose in zip(names, ring(len(names)), strict=True):
        camera = in_camera(pose)
        save(folder / name, draw(camera[:, :2] / camera[:, 2:] * FOCAL + [CX, CY], WIDTH, HEIGHT))


def names_of(count: int) -> list[str]:
    """Photo names in a folder of their own, one with a space and an umlaut."""
    return ["left/a b\u00fc.png"] + [f"left/{i:03d}.png" for i in range(1, count)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with images and sparse/0 as text."""
    write_text_model(tmp_path / "sparse/0", names_of(6))
    write_photos(tmp_path / "images", names_of(6))
    return tmp_path


def check_dots(source: Path) -> None:
    """All points fall on their dots, and the sparse points are there."""
    capture = open_capture(source, CaptureOptions(), progress=quiet)
    assert capture.summary.source == "colmap"
    assert len(capture.views) == 6
    for view in capture.views:
        assert np.abs(projected(view, capture.transform) - find_dots(view.load().rgb)).max() < 0.15
    world = (capture.points.double().numpy() - capture.transform[:3, 3]) / capture.transform[0, 0]
    order = np.lexsort(world.T)
    assert np.allclose(world[order], POINTS[np.lexsort(POINTS.T)], atol=1e-5)
    assert (capture.point_colors.numpy()[order] == COLORS[np.lexsort(POINTS.T)]).all()


def test_text_model(source: Path) -> None:
    check_dots(source)


def test_binary_model(source: Path) -> None:
    model = source / "sparse/0"
    to_binary(model)
    for file in model.glob("*.txt"):
        file.unlink()
    check_dots(source)


def test_model_files_beside_images(source: Path) -> None:
    for file in (source / "sparse/0").iterdir():
        file.rename(source / file.name)
    check_dots(source)


def test_model_folder_itself(source: Path) -> None:
    check_dots(source / "sparse/0")


def test_largest_model_is_taken(source: Path) -> None:
    (source / "sparse/0").rename(source / "sparse/1")
    write_text_model(source / "sparse/0", names_of(2))
    check_dots(source)


def test_distorted_model_is_straightened(source: Path) -> None:
    camera = f"1 OPENCV {WIDTH} {HEIGHT} {FOCAL} {FOCAL} {CX} {CY} -0.2 0 0 0\n"
    (source / "sparse/0/cameras.txt").write_text(camera)
    for name, pose in zip(names_of(6), ring(6), strict=True):
        rays = in_camera(pose)[:, :2] / in_camera(pose)[:, 2:]
        bent = rays * (1 - 0.2 * (rays**2).sum(axis=1, keepdims=True))
        save(source / "images" / name, draw(bent * FOCAL + [CX, CY], WIDTH, HEIGHT))
    check_dots(source)


def test_missing_photos_are_counted(source: Path) -> None:
    (source / "images/left/002.png").unlink()
    summary = open_capture(source, CaptureOptions(), progress=quiet).summary
    assert (summary.photos, summary.registered) == (6, 5)
    assert any("1 photo skipped (the file does not exist): left/002.png" in note for note in summary.notes)


def test_photos_without_their_folder_are_found(source: Path) -> None:
    for photo in (source / "images/left").iterdir():
        photo.rename(source / "images" / photo.name)
    check_dots(source)


def test_no_photo_at_all_is_an_error(source: Path) -> None:
    for photo in (source / "images/left").iterdir():
        photo.unlink()
    with pytest.raises(SplatError, match="None of the 6 photos of the COLMAP model"):
        open_capture(source, CaptureOptions(), progress=quiet)


def test_damaged_model_is_an_error(source: Path) -> None:
    model = source / "sparse/0"
    to_binary(model)
    data = (model / "images.bin").read_bytes()
    (model / "images.bin").write_bytes(data[: len(data) // 2])
    with pytest.raises(SplatError, match="cannot be read"):
        open_capture(source, CaptureOptions(), progress=quiet)


def test_photos_stored_sideways(source: Path) -> None:
    """A model of stored pixels (before COLMAP 4) reads files that carry an EXIF rotation as stored."""
    for name, pose in zip(names_of(6), ring(6), strict=True):
        camera = in_camera(pose)
        pixels = camera[:, :2] / camera[:, 2:] * FOCAL + [CX, CY]
        exif = Orientation.tag(6)
        save(source / "images" / name, draw(pixels, WIDTH, HEIGHT), exif=exif)
    check_dots(source)


class Orientation:
    """EXIF blocks that hold an orientation."""

    @staticmethod
    def tag(value: int) -> bytes:
        """The block as Pillow writes it."""
        from PIL import Image

        exif = Image.Exif()
        exif[0x0112] = value
        return exif.tobytes()
