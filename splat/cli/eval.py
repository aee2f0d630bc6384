"""``splat eval``: scores of a run's saved scene."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Literal

from rich.console import Console
from rich.table import Table
from tyro.conf import Positional, arg

from splat.errors import SplatError

if TYPE_CHECKING:
    from splat.fit.evaluate import ViewScore
    from splat.rasterize import RenderSettings


@dataclass(frozen=True)
class Eval:
    """Score a run's splat.ply against its photos again: PSNR and SSIM, photo by photo.

    Nothing in the run folder is changed.
    """

    folder: Annotated[Path, Positional, arg(metavar="RUN")]
    """Run folder made by `splat fit`."""
    split: Literal["test", "train"] = "test"
    """The photos held out from training, or those trained on."""
    source: Path | None = None
    """Where the photos are, if they have moved since the fit."""
    subpixel: Literal[1, 2] = 1
    """2 composites every pixel as 2 x 2 smaller ones: finer where splats cover each other; slower."""
    strips: Literal[1, 2] = 1
    """For scenes trained with --antialias exact: 2 integrates small splats over two strips of a pixel, not
    one. A splat's largest error in a pixel falls from 1.2 to 0.25 %, rarely enough to be seen; slower."""
    device: str = "auto"
    """Where to render: auto (an NVIDIA GPU if one can be used, else the processor), cpu, cuda, or cuda:1."""
    save: Path | None = None
    """Folder for photo, render and error pictures of every view scored."""
    json: bool = False
    """Print JSON instead of a table."""

    def run(self) -> int:
        """Score and print; returns the exit code."""
        from splat.cli.on_device import device_for
        from splat.cli.run_capture import reopen_capture, to_capture_world
        from splat.cli.scene_source import read_scene
        from splat.cli.strips import check_strips
        from splat.fit.evaluate import evaluate
        from splat.fit.run import RunFolder
        from splat.rasterize import RenderSettings

        if self.save is not None and self.save.exists() and not self.save.is_dir():
            raise SplatError(f"--save is {self.save}, which is a file", expected="a folder")
        device = device_for(self.device)
        run = RunFolder.open(self.folder)
        scene = read_scene(self.folder)
        check_strips(self.strips, scene)
        capture = reopen_capture(run, self.source, say=_to_stderr)
        indices = capture.test if self.split == "test" else capture.train
        if not indices:
            raise SplatError(
                f"{self.folder} has no {self.split} photos", advice="Score the others: --split train"
            )
        settings = RenderSettings(
            scene.antialias,
            strips=self.strips,
            subpixel=self.subpixel,
            background=capture.background or (0.0, 0.0, 0.0),
        )
        normalised = to_capture_world(scene, capture).to(device)
        self._show(evaluate(normalised, capture, indices, settings, self.save), settings)
        return 0

    def _show(self, scores: list[ViewScore], settings: RenderSettings) -> None:
        psnr, ssim = fmean(score.psnr for score in scores), fmean(score.ssim for score in scores)
        if self.json:
            views = {score.name: asdict(score) for score in scores}
            mean: dict[str, Any] = {"split": self.split, "psnr": psnr, "ssim": ssim, "lpips": None}
            how = {name: getattr(settings, name) for name in ("antialias", "strips", "subpixel")}
            print(json.dumps({**mean, **how, "views": views}, indent=2))
            return
        table = Table("Photo", box=None, header_style="bold")
        table.add_column("PSNR (dB)", justify="right")
        table.add_column("SSIM", justify="right")
        for score in scores:
            table.add_row(score.name, f"{score.psnr:.2f}", f"{score.ssim:.4f}")
        table.add_row(f"mean of {len(scores)}", f"{psnr:.2f}", f"{ssim:.4f}", style="bold")
        Console().print(table)


def _to_stderr(text: str) -> None:
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)
