"""Where rendered frames go: a video, or a folder of numbered pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from splat.cameras import Camera
from splat.errors import SplatError
from splat.gaussians import Gaussians
from splat.io.atomic import check_writable, write_bytes
from splat.io.image import write_image
from splat.io.video import VideoWriter
from splat.rasterize.rendered import Rendered

FPS = 24.0
_OTHER_SUFFIXES = {".avi", ".mov", ".mkv", ".webm", ".gif", ".png", ".jpg", ".jpeg", ".ply"}
_OURS = re.compile(r"\d{4,}(\.depth)?\.png")
_STEPS = 65535

Add = Callable[[Rendered], None]


@dataclass(frozen=True)
class DepthRange:
    """Depths of a scene as seen along a path, world units: 1 % and 99.9 % of its splats lie below."""

    near: float
    far: float

    @property
    def unit(self) -> float:
        """World length of one step of a 16-bit depth picture."""
        return 1.05 * self.far / _STEPS


@contextmanager
def open_output(
    out: Path, cameras: Sequence[Camera], gaussians: Gaussians, depth: bool, overwrite: bool
) -> Iterator[Add]:
    """A function that takes rendered frames in order, and writes them.

    Args:
        out: name.mp4 for a video, otherwise a folder.
        cameras: of the whole path.
        gaussians: the scene, whose depths set the range of depth pictures.
        depth: also write depth.
        overwrite: replace what is there.

    Raises:
        SplatError: ``out`` is taken, is another kind of file, or cannot be written.
    """
    span = depth_range(cameras, gaussians) if depth else None
    if out.suffix.lower() == ".mp4":
        with _video(out, cameras[0], span, overwrite) as add:
            yield add
    elif out.suffix.lower() in _OTHER_SUFFIXES:
        raise SplatError(f"--out is {out}", expected="a name ending in .mp4 for a video, or a folder")
    else:
        yield _pictures(out, cameras, span, overwrite)


def depth_range(cameras: Sequence[Camera], gaussians: Gaussians) -> DepthRange:
    """Depths of the visible splats, over a dozen cameras of the path."""
    solid = gaussians.means[gaussians.logit_opacities > -2.0]
    means = (solid if len(solid) else gaussians.means)[:: max(1, len(solid) // 20_000)]
    some = cameras[:: max(1, len(cameras) // 12)]
    depths = torch.cat([means @ c.world_to_camera[2, :3] + c.world_to_camera[2, 3] for c in some])
    ahead = depths[depths > 0].double().numpy()
    if len(ahead) == 0:
        return DepthRange(1.0, 1.0)
    near, far = np.quantile(ahead, [0.01, 0.999])
    return DepthRange(float(near), float(far))


def to_uint8(color: torch.Tensor) -> NDArray[np.uint8]:
    """[H, W, 3] 0 to 1, clamped and rounded to 8 bits."""
    return (color.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def depth_steps(rendered: Rendered, span: DepthRange) -> NDArray[np.uint16]:
    """[H, W] expected depth in steps of ``span.unit``; 0 where less than half is covered."""
    assert rendered.depth is not None
    steps = (rendered.depth / span.unit).round().clamp(1, _STEPS)
    return torch.where(rendered.alpha > 0.5, steps, 0).cpu().numpy().astype(np.uint16)


def depth_colors(rendered: Rendered, span: DepthRange) -> NDArray[np.uint8]:
    """[H, W, 3] inverse depth from blue (far) to red (near); black where less than half is covered."""
    import cv2

    assert rendered.depth is not None
    low, high = 1 / span.far, 1 / span.near
    level = (1 / rendered.depth.clamp(min=1e-12) - low) / max(high - low, 1e-12)
    colors = cv2.applyColorMap((level.clamp(0, 1) * 255).to(torch.uint8).cpu().numpy(), cv2.COLORMAP_TURBO)
    colors[(rendered.alpha <= 0.5).cpu().numpy()] = 0
    return np.ascontiguousarray(colors[:, :, ::-1]).astype(np.uint8, copy=False)


@contextmanager
def _video(out: Path, camera: Camera, span: DepthRange | None, overwrite: bool) -> Iterator[Add]:
    size = (camera.width, camera.height)
    with VideoWriter(out, *size, FPS, overwrite) as video:
        if span is None:
            yield lambda rendered: video.add(to_uint8(rendered.color))
            return
        with VideoWriter(out.with_suffix(".depth.mp4"), *size, FPS, overwrite) as depth_video:

            def add(rendered: Rendered) -> None:
                video.add(to_uint8(rendered.color))
                depth_video.add(depth_colors(rendered, span))

            yield add


def _pictures(out: Path, cameras: Sequence[Camera], span: DepthRange | None, overwrite: bool) -> Add:
    if out.is_file():
        raise SplatError(f"{out} is a file", expected="a folder, or a name ending in .mp4")
    if (out / "splat.ply").exists():  # its cameras.json is not ours
        raise SplatError(
            f"{out} is a run folder", expected="a folder for pictures alone", advice=f"Try {out / 'frames'}"
        )
    if out.is_dir():
        check_writable(out / "cameras.json", overwrite)
        _clear(out, overwrite)
    views = [_entry(f"{index:04d}.png", camera) for index, camera in enumerate(cameras)]
    content: dict[str, Any] = {"views": views}
    if span is not None:
        content["depth_unit"] = span.unit
    write_bytes(out / "cameras.json", (json.dumps(content, indent=2) + "\n").encode())
    names = iter(f"{index:04d}" for index in range(len(cameras)))

    def add(rendered: Rendered) -> None:
        name = next(names)
        write_image(out / f"{name}.png", to_uint8(rendered.color))
        if span is not None:
            write_image(out / f"{name}.depth.png", depth_steps(rendered, span))

    return add


def _clear(folder: Path, overwrite: bool) -> None:
    """Remove the frames of an earlier render, and nothing else."""
    old = [file for file in folder.iterdir() if _OURS.fullmatch(file.name)]
    if old and not overwrite:
        raise SplatError(
            f"{folder} holds {len(old)} pictures already",
            advice="Give --overwrite to replace them, or choose another --out",
        )
    for file in old:
        file.unlink()


def _entry(name: str, camera: Camera) -> dict[str, Any]:
    return {
        "name": name,
        "world_to_camera": camera.world_to_camera.tolist(),
        "intrinsics": camera.intrinsics.tolist(),
        "width": camera.width,
        "height": camera.height,
    }
