"""``splat render``: pictures or a video along a camera path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from splat.errors import SplatError

if TYPE_CHECKING:
    from splat.cameras import Camera
    from splat.cli.render_output import Add
    from splat.cli.scene_source import KnownViews
    from splat.gaussians import Gaussians
    from splat.rasterize import Backend, RenderSettings

_FRAMES = 120


@dataclass(frozen=True)
class Render:
    """Render a scene along a camera path, to a video or to numbered pictures.

    A name ending in .mp4 makes a video (24 frames a second); any other name is a folder for
    0000.png, 0001.png, ... and the cameras.json of the path.
    """

    scene: Annotated[Path, Positional, arg(metavar="SCENE")]
    """Run folder, or a splat file."""
    out: Path | None = None
    """Video (name.mp4) or folder to write. Default: a video named after --path, in the run folder or beside
    the splat file."""
    path: Literal["orbit", "training"] | Path = "orbit"
    """orbit goes round what the photos look at, training follows the photos' cameras; or a cameras.json,
    each of whose cameras makes a frame (with --frames, a smooth path through them)."""
    frames: int | None = None
    """Pictures along the path. Default: 120, or one for each camera of a cameras.json."""
    size: tuple[int, int] | None = None
    """Width and height in pixels. Default: that of the photos, or 960 540 for a lone splat file."""
    subpixel: Literal[1, 2] = 1
    """2 composites every pixel as 2 x 2 smaller ones: finer where splats cover each other; slower."""
    strips: Literal[1, 2] = 1
    """For scenes trained with --antialias exact: 2 integrates small splats over two strips of a pixel, not
    one. A splat's largest error in a pixel falls from 1.2 to 0.25 %, rarely enough to be seen; slower."""
    depth: bool = False
    """Also write depth: 16-bit PNGs (unit in cameras.json) beside pictures, a second video beside a video."""
    background: Literal["auto", "black", "white"] = "auto"
    """Colour behind the scene. auto: what the run was trained on, else black."""
    backend: Literal["auto", "native", "reference", "gsplat"] = "auto"
    """Rasteriser: auto takes the compiled one; reference is plain PyTorch and slow; gsplat is that package,
    on an NVIDIA GPU, for comparison."""
    device: str = "auto"
    """Where to render: auto (an NVIDIA GPU if one can be used, else the processor), cpu, cuda, or cuda:1."""
    overwrite: bool = False
    """Replace what is at --out."""

    def run(self) -> int:
        """Render; returns the exit code."""
        from splat.cli.on_device import device_for
        from splat.cli.render_output import open_output
        from splat.cli.scene_source import find_views, read_scene
        from splat.cli.strips import check_strips

        self._check()
        device = device_for(self.device)
        out = self.out or self._default_out()
        gaussians, known = read_scene(self.scene), find_views(self.scene)
        check_strips(self.strips, gaussians)
        cameras = self._cameras(gaussians, known)
        settings = self._settings(gaussians, known)
        with open_output(out, cameras, gaussians, self.depth, self.overwrite) as output:
            _render_all(gaussians.to(device), cameras, settings, self.backend, output)
        print(f"{len(cameras)} frames of {cameras[0].width}x{cameras[0].height} in {out}")
        return 0

    def _check(self) -> None:
        if self.frames is not None and self.frames < 1:
            raise SplatError(f"--frames is {self.frames}", expected="a whole number, 1 or more")
        if isinstance(self.path, Path) and not self.path.is_file():
            raise SplatError(f"--path is {self.path}", expected="orbit, training, or a cameras.json file")
        if self.size is not None and not all(1 <= side <= 16384 for side in self.size):
            raise SplatError(f"--size is {self.size[0]} {self.size[1]}", expected="two numbers, 1 to 16384")

    def _default_out(self) -> Path:
        name = self.path.stem if isinstance(self.path, Path) else self.path
        if self.scene.is_dir():
            return self.scene / f"{name}.mp4"
        return self.scene.with_name(f"{self.scene.stem}-{name}.mp4")

    def _cameras(self, gaussians: Gaussians, known: KnownViews | None) -> list[Camera]:
        from splat.cli import camera_path
        from splat.cli.scene_source import read_views

        points = gaussians.means.double().numpy()
        if isinstance(self.path, Path):
            given = [view.camera for view in read_views(self.path).views]
            if self.frames is None:
                return camera_path.exactly(given, self.size)
            return camera_path.through(given, camera_path.lens_for(given, self.size), self.frames)
        frames = self.frames or _FRAMES
        if known is not None:
            seen = [view.camera for view in known.views]
            lens = camera_path.lens_for(seen, self.size)
            if self.path == "training":
                return camera_path.through(seen, lens, frames)
            return camera_path.orbit(seen, points, lens, frames)
        if self.path == "training":
            raise SplatError(
                f"{self.scene} has no cameras beside it, so there is no training path",
                expected="a run folder",
                advice="Give the run folder, or take --path orbit",
            )
        width, height = self.size or (960, 540)
        return camera_path.orbit_of_points(points, camera_path.Lens(width, height, 1.2 * height), frames)

    def _settings(self, gaussians: Gaussians, known: KnownViews | None) -> RenderSettings:
        from splat.cli.scene_source import near_limit, trained_background
        from splat.rasterize import RenderSettings

        colors = {"black": (0.0, 0.0, 0.0), "white": (1.0, 1.0, 1.0)}
        background = colors.get(self.background) or trained_background(self.scene)
        near = RenderSettings.near / known.scale if known is not None else near_limit(gaussians)
        return RenderSettings(
            gaussians.antialias,
            strips=self.strips,
            subpixel=self.subpixel,
            background=background,
            near=near,
            geometry=self.depth,
        )


def _render_all(
    gaussians: Gaussians, cameras: list[Camera], settings: RenderSettings, backend: Backend, add: Add
) -> None:
    """Render frame by frame, with a bar on a terminal."""
    import torch
    from rich.console import Console
    from rich.progress import track

    from splat.rasterize import rasterize

    console = Console(stderr=True)
    frames = track(cameras, "Rendering", console=console, transient=True, disable=not console.is_terminal)
    with torch.no_grad():
        for camera in frames:
            add(rasterize(gaussians, camera, settings, backend))
