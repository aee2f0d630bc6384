"""Random bad scenes: finite pictures and gradients, or one clear error. Every kernel and filter."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch

from splat.errors import SplatError
from splat.gaussians import Antialias, Gaussians, Kernel
from splat.rasterize import RenderSettings, rasterize
from tests.rasterize.scenes import posed, random_scene, trainable

MODES: list[tuple[Kernel, Antialias]] = [
    (kernel, antialias)
    for kernel in get_args(Kernel)
    for antialias in get_args(Antialias)
    if (kernel, antialias) != ("gef", "analytic")
]
SIZES = (-14.0, -4.0, -2.0, 0.0, 13.8)
"""Logarithms: 1e-6 to 1e6 world units, that is about 1e-5 to 1e7 px here."""


def bad_scene(kernel: Kernel, seed: int, dtype: torch.dtype) -> Gaussians:
    """80 splats, each with its own mix of extremes."""
    scene = random_scene(80, 1, seed=seed, dtype=dtype)
    random = torch.Generator().manual_seed(100 + seed)

    def pick(values: tuple[float, ...], *shape: int) -> torch.Tensor:
        rows = torch.randint(len(values), shape, generator=random)
        return torch.tensor(values, dtype=dtype)[rows]

    round_ = torch.arange(80) % 4 == 0
    scene.log_scales[:] = pick(SIZES, 80, 3)
    scene.log_scales[round_] = scene.log_scales[round_, :1].expand(-1, 3)
    scene.quats[::5] = torch.tensor([1.0, 0, 0, 0], dtype=dtype)
    scene.logit_opacities[:] = pick((-1e4, -100.0, -5.5, -1.0, 2.0, 100.0, 1e4), 80)
    near = torch.arange(80) % 7 == 0
    scene.means[near, 2] = pick((-1.0, 0.0, 0.01, 0.010001, 0.02, 0.2), 80)[near]
    if kernel == "gef":
        shape = pick((-1e4, -30.0, -2.0, 0.0, 2.0, 30.0, 1e4), 80)
        scene = replace(scene, kernel="gef", shape=shape)
    return scene


@pytest.mark.parametrize("subpixel", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("kernel", "antialias"), MODES)
def test_extremes_together(kernel: Kernel, antialias: Antialias, dtype: torch.dtype, subpixel: int) -> None:
    for seed in range(2):
        scene = trainable(bad_scene(kernel, seed, dtype))
        camera = posed(17, 12, dtype)
        pose = camera.world_to_camera.clone().requires_grad_()
        settings = RenderSettings(antialias=antialias, strips=1 + seed, subpixel=subpixel, geometry=True)
        image = rasterize(scene, replace(camera, world_to_camera=pose), settings, "reference")
        assert image.depth is not None and image.normals is not None and image.median_depth is not None
        pictures = (image.color, image.alpha, image.depth, image.median_depth, image.normals)
        assert all(picture.isfinite().all() for picture in pictures)
        assert image.radii.isfinite().all() and image.visible.any()
        assert (image.alpha >= 0).all() and (image.alpha <= 1).all()
        torch.stack([picture.sum() for picture in pictures]).sum().backward()
        assert image.screen is not None
        for name, tensor in (*scene.parameters().items(), ("pose", pose), ("screen", image.screen)):
            assert tensor.grad is not None and tensor.grad.isfinite().all(), name


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["means", "quats", "log_scales", "logit_opacities", "sh", "shape"])
@pytest.mark.parametrize("backend", ["reference", "native"])
def test_a_number_that_is_none(name: str, value: float, backend: str) -> None:
    scene = bad_scene("gef", 0, torch.float32)
    getattr(scene, name)[7] = value
    with pytest.raises(SplatError, match=rf"gaussians\.{name} has .* NaN or infinite, the first at \[7"):
        rasterize(scene, posed(9, 7, torch.float32), RenderSettings(antialias="moment"), backend)  # type: ignore[arg-type]


@pytest.mark.parametrize(("kernel", "antialias"), MODES)
def test_opacity_0_and_1(kernel: Kernel, antialias: Antialias) -> None:
    """Nothing, and the most that one splat may hide."""
    scene = random_scene(1, 0, size=0.5, spread=0.0)
    if kernel == "gef":
        scene = replace(scene, kernel="gef", shape=torch.zeros(1, dtype=torch.float64))
    settings = RenderSettings(antialias=antialias)
    for logit, visible, highest in ((-1e4, False, 0.0), (1e4, True, 0.99)):
        scene.logit_opacities[:] = logit
        image = rasterize(scene, posed(40, 30), settings, "reference")
        assert bool(image.visible[0]) == visible
        assert image.alpha.max().item() == pytest.approx(highest, abs=1e-12)
