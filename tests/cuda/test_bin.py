"""The CUDA driver's tile lists, emulated: which splats they name, and in which order."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from types import ModuleType

import pytest
import torch

from splat.gaussians import Antialias, Gaussians
from splat.rasterize import RenderSettings
from tests.cuda.emulated import EmulatedCore
from tests.cuda.lists import listed, may_list, must_list, projected, tile_corners
from tests.rasterize.scenes import cast, joined, one_splat, pinhole, posed, random_scene
from tests.rasterize.test_native_kernels import PAIRS, scene_of

SETTINGS = RenderSettings(antialias="none")


def mixed(kernel: str, seed: int = 3) -> Gaussians:
    """Splats of less than a pixel beside some of half the picture, so that a warp has both."""
    scene = scene_of(kernel, 90, seed, 0.1)
    scene.log_scales[::7] += 2.0
    scene.log_scales[3::7] -= 2.5
    scene.log_scales[::5, 0] += 1.2
    scene.logit_opacities[3::7] += 4.0
    return scene


def stacked(count: int, size: float, opacity: float = 0.004) -> Gaussians:
    """Splats on the optical axis, nearest first, hardly opaque."""
    single = one_splat((0.0, 0.0, 1.0), size, opacity)
    scene = joined(*[single] * count)
    scene.means[:, 2] = torch.linspace(4, 4.1, count)
    return scene


@pytest.mark.parametrize(("width", "height"), [(40, 33), (64, 48)])
@pytest.mark.parametrize(("kernel", "antialias"), PAIRS)
def test_lists_name_what_pixels_show(
    emulated_backend: EmulatedCore, kernel: str, antialias: Antialias, width: int, height: int
) -> None:
    settings = RenderSettings(antialias=antialias)
    scene, camera = mixed(kernel), posed(width, height, torch.float32)
    _, lists = listed(emulated_backend, scene, camera, settings)
    splats = projected(scene, camera, settings)
    in_boxes = 0
    for corner, got in zip(tile_corners(camera), lists, strict=True):
        assert len(set(got)) == len(got)
        missing, beyond = must_list(splats, camera, corner) - set(got), set(got) - may_list(splats, corner)
        assert not missing, f"tile at {corner}: {missing} are seen there"
        assert not beyond, f"tile at {corner}: {beyond} do not come near"
        low = splats.mean.new_tensor(corner) - splats.mean - splats.footprint.half_extent
        high = low + 16 + 2 * splats.footprint.half_extent
        in_boxes += int(((low < 0) & (high > 0)).all(-1).sum())
    pairs = sum(map(len, lists))
    assert pairs == emulated_backend.idle[-1].intersections
    assert 100 < pairs < 0.95 * in_boxes, "the exact test drops tiles of the bounding boxes"


def test_front_to_back_and_ties_by_index(emulated_backend: EmulatedCore) -> None:
    scene = cast(mixed("gaussian"), torch.float32)
    scene.means[:, 2] = 3 + (torch.arange(len(scene)) * 7 % 10) / 8  # every depth nine times, exact
    camera = pinhole(40, 33, dtype=torch.float32)
    _, lists = listed(emulated_backend, scene, camera, SETTINGS)
    assert max(map(len, lists)) > 20
    for got in lists:
        keys = [(scene.means[i, 2].item(), i) for i in got]
        assert keys == sorted(keys)


def test_depths_of_every_size(emulated_backend: EmulatedCore) -> None:
    """All 32 bits of the key count."""
    count = 40
    scene = cast(joined(*[one_splat((0.0, 0.0, 1.0), 0.1, 0.1)] * count), torch.float32)
    depth = 0.02 * 1.9 ** torch.arange(count)
    depth[1::4] = depth[::4] * (1 + 2.0**-23)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    scene.means[:, 2] = depth[order]
    scene.log_scales[:] = (0.1 * scene.means[:, 2:]).log()
    _, lists = listed(emulated_backend, scene, pinhole(16, 16, dtype=torch.float32), SETTINGS)
    assert torch.equal(order[lists[0]], torch.arange(count))


@pytest.mark.parametrize("geometry", [False, True])
@pytest.mark.parametrize("count", [0, 70])
def test_nothing_to_see(emulated_backend: EmulatedCore, count: int, geometry: bool) -> None:
    scene = random_scene(count)
    scene.means[:, 2] = -4.0
    settings = replace(SETTINGS, background=(0.2, 0.4, 0.6), geometry=geometry)
    rendered, lists = listed(emulated_backend, scene, posed(40, 33, torch.float32), settings)
    assert lists == [[]] * 9
    assert emulated_backend.idle[-1].visible == emulated_backend.idle[-1].intersections == 0
    assert torch.equal(rendered.color, torch.tensor([0.2, 0.4, 0.6]).expand(33, 40, 3))
    assert not rendered.visible.any() and not rendered.radii.any() and not rendered.alpha.any()


@pytest.mark.parametrize("antialias", ["none", "exact"])
def test_one_splat_in_all_tiles(emulated_backend: EmulatedCore, antialias: Antialias) -> None:
    """And others around it that are in one."""
    small = random_scene(80, 0, size=0.01, spread=0.5)
    scene = joined(small, one_splat((0, 0, 2.0), 50.0, 0.9), small)
    camera = pinhole(150, 70, 30.0, torch.float32)
    _, lists = listed(emulated_backend, scene, camera, RenderSettings(antialias=antialias))
    assert len(lists) == 50 and all(80 in got for got in lists)
    frame = emulated_backend.idle[-1]
    assert 0 < frame.intersections - 50 <= 4 * (frame.visible - 1)


def test_warps_of_splats_in_all_tiles(emulated_backend: EmulatedCore) -> None:
    scene = stacked(70, 50.0)
    _, lists = listed(emulated_backend, scene, pinhole(40, 33, dtype=torch.float32), SETTINGS)
    assert lists == [list(range(70))] * 9


def test_thousands_in_one_tile(emulated_backend: EmulatedCore) -> None:
    camera = pinhole(40, 33, 40.0, torch.float32)
    scene = stacked(3000, 0.05, 0.2)
    scene.means[:, :2] = 0.4  # pixel (24, 20.5), about
    scene.means[::2, 2] = 4.2 - 0.01 * torch.arange(1500) / 1500  # half of them from back to front
    _, lists = listed(emulated_backend, scene, camera, SETTINGS)
    depths = scene.means.float()[lists[4], 2]
    assert len(lists[4]) == 3000 and bool((depths[1:] >= depths[:-1]).all())
    assert all(not got for tile, got in enumerate(lists) if tile != 4)


SIZES = [(1, 1), (17, 1), (1, 33), (112, 5), (128, 16), (255 * 16, 3), (16 * 256 + 1, 1)]
MORE_THAN_16_BITS = pytest.param(32768 * 16, 17, marks=pytest.mark.slow)


@pytest.mark.parametrize(("width", "height"), [*SIZES, MORE_THAN_16_BITS])
def test_numbers_of_tiles(emulated_backend: EmulatedCore, width: int, height: int) -> None:
    """One, 7, 8, 255, 257, 65536: where a tile's number needs another bit, past the last pair comes last."""
    scene = stacked(2, 1e4, 0.5)
    scene = joined(scene, one_splat((0.0, 0.0, -1.0)))
    camera = pinhole(width, height, dtype=torch.float32)
    _, lists = listed(emulated_backend, scene, camera, SETTINGS)
    assert lists == [[0, 1]] * len(tile_corners(camera))


def test_more_pairs_than_were_expected(emulated_backend: EmulatedCore) -> None:
    """A frame that has seen little meets a picture with more pairs than it has room for, and back."""
    camera = pinhole(128, 128, dtype=torch.float32)
    few, many = random_scene(30, 0, size=0.02), stacked(90, 50.0, 0.02)
    _, wanted_few = listed(emulated_backend, few, camera, SETTINGS)
    capacity = emulated_backend.idle[-1].capacity
    image, lists = listed(emulated_backend, many, camera, SETTINGS)
    assert len(emulated_backend.idle) == 1, "one frame"
    assert emulated_backend.idle[-1].intersections == 90 * 64 > capacity
    assert lists == [list(range(90))] * 64
    emulated_backend.idle.clear()
    fresh, _ = listed(emulated_backend, many, camera, SETTINGS)
    assert torch.equal(image.color, fresh.color) and torch.equal(image.alpha, fresh.alpha)
    assert listed(emulated_backend, few, camera, SETTINGS)[1] == wanted_few


def test_a_frame_grows_and_shrinks(emulated_backend: EmulatedCore) -> None:
    """Other numbers of splats and tiles on one frame, each as on a frame of its own."""
    cases = [(40, (40, 33)), (300, (20, 50)), (7, (100, 16)), (0, (16, 16)), (129, (33, 33))]
    views = [(random_scene(n, 1, seed=n, size=0.2), posed(*size, torch.float32)) for n, size in cases]
    got = [listed(emulated_backend, *view, SETTINGS)[1] for view in views]
    for view, lists in zip(views, got, strict=True):
        emulated_backend.idle.clear()
        assert listed(emulated_backend, *view, SETTINGS)[1] == lists


def test_the_order_of_threads_does_not_matter(emulated: ModuleType, emulated_backend: EmulatedCore) -> None:
    scene, camera = mixed("gef"), posed(40, 33, torch.float32)
    settings = RenderSettings(antialias="exact", geometry=True)
    outcomes = []
    for order, seed in (("shuffled", 1), ("shuffled", 2), ("forward", 0), ("reverse", 0)):
        emulated.emulator.set_schedule(order, seed)
        outcomes.append(listed(emulated_backend, scene, camera, settings))
    for (image, lists), (other, other_lists) in pairwise(outcomes):
        assert lists == other_lists
        assert torch.equal(image.color, other.color) and torch.equal(image.normals, other.normals)
