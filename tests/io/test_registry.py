"""Formats by suffix, and the refusal to overwrite."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from splat import io
from splat.errors import SplatError
from splat.gaussians import Gaussians


@pytest.fixture
def scene() -> Gaussians:
    return Gaussians(
        torch.ones(2, 3), torch.ones(2, 4), torch.zeros(2, 3), torch.zeros(2), torch.zeros(2, 1, 3)
    )


def test_round_trip_by_suffix(tmp_path: Path, scene: Gaussians) -> None:
    path = tmp_path / "new folder" / "ünï code.PLY"
    io.write(path, scene)
    assert torch.equal(io.read(path).means, scene.means)


def test_unknown_suffix_names_what_is_supported(tmp_path: Path, scene: Gaussians) -> None:
    with pytest.raises(SplatError, match=r"\.xyz is no format.*\.ply"):
        io.write(tmp_path / "a.xyz", scene)
    with pytest.raises(SplatError, match=r"no suffix.*\.ply"):
        io.read(tmp_path / "a")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(SplatError, match="does not exist"):
        io.read(tmp_path / "a.ply")
    (tmp_path / "b.ply").mkdir()
    with pytest.raises(SplatError, match="is a folder"):
        io.read(tmp_path / "b.ply")


def test_overwrites_only_when_asked(tmp_path: Path, scene: Gaussians) -> None:
    path = tmp_path / "a.ply"
    io.write(path, scene)
    before = path.read_bytes()
    scene.means.mul_(2)
    with pytest.raises(SplatError, match="exists already.*--overwrite"):
        io.write(path, scene)
    assert path.read_bytes() == before
    io.write(path, scene, overwrite=True)
    assert torch.equal(io.read(path).means, scene.means)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ply"]
