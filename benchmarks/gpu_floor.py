"""The least time an iteration can take on a GPU: what has to move through memory, what has to be computed.

Counted by hand for one iteration (render, loss, backward, Adam) with the moments and parameters in float32,
backward and Adam in one pass, and the photo as bytes. Memory terms are the bytes that must move at least
once; arithmetic terms are instructions of one lane. The floor is their sum: on a real device part of the two
overlap, and neither runs at its full rate.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

TILE_PIXELS = 256
LANES_PER_SM = 128
SORT_BYTES = 68
"""Per Gaussian: a histogram pass and four passes over a 32-bit key and a 32-bit value, read and written."""
EXPAND_BYTES = 12
"""Per pair: its tile, its splat and its number, written."""
TILE_SORT_BYTES = 32
"""Per pair: two passes over the bits of the tile number."""
ROW_BYTES = 48
"""Per Gaussian: what is kept of the projected splat."""
SUM_BYTES = 40
"""Per Gaussian: the gradients of the projected splat."""
EVALUATE = 14
"""Instructions to find the alpha of one splat at one pixel."""
BLEND = 8
"""More of them, where it counts."""
BLEND_BACKWARD = 70


@dataclass(frozen=True)
class Gpu:
    """What a device can do.

    Attributes:
        name: as the driver says.
        multiprocessors: their number.
        clock: highest, Hz.
        bandwidth: of its memory, bytes a second.
    """

    name: str
    multiprocessors: int
    clock: float
    bandwidth: float

    @property
    def lane_rate(self) -> float:
        """Instructions of single lanes a second."""
        return self.multiprocessors * LANES_PER_SM * self.clock


@dataclass(frozen=True)
class Load:
    """One iteration's work.

    Attributes:
        gaussians: of the scene.
        visible: of them, in this view.
        pixels: of the picture.
        pairs: (splat, tile) pairs.
        evaluations: splats looked at, summed over pixels.
        useful: of them, with alpha >= 1/255 at an unfinished pixel.
        coefficients: spherical-harmonics coefficients of a Gaussian.
    """

    gaussians: int
    visible: int
    pixels: int
    pairs: int
    evaluations: int
    useful: int
    coefficients: int = 16

    @property
    def parameter_bytes(self) -> int:
        """Of one Gaussian: mean, quaternion, scales, opacity, colour."""
        return 4 * (3 + 4 + 3 + 1) + self.color_bytes

    @property
    def color_bytes(self) -> int:
        """Of one Gaussian: colour."""
        return 4 * 3 * self.coefficients


@dataclass(frozen=True)
class Term:
    """One stage's share.

    Attributes:
        name: of the stage.
        amount: bytes, or instructions of lanes.
        milliseconds: at the device's full rate.
        what: "memory" or "arithmetic".
    """

    name: str
    amount: float
    milliseconds: float
    what: str


def floor_terms(load: Load, gpu: Gpu) -> list[Term]:
    """Every term of the floor, in the order of the stages."""
    everyone, seen, pixels = load.gaussians, load.visible, load.pixels
    unseen = everyone - seen
    parameters, colors = load.parameter_bytes, load.color_bytes
    # A Gaussian outside the view is known by its mean, scales and rotation, and its colour takes no step.
    memory = {
        "project and SH": seen * (parameters + ROW_BYTES) + unseen * 40,
        "sort and bin": everyone * SORT_BYTES + load.pairs * (EXPAND_BYTES + TILE_SORT_BYTES),
        "blend": seen * ROW_BYTES + pixels * 20,
        "loss": pixels * (12 + 3 + 12),
        "blend backward": seen * (ROW_BYTES + SUM_BYTES) + pixels * 32,
        "project backward and Adam": everyone * 6 * (parameters - colors) + seen * (6 * colors + ROW_BYTES),
    }
    arithmetic = {
        "blend": EVALUATE * load.evaluations + BLEND * load.useful,
        "blend backward": EVALUATE * load.evaluations + BLEND_BACKWARD * load.useful,
    }
    moved = [Term(name, n, 1e3 * n / gpu.bandwidth, "memory") for name, n in memory.items()]
    computed = [Term(name, n, 1e3 * n / gpu.lane_rate, "arithmetic") for name, n in arithmetic.items()]
    return moved + computed


def floor_milliseconds(terms: list[Term]) -> float:
    """The whole."""
    return sum(term.milliseconds for term in terms)


def this_gpu(index: int = 0) -> Gpu:
    """The rates that the driver gives for a CUDA device.

    Raises:
        RuntimeError: the driver does not answer.
    """
    import torch

    multiprocessors, clock, memory_clock, bus_bits = (_attribute(index, key) for key in (16, 13, 36, 37))
    # Two transfers a clock.
    bandwidth = 2 * memory_clock * 1e3 * bus_bits / 8
    return Gpu(torch.cuda.get_device_name(index), multiprocessors, clock * 1e3, bandwidth)


def _attribute(index: int, key: int) -> int:
    """A CUdevice_attribute by its number in cuda.h; the driver is asked, as torch names only some."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise RuntimeError(f"no CUDA driver: {error}") from None
    value, device = ctypes.c_int(), ctypes.c_int()
    driver.cuInit(0)
    driver.cuDeviceGet(ctypes.byref(device), index)
    if driver.cuDeviceGetAttribute(ctypes.byref(value), key, device) != 0:
        raise RuntimeError(f"the CUDA driver does not give attribute {key} of device {index}")
    return value.value
