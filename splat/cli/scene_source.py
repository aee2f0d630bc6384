"""What a person points at: a run folder or a splat file; and the cameras that belong to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from splat import io
from splat.cameras import Camera
from splat.errors import SplatError
from splat.gaussians import Gaussians

Split = Literal["train", "test"]

_CAMERAS = "cameras.json"
_SPLAT = "splat.ply"
_CONFIG = "config.json"


@dataclass(frozen=True)
class KnownView:
    """One camera of cameras.json.

    Attributes:
        name: of the photo.
        camera: pinhole in the world of splat.ply, float32.
        split: whether the photo was trained on.
    """

    name: str
    camera: Camera
    split: Split


@dataclass(frozen=True)
class KnownViews:
    """The content of cameras.json.

    Attributes:
        views: in file order (sorted by name).
        scale: normalised length per length of the world of splat.ply.
    """

    views: list[KnownView]
    scale: float = 1.0


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


def read_views(file: Path) -> KnownViews:
    """Read a cameras.json.

    Raises:
        SplatError: the file is missing or malformed.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        views = [_view(entry, index) for index, entry in enumerate(content["views"])]
        transform = content.get("transform")
        scale = float(transform[0][0]) if transform else 1.0
    except OSError as error:
        raise SplatError(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise SplatError(
            f"{file} is no camera file ({type(error).__name__}: {error})",
            expected='{"views": [{"world_to_camera": 4x4, "intrinsics": 3x3, "width": n, "height": n}]}',
        ) from error
    if not views:
        raise SplatError(f"{file} lists no cameras")
    return KnownViews(views, scale)


def trained_background(path: Path) -> tuple[float, float, float]:
    """RGB 0 to 1 that transparent photos of a run were composited onto; black if there were none."""
    file = (path if path.is_dir() else path.parent) / _CONFIG
    try:
        red, green, blue = json.loads(file.read_text(encoding="utf-8"))["background"]
        return float(red), float(green), float(blue)
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0, 0.0, 0.0


def near_limit(scene: Gaussians) -> float:
    """A near limit for a scene of unknown units: a thousandth of the reach of its middle 90 %."""
    low, high = torch.quantile(
        scene.means[:: max(1, len(scene) // 100_000)], torch.tensor([0.05, 0.95]), dim=0
    )
    return max(1e-3 * float((high - low).norm()), 1e-9)


def _view(entry: dict[str, Any], index: int) -> KnownView:
    pose = torch.tensor(entry["world_to_camera"], dtype=torch.float32)
    intrinsics = torch.tensor(entry["intrinsics"], dtype=torch.float32)
    if pose.shape != (4, 4) or intrinsics.shape != (3, 3):
        raise ValueError(f"view {index}: matrices are {tuple(pose.shape)} and {tuple(intrinsics.shape)}")
    if not (torch.isfinite(pose).all() and torch.isfinite(intrinsics).all()):
        raise ValueError(f"view {index}: NaN or infinity in a matrix")
    width, height = int(entry["width"]), int(entry["height"])
    if width < 1 or height < 1:
        raise ValueError(f"view {index}: size {width}x{height}")
    split: Split = "test" if entry.get("split") == "test" else "train"
    return KnownView(str(entry.get("name", index)), Camera(pose, intrinsics, width, height), split)
