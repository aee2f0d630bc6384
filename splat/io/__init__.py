"""Scene files, one format a module, chosen by suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from splat.errors import SplatError
from splat.gaussians import Gaussians
from splat.io.ply import read_ply, write_ply

READERS: dict[str, Callable[[Path, bool], Gaussians]] = {".ply": read_ply}
"""Reader by lower-case suffix: ``reader(path, drop_invalid)``."""
WRITERS: dict[str, Callable[..., None]] = {".ply": write_ply}
"""Writer by lower-case suffix: ``writer(path, gaussians, overwrite=...)``."""

__all__ = ["READERS", "WRITERS", "read", "read_ply", "write", "write_ply"]


def read(path: Path, drop_invalid: bool = False) -> Gaussians:
    """Read a scene in the format that its suffix names.

    Args:
        path: the file.
        drop_invalid: leave out splats that hold NaN or infinity, instead of refusing the file.

    Raises:
        SplatError: the file is missing, of a kind that cannot be read, or malformed.
    """
    path = Path(path)
    reader = _by_suffix(READERS, path, "read")
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise SplatError(f"{path} {what}", expected=f"a splat file ({', '.join(READERS)})")
    return reader(path, drop_invalid)


def write(path: Path, gaussians: Gaussians, overwrite: bool = False) -> None:
    """Write a scene, atomically, in the format that the suffix names.

    Args:
        path: where to; missing folders are made.
        gaussians: the scene.
        overwrite: whether a file that exists may be replaced.

    Raises:
        SplatError: the suffix names no format, the file exists, or it cannot be written.
    """
    path = Path(path)
    _by_suffix(WRITERS, path, "written")(path, gaussians, overwrite=overwrite)


def _by_suffix(table: dict, path: Path, verb: str) -> Callable:
    function = table.get(path.suffix.lower())
    if function is None:
        raise SplatError(
            f"{path} cannot be {verb}: {path.suffix or 'no suffix'} is no format that splat knows",
            expected=" or ".join(table),
        )
    return function
