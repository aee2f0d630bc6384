"""Files appear whole or not at all: write beside, flush to the disk, then rename."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from splat.errors import SplatError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_IN_THE_WAY = {errno.ENOTDIR, errno.EEXIST}


@contextmanager
def atomic_path(path: Path, overwrite: bool = True) -> Iterator[Path]:
    """A temporary path beside ``path`` (same suffix) that takes its place when the block ends well.

    Missing parent folders are made. If the block fails, the temporary file is removed and whatever
    was at ``path`` before is still there, untouched.

    Args:
        path: where the file will be.
        overwrite: whether a file that exists may be replaced.

    Raises:
        SplatError: the file exists and may not be replaced, the disk is full, or the place cannot
            be written.
    """
    path = Path(path)
    check_writable(path, overwrite)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}.tmp{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_bytes(path: Path, data: bytes, overwrite: bool = True) -> None:
    """Write a whole file atomically (see ``atomic_path``)."""
    with atomic_path(path, overwrite) as temporary:
        temporary.write_bytes(data)


def check_writable(path: Path, overwrite: bool) -> None:
    """Refuse a folder in the file's place, and a file that exists unless it may be replaced.

    Raises:
        SplatError: as said.
    """
    if path.is_dir():
        raise SplatError(f"{path} is a folder", expected="a file name", advice=f"Try {path / 'splat.ply'}")
    if path.exists() and not overwrite:
        raise SplatError(
            f"{path} exists already", advice="Give --overwrite to replace it, or choose another name"
        )


def write_error(path: Path, error: OSError) -> SplatError:
    """The message for an operating-system error met while writing ``path``."""
    kept = "Nothing that was there before has been changed"
    if error.errno in _FULL:
        return SplatError(
            f"The disk is full (or a quota is reached): {path} could not be written",
            advice=f"Free some space or write to another disk. {kept}",
        )
    if error.errno in _FORBIDDEN:
        return SplatError(
            f"{path} cannot be written ({error.strerror})",
            advice=f"Choose a folder that you may write to. {kept}",
        )
    if error.errno in _IN_THE_WAY:
        return SplatError(
            f"{path} cannot be written: a file lies where a folder must be ({error.strerror})",
            advice=f"Choose another place. {kept}",
        )
    return SplatError(f"{path} could not be written: {error.strerror or error}", advice=kept)


def _flush(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable; folders cannot be opened on every system."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
