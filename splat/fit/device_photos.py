"""Photos on a GPU: uploaded once as bytes where they fit, else on their way before they are asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splat.fit.photos import RGB, Key, Photo, PhotoStore, composited

PASSING = 8
"""Photos that do not fit are dropped once so many others of them came after."""


@dataclass
class Sent:
    """A photo's tensors on the device, maybe still on their way there.

    Attributes:
        parts: colour, alpha and mask as ``Stored`` has them.
        ready: what to wait for before they are read; None once that was waited for.
    """

    parts: tuple[Tensor, Tensor | None, Tensor | None]
    ready: Any

    @property
    def nbytes(self) -> int:
        """Memory taken on the device."""
        return sum(part.nbytes for part in self.parts if part is not None)


class Uploads(Protocol):
    """The way from arrays in the processor's memory to tensors on the device."""

    def send(self, rgb: NDArray[np.uint8], *others: NDArray[Any] | None) -> Sent:
        """Begin to copy colour, alpha and mask; does not wait for the device. From any one thread."""
        ...

    def receive(self, sent: Sent) -> None:
        """What the calling thread queues from now on finds the tensors whole."""
        ...


class CudaUploads:
    """Copies through pinned memory on a stream of their own, beside the training.

    Args:
        device: a CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)

    def send(self, rgb: NDArray[np.uint8], *others: NDArray[Any] | None) -> Sent:
        """As ``Uploads.send``; torch keeps the pinned memory until the copy is done, then reuses it."""
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            first = self._copy(rgb)
            alpha, mask = (None if other is None else self._copy(other) for other in others)
            return Sent((first, alpha, mask), self._stream.record_event())

    def receive(self, sent: Sent) -> None:
        """As ``Uploads.receive``; the tensors' memory is not given away while this stream uses them."""
        stream = torch.cuda.current_stream(self._device)
        stream.wait_event(sent.ready)
        for part in sent.parts:
            if part is not None:
                part.record_stream(stream)

    def _copy(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).pin_memory().to(self._device, non_blocking=True)


class DevicePhotos:
    """The photos of a ``PhotoStore``, on a device.

    The first ones asked for stay there as long as they fit; each epoch meets them again. The others
    pass through: uploaded while the steps before run, and dropped afterwards. Photos of a size that is
    not trained on any more make room. What is given depends on nothing but the arguments.

    Args:
        store: decodes and shrinks; closed with this.
        limit: bytes on the device for photos that stay.
        uploads: the way to the device.
    """

    def __init__(self, store: PhotoStore, limit: int, uploads: Uploads) -> None:
        self._store, self._limit, self._uploads = store, limit, uploads
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="uploads")
        self._coming: dict[Key, Future[Sent]] = {}
        self._kept: dict[Key, Sent] = {}
        self._passing: OrderedDict[Key, Sent] = OrderedDict()
        self._bytes = 0
        self._factor = 0

    def size(self, view: int, factor: int) -> tuple[int, int]:
        """As ``PhotoSource.size``."""
        return self._store.size(view, factor)

    def get(self, view: int, factor: int, background: RGB | None = None) -> Photo:
        """As ``PhotoStore.get``, on the device.

        Raises:
            SplatError: as ``PhotoStore.get``.
            OutOfMemory: the device has no room for it.
        """
        sent = self._sent((view, factor))
        if sent.ready is not None:
            self._uploads.receive(sent)
            sent.ready = None
        return composited(*sent.parts, background or self._store.background)

    def prefetch(self, views: Sequence[int], factor: int) -> None:
        """As ``PhotoSource.prefetch``: decode, then upload, in threads."""
        if factor != self._factor:
            self._factor = factor
            self._kept = {key: sent for key, sent in self._kept.items() if key[1] == factor}
            self._bytes = sum(sent.nbytes for sent in self._kept.values())
            self._coming = {key: future for key, future in self._coming.items() if key[1] == factor}
        missing = [view for view in views if not self._is_here((view, factor))]
        self._store.prefetch(missing, factor)
        for view in missing:
            self._begin((view, factor))

    def preload(self, views: Sequence[int]) -> None:
        """Decode them; training begins on smaller ones, so they are uploaded as they are asked for."""
        self._store.preload(views)

    def release(self) -> int:
        """As ``PhotoSource.release``."""
        freed = self._bytes + sum(sent.nbytes for sent in self._passing.values())
        self._kept, self._passing = {}, OrderedDict()
        self._bytes = self._limit = 0
        return freed

    def close(self) -> None:
        """Stop uploading and decoding."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._store.close()

    def _is_here(self, key: Key) -> bool:
        return key in self._kept or key in self._passing

    def _sent(self, key: Key) -> Sent:
        if key in self._kept:
            return self._kept[key]
        if key in self._passing:
            self._passing.move_to_end(key)
            return self._passing[key]
        self._begin(key)
        sent = self._coming.pop(key).result()
        if self._bytes + sent.nbytes <= self._limit:
            self._kept[key] = sent
            self._bytes += sent.nbytes
        else:
            self._passing[key] = sent
            while len(self._passing) > PASSING:
                self._passing.popitem(last=False)
        return sent

    def _begin(self, key: Key) -> None:
        if key not in self._coming:
            self._coming[key] = self._thread.submit(self._send, key)

    def _send(self, key: Key) -> Sent:
        stored = self._store.stored(*key)
        return self._uploads.send(stored.rgb, stored.alpha, stored.mask)
