"""Photos on a device, with uploads that copy on the processor and count."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from splat.fit.device_photos import PASSING, DevicePhotos, Sent
from splat.fit.out_of_memory import OutOfMemory
from splat.fit.photos import PhotoStore
from tests.fit.synthetic import SIZE, synthetic_capture

CAPTURE = synthetic_capture(views=12, transparent=True)
ONE = SIZE * SIZE * 3


class CopyingUploads:
    """Sends by copying; a photo holds zeros until it was received."""

    def __init__(self) -> None:
        self.sent = 0
        self.full = False

    def send(self, rgb: NDArray[np.uint8], *others: NDArray[Any] | None) -> Sent:
        if self.full:
            raise OutOfMemory("CUDA out of memory. Tried to allocate 3 KiB")
        self.sent += 1
        arrays = (rgb, *others)
        parts: Any = tuple(None if a is None else torch.zeros_like(torch.from_numpy(a)) for a in arrays)
        return Sent(parts, arrays)

    def receive(self, sent: Sent) -> None:
        for part, array in zip(sent.parts, sent.ready, strict=True):
            if part is not None:
                part.copy_(torch.from_numpy(array))


class Bench:
    def __init__(self, limit: int, keep_alpha: bool = False) -> None:
        views = CAPTURE.views
        self.plain = PhotoStore(views, (1.0, 1.0, 1.0), keep_alpha, limit=10**9)
        self.uploads = CopyingUploads()
        store = PhotoStore(views, (1.0, 1.0, 1.0), keep_alpha, limit=10**9)
        self.photos = DevicePhotos(store, limit, self.uploads)

    def check(self, view: int, factor: int, background: Any = None) -> None:
        got, want = self.photos.get(view, factor, background), self.plain.get(view, factor, background)
        assert got.pixels.dtype == want.pixels.dtype and torch.equal(got.pixels, want.pixels)

    def close(self) -> None:
        self.photos.close()
        self.plain.close()


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(*request.param)
    yield made
    made.close()


@pytest.mark.parametrize("bench", [(0,), (3 * ONE,), (10**9,)], indirect=True)
def test_photos_are_those_of_the_store_in_any_order(bench: Bench) -> None:
    rng = random.Random(1)
    for step in range(120):
        factor = 2 if step < 50 else 1
        ahead = [rng.randrange(12) for _ in range(4)]
        bench.photos.prefetch(ahead, factor)
        for view in (ahead[0], rng.randrange(12)):
            bench.check(view, factor)
        if step % 17 == 0:
            bench.check(rng.randrange(12), 1)  # an evaluation in between
    assert bench.photos.size(3, 2) == bench.plain.size(3, 2)


@pytest.mark.parametrize("bench", [(10**9,)], indirect=True)
def test_what_fits_is_uploaded_once(bench: Bench) -> None:
    for _ in range(5):
        for view in range(12):
            bench.photos.prefetch([view, (view + 1) % 12], 1)
            bench.check(view, 1)
    assert bench.uploads.sent == 12


@pytest.mark.parametrize("bench", [(6 * ONE,)], indirect=True)
def test_part_that_fits_stays_while_the_rest_passes(bench: Bench) -> None:
    bench.photos.preload(range(12))
    for _ in range(4):
        for view in range(12):
            bench.check(view, 1)
    assert len(bench.photos._kept) == 6 and len(bench.photos._passing) <= PASSING
    assert bench.uploads.sent <= 6 + 4 * 6


@pytest.mark.parametrize("bench", [(10**9,)], indirect=True)
def test_photos_of_an_earlier_size_make_room(bench: Bench) -> None:
    for factor in (4, 2, 1):
        bench.photos.prefetch(range(12), factor)
        for view in range(12):
            bench.check(view, factor)
    assert {key[1] for key in bench.photos._kept} == {1}
    assert bench.photos._bytes == 12 * ONE
    assert bench.photos.release() == 12 * ONE
    assert bench.photos.release() == 0
    bench.check(3, 1)
    assert not bench.photos._kept


@pytest.mark.parametrize("bench", [(10**9, True)], indirect=True)
def test_any_background_shows_through(bench: Bench) -> None:
    for background in (None, (0.2, 0.4, 0.9), (1.0, 0.0, 0.0)):
        bench.check(2, 1, background)
        bench.check(2, 2, background)
    assert bench.uploads.sent == 2


@pytest.mark.parametrize("bench", [(10**9,)], indirect=True)
def test_a_full_device_is_reported_and_tried_again(bench: Bench) -> None:
    bench.uploads.full = True
    bench.photos.prefetch([5], 1)
    with pytest.raises(OutOfMemory):
        bench.photos.get(5, 1)
    bench.uploads.full = False
    bench.check(5, 1)
