"""The native backend on tensors of a CUDA device: bits, streams, memory, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from splat.device_core import core_for
from splat.errors import SplatError
from splat.gaussians import Gaussians
from splat.rasterize import Rendered, RenderSettings, rasterize
from tests.gpu.present import require_device
from tests.rasterize.scenes import posed, random_scene, trainable

require_device()

WIDTH, HEIGHT = 120, 83
SETTINGS = RenderSettings(geometry=True)


@pytest.fixture(params=[True, False], ids=["in order", "atomic"])
def deterministic(request: pytest.FixtureRequest, device: torch.device) -> Iterator[bool]:
    core = core_for(device)
    before = core.deterministic  # type: ignore[attr-defined]
    core.deterministic = request.param  # type: ignore[attr-defined]
    yield request.param
    core.deterministic = before  # type: ignore[attr-defined]


def scene_on(device: torch.device, count: int = 2000, seed: int = 0, size: float = 0.08) -> Gaussians:
    return trainable(random_scene(count, 3, seed=seed, size=size, dtype=torch.float32).to(device))


def draw(scene: Gaussians, settings: RenderSettings = SETTINGS) -> Rendered:
    return rasterize(scene, posed(WIDTH, HEIGHT, torch.float32), settings, "native")


def weighted(rendered: Rendered) -> Tensor:
    """A fixed weighting of every output but the median depth, which jumps."""
    make = torch.Generator().manual_seed(3)
    total = torch.zeros((), device=rendered.color.device)
    for image in (rendered.color, rendered.alpha, rendered.depth, rendered.normals):
        assert image is not None
        total = total + (image * torch.randn(image.shape, generator=make).to(image)).sum()
    return total


def gradients(scene: Gaussians) -> dict[str, Tensor]:
    grads = {name: value.grad for name, value in scene.parameters().items()}
    return {name: grad for name, grad in grads.items() if grad is not None}


def of_processor(scene: Gaussians) -> dict[str, Tensor]:
    copy = trainable(scene.detached().to("cpu"))
    weighted(draw(copy)).backward()
    return gradients(copy)


def relative(got: Tensor, want: Tensor) -> float:
    return float((got.cpu() - want.cpu()).norm() / want.norm().clamp_min(1e-12).cpu())


def assert_same_image(got: Tensor, want: Tensor) -> None:
    """But for the few pixels at which rounding takes a splat across its least alpha, 1/255."""
    difference = (got.cpu() - want.cpu()).abs().amax(-1)
    assert float(difference.max()) < 1e-2
    assert float((difference > 1e-4).float().mean()) < 1e-3


def test_results_are_on_the_device(device: torch.device) -> None:
    rendered = draw(scene_on(device))
    for value in (rendered.color, rendered.depth, rendered.radii, rendered.visible, rendered.screen):
        assert value is not None and value.device == device


def test_as_the_processor(device: torch.device, deterministic: bool) -> None:
    scene = scene_on(device)
    with torch.no_grad():
        ours, theirs = draw(scene), draw(scene.to("cpu"))
    assert_same_image(ours.color, theirs.color)
    weighted(draw(scene)).backward()
    for name, want in of_processor(scene).items():
        assert relative(gradients(scene)[name], want) < 1e-3, name


def test_same_bits_twice(device: torch.device) -> None:
    first, second = scene_on(device), scene_on(device)
    images = [draw(first), draw(second)]
    assert torch.equal(images[0].color, images[1].color)
    for image in images:
        weighted(image).backward()
    for name, value in gradients(first).items():
        assert torch.equal(value, gradients(second)[name]), name


def test_a_stream_of_its_own(device: torch.device, deterministic: bool) -> None:
    """Everything is queued on torch's current stream; the default one is kept busy meanwhile."""
    want = of_processor(scene_on(device))
    stream = torch.cuda.Stream(device)
    busy = torch.randn(4096, 4096, device=device)
    for _ in range(20):
        busy = (busy @ busy).clamp(-1, 1)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        scene = scene_on(device)
        weighted(draw(scene)).backward()
    stream.synchronize()
    for name, value in want.items():
        assert relative(gradients(scene)[name], value) < 1e-3, name


def test_tensors_that_are_not_contiguous(device: torch.device) -> None:
    scene = scene_on(device).detached()
    spread = {n: torch.stack([t, t + 1], -1)[..., 0] for n, t in scene.parameters().items()}
    assert not any(value.is_contiguous() for value in spread.values())
    assert torch.equal(draw(replace(scene, **spread)).color, draw(scene).color)  # type: ignore[arg-type]


def test_a_tensor_on_another_device_is_named(device: torch.device) -> None:
    scene = scene_on(device).detached()
    with pytest.raises(SplatError, match="quats is on cpu"):
        draw(replace(scene, quats=scene.quats.cpu()))


def test_double_precision_is_refused(device: torch.device) -> None:
    scene = random_scene(10, 1).to(device)
    with pytest.raises(SplatError, match="float64"):
        draw(scene)


def test_a_camera_on_the_device_gets_its_gradient(device: torch.device) -> None:
    scene = scene_on(device).detached()
    found = []
    for where in (device, torch.device("cpu")):
        camera = posed(WIDTH, HEIGHT, torch.float32)
        pose = camera.world_to_camera.to(where).requires_grad_()
        weighted(rasterize(scene, replace(camera, world_to_camera=pose), SETTINGS, "native")).backward()
        assert pose.grad is not None and pose.grad.device == where
        found.append(pose.grad)
    assert relative(found[0], found[1]) < 1e-5


def test_several_frames_alive(device: torch.device) -> None:
    """Renders whose backward passes come later, in another order."""
    scenes = [scene_on(device, 300 + 500 * k, seed=k) for k in range(4)]
    losses = [weighted(draw(scene)) for scene in scenes]
    for k in (2, 0, 3, 1):
        losses[k].backward()
    for k, scene in enumerate(scenes):
        alone = scene_on(device, 300 + 500 * k, seed=k)
        weighted(draw(alone)).backward()
        for name, value in gradients(alone).items():
            assert torch.equal(value, gradients(scene)[name]), name


def test_more_pairs_than_guessed(device: torch.device) -> None:
    """A frame that was used for few pairs grows."""
    small, large = scene_on(device, 50, size=0.01), scene_on(device, 4000, size=0.4)
    for scene in (small, large, small, large):
        weighted(draw(scene)).backward()
        for name, want in of_processor(scene).items():
            assert relative(gradients(scene)[name], want) < 1e-3, name
        for value in scene.parameters().values():
            value.grad = None


def test_nothing_to_draw(device: torch.device) -> None:
    scene = scene_on(device, 20)
    behind = trainable(replace(scene, means=scene.means.detach() * torch.tensor([1.0, 1, -1]).to(device)))
    rendered = draw(behind)
    assert not rendered.color.any() and not rendered.visible.any()
    weighted(rendered).backward()
    assert not any(value.any() for value in gradients(behind).values())
    assert not draw(scene_on(device, 0)).alpha.any()


def test_out_of_memory_is_torchs_error_and_leaves_a_usable_core(device: torch.device) -> None:
    scene, camera = scene_on(device, 20_000, size=1.0).detached(), posed(1920, 1080, torch.float32)
    core_for(device).idle.clear()  # type: ignore[attr-defined]
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device).total_memory
    allowed = torch.cuda.memory_reserved(device) + 64 * 2**20
    torch.cuda.set_per_process_memory_fraction(allowed / total, device)
    try:
        with pytest.raises(torch.cuda.OutOfMemoryError):
            rasterize(scene, camera, RenderSettings(), "native")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    small = scene_on(device)
    weighted(draw(small)).backward()
    for name, want in of_processor(small).items():
        assert relative(gradients(small)[name], want) < 1e-3, name
    color = rasterize(scene, camera, RenderSettings(), "native").color
    assert_same_image(color, rasterize(scene.to("cpu"), camera, RenderSettings(), "native").color)


@pytest.mark.parametrize("antialias", ["none", "mip", "moment", "exact"])
def test_every_filter_of_the_generalised_kernel(device: torch.device, antialias: str) -> None:
    scene = scene_on(device).detached()
    shape = torch.randn(len(scene), generator=torch.Generator().manual_seed(1)).to(device)
    scene = replace(scene, kernel="gef", shape=shape)
    settings = RenderSettings(antialias=antialias)  # type: ignore[arg-type]
    assert_same_image(draw(scene, settings).color, draw(scene.to("cpu"), settings).color)
