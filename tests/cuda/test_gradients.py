"""The CUDA driver's last stage backwards, emulated: from pairs to splats, parameters and the camera."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from splat.gaussians import PARAMETERS, Antialias, Gaussians
from splat.rasterize import RenderSettings
from tests.cuda.emulated import EmulatedCore
from tests.native.poisoned import NAN, Result, assert_same_bits, plain, run
from tests.rasterize.compare import assert_native_is_right
from tests.rasterize.scenes import joined, random_scene, scene_of

WIDTH, HEIGHT = 40, 33
USED = [(3, 3), (3, 2), (3, 1), (3, 0), (2, 2), (2, 1), (1, 1), (1, 0), (0, 0)]
"""Degrees stored and used."""


@pytest.fixture
def frame(emulated: Any) -> Iterator[Any]:
    core = EmulatedCore(emulated)
    yield core.frame()
    core.check_memory()
    core.close()


@pytest.mark.usefixtures("emulated_backend")
@pytest.mark.parametrize(("stored", "used"), USED)
def test_degrees(stored: int, used: int) -> None:
    """Colour's gradient to SH and position; some channels clamped at 0; nothing to unused coefficients."""
    scene = random_scene(70, stored, seed=used)
    scene.sh[::3, 0, 1] -= 2.5
    got = assert_native_is_right(scene, WIDTH, HEIGHT, RenderSettings(sh_degree=used))
    assert not got.gradients["sh"][:, (used + 1) ** 2 :].any()
    seen = got.rendered.visible
    assert got.gradients["sh"][seen, 0].any(0).all() and not got.gradients["sh"][seen][::3, 0, 1].all()


@pytest.mark.usefixtures("emulated_backend")
@pytest.mark.parametrize("count", [1, 31, 33, 128, 129, 300])
def test_counts(count: int) -> None:
    """About the numbers at which a warp or a block is full; splats that nothing sees among them."""
    scene = random_scene(count, 2, seed=count, size=0.1)
    scene.means[1::4, 2] -= 9
    scene.means[0] = torch.tensor([0.0, 0.0, 4.0])
    scene.logit_opacities[0] = 2.0
    assert_native_is_right(scene, WIDTH, HEIGHT, RenderSettings(geometry=count % 2 == 0))


def spread_out(kernel: str = "gaussian") -> Gaussians:
    """A few splats in hundreds of tiles, among many in a few: a warp helps, several times."""
    small, large = scene_of(kernel, 40, 6, 0.05), scene_of(kernel, 9, 7, 0.9)
    large.logit_opacities[:] = -1.5
    large.log_scales[:3] += torch.tensor([0.5, 1.0, 1.5])[:, None]
    return joined(large, small)


@pytest.mark.parametrize(
    ("kernel", "antialias", "deterministic"),
    [("gaussian", "none", True), ("gaussian", "none", False), ("gef", "exact", True)],
)
def test_hundreds_of_pairs(
    kernel: str, antialias: Antialias, deterministic: bool, emulated_backend: EmulatedCore
) -> None:
    emulated_backend.deterministic = deterministic
    settings = RenderSettings(antialias=antialias, geometry=kernel == "gaussian")
    assert_native_is_right(spread_out(kernel), 200, 170, settings)
    frame = emulated_backend.idle[-1]
    assert frame.deterministic == deterministic and frame.intersections > 600


@pytest.mark.parametrize(("kernel", "antialias"), [("gaussian", "mip"), ("gef", "moment"), ("gef", "none")])
def test_added_up_by_atomics(kernel: str, antialias: Antialias, emulated_backend: EmulatedCore) -> None:
    emulated_backend.deterministic = False
    settings = RenderSettings(antialias=antialias, geometry=True)
    assert_native_is_right(scene_of(kernel, 80, 3), WIDTH, HEIGHT, settings)


@pytest.mark.parametrize("degree", [0, 2])
def test_splats_that_nobody_sees_get_zeros(frame: Any, degree: int) -> None:
    """Every output is written, whatever it held; a splat in front of the camera that is hidden too."""
    case = plain(200, 50, 37, degree=degree, seed=3)
    case.scene.means[::5, 2] -= 9
    result = run(case, NAN, frame)
    unseen = result.radii == 0
    assert unseen[::5].all() and not unseen.all()
    for name in (*PARAMETERS, "screen"):
        gradient = result.gradients[name].reshape(200, -1)
        assert gradient.isfinite().all() and not gradient[unseen].any(), name
    assert result.gradients["pose"].isfinite().all() and result.gradients["pose"].all()


@pytest.mark.parametrize("degree", [0, 3])
def test_nothing_to_see(frame: Any, degree: int) -> None:
    for count in (0, 5):
        case = plain(count, 20, 20, degree=degree)
        case.scene.means[:, 2] -= 20
        for name, gradient in run(case, NAN, frame).gradients.items():
            assert not gradient.any(), name


def test_same_bits_in_any_order_of_threads(emulated: Any, frame: Any) -> None:
    case = plain(150, 50, 37, degree=3, seed=3, size=0.3)
    results: list[Result] = []
    for seed in range(3):
        emulated.emulator.set_schedule("shuffled", seed)
        results.append(run(case, NAN, frame))
    for other in results[1:]:
        assert_same_bits(results[0], other)


@pytest.mark.parametrize("stored", [5, 7, 16, 25])
def test_numbers_of_coefficients_that_no_degree_has(frame: Any, stored: int) -> None:
    """Rows of any length, used to degree 1: as rows of 4, and nothing to the rest."""
    case = plain(75, WIDTH, HEIGHT, degree=1, seed=4)
    want = run(case, NAN, frame).gradients
    sh = torch.cat([case.scene.sh, torch.full((75, stored - 4, 3), 7.0)], 1)
    got = run(replace(case, scene=replace(case.scene, sh=sh)), NAN, frame).gradients
    assert torch.equal(got["sh"][:, :4], want["sh"]) and not got["sh"][:, 4:].any()
    for name in (*PARAMETERS[:4], "screen", "pose"):
        assert torch.equal(got[name], want[name]), name


def misaligned(value: Tensor) -> Tensor:
    """The same numbers, not at a multiple of 16 bytes."""
    room = torch.zeros(value.numel() + 1)
    room[1:] = value.flatten()
    assert room[1:].data_ptr() % 16
    return room[1:].view(value.shape)


@pytest.mark.parametrize("degree", [2, 3])
def test_coefficients_that_are_not_aligned(frame: Any, degree: int) -> None:
    case = plain(75, WIDTH, HEIGHT, degree=degree, seed=4)
    want = run(case, NAN, frame)
    got = run(replace(case, scene=replace(case.scene, sh=misaligned(case.scene.sh))), NAN, frame)
    assert_same_bits(want, got)
