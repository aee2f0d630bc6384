"""What a finished fit writes down for people and programs to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from splat import __version__
from splat.capture.types import Capture, View
from splat.fit.evaluate import LPIPS_REASON, ViewScore
from splat.fit.machine import peak_gpu_memory_gib, peak_memory_gib
from splat.fit.presets import Plan
from splat.gaussians import Gaussians


@dataclass(frozen=True)
class Outcome:
    """The numbers of a fit that are not in its plan.

    Attributes:
        iterations: steps done.
        seconds: training seconds.
        notes: plain sentences.
    """

    iterations: int
    seconds: float
    notes: list[str]


def metrics(
    scores: Sequence[ViewScore], scene: Gaussians, capture: Capture, plan: Plan, outcome: Outcome
) -> dict[str, Any]:
    """The content of metrics.json. Without held-out photos, psnr and ssim are null."""
    width, height = largest_size(capture)
    summary = capture.summary
    return {
        "psnr": mean_psnr(scores),
        "ssim": fmean(score.ssim for score in scores) if scores else None,
        "lpips": None,
        "lpips_reason": LPIPS_REASON,
        "gaussians": len(scene),
        "iterations": outcome.iterations,
        "width": width,
        "height": height,
        "registered": summary.registered,
        "photos": summary.photos,
        "points": summary.points,
        "reprojection_error": summary.reprojection_error,
        "seconds_sfm": summary.seconds_sfm,
        "seconds_training": outcome.seconds,
        "peak_memory_gib": peak_memory_gib(),
        "device": plan.device,
        "peak_gpu_memory_gib": peak_gpu_memory_gib(plan.device),
        "sh_degree": scene.sh_degree,
        "kernel": scene.kernel,
        "antialias": scene.antialias,
        "filter3d": plan.filter3d,
        "frequency_weight": plan.frequency_weight,
        "betas": _spread(scene),
        "strategy": plan.strategy,
        "version": __version__,
        "notes": [*summary.notes, *outcome.notes],
    }


def _spread(scene: Gaussians) -> list[float] | None:
    """Exponents below which 5, 50 and 95 % of the splats lie; None for Gaussians."""
    if scene.kernel == "gaussian":
        return None
    betas = scene.betas.detach().double().cpu().numpy()
    return [float(value) for value in np.quantile(betas, [0.05, 0.5, 0.95])]


def per_view(scores: Sequence[ViewScore]) -> dict[str, dict[str, float | None]]:
    """The content of per_view.json."""
    return {score.name: {"psnr": score.psnr, "ssim": score.ssim, "lpips": score.lpips} for score in scores}


def mean_psnr(scores: Sequence[ViewScore]) -> float | None:
    """Mean over views of PSNR in dB, or None without views."""
    return fmean(score.psnr for score in scores) if scores else None


def cameras(capture: Capture) -> dict[str, Any]:
    """The content of cameras.json: every view's camera in the ORIGINAL world."""
    scale = float(capture.transform[0, 0])
    shift = capture.transform[:3, 3]
    held_out = set(capture.test)
    views = [_camera(view, scale, shift, index in held_out) for index, view in enumerate(capture.views)]
    return {"transform": capture.transform.tolist(), "views": views}


def to_original(gaussians: Gaussians, capture: Capture) -> Gaussians:
    """The scene in the world that the cameras came in (undoes ``capture.transform``), on the processor."""
    import torch

    scale = float(capture.transform[0, 0])
    shift = torch.from_numpy(np.asarray(capture.transform[:3, 3]))
    return gaussians.detached().to("cpu").scaled(1 / scale, -shift / scale)


def largest_size(capture: Capture) -> tuple[int, int]:
    """(width, height) of the largest photo."""
    camera = max((view.camera for view in capture.views), key=lambda c: c.width * c.height)
    return camera.width, camera.height


def _camera(view: View, scale: float, shift: np.ndarray, held_out: bool) -> dict[str, Any]:
    """One entry: x_normalised = scale x + shift, so t_original = (R shift + t_normalised) / scale."""
    pose = view.camera.world_to_camera.detach().double().numpy().copy()
    pose[:3, 3] = (pose[:3, :3] @ shift + pose[:3, 3]) / scale
    return {
        "name": view.name,
        "world_to_camera": pose.tolist(),
        "intrinsics": view.camera.intrinsics.detach().double().tolist(),
        "width": view.camera.width,
        "height": view.camera.height,
        "split": "test" if held_out else "train",
    }
