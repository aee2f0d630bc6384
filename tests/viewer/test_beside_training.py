"""A picture drawn while the trainer works changes no bit of its gradients."""

from __future__ import annotations

import threading

import pytest
import torch

from splat import native_core
from splat.gaussians import Gaussians
from splat.rasterize import RenderSettings, rasterize
from splat.viewer.client_camera import camera_from_client
from splat.viewer.frames import render_frame
from splat.viewer.scene import snapshot

pytestmark = pytest.mark.skipif(not native_core.available(), reason="the native core is not built")

CAMERA = camera_from_client((1, 0, 0, 0), (0, 0, 0), 0.9, 96, 64)


def cloud() -> Gaussians:
    random = torch.Generator().manual_seed(3)
    n = 400
    return Gaussians(
        means=torch.randn(n, 3, generator=random) * torch.tensor([1.0, 1.0, 0.5])
        + torch.tensor([0.0, 0.0, 4.0]),
        quats=torch.randn(n, 4, generator=random),
        log_scales=torch.randn(n, 3, generator=random) * 0.3 - 2.5,
        logit_opacities=torch.randn(n, generator=random),
        sh=torch.randn(n, 4, 3, generator=random) * 0.3,
    )


def descend(steps: int) -> Gaussians:
    """A few steps of gradient descent towards grey."""
    scene = cloud()
    for _ in range(steps):
        for value in scene.parameters().values():
            value.requires_grad_(True)
        color = rasterize(scene, CAMERA, RenderSettings(), "native").color
        (color - 0.5).square().sum().backward()
        for name, value in scene.parameters().items():
            assert value.grad is not None
            setattr(scene, name, value.detach() - 1e-4 * value.grad)
    return scene


def test_looking_does_not_change_training() -> None:
    alone = descend(30)
    done = threading.Event()
    same: list[bool] = []

    def look() -> None:
        scene, other = snapshot(cloud()), camera_from_client((1, 0, 0, 0), (0.3, 0, 0), 0.7, 150, 90)
        first = render_frame(scene, other, backend="native")
        while not done.is_set():
            same.append(bool((render_frame(scene, other, backend="native") == first).all()))

    viewer = threading.Thread(target=look)
    viewer.start()
    try:
        watched = descend(30)
    finally:
        done.set()
        viewer.join()
    assert same and all(same)
    for name, value in alone.parameters().items():
        assert torch.equal(value, watched.parameters()[name]), name
