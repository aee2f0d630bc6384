"""The CUDA driver behind arrays in the processor's memory, so that the emulator's tests run on a device."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack, to_dlpack

ON_HOST = {"render": (6, "world_to_camera")}
"""Arguments that are the host's: by place, and by name."""


def as_tensor(value: Any) -> Tensor | None:
    """The same memory as a tensor, if ``value`` is an array of any sort."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    return from_dlpack(value) if type(value).__name__ == "PyCapsule" else None


class Sent:
    """Arrays of one call on the device; ``give_back`` writes them to where they came from."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Tensor, Tensor]] = []

    def send(self, value: Any) -> Any:
        """``value``, on the device if it is an array; the same memory becomes the same memory."""
        if isinstance(value, BridgedShStep):
            return value.step
        if isinstance(value, list | tuple):
            return type(value)(map(self.send, value))
        tensor = as_tensor(value)
        if tensor is None:
            return value
        for host, device in self.pairs:
            if tensor.numel() and host.data_ptr() == tensor.data_ptr() and host.shape == tensor.shape:
                return device
        if not tensor.is_contiguous():
            raise ValueError("the emulated driver takes contiguous arrays only")
        self.pairs.append((tensor, tensor.cuda()))
        return self.pairs[-1][1]

    def give_back(self) -> None:
        """Waits for the device."""
        torch.cuda.synchronize()
        for host, device in self.pairs:
            if not torch.equal(
                host.reshape(-1).view(torch.uint8), device.cpu().reshape(-1).view(torch.uint8)
            ):
                host.copy_(device)


class Bridged:
    """An object of the driver: methods take arrays of the processor, everything else is its own."""

    def __init__(self, inner: Any) -> None:
        object.__setattr__(self, "inner", inner)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        return self._method(name, found) if callable(found) else found

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.inner, name, value)

    def _method(self, name: str, method: Callable) -> Callable:
        place, keyword = ON_HOST.get(name, (-1, ""))

        def call(*arguments: Any, **named: Any) -> Any:
            sent = Sent()
            for value in (*arguments, *named.values()):
                if isinstance(value, BridgedShStep):
                    sent.pairs += value.sent.pairs
            moved = [value if k == place else sent.send(value) for k, value in enumerate(arguments)]
            also = {k: value if k == keyword else sent.send(value) for k, value in named.items()}
            try:
                return method(*moved, **also)
            finally:
                sent.give_back()

        return call


class BridgedShStep:
    """The driver's ShStep, and the arrays that it works on."""

    def __init__(self, driver: Any, *arguments: Any, **named: Any) -> None:
        self.sent = Sent()
        moved = {name: self.sent.send(value) for name, value in named.items()}
        self.step = driver.ShStep(*map(self.sent.send, arguments), **moved)


def allocator(allocate: Callable[[int], Any]) -> Callable[[int], Any]:
    """Memory of the device that holds what ``allocate`` left in its own."""

    def on_device(size: int) -> Any:
        memory = as_tensor(allocate(size))
        assert memory is not None
        return to_dlpack(memory.cuda())

    return on_device


def bridge(driver: Any) -> Any:
    """A stand-in for the emulated module whose ``cuda`` is the real driver."""
    cuda = SimpleNamespace(
        Frame=lambda allocate, device=0: Bridged(driver.Frame(allocator(allocate), device)),
        Work=lambda allocate, device=0: Bridged(driver.Work(allocator(allocate), device)),
        ShStep=lambda *arguments, **named: BridgedShStep(driver, *arguments, **named),
    )
    emulator = SimpleNamespace(set_schedule=lambda *arguments, **named: None)
    return SimpleNamespace(cuda=cuda, emulator=emulator)
