"""Putting files where they belong: links or copies, and folders that appear whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from splat.errors import SplatError

Place = Callable[[Path, Path], None]
"""Makes a file (second) out of one that is there (first), with the folders above it."""

CARD = "capture.json"
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")


def link(source: Path, target: Path) -> None:
    """Symbolic link to the absolute path; a copy where the system has no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(source.resolve())
    except OSError:
        shutil.copyfile(source, target)


def copy(source: Path, target: Path) -> None:
    """A copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


@contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes the name ``folder`` when all went well.

    Raises:
        SplatError: ``folder`` is there and was not made by a recipe.
    """
    if folder.exists() and not (folder / CARD).is_file():
        raise SplatError(
            f"{folder} exists and was not made by a recipe (it has no {CARD})",
            expected="a folder that does not exist yet",
            advice="Give another --out, or remove the folder",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield part
        old = part.with_name(f"{part.name}.old")
        if folder.exists():
            os.replace(folder, old)
        part.chmod(0o755)
        os.replace(part, folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_json(path: Path, value: object) -> None:
    """Write ``value``; nothing is left behind by a broken-off write."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(value, indent=1) + "\n")
    os.replace(part, path)


def photos_in(folder: Path) -> list[Path]:
    """The photos of a folder, sorted by name.

    Raises:
        SplatError: there are none.
    """
    photos = sorted(path for path in folder.glob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
    if not photos:
        raise SplatError(f"{folder} holds no photos", expected="JPEG or PNG files")
    return photos


def photo_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels.

    Raises:
        SplatError: the photo cannot be read.
    """
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, UnidentifiedImageError) as error:
        raise SplatError(f"{path} cannot be read as a photo", advice="Download the data set again") from error


def common_size(photos: list[Path]) -> tuple[int, int]:
    """(width, height) that all ``photos`` share.

    Raises:
        SplatError: two of them differ.
    """
    first = photo_size(photos[0])
    for path in photos[1:]:
        size = photo_size(path)
        if size != first:
            raise SplatError(
                f"{path} is {size[0]}x{size[1]}, {photos[0].name} is {first[0]}x{first[1]}",
                expected="photos of one size, as the data set has them",
            )
    return first
