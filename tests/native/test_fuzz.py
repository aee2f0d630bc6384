"""Random scenes, cameras and sizes that nobody wants, straight into the compiled rasteriser.

Every buffer the core writes is poisoned first and every case runs twice, with another poison, another
``Frame`` and another number of threads: a value that was not written, or that depends on a thread or
on what memory held before, differs between the two.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from splat import native_core
from splat.gaussians import Antialias, Gaussians
from splat.rasterize import RenderSettings, rasterize
from tests.native.poisoned import (
    GRADIENTS,
    INF,
    INVISIBLE,
    NAN,
    SIZES,
    Case,
    Result,
    assert_finite,
    assert_same_bits,
    backward,
    broken,
    extreme_case,
    plain,
    render,
    run,
    sharp,
)
from tests.rasterize.scenes import cast, joined, posed, random_scene, trainable

if not native_core.available():
    pytest.skip("the native core is not built", allow_module_level=True)

ISAS = native_core.build_info()["supported_isas"]


@pytest.fixture(params=ISAS, autouse=True)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test runs with every instruction set; one thread and the first set afterwards."""
    native_core.load().set_isa(request.param)
    native_core.set_threads(1)
    yield request.param
    native_core.load().set_isa(ISAS[0])
    native_core.set_threads(1)


def test_finite_in_finite_out_and_every_value_written() -> None:
    """Also: the same bits with one and three threads, in a new and in a used frame."""
    used = native_core.load().Frame()
    shown = 0
    for seed in range(150):
        case, note = extreme_case(seed), f"in case {seed}"
        native_core.set_threads(1)
        one = run(case, NAN)
        native_core.set_threads(3)
        three = run(case, 7.0, used)
        assert_finite(one, note)
        assert_same_bits(one, three, note)
        shown += bool(one.images["alpha"].any())
    assert shown > 60, "most cases must show something"


@pytest.mark.parametrize("count", [1023, 1024, 1025, 2049])
def test_about_the_size_of_a_chunk(count: int) -> None:
    case = plain(count, 50, 37, degree=3, seed=count)
    case.scene.means[-1] = torch.tensor([-0.4, 0.2, 3.0])  # the last row is seen
    native_core.set_threads(1)
    one = run(case, NAN)
    native_core.set_threads(3)
    assert_same_bits(one, run(case, 7.0))
    assert_finite(one)
    assert one.radii[-1] > 0 and one.gradients["means"][-1].any()


def test_new_frames_of_few_splats() -> None:
    """The first use of a frame, when its buffers are smallest, gives what a well-used frame gives."""
    used = native_core.load().Frame()
    run(plain(1000, 64, 64), NAN, used)
    for count in (1, 2, 3, 4, 5):
        for seed in range(8):
            case = plain(count, 40, 20, seed=seed, size=0.01)
            case.scene.logit_opacities[:] = 3
            assert_same_bits(run(case, NAN), run(case, NAN, used), f"{count} splats, seed {seed}")


@pytest.mark.parametrize(("width", "height"), [(16384, 1), (1, 16384), (16000, 9), (5, 16001)])
def test_long_images(width: int, height: int) -> None:
    case = plain(40, width, height, size=0.5)
    case.intrinsics = [0.1 * width, 0.1 * height, 0.5 * width, 0.5 * height]
    native_core.set_threads(1)
    one = run(case, NAN)
    native_core.set_threads(3)
    assert_same_bits(one, run(case, 7.0))
    assert_finite(one)
    covered = one.images["alpha"].nonzero().amax(0)
    assert covered[0] >= 0.6 * (height - 1) and covered[1] >= 0.6 * (width - 1)


@pytest.mark.parametrize(("name", "column", "value"), INVISIBLE)
def test_broken_splats_are_left_out(name: str, column: int, value: float) -> None:
    """Images, and the gradients of every other splat, are those of the scene without them."""
    case = plain(150, 40, 30, seed=3)
    bad = broken(name, column, value, size=0.02)
    mixed = replace(case, scene=joined(bad, case.scene, bad))
    want, got = run(case), run(mixed)
    assert want.images["alpha"].max() > 0.5
    for key, image in want.images.items():
        assert torch.equal(got.images[key], image), key
    count = len(bad)
    for key, gradient in want.gradients.items():
        if key == "pose":
            torch.testing.assert_close(got.gradients[key], gradient, rtol=1e-4, atol=1e-3)
            continue
        assert torch.equal(got.gradients[key][count:-count], gradient), key
        assert not got.gradients[key][:count].any() and not got.gradients[key][-count:].any(), key


@pytest.mark.parametrize("antialias", ["none", "mip", "moment", "exact"])
def test_broken_exponents_are_left_out(antialias: Antialias) -> None:
    case = plain(150, 40, 30, seed=3)
    case.antialias = antialias
    bad = broken("means", 0, 0.0, size=0.02)
    want = run(replace(case, scene=sharp(case.scene, -1.0)))
    got = run(replace(case, scene=joined(sharp(case.scene, -1.0), sharp(bad, NAN))))
    assert want.images["alpha"].max() > 0.5
    for key, image in want.images.items():
        assert torch.equal(got.images[key], image), key
    for key in ("means", "shape"):
        assert torch.equal(got.gradients[key][:150], want.gradients[key]), key
        assert not got.gradients[key][150:].any(), key


@pytest.mark.parametrize("antialias", ["none", "mip", "moment", "exact"])
def test_exponents_at_their_limits(antialias: Antialias) -> None:
    """A raw exponent of infinity is the limit itself, beta 1.2 or 8, and moves nowhere."""
    case = plain(150, 40, 30, seed=3)
    case.antialias = antialias
    for value in (INF, -INF):
        result = run(replace(case, scene=sharp(case.scene, value)))
        assert_finite(result, f"{value}")
        assert result.images["alpha"].max() > 0.5
        assert result.gradients["shape"].abs().max() < 1e-20


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_broken_colours_stay_in_their_own_pixels(value: float) -> None:
    """NaN counts as black; nothing changes where the splat has no weight."""
    case = plain(150, 40, 30, seed=3)
    case.degree = 0
    bad = broken("sh", 1, value, 1)
    alone = run(replace(case, scene=bad)).images["alpha"]
    assert 0.05 < (alone > 0).float().mean() < 0.7
    got, want = run(replace(case, scene=joined(case.scene, bad))), run(case)
    for key, image in want.images.items():
        assert torch.equal(got.images[key][alone == 0], image[alone == 0]), key
    for key in ("color", "alpha", "depth_sum", "normals"):
        assert got.images[key].isfinite().all(), key
    if value != INF:
        black = broken("sh", 1, -100.0, 1)
        with_black = run(replace(case, scene=joined(case.scene, black)))
        for key, image in with_black.images.items():
            assert torch.equal(got.images[key], image), key
        for key in GRADIENTS:
            assert torch.equal(got.gradients[key][:-1], with_black.gradients[key][:-1]), key


def test_infinite_opacity_is_opaque() -> None:
    case = plain(1, 8, 8)
    case.scene = broken("logit_opacities", 0, INF, 1)
    case.scene.log_scales[:] = 0.5
    result = run(case)
    assert_finite(result)
    assert result.images["alpha"].max() == pytest.approx(0.99)


@pytest.mark.parametrize("broken", ["pose", "intrinsics", "background"])
def test_broken_cameras_do_no_harm(broken: str) -> None:
    """No crash, and the frame is as good as new afterwards."""
    case = plain(100, 33, 21)
    frame = native_core.load().Frame()
    want = run(case)
    for value in (NAN, INF, -INF, 0.0):
        bad = replace(case)
        if broken == "pose":
            bad.pose = torch.full((4, 4), value)
        elif broken == "intrinsics":
            bad.intrinsics = [value] * 4
        else:
            bad.background = (value, 0.0, 0.0)
        run(bad, frame=frame)
        assert_same_bits(want, run(case, frame=frame), f"after {broken} {value}")


@pytest.mark.parametrize("geometry", [False, True])
def test_sums_of_an_earlier_backward_are_not_read(geometry: bool) -> None:
    """Tiles that a hidden splat did not change keep sums of before, here NaN, in its slots."""
    frame = native_core.load().Frame()
    faint, opaque = plain(2000, 64, 48, size=0.2), plain(900, 64, 48, size=0.2)
    faint.geometry = opaque.geometry = geometry
    faint.scene.logit_opacities -= 3
    opaque.scene.logit_opacities += 6
    spoiled = render(faint, 0.0, frame)
    for image in spoiled.images.values():
        image.fill_(NAN)
    assert backward(faint, spoiled, 0.0).gradients["means"].isnan().any()
    written = frame.hits
    got = run(opaque, frame=frame)
    assert frame.hits < 0.5 * frame.intersections < frame.intersections < written
    assert_same_bits(got, run(opaque))
    assert_finite(got)


def alone(case: Case, k: int) -> Tensor:
    """Where splat k shows when nothing else is there; [H, W]."""
    rows = {name: value[k : k + 1] for name, value in case.scene.parameters().items()}
    return render(replace(case, scene=replace(case.scene, **rows)), NAN).images["alpha"] > 0


def test_blocks_that_splats_changed_are_counted_alike_with_every_vector_width(isa: str) -> None:
    """Faint splats hide nothing: each changes the blocks of 4x4 pixels in which it shows alone."""
    case = plain(300, 43, 37, size=0.05)
    case.scene.logit_opacities -= 3
    shown = torch.stack([alone(case, k) for k in range(300)]).float()
    blocks = torch.nn.functional.max_pool2d(shown[:, None], 4, ceil_mode=True).sum()
    frame = render(case, NAN).frame
    assert frame.block_hits == int(blocks) > 200
    assert shown.sum() <= frame.hit_lanes <= 16 * frame.block_hits


def test_calls_that_do_not_fit_are_refused() -> None:
    case = plain(20, 33, 21)
    result = render(case, NAN)
    with pytest.raises(ValueError, match="before render"):
        backward(case, replace(result, frame=native_core.load().Frame()), NAN)
    for other in (plain(19, 33, 21), plain(20, 33, 21, degree=2)):
        with pytest.raises(ValueError, match="scene"):
            backward(other, result, NAN)
    for size in ((34, 21), (33, 20), (1, 1)):
        wrong = plain(20, *size)
        with pytest.raises(ValueError, match="shape"):
            backward(wrong, replace(render(wrong, NAN), frame=result.frame), NAN)
    assert_finite(backward(case, result, NAN))


def test_too_many_pairs_leave_nothing_half_done() -> None:
    """65,535 tiles under 66,000 splats do not fit into 32 bits: refused before memory is asked for."""
    case = plain(66000, 65535 * 16, 1, degree=0)
    case.geometry = False
    case.intrinsics = [1e6, 1e6, 5e5, 0.5]
    case.scene.log_scales[:] = 4
    case.scene.means[:] = torch.tensor([0.0, 0.0, 4.0])
    frame = native_core.load().Frame()
    run(plain(100, 64, 64), frame=frame)
    with pytest.raises(RuntimeError, match="too many tiles"):
        render(case, 0.0, frame)
    assert frame.hit_lanes == 0 and frame.useful() == 0
    with pytest.raises(ValueError, match="before render"):
        images = {"color": case.image(3, 0.0), "alpha": case.image(1, 0.0)}
        backward(case, Result(images, torch.zeros(66000), {}, frame), 0.0)
    small = plain(50, 20, 20)
    assert_same_bits(run(small), run(small, frame=frame))


def test_several_python_threads_at_once() -> None:
    """They share the pool and the idle frames, while another changes the number of threads."""
    settings, camera = RenderSettings(geometry=True), posed(40, 30, torch.float32)
    scenes = [random_scene(300 + 100 * i, 1, seed=i, dtype=torch.float32) for i in range(3)]

    def gradient(scene: Gaussians) -> Tensor:
        leaf = trainable(cast(scene, torch.float32))
        rasterize(leaf, camera, settings, backend="native").color.square().sum().backward()
        assert leaf.means.grad is not None
        return leaf.means.grad

    want = [gradient(scene) for scene in scenes]
    wrong: list[str] = []

    def work(i: int) -> None:
        for _ in range(6):
            if not torch.equal(gradient(scenes[i]), want[i]):
                wrong.append(f"thread {i}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for count in (2, 3, 1, 2):
        native_core.set_threads(count)
    for thread in threads:
        thread.join(timeout=120)
        assert not thread.is_alive()
    assert not wrong


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_loss_of_an_empty_image_is_refused(shape: tuple[int, int]) -> None:
    empty = torch.zeros(*shape, 3)
    with pytest.raises(ValueError, match="no pixels"):
        native_core.load().l1_ssim(empty, empty, None, 0.2, empty.clone())


def test_loss_gradient_is_fully_written() -> None:
    pick = random.Random(0)
    for case in range(40):
        height, width = pick.choice((*SIZES, 700)), pick.choice((*SIZES, 520))
        image = torch.randn(height, width, 3) * pick.choice((1e-3, 1.0, 100.0))
        target = torch.rand(height, width, 3)
        mask = torch.rand(height, width) < 0.5 if pick.random() < 0.5 else None
        got = []
        for threads, poison in ((1, NAN), (3, 7.0)):
            native_core.set_threads(threads)
            gradient = torch.full_like(image, poison)
            values = native_core.load().l1_ssim(image, target, mask, 0.2, gradient)
            got.append((torch.tensor(values), gradient))
        assert got[0][0].isfinite().all() and got[0][1].isfinite().all(), f"case {case}"
        assert torch.equal(got[0][0], got[1][0]) and torch.equal(got[0][1], got[1][1]), f"case {case}"
