"""What a training step is expected to take, before any was taken."""

from __future__ import annotations

from splat.gaussians import Antialias, Kernel

MS_PER_MEGAPIXEL = 115.0
"""Milliseconds of one step for each million pixels: two cores, native core, "gaussian" with "mip"."""
MS_PER_TEN_THOUSAND = 2.0
"""Milliseconds of one step for each ten thousand Gaussians: likewise."""
GPU_MS_PER_TEN_THOUSAND = 0.015
"""The same on a GPU: an estimate from published rates of RTX 4090 class GPUs, not measured."""
RELATIVE_COST: dict[tuple[Kernel, Antialias], float] = {
    ("gaussian", "none"): 1.0,
    ("gaussian", "mip"): 1.0,
    ("gaussian", "moment"): 1.5,
    ("gaussian", "exact"): 1.6,
    ("gaussian", "analytic"): 2.85,
    ("gef", "none"): 1.5,
    ("gef", "mip"): 1.5,
    ("gef", "moment"): 1.5,
    ("gef", "exact"): 1.95,
}
"""A whole step over one of "gaussian" with "mip", on the processor: between what it is with AVX-512 and with
AVX2, where all but the plain path cost more (``benchmarks/ratios.py`` on a trained scene,
benchmarks/results/2026-11-cpu.md). "none" differs from "mip" by a factor at each splat; "analytic" is for
Gaussians only. On a GPU none is measured, and no plan there uses them."""


def step_seconds(
    budget: int,
    pixels: int,
    threads: int,
    downscales: tuple[tuple[float, int], ...],
    kernel: Kernel,
    antialias: Antialias,
) -> float:
    """Expected mean seconds of a step over a whole run on the processor, linear in pixels and Gaussians.

    Args:
        budget: most Gaussians.
        pixels: of the largest photo, at full size.
        threads: processor threads.
        downscales: (fraction of the run from which it holds, factor) of the photos.
        kernel: profile of the splats.
        antialias: pixel filter.
    """
    ends = [start for start, _ in downscales[1:]] + [1.0]
    area = sum((end - start) / factor**2 for (start, factor), end in zip(downscales, ends, strict=True))
    drawing = _shared(MS_PER_MEGAPIXEL / 1000 * area * pixels / 1e6, threads)
    added = growth_seconds(0.85 * budget, threads, kernel, antialias)
    return RELATIVE_COST[kernel, antialias] * drawing + added


def growth_seconds(added: float, threads: int, kernel: Kernel, antialias: Antialias) -> float:
    """What so many more Gaussians add to a step on the processor."""
    seconds = MS_PER_TEN_THOUSAND / 1000 * added / 1e4
    return RELATIVE_COST[kernel, antialias] * _shared(seconds, threads)


def gpu_growth_seconds(added: float) -> float:
    """The same on a GPU, whatever the kernel and filter."""
    return GPU_MS_PER_TEN_THOUSAND / 1000 * added / 1e4


def _shared(seconds: float, threads: int) -> float:
    """Seconds on two threads, shared out to others."""
    return seconds / (threads / 2) ** 0.85
