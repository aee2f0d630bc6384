"""Frames for the browser, with the reference rasteriser."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from splat.gaussians import Gaussians
from splat.rasterize import RenderSettings, rasterize
from splat.viewer.client_camera import camera_from_client
from splat.viewer.frames import heat, render_frame

CAMERA = camera_from_client((1, 0, 0, 0), (0, 0, 0), math.radians(60), 48, 32)
BLUE = (0.0, 0.0, 1.0)


def test_colour_is_the_rasterisers(ball: Gaussians) -> None:
    frame = render_frame(ball, CAMERA, "colour", BLUE, "reference")
    assert frame.shape == (32, 48, 3) and frame.dtype == np.uint8
    expected = rasterize(ball, CAMERA, RenderSettings(background=BLUE), "reference").color
    np.testing.assert_array_equal(frame, (expected.clamp(0, 1) * 255).round().numpy())
    assert frame[16, 24, 0] > 240 and frame[16, 24, 2] < 10
    assert frame[0, 0].tolist() == [0, 0, 255]


def test_the_scenes_own_pixel_filter_is_used(ball: Gaussians) -> None:
    ball.antialias = "mip"
    ball.log_scales = ball.log_scales - 3
    frame = render_frame(ball, CAMERA, backend="reference")
    expected = rasterize(ball, CAMERA, RenderSettings(antialias="mip"), "reference").color
    np.testing.assert_array_equal(frame, (expected.clamp(0, 1) * 255).round().numpy())
    ball.antialias = "none"
    assert (render_frame(ball, CAMERA, backend="reference") != frame).any()


def test_another_filter_can_be_asked_for(ball: Gaussians) -> None:
    ball.antialias = "mip"
    ball.log_scales = ball.log_scales - 3
    frame = render_frame(ball, CAMERA, backend="reference", antialias="none")
    ball.antialias = "none"
    np.testing.assert_array_equal(frame, render_frame(ball, CAMERA, backend="reference"))


def test_alpha_and_normals(ball: Gaussians) -> None:
    alpha = render_frame(ball, CAMERA, "alpha", BLUE, "reference")
    assert alpha[16, 24].min() > 240 and alpha[0, 0].max() == 0
    normals = render_frame(ball, CAMERA, "normals", BLUE, "reference")
    assert normals[16, 24, 2] < 10  # facing us: world -z
    assert abs(int(normals[16, 24, 0]) - 127) < 12
    assert normals[0, 0].tolist() == [0, 0, 255]


def test_near_is_bright_in_the_depth_picture(ball: Gaussians) -> None:
    pair = replace(ball, **{name: value.repeat_interleave(2, 0) for name, value in ball.parameters().items()})
    pair.means = torch.tensor([[-0.8, 0.0, 4.0], [1.2, 0.0, 6.0]])
    depth = render_frame(pair, CAMERA, "depth", BLUE, "reference").astype(int)
    focal = CAMERA.focal[0]
    near, far = depth[16, round(24 - 0.2 * focal)], depth[16, round(24 + 0.2 * focal)]
    assert near.sum() > 400 > 100 > far.sum()
    assert depth[0, 0].tolist() == [0, 0, 255]


def test_near_limit(ball: Gaussians) -> None:
    assert render_frame(ball, CAMERA, "alpha", backend="reference", near=5.5).max() == 0


def test_drawing_leaves_no_trace(ball: Gaussians) -> None:
    ball.means.requires_grad_(True)
    before = {name: value.detach().clone() for name, value in ball.parameters().items()}
    state = torch.random.get_rng_state()
    render_frame(ball, CAMERA, "depth", backend="reference")
    assert torch.equal(state, torch.random.get_rng_state())
    assert ball.means.grad is None
    for name, value in ball.parameters().items():
        assert torch.equal(value.detach(), before[name])


def test_heat_gets_brighter() -> None:
    colors = heat(torch.linspace(-0.5, 1.5, 41))
    light = colors @ torch.tensor([0.2126, 0.7152, 0.0722])
    assert bool((light.diff() >= 0).all())
    assert torch.equal(colors[0], heat(torch.tensor(0.0))) and torch.equal(
        colors[-1], heat(torch.tensor(1.0))
    )
