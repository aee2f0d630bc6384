"""cameras.json: the cameras of a run or of a path, in the world of its splat.ply."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from splat.cameras import Camera
from splat.errors import SplatError

Split = Literal["train", "test"]


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
        if not (math.isfinite(scale) and scale > 0):
            raise ValueError(f"transform with scale {scale}")
    except OSError as error:
        raise SplatError(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise SplatError(
            f"{file} cannot be used ({type(error).__name__}: {error})",
            expected='{"views": [{"world_to_camera": 4x4, "intrinsics": 3x3, "width": n, "height": n}]}',
        ) from error
    if not views:
        raise SplatError(f"{file} cannot be used: it lists no cameras")
    return KnownViews(views, scale)


def _view(entry: dict[str, Any], index: int) -> KnownView:
    pose = torch.tensor(entry["world_to_camera"], dtype=torch.float32)
    intrinsics = torch.tensor(entry["intrinsics"], dtype=torch.float32)
    if pose.shape != (4, 4) or intrinsics.shape != (3, 3):
        raise ValueError(f"view {index}: matrices are {tuple(pose.shape)} and {tuple(intrinsics.shape)}")
    if not (torch.isfinite(pose).all() and torch.isfinite(intrinsics).all()):
        raise ValueError(f"view {index}: NaN or infinity in a matrix")
    if not float(intrinsics[0, 0] * intrinsics[1, 1]) > 0:
        raise ValueError(f"view {index}: no focal length")
    width, height = int(entry["width"]), int(entry["height"])
    if width < 1 or height < 1:
        raise ValueError(f"view {index}: size {width}x{height}")
    split: Split = "test" if entry.get("split") == "test" else "train"
    return KnownView(str(entry.get("name", index)), Camera(pose, intrinsics, width, height), split)
