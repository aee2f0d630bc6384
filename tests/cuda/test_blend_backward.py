"""The backward pass of the CUDA driver's blend, emulated, against the reference: every gradient."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from torch import Tensor

from splat.gaussians import Antialias, Gaussians
from splat.rasterize import RenderSettings
from tests.cuda.emulated import EmulatedCore
from tests.cuda.test_blend import HEIGHT, PAIRS, WIDTH, opaque_stack
from tests.rasterize.compare import Band, Outcome, assert_outcomes_close, boundary_band, outcome
from tests.rasterize.scenes import cast, one_splat, posed, random_scene, trainable
from tests.rasterize.test_native import BACKGROUND, native, reference
from tests.rasterize.test_native_kernels import scene_of

pytestmark = pytest.mark.usefixtures("emulated_backend")


def assert_right(
    scene: Gaussians, settings: RenderSettings, width: int = WIDTH, height: int = HEIGHT
) -> Outcome:
    """Images and gradients of the emulated driver against the reference in float64."""
    camera = posed(width, height, torch.float32)
    band = boundary_band(scene, camera, settings)
    assert band.median.float().mean() < 0.25, "most pixels must be compared"
    got = outcome(native, cast(scene, torch.float32), camera, settings, band)
    assert_outcomes_close(got, outcome(reference, cast(scene, torch.float64), camera, settings, band), band)
    return got


def gradients(
    scene: Gaussians, settings: RenderSettings, width: int = WIDTH, height: int = HEIGHT
) -> dict[str, Tensor]:
    """Of a loss over every image and pixel."""
    nowhere = torch.zeros(height, width, dtype=torch.bool)
    camera = posed(width, height, torch.float32)
    return outcome(native, scene, camera, settings, Band(nowhere, nowhere)).gradients


@pytest.mark.parametrize("geometry", [False, True])
@pytest.mark.parametrize(("kernel", "antialias"), PAIRS)
def test_random_scenes(kernel: str, antialias: Antialias, geometry: bool) -> None:
    scene = scene_of(kernel, 80, 7)
    scene.logit_opacities[::5] += 3
    assert_right(scene, RenderSettings(antialias=antialias, geometry=geometry, background=BACKGROUND))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (17, 1), (33, 20)])
def test_sizes(width: int, height: int) -> None:
    settings = RenderSettings(geometry=True, background=BACKGROUND)
    assert_right(random_scene(40, 1, seed=3, size=0.3), settings, width, height)


@pytest.mark.parametrize("count", [1, 2, 31, 64, 65, 130])
def test_lists_of_many_lengths(count: int) -> None:
    """About the lengths at which a lane, a word of bits or a bucket is full."""
    scene = random_scene(count, 0, seed=count, size=0.5, spread=0.2)
    scene.logit_opacities -= 1
    assert_right(scene, RenderSettings(background=BACKGROUND), 16, 16)


def test_thousands_in_one_tile() -> None:
    """Many buckets, in which every pixel goes on to the end."""
    scene = random_scene(1200, 0, seed=4, size=0.1, spread=0.25)
    scene.logit_opacities -= 3
    assert_right(scene, RenderSettings(geometry=True), 16, 16)


@pytest.mark.parametrize("geometry", [False, True])
def test_pixels_that_end_early(geometry: bool) -> None:
    """Buckets, and sub-tiles of buckets, that no pixel reaches."""
    scene = random_scene(1500, 0, seed=5, size=0.2)
    scene.logit_opacities += 1
    assert_right(scene, RenderSettings(geometry=geometry, background=BACKGROUND), 24, 20)


def test_one_splat_in_every_tile() -> None:
    settings = RenderSettings(geometry=True, background=BACKGROUND)
    assert_right(
        one_splat((0.0, 0.0, 4.0), (2.0, 1.5, 0.5), 0.7, (0.2, 0.9, 0.4), (0.9, 0.2, -0.3, 0.1)), settings
    )


def test_opaque_splats_take_no_gradient_through_the_clamp() -> None:
    settings = RenderSettings(background=BACKGROUND)
    scene, camera = opaque_stack(), posed(16, 16, torch.float32)
    band = boundary_band(scene, camera, settings)
    assert not band.pixels.any()
    got = outcome(native, cast(scene, torch.float32), camera, settings, band).gradients
    want = outcome(reference, scene, camera, settings, band).gradients
    assert got["logit_opacities"][0] and not got["logit_opacities"][1:].any() and not got["means"][1:].any()
    assert got["sh"][:3].all() and not got["sh"][3:].any()
    for name in ("sh", "logit_opacities"):
        assert torch.allclose(got[name].double(), want[name], rtol=1e-3, atol=1e-6), name


@pytest.mark.parametrize("only", ["color", "alpha", "depth", "median_depth", "normals"])
def test_gradient_of_one_image_alone(only: str) -> None:
    """The others' gradients are absent, not zero."""
    scene, camera = random_scene(60, 1, seed=8, size=0.2), posed(WIDTH, HEIGHT, torch.float32)
    settings = RenderSettings(geometry=True, background=BACKGROUND)
    band = boundary_band(scene, camera, settings)
    found = []
    for backend, dtype in ((native, torch.float32), (reference, torch.float64)):
        leaves = trainable(cast(scene, dtype))
        picture = getattr(backend(leaves, camera, settings), only)
        make = torch.Generator().manual_seed(3)
        weight = torch.randn(picture.shape, generator=make, dtype=torch.float64)
        weight[band.median] = 0
        (picture * weight.to(dtype)).sum().backward()
        found.append({name: t.grad.double() for name, t in leaves.parameters().items() if t.grad is not None})
    for name, want in found[1].items():
        if want.any():
            assert (found[0][name] - want).norm() <= 1e-3 * want.norm(), name


@pytest.mark.parametrize(
    ("kernel", "antialias"), [("gaussian", "none"), ("gef", "moment"), ("gaussian", "exact")]
)
@pytest.mark.parametrize("geometry", [False, True])
def test_atomics_agree_with_slots(
    kernel: str, antialias: Antialias, geometry: bool, emulated_backend: EmulatedCore
) -> None:
    scene = cast(scene_of(kernel, 150, 9, 0.3), torch.float32)
    settings = RenderSettings(antialias=antialias, geometry=geometry, background=BACKGROUND)
    found = []
    for deterministic in (True, False, True):
        emulated_backend.deterministic = deterministic
        found.append(gradients(scene, settings))
    for name, want in found[0].items():
        assert (found[1][name] - want).norm() <= 1e-5 * want.norm(), name
        assert torch.equal(found[2][name], want), name


def test_any_order_of_threads_gives_the_same_bits(emulated: ModuleType) -> None:
    scene = random_scene(150, 1, seed=6, size=0.2, dtype=torch.float32)
    found = []
    for order, seed in (("shuffled", 0), ("shuffled", 1), ("forward", 0), ("reverse", 0)):
        emulated.emulator.set_schedule(order, seed)
        found.append(gradients(scene, RenderSettings(geometry=True)))
    for other in found[1:]:
        for name, want in found[0].items():
            assert torch.equal(other[name], want), name
