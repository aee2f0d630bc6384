"""The compiled core on a device: one face for the processor's driver and the CUDA driver.

What differs between them is how arrays are handed over (numpy views; DLPack capsules), where work space
comes from (torch's allocator, on a device), and which stream a call is queued on (torch's current one).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.dlpack import to_dlpack

from splat import native_core
from splat.errors import SplatError

AdamConstants = tuple[float, float, float]
"""beta1, beta2, eps."""


@dataclass(frozen=True)
class AdamStep:
    """One tensor's part of an optimiser step.

    Attributes:
        tensors: parameter, gradient, and the two moments, of one shape [N, ...].
        rates: one learning rate, or those of the columns of the tensors as [N, M].
        number: of the step, from 1.
    """

    tensors: tuple[Tensor, Tensor, Tensor, Tensor]
    rates: list[float]
    number: int


@dataclass(frozen=True)
class ShPart:
    """The step on SH that a backward pass takes itself.

    Attributes:
        tensors: sh [N, K, 3] and its two moments.
        rates: K * 3 learning rates.
        number: of the step, from 1.
        waiting: shaped as sh: where gradients add up until a step is due; or None.
        due: whether this is one.
    """

    tensors: tuple[Tensor, Tensor, Tensor]
    rates: list[float]
    number: int
    waiting: Tensor | None = None
    due: bool = True


class Core(Protocol):
    """The native operations on one device. Tensors are contiguous and on that device.

    Attributes:
        device: that device.
        idle: frames that nobody uses, with their work space; may be cleared at any time.
    """

    device: torch.device
    idle: list[Any]

    def frame(self) -> Any:
        """A frame for a render and its backward; reused from earlier ones."""
        ...

    def free(self, frame: Any) -> None:
        """Nobody uses ``frame`` any more."""
        ...

    def array(self, tensor: Tensor | None) -> Any:
        """A tensor as the core takes it; None stays. For one call only."""
        ...

    def stream(self) -> int:
        """The stream that calls are queued on."""
        ...

    def loss(
        self, image: Tensor, target: Tensor, mask: Tensor | None, ssim_weight: float, gradient: Tensor
    ) -> Tensor:
        """[3] loss, L1 and SSIM of [H, W, 3] images, float32 (target: or uint8); fills ``gradient``."""
        ...

    def ssim(self, image: Tensor, target: Tensor) -> float:
        """Mean SSIM of two [H, W, 3] float32 images."""
        ...

    def adam(self, steps: Sequence[AdamStep], constants: AdamConstants) -> None:
        """Adam's step in place on some tensors."""
        ...

    def sh_step(self, part: ShPart, constants: AdamConstants) -> Any:
        """The core's object for ``part``."""
        ...

    def spacing(self, points: Tensor, neighbours: int) -> Tensor:
        """[N] mean squared distance of each of [N, 3] points to its nearest others, exact."""
        ...


class CpuCore:
    """The processor's driver."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.native = native_core.load()
        self.idle: list[Any] = []
        self.array = native_core.Arrays().of

    def frame(self) -> Any:
        """As ``Core.frame``."""
        return self.idle.pop() if self.idle else self.native.Frame()

    def free(self, frame: Any) -> None:
        """As ``Core.free``."""
        self.idle.append(frame)

    def stream(self) -> int:
        """0: there are none."""
        return 0

    def loss(
        self, image: Tensor, target: Tensor, mask: Tensor | None, ssim_weight: float, gradient: Tensor
    ) -> Tensor:
        """As ``Core.loss``."""
        arrays = map(self.array, (image, target, mask))
        return torch.tensor(self.native.l1_ssim(*arrays, ssim_weight, self.array(gradient)))

    def ssim(self, image: Tensor, target: Tensor) -> float:
        """As ``Core.ssim``."""
        return float(self.native.ssim(self.array(image), self.array(target)))

    def adam(self, steps: Sequence[AdamStep], constants: AdamConstants) -> None:
        """As ``Core.adam``."""
        parts = [(*map(self.array, step.tensors), step.rates, step.number) for step in steps]
        self.native.adam(parts, *constants)

    def sh_step(self, part: ShPart, constants: AdamConstants) -> Any:
        """As ``Core.sh_step``."""
        return _sh_step(self.native.ShStep, self, part, constants)

    def spacing(self, points: Tensor, neighbours: int) -> Tensor:
        """As ``Core.spacing``."""
        out = torch.empty(points.shape[0])
        self.native.knn_mean_squared(self.array(points), neighbours, self.array(out))
        return out


class CudaCore:
    """The CUDA driver on one device.

    Args:
        device: a CUDA device (with the emulated driver, the processor).
        driver: ``splat._native.cuda``, or a module like it.
        deterministic: gradients are added up in a fixed order: same input, same bits. Else by atomics,
            which takes less memory.
    """

    def __init__(self, device: torch.device, driver: Any, deterministic: bool = True) -> None:
        self.device, self.driver, self.deterministic = device, driver, deterministic
        self.idle: list[Any] = []
        self.works: dict[int, Any] = {}

    @property
    def work(self) -> Any:
        """What the current stream's loss, optimiser and neighbours work in."""
        stream = self.stream()
        if stream not in self.works:
            self.works[stream] = self.driver.Work(self._allocate, self.device.index or 0)
        return self.works[stream]

    def frame(self) -> Any:
        """As ``Core.frame``. A frame stays with its stream: what it keeps may still be in use there."""
        stream = self.stream()
        place = next((k for k, frame in enumerate(self.idle) if frame.stream == stream), None)
        if place is None:
            frame = self.driver.Frame(self._allocate, self.device.index or 0)
        else:
            frame = self.idle.pop(place)
        frame.deterministic = self.deterministic
        return frame

    def free(self, frame: Any) -> None:
        """As ``Core.free``."""
        self.idle.append(frame)

    def array(self, tensor: Tensor | None) -> Any:
        """A DLPack capsule: an eighth of the time that handing over the tensor itself takes."""
        return None if tensor is None else to_dlpack(tensor.detach())

    def stream(self) -> int:
        """Torch's current stream."""
        return 0 if self.device.type == "cpu" else torch.cuda.current_stream(self.device).cuda_stream

    def loss(
        self, image: Tensor, target: Tensor, mask: Tensor | None, ssim_weight: float, gradient: Tensor
    ) -> Tensor:
        """As ``Core.loss``; nothing waits for the device."""
        return self._values(image, target, mask, ssim_weight, gradient)

    def ssim(self, image: Tensor, target: Tensor) -> float:
        """As ``Core.ssim``; waits for the device."""
        return float(self._values(image, target, None, 1.0, None)[2])

    def adam(self, steps: Sequence[AdamStep], constants: AdamConstants) -> None:
        """As ``Core.adam``; one launch for all."""
        parts = [
            (*(self.array(_rows(tensor)) for tensor in step.tensors), step.rates, step.number)
            for step in steps
        ]
        self.work.adam(self.stream(), parts, *constants)

    def sh_step(self, part: ShPart, constants: AdamConstants) -> Any:
        """As ``Core.sh_step``."""
        return _sh_step(self.driver.ShStep, self, part, constants)

    def spacing(self, points: Tensor, neighbours: int) -> Tensor:
        """As ``Core.spacing``."""
        out = torch.empty(points.shape[0], device=self.device)
        self.work.knn_mean_squared(self.stream(), self.array(points), neighbours, self.array(out))
        return out

    def _values(
        self, image: Tensor, target: Tensor, mask: Tensor | None, ssim_weight: float, gradient: Tensor | None
    ) -> Tensor:
        values = torch.empty(3, device=self.device)
        call = self.work.l1_ssim_bytes if target.dtype == torch.uint8 else self.work.l1_ssim
        arrays = map(self.array, (image, target, mask))
        call(self.stream(), *arrays, ssim_weight, self.array(gradient), self.array(values))
        return values

    def _allocate(self, size: int) -> Any:
        return to_dlpack(torch.empty(size, dtype=torch.uint8, device=self.device))


def _rows(tensor: Tensor) -> Tensor:
    """[N, ...] as [N, M], N may be 0."""
    return tensor[:, None] if tensor.ndim == 1 else tensor.flatten(1)


def _sh_step(make: Any, core: Core, part: ShPart, constants: AdamConstants) -> Any:
    arrays = map(core.array, part.tensors)
    waiting = core.array(part.waiting)
    return make(*arrays, part.rates, *constants, part.number, waiting, part.due)


cores: dict[torch.device, Core] = {}
"""By device, once each was asked for."""


def core_for(device: torch.device) -> Core:
    """The native core on a device.

    Raises:
        SplatError: the core is not built, or has no driver for this device.
    """
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    if device not in cores:
        cores[device] = _make(device)
    return cores[device]


def _make(device: torch.device) -> Core:
    if device.type == "cpu":
        return CpuCore()
    if device.type != "cuda":
        raise SplatError(
            f"the native core has no driver for {device}",
            expected="a tensor on the CPU or on a CUDA device",
            advice='move it, or use backend="reference"',
        )
    native, info = native_core.load(), native_core.build_info()
    if not info["cuda_compiled"]:
        raise SplatError(
            f"tensors are on {device}, but the native core was built without CUDA",
            expected="a build with nvcc",
            advice="install the CUDA toolkit and run `SPLAT_CUDA=1 pip install .`, or use the CPU",
        )
    if not info["cuda_device"]:
        raise SplatError(f"no CUDA device can be used: {info['cuda_reason']}", expected=str(device))
    return CudaCore(device, native.cuda)
