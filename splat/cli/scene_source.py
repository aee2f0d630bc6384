"""What a person points at: a run folder or a splat file; and the cameras that belong to it."""

from __future__ import annotations

from pathlib import Path

import torch

from splat import io
from splat.errors import SplatError
from splat.fit.run import trained_background
from splat.gaussians import Gaussians
from splat.io.cameras import KnownView, KnownViews, read_views

__all__ = [
    "KnownView",
    "KnownViews",
    "find_splat",
    "find_views",
    "near_limit",
    "read_scene",
    "read_views",
    "trained_background",
]

_CAMERAS = "cameras.json"
_SPLAT = "splat.ply"


def find_splat(path: Path) -> Path:
    """The splat file that ``path`` means: itself, or the splat.ply of a run folder.

    Raises:
        SplatError: there is nothing at ``path``, or the folder holds no splat.ply.
    """
    if not path.exists():
        raise SplatError(f"{path} does not exist", expected="a run folder or a splat file")
    if not path.is_dir():
        return path
    if not (path / _SPLAT).is_file():
        raise SplatError(
            f"{path} holds no {_SPLAT}",
            expected="a run folder made by `splat fit`, or a splat file",
            advice=f"If a fit into it was broken off, continue it: splat fit PHOTOS --out {path} --resume",
        )
    return path / _SPLAT


def read_scene(path: Path) -> Gaussians:
    """The scene of a run folder or splat file.

    Raises:
        SplatError: it is missing or malformed.
    """
    return io.read(find_splat(path))


def find_views(path: Path) -> KnownViews | None:
    """The cameras of a run folder, or those beside the splat.ply of one; None where there are none.

    Raises:
        SplatError: cameras.json is there but malformed.
    """
    file = (path if path.is_dir() else path.parent) / _CAMERAS
    if not file.is_file() or find_splat(path).name != _SPLAT:
        return None
    return read_views(file)


def near_limit(scene: Gaussians) -> float:
    """A near limit for a scene of unknown units: a thousandth of the reach of its middle 90 %."""
    low, high = torch.quantile(
        scene.means[:: max(1, len(scene) // 100_000)], torch.tensor([0.05, 0.95]), dim=0
    )
    return max(1e-3 * float((high - low).norm()), 1e-9)
