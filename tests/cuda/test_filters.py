"""Pixel filters of the CUDA driver, emulated, where they are hard: extreme sizes, exponents and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch

from splat.gaussians import Antialias, Gaussians
from splat.rasterize import RenderSettings
from tests.cuda.emulated import EmulatedCore
from tests.native.poisoned import (
    INF,
    INVISIBLE,
    NAN,
    Case,
    assert_finite,
    assert_same_bits,
    broken,
    extreme_case,
    plain,
    run,
    sharp,
)
from tests.rasterize.compare import assert_native_is_right, boundary_band, native, outcome
from tests.rasterize.scenes import (
    EXTREMES,
    PAIRS,
    extreme_scene,
    generalised,
    joined,
    posed,
    random_scene,
    scene_of,
)

WIDTH, HEIGHT = 40, 33
PIXEL = 0.09
"""World units, in the middle of the scene: posed() sees 44 to 48 pixels in 4 units."""

SIZES = {
    "needle": (6.0, 0.05, 0.05),
    "disc": (4.0, 4.0, 0.001),
    "tiny": (0.09, 0.08, 0.1),
    "tiny disc": (0.1, 0.02, 0.1),
    "huge": (60.0, 50.0, 40.0),
    "huge band": (500.0, 0.3, 80.0),
}
"""Standard deviations in pixels."""

emulated_backend = pytest.mark.usefixtures("emulated_backend")


def sized(kernel: str, pixels: tuple[float, float, float], count: int = 80) -> Gaussians:
    """Splats of the given standard deviations before splats that any pixel sees."""
    scene = scene_of(kernel, count, 5)
    scene.log_scales[::2] = torch.log(PIXEL * torch.tensor(pixels, dtype=scene.means.dtype))
    scene.logit_opacities[::2] = 3.0
    return scene


@emulated_backend
@pytest.mark.parametrize("pixels", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize(("kernel", "antialias"), PAIRS)
def test_sizes(kernel: str, antialias: Antialias, pixels: tuple[float, float, float]) -> None:
    scene = sized(kernel, pixels)
    if pixels[0] > 50:
        scene.logit_opacities[::2] = -3.0  # not everything hidden behind the first
    assert_native_is_right(scene, WIDTH, HEIGHT, RenderSettings(antialias=antialias))


@emulated_backend
@pytest.mark.parametrize("raw", [-12.0, -4.0, 4.0, 12.0])
@pytest.mark.parametrize("antialias", ["none", "mip", "moment", "exact"])
def test_exponents_near_their_limits(antialias: Antialias, raw: float) -> None:
    """beta from 1.2 to 8."""
    scene = generalised(random_scene(80, 1, seed=6, size=0.15))
    assert scene.shape is not None
    scene.shape[::2] = raw
    assert_native_is_right(scene, WIDTH, HEIGHT, RenderSettings(antialias=antialias))


@emulated_backend
@pytest.mark.parametrize("kind", EXTREMES)
@pytest.mark.parametrize("antialias", ["analytic", "moment", "exact"])
def test_extremes_stay_finite(antialias: Antialias, kind: str) -> None:
    camera, settings = posed(33, 21, torch.float32), RenderSettings(antialias=antialias, geometry=True)
    scene = extreme_scene(kind, 100)
    got = outcome(native, scene, camera, settings, boundary_band(scene, camera, settings))
    assert got.rendered.color.isfinite().all() and got.rendered.radii.isfinite().all()
    for name, gradient in got.gradients.items():
        assert gradient.isfinite().all(), name


@pytest.fixture
def core(emulated: ModuleType) -> Iterator[EmulatedCore]:
    """Its frames work in memory full of NaNs."""
    made = EmulatedCore(emulated)
    yield made
    made.check_memory()
    made.close()


@pytest.fixture
def frame(core: EmulatedCore) -> Any:
    return core.frame()


def test_finite_in_finite_out_and_every_value_written(core: EmulatedCore, frame: Any) -> None:
    """Whatever a new frame, a used one and the outputs held before."""
    shown = 0
    for seed in range(60):
        case, note = extreme_case(seed), f"in case {seed}"
        one = run(case, NAN, core.frame())
        assert_finite(one, note)
        assert_same_bits(one, run(case, 7.0, frame), note)
        shown += bool(one.images["alpha"].any())
    assert shown > 20, "many cases must show something"


def assert_left_out(case: Case, mixed: Case, rows: slice, frame: Any) -> None:
    """``mixed`` gives what ``case`` gives in ``rows``, bit for bit, and no gradient in the others."""
    want, got = run(case, NAN, frame), run(mixed, NAN, frame)
    assert want.images["alpha"].max() > 0.5
    for key, image in want.images.items():
        assert torch.equal(got.images[key], image), key
    for key, gradient in want.gradients.items():
        if key == "pose":
            torch.testing.assert_close(got.gradients[key], gradient, rtol=1e-4, atol=1e-3)
            continue
        assert torch.equal(got.gradients[key][rows], gradient), key
        others = got.gradients[key].clone()
        others[rows] = 0
        assert not others.any(), key


@pytest.mark.parametrize("antialias", ["analytic", "exact"])
@pytest.mark.parametrize(("name", "column", "value"), INVISIBLE)
def test_broken_splats_are_left_out(
    name: str, column: int, value: float, antialias: Antialias, frame: Any
) -> None:
    case = replace(plain(60, 33, 20, seed=3), antialias=antialias)
    bad = broken(name, column, value, size=0.02)
    mixed = replace(case, scene=joined(bad, case.scene, bad))
    assert_left_out(case, mixed, slice(len(bad), -len(bad)), frame)


@pytest.mark.parametrize("antialias", ["none", "mip", "moment", "exact"])
def test_broken_exponents_are_left_out(antialias: Antialias, frame: Any) -> None:
    case = replace(plain(60, 33, 20, seed=3), antialias=antialias)
    bad = sharp(broken("means", 0, 0.0, size=0.02), NAN)
    case.scene = sharp(case.scene, -1.0)
    assert_left_out(case, replace(case, scene=joined(case.scene, bad)), slice(0, 60), frame)


@pytest.mark.parametrize("value", [INF, -INF])
@pytest.mark.parametrize("antialias", ["none", "mip", "moment", "exact"])
def test_exponents_at_their_limits(antialias: Antialias, value: float, frame: Any) -> None:
    """A raw exponent of infinity is the limit itself, beta 1.2 or 8, and moves nowhere."""
    case = replace(plain(60, 33, 20, seed=3), antialias=antialias)
    result = run(replace(case, scene=sharp(case.scene, value)), NAN, frame)
    assert_finite(result)
    assert result.images["alpha"].max() > 0.5
    assert result.gradients["shape"].abs().max() < 1e-20
