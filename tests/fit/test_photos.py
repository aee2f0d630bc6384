from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from splat.capture.types import Pixels, View
from splat.errors import SplatError
from splat.fit.photos import PhotoStore, premultiplied, shrink
from tests.fit.synthetic import ring_camera

WHITE = (1.0, 1.0, 1.0)


def random_views(count: int, loads: list[int] | None = None, size: int = 12) -> list[View]:
    views = []
    for index in range(count):
        rgb = np.random.default_rng(index).integers(0, 256, (size, size, 3)).astype(np.uint8)

        def load(rgb: np.ndarray = rgb, index: int = index) -> Pixels:
            if loads is not None:
                loads.append(index)
            return Pixels(rgb)

        views.append(View(f"{index}.png", ring_camera(0.0, size), load))
    return views


def test_photo_is_its_bytes_over_255() -> None:
    views = random_views(1)
    store = PhotoStore(views, WHITE, False, limit=10**6)
    expected = torch.from_numpy(views[0].load().rgb).float() / 255
    assert torch.allclose(store.get(0, 1).rgb, expected, atol=1e-6)
    assert store.get(0, 1).pixels.dtype == torch.uint8
    store.close()


def test_shrinking_averages_over_area() -> None:
    views = random_views(1)
    store = PhotoStore(views, WHITE, False, limit=10**6)
    blocks = views[0].load().rgb.reshape(6, 2, 6, 2, 3).mean((1, 3)) / 255
    assert np.abs(store.get(0, 2).rgb.numpy() - blocks).max() <= 0.5 / 255 + 1e-6
    assert store.size(0, 5) == (2, 2)
    store.close()


@pytest.mark.parametrize("limit", [1, 500, 10**6])
def test_what_it_gives_does_not_depend_on_the_limit(limit: int) -> None:
    views = random_views(6)
    store, order = PhotoStore(views, WHITE, False, limit), [3, 1, 5, 1, 0, 3, 3, 2, 4]
    for step, view in enumerate(order):
        store.prefetch(order[step : step + 3], 2)
        expected = shrink(premultiplied(views[view].load(), None), (6, 6)).rgb
        assert np.array_equal((store.get(view, 2).rgb * 255).round().numpy(), expected)
    store.close()


def test_photos_that_fit_are_decoded_once_and_others_again() -> None:
    loads: list[int] = []
    store = PhotoStore(random_views(4, loads), WHITE, False, limit=10**6)
    store.preload([0, 1, 2, 3])
    for _ in range(3):
        for view in range(4):
            store.get(view, 1)
            store.get(view, 2)
    assert sorted(loads) == [0, 1, 2, 3]
    store.close()
    loads.clear()
    store = PhotoStore(random_views(4, loads), WHITE, False, limit=12 * 12 * 3 * 2)
    for _ in range(2):
        for view in range(4):
            store.get(view, 1)
    assert len(loads) == 8
    store.close()


def test_transparency_is_composited() -> None:
    rgb = np.full((2, 2, 3), 200, np.uint8)
    alpha = np.array([[0, 255], [51, 102]], np.uint8)
    camera = replace(ring_camera(0.0, 2))
    views = [View("a.png", camera, lambda: Pixels(rgb, alpha))]
    share = torch.tensor([[0.0, 1.0], [0.2, 0.4]])[..., None]
    over_white = share * 200 / 255 + (1 - share)
    fixed = PhotoStore(views, WHITE, False, limit=10**6)
    assert torch.allclose(fixed.get(0, 1).rgb, over_white.expand(2, 2, 3), atol=0.5 / 255 + 1e-6)
    free = PhotoStore(views, WHITE, True, limit=10**6)
    assert torch.allclose(free.get(0, 1).rgb, over_white.expand(2, 2, 3), atol=0.5 / 255 + 1e-6)
    red = torch.tensor([1.0, 0.0, 0.0])
    over_red = share * 200 / 255 + (1 - share) * red
    assert torch.allclose(free.get(0, 1, (1.0, 0.0, 0.0)).rgb, over_red, atol=0.5 / 255 + 1e-6)
    fixed.close()
    free.close()


def test_bad_photos_are_named() -> None:
    camera = ring_camera(0.0, 4)
    small = View("small.png", camera, lambda: Pixels(np.zeros((3, 4, 3), np.uint8)))
    pixels = Pixels(np.zeros((4, 4, 3), np.uint8), mask=np.zeros((4, 4), bool))
    masked = View("masked.png", camera, lambda: pixels)
    store = PhotoStore([small, masked], WHITE, False, limit=10**6)
    with pytest.raises(SplatError, match="small.png is 4 x 3 pixels. Expected 4 x 4"):
        store.get(0, 1)
    with pytest.raises(SplatError, match="mask of masked.png keeps nothing"):
        store.get(1, 1)
    store.close()
