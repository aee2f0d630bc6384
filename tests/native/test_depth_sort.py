"""The order of depth, and what threads that share the sorting make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from splat import native_core
from tests.native.poisoned import NAN, Case, assert_same_bits, plain, render, run

if not native_core.available():
    pytest.skip("the native core is not built", allow_module_level=True)

ISAS = native_core.build_info()["supported_isas"]
DEPTHS: dict[str, Callable[[Tensor], Tensor]] = {
    "equal": lambda u: torch.full_like(u, 2.0),
    "neighbours": lambda u: torch.where(u < 0.5, 1.0, 1.0000001),
    "extremes": lambda u: torch.where(u < 0.5, 0.02, 1e9),
    "exponential": lambda u: torch.exp(20 * u - 3),
    "one far away": lambda u: torch.where(u == u.max(), 1e9, 3 + (5 * u).floor() * 2.4e-7),
    "steps": lambda u: (50 * u).round() / 10 + 1,
}


def scene(count: int, depths: Callable[[Tensor], Tensor]) -> Case:
    """Splats as large in the image whatever their depth, each of a colour of its own."""
    case = plain(count, 33, 17, size=0.05)
    make = torch.Generator().manual_seed(count)
    z = depths(torch.rand(count, generator=make))
    across = (torch.rand(count, 2, generator=make) - 0.5) * torch.tensor([33.0, 17.0])
    case.scene.means = torch.cat([across / case.intrinsics[0] * z[:, None], z[:, None]], 1)
    case.scene.log_scales = torch.log(0.05 * z)[:, None] + 0.3 * torch.randn(count, 3, generator=make)
    case.pose = torch.eye(4)
    return case


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", DEPTHS)
@pytest.mark.parametrize("count", [4097, 9001])
def test_by_depth_then_by_number_whatever_the_threads(count: int, name: str, isa: str) -> None:
    case = scene(count, DEPTHS[name])
    case.geometry = False
    order = torch.sort(case.scene.means[:, 2], stable=True).indices
    rows = {key: value[order] for key, value in case.scene.parameters().items()}
    sorted_before = replace(case, scene=replace(case.scene, **rows))
    native_core.load().set_isa(isa)
    try:
        native_core.set_threads(1)
        one = run(case, NAN)
        assert one.frame.visible > 4096, "enough to be shared"
        image = render(sorted_before, NAN).images["color"]
        assert torch.equal(image, one.images["color"]), "as a stable sort by depth has them"
        for threads in (2, 3, 7, 64, 100):
            native_core.set_threads(threads)
            assert_same_bits(run(case, 7.0), one, f"with {threads} threads")
    finally:
        native_core.set_threads(1)
        native_core.load().set_isa(ISAS[0])
