"""What a person reads when a scene, a camera or a setting is malformed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from splat.errors import SplatError
from splat.gaussians import Antialias
from splat.rasterize import RenderSettings, rasterize
from tests.rasterize.scenes import posed, random_scene

SETTINGS = RenderSettings()


@pytest.mark.parametrize("name", ["means", "quats", "log_scales", "logit_opacities", "sh"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_value_that_is_not_finite(name: str, value: float) -> None:
    scene = random_scene(5, 1)
    getattr(scene, name)[3] = value
    with pytest.raises(SplatError, match=rf"gaussians\.{name} has .* the first at \[3.*Remove|remove"):
        rasterize(scene, posed(9, 7), SETTINGS, "reference")


def test_large_finite_values_pass() -> None:
    scene = random_scene(3, 0, dtype=torch.float32)
    scene.means[:, 0] = 3e38  # their sum overflows
    assert not rasterize(scene, posed(9, 7, torch.float32), SETTINGS, "reference").color.any()


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("means", torch.zeros(5, 2), r"means has shape \[5, 2\].*\[N, 3\]"),
        ("means", torch.zeros(()), r"means has shape \[\]"),
        ("quats", torch.ones(4, 4), r"quats has shape \[4, 4\].*N = 5"),
        ("log_scales", torch.zeros(5), r"log_scales has shape \[5\]"),
        ("logit_opacities", torch.zeros(5, 1), r"logit_opacities has shape \[5, 1\].*\[N\]"),
        ("sh", torch.zeros(5, 5, 3), r"sh has shape \[5, 5, 3\].*K = 1, 4, 9 or 16"),
        ("sh", torch.zeros(5, 3), r"sh has shape \[5, 3\]"),
        ("sh", torch.zeros(5, 4, 3, dtype=torch.float16), r"sh is torch.float16.*\.float\(\)"),
        ("quats", torch.ones(5, 4, dtype=torch.float64), r"quats is torch.float64 and"),
        ("quats", torch.zeros(5, 4), r"quats has 5 zero rows, the first at 0.*\(1, 0, 0, 0\)"),
        ("log_scales", torch.zeros(5, 3, device="meta"), r"log_scales is on meta.*cpu"),
    ],
)
def test_wrong_tensor(name: str, tensor: torch.Tensor, message: str) -> None:
    scene = replace(random_scene(5, 1, dtype=torch.float32), **{name: tensor})
    with pytest.raises(SplatError, match=message):
        rasterize(scene, posed(9, 7, torch.float32), SETTINGS, "reference")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"world_to_camera": torch.full((4, 4), torch.nan)}, r"world_to_camera has 16 values .*pose file"),
        ({"world_to_camera": torch.eye(3)}, r"world_to_camera has shape \[3, 3\]"),
        ({"world_to_camera": torch.eye(4, dtype=torch.int64)}, r"world_to_camera is torch.int64"),
        ({"intrinsics": torch.diag(torch.tensor([0.0, 1, 1]))}, "focal lengths"),
        ({"intrinsics": torch.diag(torch.tensor([torch.inf, 1, 1]))}, "intrinsics has 1 value"),
        ({"width": 0}, "0 x 7 pixels"),
    ],
)
def test_wrong_camera(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SplatError, match=message):
        rasterize(random_scene(5), replace(posed(9, 7), **change), SETTINGS, "reference")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sh_degree": 4}, "sh_degree is 4"),
        ({"near": 2.0, "far": 1.0}, "near is 2.0 and far is 1.0"),
        ({"near": -1.0}, "near is -1.0"),
        ({"near": float("nan")}, "near is nan"),
        ({"background": (0.0, float("nan"), 0.0)}, "background is"),
        ({"background": (0.0, 1.0)}, "background is"),
        ({"antialias": "blur"}, 'antialias is .blur.*"none", "mip", "analytic", "moment", "exact"'),
        ({"strips": 3}, "strips is 3. Expected 1 or 2"),
        ({"strips": 0}, "strips is 0"),
        ({"subpixel": 4}, "subpixel is 4. Expected 1 or 2"),
    ],
)
def test_wrong_setting(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SplatError, match=message):
        rasterize(random_scene(5), posed(9, 7), replace(SETTINGS, **change), "reference")


@pytest.mark.parametrize(
    ("change", "antialias", "message"),
    [
        ({"shape": None}, "none", 'shape is None and gaussians.kernel is "gef".*shape_from_betas'),
        ({"shape": torch.zeros(4).double()}, "none", r"shape has shape \[4\].*N = 5"),
        ({"shape": torch.zeros(5, 1).double()}, "none", r"shape has shape \[5, 1\]"),
        ({"shape": torch.zeros(5)}, "none", "gaussians.shape is torch.float32 and"),
        (
            {"shape": torch.full((5,), torch.nan).double()},
            "none",
            "gaussians.shape has 5 values that are NaN",
        ),
        ({"kernel": "gaussian"}, "none", 'kernel is "gaussian" and gaussians.shape is given.*kernel="gef"'),
        ({"kernel": "beta"}, "none", 'kernel is .beta.*"gaussian", "gef"'),
        ({}, "analytic", 'analytic" is for Gaussians.*"moment"'),
    ],
)
def test_wrong_kernel(change: dict[str, Any], antialias: Antialias, message: str) -> None:
    scene = replace(random_scene(5), kernel="gef", shape=torch.zeros(5, dtype=torch.float64))
    with pytest.raises(SplatError, match=message):
        rasterize(replace(scene, **change), posed(9, 7), RenderSettings(antialias=antialias), "reference")


def test_strided_inputs_are_fine() -> None:
    scene, camera = random_scene(20, 1, size=0.3), posed(9, 7)
    strided = replace(scene, **{n: torch.stack([t, t], 1)[:, 0] for n, t in scene.parameters().items()})
    assert not strided.means.is_contiguous()
    expected = rasterize(scene, camera, SETTINGS, "reference").color
    assert torch.equal(rasterize(strided, camera, SETTINGS, "reference").color, expected)


def test_check_can_be_left_out() -> None:
    scene = random_scene(5, 1)
    scene.means[0] = torch.nan
    image = rasterize(scene, posed(9, 7), SETTINGS, "reference", check=False)
    assert not image.visible[0] and image.color.isfinite().all()
