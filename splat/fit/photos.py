"""Photos as training targets: decoded in background threads, kept as bytes within a memory limit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splat.capture.types import Pixels, View
from splat.errors import SplatError
from splat.fit.losses import unit_rgb

Key = tuple[int, int]
RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Stored:
    """A photo at one size: [h, w, 3] uint8 (premultiplied where alpha is kept), alpha, mask."""

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    mask: NDArray[np.bool_] | None

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return sum(part.nbytes for part in (self.rgb, self.alpha, self.mask) if part is not None)


@dataclass(frozen=True)
class Photo:
    """A training target.

    Attributes:
        pixels: [H, W, 3] composited RGB: uint8, 0 to 255, which is the store's own copy and not to be
            written to; or float32, 0 to 1.
        mask: [H, W] bool, True where the photo counts, or None.
    """

    pixels: Tensor
    mask: Tensor | None

    @property
    def rgb(self) -> Tensor:
        """[H, W, 3] float32, 0 to 1."""
        return unit_rgb(self.pixels)


class PhotoSource(Protocol):
    """Gives photos at any whole reduction, on the device that training runs on."""

    def size(self, view: int, factor: int) -> tuple[int, int]:
        """(width, height) of a view's photo reduced by ``factor``."""
        ...

    def get(self, view: int, factor: int, background: RGB | None = None) -> Photo:
        """One photo, waiting for it if need be; see ``PhotoStore.get``."""
        ...

    def prefetch(self, views: Sequence[int], factor: int) -> None:
        """Begin to make ready photos that will be asked for."""
        ...

    def preload(self, views: Sequence[int]) -> None:
        """Decode photos at full size and wait for them."""
        ...

    def release(self) -> int:
        """Give back what is kept on a GPU, and keep nothing there from now on; returns its bytes."""
        ...

    def close(self) -> None:
        """Stop what runs in the background."""
        ...


class PhotoStore:
    """Photos in the processor's memory, where they fit.

    What it gives depends on nothing but the arguments: threads and the limit change only the time.

    Args:
        views: of the capture.
        background: RGB that transparent photos are composited onto.
        keep_alpha: keep transparency, so that ``get`` can composite onto any colour.
        limit: bytes of decoded photos to keep.
        threads: decoders.

    Attributes:
        background: as given.
    """

    def __init__(
        self, views: Sequence[View], background: RGB, keep_alpha: bool, limit: int, threads: int = 2
    ) -> None:
        self._views = views
        self.background = background
        self._keep_alpha = keep_alpha
        self._limit = limit
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="photos")
        self._lock = threading.Lock()
        self._ready: OrderedDict[Key, Stored] = OrderedDict()
        self._pending: dict[Key, Future[Stored]] = {}
        self._bytes = 0

    def size(self, view: int, factor: int) -> tuple[int, int]:
        """(width, height) of a view's photo reduced by ``factor``."""
        camera = self._views[view].camera
        return max(1, round(camera.width / factor)), max(1, round(camera.height / factor))

    def get(self, view: int, factor: int, background: RGB | None = None) -> Photo:
        """One photo, waiting for it if need be.

        Args:
            view: index into the capture's views.
            factor: whole reduction of both sides; pixels are averaged over their area.
            background: composite onto this colour instead (only with ``keep_alpha``).

        Raises:
            SplatError: the file cannot be read, has another size than its camera, or its mask
                keeps nothing.
        """
        stored = self.stored(view, factor)
        rgb, alpha, mask = (
            None if part is None else torch.from_numpy(part)
            for part in (stored.rgb, stored.alpha, stored.mask)
        )
        assert rgb is not None
        return composited(rgb, alpha, mask, background or self.background)

    def stored(self, view: int, factor: int) -> Stored:
        """The arrays of one photo; arguments and errors as ``get``. From any thread."""
        return self._fetch((view, factor))

    def prefetch(self, views: Sequence[int], factor: int) -> None:
        """Start decoding photos that will be asked for."""
        for view in views:
            self._start((view, factor))

    def preload(self, views: Sequence[int]) -> None:
        """Decode photos at full size and wait for them."""
        self.prefetch(views, 1)
        for view in views:
            self._fetch((view, 1))

    def release(self) -> int:
        """Nothing: no photo is on a GPU."""
        return 0

    def close(self) -> None:
        """Stop the decoders."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _start(self, key: Key) -> Future[Stored] | None:
        with self._lock:
            if key in self._ready:
                self._ready.move_to_end(key)
                return None
            if key not in self._pending:
                self._pending[key] = self._pool.submit(self._make, key)
            return self._pending[key]

    def _fetch(self, key: Key) -> Stored:
        with self._lock:
            if key in self._ready:
                self._ready.move_to_end(key)
                return self._ready[key]
        future = self._start(key)
        if future is None:
            with self._lock:
                return self._ready[key]
        stored = future.result()
        self._store(key, stored)
        return stored

    def _make(self, key: Key) -> Stored:
        view, factor = key
        if factor != 1:
            with self._lock:
                full = self._ready.get((view, 1))
            return shrink(full or self._decode(view), self.size(view, factor))
        return self._decode(view)

    def _decode(self, index: int) -> Stored:
        view = self._views[index]
        pixels = view.load()
        if pixels.rgb.shape[:2] != (view.camera.height, view.camera.width):
            height, width = pixels.rgb.shape[:2]
            raise SplatError(
                f"{view.name} is {width} x {height} pixels",
                expected=f"{view.camera.width} x {view.camera.height}, the size of its camera",
            )
        if pixels.mask is not None and not pixels.mask.any():
            raise SplatError(
                f"the mask of {view.name} keeps nothing", advice="Try --invert-masks, or leave the photo out"
            )
        return premultiplied(pixels, None if self._keep_alpha else self.background)

    def _store(self, key: Key, stored: Stored) -> None:
        with self._lock:
            self._pending.pop(key, None)
            if key in self._ready:
                return
            self._ready[key] = stored
            self._bytes += stored.nbytes
            while self._bytes > self._limit and len(self._ready) > 1:
                _, dropped = self._ready.popitem(last=False)
                self._bytes -= dropped.nbytes


def composited(rgb: Tensor, alpha: Tensor | None, mask: Tensor | None, background: RGB) -> Photo:
    """A training target from a stored photo's tensors; nothing waits for the device that they are on.

    Args:
        rgb: [H, W, 3] uint8, premultiplied where there is an alpha.
        alpha: [H, W] uint8 to composite with, or None.
        mask: [H, W] bool or None.
        background: what shows through.
    """
    if alpha is None:
        return Photo(rgb, mask)
    clear = 1 - alpha.to(torch.float32)[..., None] / 255
    behind = torch.stack(
        [torch.full((), part, dtype=torch.float32, device=rgb.device) for part in background]
    )
    return Photo(unit_rgb(rgb) + clear * behind, mask)


def premultiplied(pixels: Pixels, background: RGB | None) -> Stored:
    """Composite a decoded photo onto ``background``, or keep premultiplied colour and alpha if None."""
    if pixels.alpha is None:
        return Stored(np.ascontiguousarray(pixels.rgb), None, pixels.mask)
    alpha = pixels.alpha[..., None].astype(np.float32) / 255
    rgb = pixels.rgb.astype(np.float32) * alpha
    if background is not None:
        rgb += (1 - alpha) * np.asarray(background, np.float32) * 255
    rounded = np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
    return Stored(rounded, None if background is not None else pixels.alpha, pixels.mask)


def shrink(photo: Stored, size: tuple[int, int]) -> Stored:
    """The photo at a smaller (width, height), each pixel the mean over its area.

    A small pixel counts if at least half of its area does.
    """
    import cv2

    rgb = cv2.resize(photo.rgb, size, interpolation=cv2.INTER_AREA)
    alpha = None if photo.alpha is None else cv2.resize(photo.alpha, size, interpolation=cv2.INTER_AREA)
    mask = None
    if photo.mask is not None:
        share = cv2.resize(photo.mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        mask = share >= 0.5
    return Stored(np.asarray(rgb, np.uint8), None if alpha is None else np.asarray(alpha, np.uint8), mask)
