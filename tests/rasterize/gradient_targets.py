"""What a ``GradientTarget`` must do, for whatever core the native backend runs on."""

from __future__ import annotations

import torch
from torch import Tensor

from splat.rasterize import RenderSettings, rasterize
from splat.rasterize.direct import DirectPass
from splat.rasterize.gradient_target import GradientTarget
from tests.rasterize.scenes import cast, posed, scene_of, trainable


def gradients(settings: RenderSettings, kernel: str, target: bool, screen: bool) -> dict[str, Tensor]:
    """By tensor name, of a random loss; with them "screen" where there is one."""
    scene = trainable(cast(scene_of(kernel, 150, 4), torch.float32))
    buffers = {n: torch.full_like(t, torch.nan) for n, t in scene.parameters().items()}
    into = GradientTarget(buffers, screen=screen) if target else None
    rendered = rasterize(scene, posed(50, 37, torch.float32), settings, "native", target=into)
    weights = torch.randn(37, 50, 3, generator=torch.Generator().manual_seed(1))
    (rendered.color * weights).sum().backward()
    got = buffers if target else {n: t.grad for n, t in scene.parameters().items()}
    if target:
        assert all(t.grad is None for t in scene.parameters().values())
    seen = {} if rendered.screen is None else {"screen": rendered.screen.grad}
    return {n: t.clone() for n, t in (got | seen).items() if t is not None}


def direct_gradients(
    settings: RenderSettings, kernel: str, screen: bool, into: DirectPass
) -> dict[str, Tensor]:
    """The same by a ``DirectPass``; with them the image."""
    scene = trainable(cast(scene_of(kernel, 150, 4), torch.float32))
    buffers = {n: torch.full_like(t, torch.nan) for n, t in scene.parameters().items()}
    rendered = into.render(scene, posed(50, 37, torch.float32), settings, screen)
    weights = torch.randn(37, 50, 3, generator=torch.Generator().manual_seed(1))
    into.backward(weights, GradientTarget(buffers, screen=screen))
    assert all(t.grad is None for t in scene.parameters().values())
    seen = {} if rendered.screen is None else {"screen": rendered.screen.grad}
    return {n: t.clone() for n, t in (buffers | seen).items() if t is not None}


def assert_target_is_right(settings: RenderSettings, kernel: str) -> None:
    """The bits that autograd gets, with the screen gradients or without."""
    want = gradients(settings, kernel, target=False, screen=True)
    assert want["screen"].abs().sum(0).all(), "the sums of absolute values are there"
    full = gradients(settings, kernel, target=True, screen=True)
    bare = gradients(settings, kernel, target=True, screen=False)
    assert full.keys() == want.keys() and bare.keys() == want.keys() - {"screen"}
    for name, value in want.items():
        assert torch.equal(full[name], value), name
        assert name == "screen" or torch.equal(bare[name], value), name
    direct = DirectPass(torch.device("cpu"))
    for screen, expected in ((True, full), (False, bare), (True, full)):  # in buffers used before
        got = direct_gradients(settings, kernel, screen, direct)
        assert got.keys() == expected.keys()
        assert all(torch.equal(got[name], expected[name]) for name in got), screen
