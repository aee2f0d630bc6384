"""Scene files, one format a module, chosen by suffix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from splat.errors import SplatError
from splat.gaussians import Gaussians, Kernel
from splat.io.folding import fold
from splat.io.ply import read_ply, write_ply


@dataclass(frozen=True)
class Writer:
    """How a format is written.

    Attributes:
        write: ``write(path, gaussians, overwrite=...)``.
        kernels: those that the format can hold; most hold plain Gaussians only.
    """

    write: Callable[..., None]
    kernels: tuple[Kernel, ...] = ("gaussian",)


Entry = TypeVar("Entry")

READERS: dict[str, Callable[[Path, bool, Callable[[str], None]], Gaussians]] = {".ply": read_ply}
"""Reader by lower-case suffix: ``reader(path, drop_invalid, say)``."""
WRITERS: dict[str, Writer] = {".ply": Writer(write_ply, kernels=("gaussian", "gef"))}
"""Writer by lower-case suffix."""

__all__ = ["READERS", "WRITERS", "Writer", "fold", "read", "read_ply", "write", "write_ply"]


def read(path: Path, drop_invalid: bool = False, say: Callable[[str], None] = print) -> Gaussians:
    """Read a scene in the format that its suffix names.

    Args:
        path: the file.
        drop_invalid: leave out splats that hold NaN or infinity, instead of refusing the file.
        say: receives a line on how many were left out.

    Raises:
        SplatError: the file is missing, of a kind that cannot be read, or malformed.
    """
    path = Path(path)
    reader = _by_suffix(READERS, path, "read")
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise SplatError(f"{path} {what}", expected=f"a splat file ({', '.join(READERS)})")
    return reader(path, drop_invalid, say)


def write(path: Path, gaussians: Gaussians, overwrite: bool = False) -> None:
    """Write a scene, atomically, in the format that the suffix names.

    Args:
        path: where to; missing folders are made.
        gaussians: the scene.
        overwrite: whether a file that exists may be replaced.

    Raises:
        SplatError: the suffix names no format, the format cannot hold the scene's kernel, the file
            exists, or it cannot be written.
    """
    path = Path(path)
    writer = _by_suffix(WRITERS, path, "written")
    if gaussians.kernel not in writer.kernels:
        raise SplatError(
            f"{path} was not written: the scene's kernel is {gaussians.kernel}, and {path.suffix} files know "
            f"only {' and '.join(writer.kernels)}",
            expected=f"a scene with kernel {' or '.join(writer.kernels)}",
            advice=f"Replace its splats by the nearest Gaussians: splat convert SCENE {path} --fold",
        )
    writer.write(path, gaussians, overwrite=overwrite)


def _by_suffix(table: Mapping[str, Entry], path: Path, verb: str) -> Entry:
    found = table.get(path.suffix.lower())
    if found is None:
        raise SplatError(
            f"{path} cannot be {verb}: {path.suffix or 'no suffix'} is no format that splat knows",
            expected=" or ".join(table),
        )
    return found
