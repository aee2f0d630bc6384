"""Every kernel and pixel filter once on a tiny scene: what compute-sanitizer is run on.

    compute-sanitizer --tool memcheck --error-exitcode 1 python benchmarks/gpu_sanitize.py
    compute-sanitizer --tool racecheck --error-exitcode 1 python benchmarks/gpu_sanitize.py

Render, loss, backward and Adam at 64x48 with 200 splats, gradients in order and by atomics, with and without
geometry; and the distances to neighbours.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from scenes import generalised, procedural

from splat.device_core import core_for
from splat.fit.engine import Engine
from splat.fit.losses import L1Ssim, PhotometricLoss
from splat.fit.scene import TrainedScene
from splat.rasterize import RenderSettings, rasterize
from splat.rasterize.direct import DirectPass

SKIPPED = 77
PAIRS = ("gaussian+none", "gaussian+mip", "gaussian+moment", "gaussian+exact", "gaussian+analytic",
         "gef+none", "gef+mip", "gef+moment", "gef+exact")  # fmt: skip
RATES = dict.fromkeys(("means", "quats", "log_scales", "logit_opacities", "sh0", "sh_rest", "shape"), 1e-3)


def step(pair: str, geometry: bool, device: torch.device) -> float:
    """One training step, whole; its loss."""
    kernel, antialias = pair.split("+")
    work = procedural(200, 48, 64, 3)
    start = generalised(work.gaussians) if kernel == "gef" else work.gaussians
    scene = TrainedScene(replace(start, antialias=antialias).to(device), RATES, Engine("native", device))  # type: ignore[arg-type]
    settings = RenderSettings(antialias=antialias, geometry=geometry)  # type: ignore[arg-type]
    photo = work.photo.to(device)
    if geometry:
        rendered = rasterize(scene.gaussians, work.camera, settings, "native", check=False)
        assert rendered.depth is not None and rendered.normals is not None
        loss = L1Ssim.apply(rendered.color, photo, None, 0.2)
        loss = loss + rendered.depth.mean() + rendered.normals.sum() + rendered.alpha.mean()
        loss.backward()
    else:
        direct, target = DirectPass(device), scene.gradient_target(RATES)
        rendered = direct.render(scene.gaussians, work.camera, settings)
        loss, v_color = PhotometricLoss(0.2).with_gradient(rendered.color, photo)
        direct.backward(v_color, target)
        scene.adopt(target)
    scene.step(RATES)
    value = float(loss.detach())
    for name, tensor in scene.gaussians.parameters().items():
        if not bool(torch.isfinite(tensor.detach()).all()):
            raise SystemExit(f"{pair}: {name} is not finite after a step")
    return value


def main() -> int:
    """All of them; 77 where there is no device."""
    if not torch.cuda.is_available():
        print("skipped: no CUDA device")
        return SKIPPED
    device = torch.device("cuda", torch.cuda.current_device())
    for deterministic in (True, False):
        core_for(device).deterministic = deterministic  # type: ignore[attr-defined]
        for pair in PAIRS:
            for geometry in (False, True):
                value = step(pair, geometry, device)
                about = ("in order" if deterministic else "atomic") + (", geometry" if geometry else "")
                print(f"{pair}, {about}: loss {value:.4f}", flush=True)
    points = torch.rand(500, 3, device=device)
    print(f"spacing {float(Engine('native', device).mean_squared_spacing(points).mean()):.5f}")
    torch.cuda.synchronize()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
