"""What is lost where a scene is folded to plain Gaussians: both rendered here, compared view by view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import torch

from splat.cameras import Camera
from splat.cli.camera_path import Lens, orbit_of_points
from splat.cli.scene_source import KnownView, find_views, near_limit, trained_background
from splat.fit.engine import choose_engine
from splat.fit.evaluate import MOST_DB, rounded
from splat.gaussians import Gaussians
from splat.io.folding import MOST_OPACITY
from splat.rasterize import RenderSettings, rasterize

_MOST_VIEWS = 24
_ORBIT = 8
_ORBIT_LENS = Lens(640, 480, 600.0)


@dataclass(frozen=True)
class FoldLoss:
    """How near two scenes are.

    Attributes:
        mean: mean PSNR over the views, dB; ``MOST_DB`` for those that are identical.
        worst: PSNR of the worst view, dB; infinite if that is identical.
        worst_view: its name.
    """

    mean: float
    worst: float
    worst_view: str

    def words(self) -> str:
        """For a person."""
        if math.isinf(self.worst):
            return "identical"
        return f"{self.mean:.1f} dB on average, {self.worst:.1f} dB at worst ({self.worst_view})"


def describe_fold(original: Gaussians, folded: Gaussians, source: Path) -> str:
    """Sentences on what folding changed, from renders of both scenes.

    Args:
        original: as it was read.
        folded: what will be written.
        source: where the original came from, for the cameras of its run.

    Raises:
        SplatError: the scene cannot be rendered, or the run's cameras.json is malformed.
    """
    views, settings, where = comparison_views(original, source)
    loss = fold_loss(original, folded, views, settings)
    lines = [
        f"Against the original, with the filter that the file names ({folded.antialias}), {where}: "
        f"{loss.words()}."
    ]
    if folded.antialias != "none":
        loss = fold_loss(original, replace(folded, antialias="none"), views, settings)
        lines.append(f"In a viewer that ignores it and widens every splat by 0.3 px^2: {loss.words()}.")
    held = (folded.logit_opacities.double().sigmoid() >= MOST_OPACITY - 1e-6) & (
        original.logit_opacities.double().sigmoid() < MOST_OPACITY - 1e-6
    )
    if bool(held.any()):
        lines.append(
            f"{int(held.sum()):,} of {len(folded):,} splats would need an opacity above 1 and became thinner."
        )
    return "\n".join(lines)


def comparison_views(scene: Gaussians, source: Path) -> tuple[list[KnownView], RenderSettings, str]:
    """Cameras to compare at, how to render, and words for where that is.

    The held-out cameras of the run that ``source`` belongs to (all of them where none is held out), at
    most ``_MOST_VIEWS``; without a run, some views round the scene.
    """
    background = trained_background(source)
    known = find_views(source)
    if known is None:
        points = scene.means.double().numpy()
        orbit = orbit_of_points(points, _ORBIT_LENS, _ORBIT)
        views = [KnownView(f"view {index}", camera, "test") for index, camera in enumerate(orbit)]
        near, where = near_limit(scene), f"{len(views)} views round the scene"
    else:
        held_out = [view for view in known.views if view.split == "test"]
        views = _some(held_out or known.views)
        near = RenderSettings.near / known.scale
        where = f"{len(views)} {'held-out ' if held_out else ''}cameras of the run"
    return views, RenderSettings(background=background, near=near), where


def fold_loss(
    original: Gaussians, folded: Gaussians, views: Sequence[KnownView], settings: RenderSettings
) -> FoldLoss:
    """PSNR between two scenes, each with its own filter, as 8-bit pictures.

    Args:
        original: one scene.
        folded: the other, same world.
        views: one or more cameras.
        settings: background and limits.
    """
    errors = [
        float((_picture(original, v.camera, settings) - _picture(folded, v.camera, settings)).square().mean())
        for v in views
    ]
    worst = max(range(len(errors)), key=errors.__getitem__)
    mean = fmean(min(MOST_DB, _decibel(error)) for error in errors)
    return FoldLoss(mean, _decibel(errors[worst]), views[worst].name)


def _picture(scene: Gaussians, camera: Camera, settings: RenderSettings) -> torch.Tensor:
    with torch.no_grad():
        own = replace(settings, antialias=scene.antialias)
        return rounded(rasterize(scene, camera, own, choose_engine().name).color).double()


def _decibel(squared_error: float) -> float:
    return math.inf if squared_error == 0 else -10 * math.log10(squared_error)


def _some(views: Sequence[KnownView]) -> list[KnownView]:
    """At most ``_MOST_VIEWS`` of them, evenly."""
    count = min(_MOST_VIEWS, len(views))
    return [views[index * len(views) // count] for index in range(count)]
