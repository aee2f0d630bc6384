"""``splat info``: what is in a splat file or run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from splat.gaussians import Gaussians

_QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)
_METRICS = {
    "psnr": "Held-out PSNR (dB)",
    "ssim": "Held-out SSIM",
    "iterations": "Iterations",
    "registered": "Photos with a camera",
    "photos": "Photos in all",
    "seconds_sfm": "Finding cameras (s)",
    "seconds_training": "Training (s)",
}
"""The figures of metrics.json that are shown, and what they are called."""
_KERNELS = {"gef": "gef (generalised exponential, an exponent a splat)"}


@dataclass(frozen=True)
class SceneFacts:
    """Figures of one scene; lengths in the units of its file.

    Attributes:
        file: path.
        megabytes: size of the file, 10^6 bytes.
        gaussians: how many.
        sh_degree: 0 to 3.
        kernel: radial profile it was trained with.
        antialias: pixel filter it was trained with.
        low: [3] smallest coordinates of the middle 98 % of the centres, per axis.
        high: [3] largest coordinates of those.
        opacity: minimum, 5 %, median, 95 % and maximum, 0 to 1.
        scale: likewise of the largest standard deviation of each splat.
        beta: likewise of the kernel's exponent (2 is the Gaussian); None for a scene of plain Gaussians.
    """

    file: str
    megabytes: float
    gaussians: int
    sh_degree: int
    kernel: str
    antialias: str
    low: list[float]
    high: list[float]
    opacity: list[float]
    scale: list[float]
    beta: list[float] | None


@dataclass(frozen=True)
class Info:
    """Say what is in a splat file or run: how many splats, how large, how transparent, how trained."""

    path: Annotated[Path, Positional, arg(metavar="SCENE")]
    """Splat file, or a run folder."""
    json: bool = False
    """Print JSON instead of text."""

    def run(self) -> int:
        """Print; returns the exit code."""
        from splat import io
        from splat.cli.scene_source import find_splat

        file = find_splat(self.path)
        facts = scene_facts(file, io.read(file))
        scores = self._scores()
        if self.json:
            print(json.dumps({**asdict(facts), **({"run": scores} if scores else {})}, indent=2))
        else:
            _show(facts, scores)
        return 0

    def _scores(self) -> dict[str, Any]:
        """The main figures of a run's metrics.json; nothing for a file or an unfinished run."""
        from splat.fit.run import RunFolder

        if not self.path.is_dir() or not (run := RunFolder.open(self.path)).metrics.exists():
            return {}
        metrics = run.read_json(run.metrics)
        return {name: metrics[name] for name in _METRICS if metrics.get(name) is not None}


def scene_facts(file: Path, scene: Gaussians) -> SceneFacts:
    """Count and measure a scene."""
    import numpy as np

    means = scene.means.numpy()
    opacity = 1.0 / (1.0 + np.exp(-scene.logit_opacities.double().numpy()))
    scale = np.exp(scene.log_scales.double().numpy().max(axis=1))
    return SceneFacts(
        file=str(file),
        megabytes=file.stat().st_size / 1e6,
        gaussians=len(scene),
        sh_degree=scene.sh_degree,
        kernel=scene.kernel,
        antialias=scene.antialias,
        low=np.quantile(means, 0.01, axis=0).tolist(),
        high=np.quantile(means, 0.99, axis=0).tolist(),
        opacity=np.quantile(opacity, _QUANTILES).tolist(),
        scale=np.quantile(scale, _QUANTILES).tolist(),
        beta=None if scene.kernel == "gaussian" else np.quantile(scene.betas.numpy(), _QUANTILES).tolist(),
    )


def _show(facts: SceneFacts, scores: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    def numbers(values: list[float]) -> str:
        return "  ".join(f"{value:.4g}" for value in values)

    table = Table(box=None, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("File", f"{facts.file} ({facts.megabytes:.1f} MB)")
    table.add_row("Gaussians", f"{facts.gaussians:,}")
    table.add_row("SH degree", str(facts.sh_degree))
    table.add_row("Kernel", _KERNELS.get(facts.kernel, facts.kernel))
    table.add_row("Antialias", facts.antialias)
    table.add_row("Extent, middle 98 %", f"{numbers(facts.low)}  to  {numbers(facts.high)}")
    table.add_row("", "[dim]minimum  5 %  median  95 %  maximum[/dim]")
    table.add_row("Opacity", numbers(facts.opacity))
    table.add_row("Largest axis (sigma)", numbers(facts.scale))
    if facts.beta is not None:
        table.add_row("Exponent (beta)", numbers(facts.beta))
    for name, value in scores.items():
        table.add_row(_METRICS[name], f"{value:.4g}" if isinstance(value, float) else str(value))
    Console(highlight=False).print(table)
