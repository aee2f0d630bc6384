"""The little of COLMAP's binary model that recipes touch (layout: COLMAP's page "Output Format")."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.recipes.placing import Place, common_size, photos_in
from splat.errors import SplatError

MODEL_FILES = ("cameras.bin", "images.bin", "points3D.bin")
# By model number: parameters, and how many of them are focal lengths. The principal point follows them.
_MODELS = {0: (3, 1), 1: (4, 2), 2: (4, 1), 3: (5, 1), 4: (8, 2), 5: (8, 2), 6: (12, 2)}
_CAMERA = struct.Struct("<iiQQ")
_POSE = struct.Struct("<i7di")


def has_model(folder: Path) -> bool:
    """Whether ``folder``/sparse/0 holds a binary model."""
    return all((folder / "sparse" / "0" / name).is_file() for name in MODEL_FILES)


def place_scene(scene: Path, images: Path, out: Path, place: Place) -> tuple[int, tuple[int, int]]:
    """Lay out ``out``/images and ``out``/sparse/0 with cameras scaled to the photos of ``images``.

    Returns:
        photos that the model knows, and their common (width, height).

    Raises:
        SplatError: a photo of the model is missing, the sizes differ, or the model is damaged.
    """
    model = scene / "sparse" / "0"
    names = image_names(model / "images.bin")
    missing = [name for name in names if not (images / name).is_file()]
    if missing:
        raise SplatError(
            f"{images} lacks {len(missing)} of the {len(names)} photos of the model ({missing[0]}, ...)",
            expected="the photos as the data set has them, under the names in sparse/0/images.bin",
            advice="Download or unpack it again",
        )
    photos_in(images)
    size = common_size([images / name for name in names])
    for name in names:
        place(images / name, out / "images" / name)
    target = out / "sparse" / "0"
    place(model / "images.bin", target / "images.bin")
    place(model / "points3D.bin", target / "points3D.bin")
    (target / "cameras.bin").write_bytes(scaled_cameras(model / "cameras.bin", size))
    return len(names), size


def scaled_cameras(path: Path, size: tuple[int, int]) -> bytes:
    """cameras.bin with every camera brought to (width, height) = ``size``."""
    data = path.read_bytes()
    try:
        (count,) = struct.unpack_from("<Q", data)
        result, at = [data[:8]], 8
        for _ in range(count):
            number, model, width, height = _CAMERA.unpack_from(data, at)
            at += _CAMERA.size
            parameters, focals = _MODELS[model]
            values = list(struct.unpack_from(f"<{parameters}d", data, at))
            at += 8 * parameters
            factors = (size[0] / width, size[1] / height)
            scales = [*(factors if focals == 2 else [sum(factors) / 2]), *factors]
            values[: len(scales)] = [a * b for a, b in zip(values, scales, strict=False)]
            result += [_CAMERA.pack(number, model, *size), struct.pack(f"<{parameters}d", *values)]
    except (struct.error, KeyError, ZeroDivisionError) as error:
        raise SplatError(f"{path} cannot be read ({error})", expected="COLMAP's binary cameras") from error
    return b"".join(result)


def image_names(path: Path) -> list[str]:
    """Names of the registered photos, sorted."""
    data = path.read_bytes()
    names = []
    try:
        (count,) = struct.unpack_from("<Q", data)
        at = 8
        for _ in range(count):
            end = data.index(b"\0", at + _POSE.size)
            names.append(data[at + _POSE.size : end].decode())
            (points,) = struct.unpack_from("<Q", data, end + 1)
            at = end + 9 + 24 * points
        if at != len(data) or not names:
            raise ValueError(f"{len(names)} photos, {len(data) - at} bytes over")
    except (struct.error, ValueError) as error:
        raise SplatError(f"{path} cannot be read ({error})", expected="COLMAP's binary images") from error
    return sorted(names)


def points(path: Path) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Positions [P, 3] and colours [P, 3] of points3D.bin."""
    try:
        rows = list(_points(path.read_bytes()))
    except struct.error as error:
        raise SplatError(f"{path} cannot be read ({error})", expected="COLMAP's binary points") from error
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    return table[:, :3].astype(np.float32), table[:, 3:].astype(np.uint8)


def _points(data: bytes) -> Iterator[tuple[float, ...]]:
    (count,) = struct.unpack_from("<Q", data)
    at = 8
    for _ in range(count):
        *values, _error, track = struct.unpack_from("<3d3BdQ", data, at + 8)
        yield tuple(values)
        at += 8 + struct.calcsize("<3d3BdQ") + 8 * track
