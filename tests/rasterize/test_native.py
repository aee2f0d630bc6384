"""The compiled core against the reference: same images, same gradients, same bits at any thread count."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from splat import native_core
from splat.gaussians import Antialias
from splat.rasterize import RenderSettings, rasterize
from tests.rasterize import compare
from tests.rasterize.compare import (
    IMAGES,
    assert_native_is_right,
    boundary_band,
    native,
    outcome,
    reference,
)
from tests.rasterize.scenes import (
    EXTREMES,
    cast,
    extreme_scene,
    joined,
    one_splat,
    posed,
    random_scene,
    trainable,
)

if not native_core.available():
    pytest.skip("the native core is not built", allow_module_level=True)

BACKGROUND = (0.3, 0.6, 0.1)


@pytest.mark.parametrize("geometry", [False, True])
@pytest.mark.parametrize("antialias", ["none", "mip"])
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_random_scenes(degree: int, antialias: Antialias, geometry: bool) -> None:
    """Odd sizes; some splats outside the view, behind it or cut by its border."""
    background = BACKGROUND if degree % 2 else (0.0, 0.0, 0.0)
    settings = RenderSettings(antialias=antialias, background=background, geometry=geometry)
    scene = random_scene(400, degree, seed=degree)
    scene.means[::25, 2] -= 6
    assert_native_is_right(scene, 83, 57, settings)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (17, 1), (33, 47), (64, 32)])
def test_sizes(width: int, height: int) -> None:
    settings = RenderSettings(geometry=True, background=BACKGROUND)
    assert_native_is_right(random_scene(60, 1, seed=3, size=0.3), width, height, settings)


@pytest.mark.parametrize("antialias", ["none", "mip"])
@pytest.mark.parametrize("axes", [(2, -1, -1), (0, 0, -4), (3, -3, 0)], ids=["needle", "disc", "strip"])
def test_thin_splats(axes: tuple[int, int, int], antialias: Antialias) -> None:
    """Their projected covariance is nearly singular, and a c - b^2 would cancel."""
    scene = random_scene(200, 1, seed=2)
    scene.log_scales += 0.7 * torch.tensor(axes)
    assert_native_is_right(scene, 50, 40, RenderSettings(antialias=antialias, geometry=True))


@pytest.mark.parametrize("antialias", ["none", "mip"])
@pytest.mark.parametrize("isa", ["avx512", "avx2", "portable"])
def test_every_instruction_set(isa: str, antialias: Antialias) -> None:
    info = native_core.build_info()
    if isa not in info["supported_isas"]:
        pytest.skip(f"this machine or build has no {isa}")
    settings = RenderSettings(antialias=antialias, geometry=True, background=BACKGROUND)
    try:
        native_core.load().set_isa(isa)
        assert native_core.build_info()["isa"] == isa
        assert_native_is_right(random_scene(200, 3, seed=11), 50, 39, settings)
    finally:
        native_core.load().set_isa(info["isa"])


def test_renders_may_overlap() -> None:
    """Two images before either goes back, and one that goes back twice."""
    cameras = posed(40, 30, torch.float32), posed(33, 21, torch.float32)
    settings = RenderSettings(geometry=True)
    scene = trainable(random_scene(200, 1, dtype=torch.float32))
    apart = []
    for camera in cameras:
        image = native(scene, camera, settings)
        apart.append(torch.autograd.grad(image.color.square().sum(), scene.means)[0])
    images = [native(scene, camera, settings) for camera in cameras]
    losses = [image.color.square().sum() for image in images]
    for _ in range(2):
        together = [torch.autograd.grad(loss, scene.means, retain_graph=True)[0] for loss in losses]
        assert torch.equal(together[0], apart[0]) and torch.equal(together[1], apart[1])


def test_only_some_inputs_ask_for_gradients() -> None:
    camera, settings = posed(40, 30, torch.float32), RenderSettings()
    scene = random_scene(100, 1, dtype=torch.float32)
    full = trainable(scene)
    native(full, camera, settings).color.sum().backward()
    scene.sh.requires_grad_()
    image = native(scene, camera, settings)
    image.color.sum().backward()
    assert scene.sh.grad is not None and full.sh.grad is not None
    assert scene.means.grad is None and torch.equal(scene.sh.grad, full.sh.grad)
    pose = camera.world_to_camera.double().requires_grad_()
    native(full.detached(), replace(camera, world_to_camera=pose), settings).color.sum().backward()
    assert pose.grad is not None and pose.grad.dtype == torch.float64 and pose.grad[:3].all()


def test_thousands_in_one_tile() -> None:
    scene = random_scene(3000, 1, seed=4, size=0.1, spread=0.25)
    scene.logit_opacities -= 3  # faint, so that pixels do not end early
    assert_native_is_right(scene, 24, 24, RenderSettings(geometry=True))


def test_pixels_that_end_early() -> None:
    scene = random_scene(1500, 1, seed=5, size=0.2)
    scene.logit_opacities += 3
    assert_native_is_right(scene, 40, 30, RenderSettings(geometry=True, background=BACKGROUND))


def test_empty_tiles() -> None:
    settings = RenderSettings(geometry=True, background=BACKGROUND)
    image = assert_native_is_right(random_scene(30, 2, size=0.03, spread=0.15), 83, 57, settings)
    corner = image.rendered.color[-16:, -16:]
    assert torch.equal(corner, torch.tensor(BACKGROUND).expand_as(corner))


def test_large_splats_over_every_tile() -> None:
    scene = random_scene(40, 1, seed=6, size=1.0)
    scene.logit_opacities -= 1
    assert_native_is_right(scene, 83, 57, RenderSettings(geometry=True))


def test_splats_beyond_the_grown_image() -> None:
    """Their Jacobian is clamped and takes no gradient through the clamp."""
    scene = random_scene(200, 1, seed=7, size=0.6, spread=3.0)
    assert_native_is_right(scene, 40, 30, RenderSettings())


def test_lower_degree_than_the_scene_has() -> None:
    scene = random_scene(100, 3, seed=8)
    got = assert_native_is_right(scene, 40, 30, RenderSettings(sh_degree=1))
    assert not got.gradients["sh"][:, 4:].any()


def test_near_and_far() -> None:
    settings = RenderSettings(near=3.7, far=4.9)
    got = assert_native_is_right(random_scene(200, 1, seed=9), 40, 30, settings)
    assert 20 < got.rendered.visible.sum() < 180


def test_equal_depths_keep_the_order_of_rows() -> None:
    camera = posed(16, 16, torch.float32)
    x, y, z = (torch.linalg.inv(camera.world_to_camera) @ torch.tensor([0.0, 0, 4, 1]))[:3].tolist()
    center = (x, y, z)
    red = one_splat(center, 1.0, 0.8, (1, 0, 0), dtype=torch.float32)
    green = one_splat(center, 1.0, 0.8, (0, 1, 0), dtype=torch.float32)
    first = native(joined(red, green), camera, RenderSettings()).color
    second = native(joined(green, red), camera, RenderSettings()).color
    assert first.sum((0, 1))[0] > 1.5 * first.sum((0, 1))[1] > 0
    assert torch.equal(first[..., 0], second[..., 1]) and torch.equal(first[..., 1], second[..., 0])


@pytest.mark.parametrize("antialias", ["none", "mip"])
def test_thread_count_does_not_change_a_bit(antialias: Antialias) -> None:
    scene, camera = random_scene(2000, 2, seed=10, dtype=torch.float32), posed(83, 57, torch.float32)
    settings = RenderSettings(antialias=antialias, geometry=True, background=BACKGROUND)
    band = compare.Band(*(torch.zeros(57, 83, dtype=torch.bool),) * 2)
    outcomes = []
    try:
        for threads in (1, 2, 4, 2):
            native_core.set_threads(threads)
            outcomes.append(outcome(native, scene, camera, settings, band))
    finally:
        native_core.set_threads(1)
    for other in outcomes[1:]:
        for name in IMAGES:
            assert torch.equal(getattr(other.rendered, name), getattr(outcomes[0].rendered, name)), name
        for name, gradient in outcomes[0].gradients.items():
            assert torch.equal(other.gradients[name], gradient), name


@pytest.mark.parametrize("geometry", [False, True])
def test_empty_scene_is_background(geometry: bool) -> None:
    settings = RenderSettings(background=BACKGROUND, geometry=geometry)
    image = native(cast(random_scene(0, 2), torch.float32), posed(19, 7, torch.float32), settings)
    assert (image.color == torch.tensor(BACKGROUND)).all() and not image.alpha.any()
    assert image.visible.shape == (0,) and image.radii.shape == (0,)


def test_all_behind_the_camera() -> None:
    scene = random_scene(30, 1, dtype=torch.float32)
    scene.means[:, 2] -= 20
    scene = trainable(scene)
    image = native(scene, posed(19, 7, torch.float32), RenderSettings(geometry=True))
    assert not image.visible.any() and not image.alpha.any() and not image.radii.any()
    image.color.sum().backward()
    for tensor in (*scene.parameters().values(), image.screen):
        assert tensor is not None and tensor.grad is not None and not tensor.grad.any()


@pytest.mark.parametrize("antialias", ["none", "mip"])
@pytest.mark.parametrize("kind", EXTREMES)
def test_extremes_stay_finite(kind: str, antialias: Antialias) -> None:
    camera = posed(33, 21, torch.float32)
    settings = RenderSettings(antialias=antialias, geometry=True)
    for seed in range(3):
        scene = extreme_scene(kind, seed=seed)
        band = boundary_band(scene, camera, settings)
        got = outcome(native, scene, camera, settings, band)
        for name in IMAGES:
            assert getattr(got.rendered, name).isfinite().all(), name
        assert got.rendered.radii.isfinite().all()
        for name, gradient in got.gradients.items():
            assert gradient.isfinite().all(), name


@pytest.mark.parametrize("kind", ["tiny", "opaque", "transparent", "far away", "behind"])
def test_extremes_that_float32_can_hold_are_right(kind: str) -> None:
    assert_native_is_right(extreme_scene(kind), 33, 21, RenderSettings(geometry=True))


def test_memory_left_over_from_before_does_not_show() -> None:
    """Render something else in between: the second image must not depend on used buffers."""
    scene, camera = random_scene(300, 1, dtype=torch.float32), posed(40, 30, torch.float32)
    settings = RenderSettings(geometry=True)
    first = native(scene, camera, settings)
    poison = replace(scene, sh=scene.sh * 1e30, means=scene.means * 0.7)
    native(poison, posed(83, 57, torch.float32), settings)
    second = native(scene, camera, settings)
    for name in IMAGES:
        assert torch.equal(getattr(first, name), getattr(second, name)), name


def test_float64_goes_to_the_reference_and_float32_to_the_core() -> None:
    scene, camera = random_scene(50, 1), posed(20, 16)
    exact = rasterize(scene, camera, RenderSettings())
    assert torch.equal(exact.color, reference(scene, camera, RenderSettings()).color)
    single = cast(scene, torch.float32), posed(20, 16, torch.float32), RenderSettings()
    assert torch.equal(rasterize(*single).color, native(*single).color)
