"""The CUDA driver's blend, emulated, against the reference: images."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from splat.gaussians import Antialias, Gaussians
from splat.rasterize import Rendered, RenderSettings
from tests.rasterize.compare import IMAGES, assert_images_close, boundary_band
from tests.rasterize.scenes import cast, joined, one_splat, posed, random_scene, trainable
from tests.rasterize.test_native import BACKGROUND, native, reference
from tests.rasterize.test_native_kernels import scene_of

WIDTH, HEIGHT = 40, 33  # three tiles by three, those at the right and at the bottom cut

FILTERS: tuple[Antialias, ...] = ("none", "mip", "moment")
PAIRS = [(kernel, filter_) for kernel in ("gaussian", "gef") for filter_ in FILTERS]

pytestmark = pytest.mark.usefixtures("emulated_backend")


def image(scene: Gaussians, settings: RenderSettings, width: int = WIDTH, height: int = HEIGHT) -> Rendered:
    """A picture without anything kept for a backward pass, compared with the reference's."""
    camera = posed(width, height, torch.float32)
    band = boundary_band(scene, camera, settings)
    assert band.median.float().mean() < 0.25, "most pixels must be compared"
    with torch.no_grad():
        got = native(cast(scene, torch.float32), camera, settings)
        want = reference(cast(scene, torch.float64), camera, settings)
    assert_images_close(got, want, band, tolerance=3e-5)
    return got


def assert_same(a: Rendered, b: Rendered) -> None:
    for name in IMAGES:
        one, other = getattr(a, name), getattr(b, name)
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other), name


def opaque_stack() -> Gaussians:
    """A faint splat over the whole picture, and behind it splats that are cut off at the largest alpha."""
    colors = torch.rand(5, 3, generator=torch.Generator().manual_seed(2)).tolist()
    opacities = (0.5, 0.999, 0.999, 0.999, 0.999)
    return joined(
        *(
            one_splat((0, 0, 3 + 0.01 * i), 40.0, o, tuple(c))
            for i, (o, c) in enumerate(zip(opacities, colors, strict=True))
        )
    )


@pytest.mark.parametrize("geometry", [False, True])
@pytest.mark.parametrize(("kernel", "antialias"), PAIRS)
def test_random_scenes(kernel: str, antialias: Antialias, geometry: bool) -> None:
    scene = scene_of(kernel, 80, 7)
    scene.logit_opacities[::5] += 3
    settings = RenderSettings(antialias=antialias, geometry=geometry, background=BACKGROUND)
    assert image(scene, settings).alpha.max() > 0.5


@pytest.mark.parametrize("geometry", [False, True])
def test_what_is_kept_does_not_change_the_picture(geometry: bool) -> None:
    """With a list of several batches, so that states of buckets are written in between."""
    scene = random_scene(400, 1, seed=5, size=0.3, spread=0.5, dtype=torch.float32)
    scene.logit_opacities -= 2
    camera, settings = posed(WIDTH, HEIGHT, torch.float32), RenderSettings(geometry=geometry)
    with torch.no_grad():
        without = native(scene, camera, settings)
    assert_same(without, native(trainable(scene), camera, settings))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (17, 1), (33, 20)])
def test_sizes(width: int, height: int) -> None:
    settings = RenderSettings(geometry=True, background=BACKGROUND)
    image(random_scene(40, 1, seed=3, size=0.3), settings, width, height)


@pytest.mark.parametrize("geometry", [False, True])
def test_nothing_to_see(geometry: bool) -> None:
    settings = RenderSettings(geometry=geometry, background=BACKGROUND)
    camera = posed(19, 7, torch.float32)
    hidden = random_scene(5, 0, dtype=torch.float32)
    hidden.means[:, 2] -= 20
    for scene in (random_scene(0, 1, dtype=torch.float32), hidden):
        got = native(scene, camera, settings)
        assert (got.color == torch.tensor(BACKGROUND)).all() and not got.alpha.any()


def test_empty_tiles() -> None:
    scene = random_scene(20, 1, size=0.03, spread=0.15)
    got = image(scene, RenderSettings(geometry=True, background=BACKGROUND), 56, 40)
    assert torch.equal(got.color[-8:, -8:], torch.tensor(BACKGROUND).expand(8, 8, 3))


def test_thousands_in_one_tile() -> None:
    """Several batches of a tile's list, in which every pixel goes on to the end."""
    scene = random_scene(1200, 0, seed=4, size=0.1, spread=0.25)
    scene.logit_opacities -= 3
    image(scene, RenderSettings(), 16, 16)


def test_pixels_that_end_early() -> None:
    """In several batches of a tile's list, or not at all."""
    scene = random_scene(1500, 0, seed=5, size=0.2)
    scene.logit_opacities += 1
    got = image(scene, RenderSettings(background=BACKGROUND), 24, 20)
    assert (got.alpha > 0.9998).any() and (got.alpha < 0.99).any()


def test_one_splat_in_every_tile() -> None:
    image(
        one_splat((0.0, 0.0, 4.0), (2.0, 1.5, 0.5), 0.7, (0.2, 0.9, 0.4), (0.9, 0.2, -0.3, 0.1)),
        RenderSettings(geometry=True),
    )


def test_opaque_splats() -> None:
    """A saturated splat leaves a hundredth; after the second nothing counts."""
    got = image(opaque_stack(), RenderSettings(geometry=True, background=BACKGROUND), 16, 16)
    assert torch.allclose(got.alpha, torch.tensor(1 - 0.5 * 0.01**2), atol=1e-6)


def test_any_order_of_threads_gives_the_same_bits(emulated: ModuleType) -> None:
    scene, camera = random_scene(150, 1, seed=6, dtype=torch.float32), posed(WIDTH, HEIGHT, torch.float32)
    pictures = []
    for order, seed in (("shuffled", 0), ("shuffled", 1), ("forward", 0), ("reverse", 0)):
        emulated.emulator.set_schedule(order, seed)
        pictures.append(native(trainable(scene), camera, RenderSettings(geometry=True)))
    for other in pictures[1:]:
        assert_same(pictures[0], other)
