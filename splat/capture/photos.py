"""Finding photos in folders."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from splat.capture.decode import IMAGE_SUFFIXES, Header, is_whole, read_header
from splat.errors import SplatError

_NOT_PHOTOS = {"masks", "mask", "depth", "depths", "normals", "sparse"}


@dataclass(frozen=True)
class Photo:
    """A file that can be read as an image.

    Attributes:
        name: path relative to the folder of photos, with forward slashes.
        path: where it is.
        header: what it says of itself.
    """

    name: str
    path: Path
    header: Header


def photo_folder(folder: Path) -> Path:
    """The folder that holds the photos: ``folder`` itself, or its ``images`` where it has none."""
    if any(_is_photo(path) for path in folder.iterdir()):
        return folder
    for name in ("images", "photos", "input", "rgb"):
        if (folder / name).is_dir():
            return folder / name
    return folder


def list_photos(folder: Path) -> list[str]:
    """Names of all image files below a folder, sorted; mask and hidden folders are left out."""
    names = []
    for place, inside, files in os.walk(folder):
        inside[:] = sorted(d for d in inside if d.lower() not in _NOT_PHOTOS and not d.startswith("."))
        paths = (Path(place) / name for name in files)
        names += [path.relative_to(folder).as_posix() for path in paths if _is_photo(path)]
    return sorted(names)


def readable_photos(folder: Path, names: list[str], notes: list[str]) -> list[Photo]:
    """The photos that can be read; how many cannot is added to ``notes``.

    Raises:
        SplatError: none of them can be read, or the package for HEIC is missing.
    """
    photos, broken, first = [], [], None
    for name in names:
        try:
            photos.append(_check(name, folder / name))
        except SplatError as error:
            if "heic" in error.advice:
                raise
            broken.append(name)
            first = first or error
    if broken and not photos:
        raise SplatError(
            f"None of the {len(names)} photos in {folder} can be read; the first: {first}",
            expected="JPEG, PNG, TIFF, BMP, WebP or HEIC files",
        )
    if broken:
        notes.append(f"{counted(len(broken), 'photo')} skipped as unreadable or cut short: {listed(broken)}.")
    return photos


def counted(number: int, noun: str) -> str:
    """ "1 photo", "2 photos"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: list[str], most: int = 3) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _check(name: str, path: Path) -> Photo:
    header = read_header(path)
    if not is_whole(path):
        raise SplatError(f"{path} is cut short")
    return Photo(name, path, header)


def _is_photo(path: Path) -> bool:
    return (
        path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and not path.stem.lower().endswith(".mask")
        and path.is_file()
    )
