"""Whole files or none."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from splat.errors import SplatError
from splat.io.atomic import atomic_path, write_bytes


def test_file_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a.bin", b"old")
    write_bytes(tmp_path / "a.bin", b"new")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a.bin": b"new"}


@pytest.mark.skipif(os.name != "posix", reason="POSIX file modes")
def test_file_has_ordinary_permissions(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        write_bytes(tmp_path / "a.bin", b"x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == 0o644


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_failure_keeps_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    write_bytes(tmp_path / "a.bin", b"old")
    with pytest.raises(error), atomic_path(tmp_path / "a.bin") as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a.bin": b"old"}


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes(tmp_path / "a.bin", b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SplatError, match=r"disk is full.*a\.bin"):
        write_bytes(tmp_path / "a.bin", b"new")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a.bin": b"old"}


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the size of files")
def test_a_write_that_really_fails_half_way(tmp_path: Path) -> None:
    code = """
import resource, sys
from pathlib import Path
from splat.errors import SplatError
from splat.io.atomic import write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_bytes(Path(sys.argv[1]), b"x" * 5000)
except SplatError as error:
    print(error)
"""
    (tmp_path / "a.bin").write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.bin")],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()}, check=True,
    )  # fmt: skip
    assert "disk is full" in done.stdout
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"a.bin": b"old"}


def test_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, data: bytes) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(SplatError, match="cannot be written.*folder that you may write to"):
        write_bytes(tmp_path / "a.bin", b"x")


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(SplatError, match="a file lies where a folder must be"):
        write_bytes(tmp_path / "a" / "b.bin", b"x")
