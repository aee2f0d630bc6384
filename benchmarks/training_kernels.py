"""Loss, Adam and point spacing: native beside PyTorch or scipy, in one run. One thread unless told.

Usage: python benchmarks/training_kernels.py [threads]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial import KDTree

from splat import native_core
from splat.fit.losses import L1Ssim, photometric_loss, unit_rgb


def milliseconds(work: Callable[[], object], repeats: int = 9) -> float:
    """Median wall time of ``work``."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def report(name: str, native: float, other: float) -> None:
    """One line of the table."""
    print(f"{name:38s} {native:9.3f} ms {other:9.3f} ms {other / native:7.1f} x")


def loss_with_gradient(
    function: Callable[..., torch.Tensor], image: torch.Tensor, target: torch.Tensor
) -> None:
    """Value and gradient of a loss."""
    image.grad = None
    function(image, target, None, 0.2).backward()


def main() -> None:
    """Print the table."""
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    native_core.set_threads(threads)
    torch.set_num_threads(threads)
    print(f"{native_core.build_info()['isa']}, {threads} thread(s){'':12s} native        other      ratio")
    for height, width in ((270, 480), (420, 648)):
        photo = torch.randint(0, 256, (height, width, 3), dtype=torch.uint8)
        image = (unit_rgb(photo) + 0.1 * torch.randn(photo.shape)).requires_grad_(True)
        report(
            f"L1 + SSIM with gradient, {height}x{width}",
            milliseconds(lambda: loss_with_gradient(L1Ssim.apply, image, photo), 25),  # noqa: B023
            milliseconds(lambda: loss_with_gradient(photometric_loss, image, photo)),  # noqa: B023
        )
    native = native_core.load()
    size = 50_000 * 59
    tensors = [torch.rand(size) for _ in range(4)]
    parameter = torch.rand(size, requires_grad=True)
    parameter.grad = torch.rand(size)
    adam = torch.optim.Adam([parameter], lr=1e-3, eps=1e-15)
    report(
        "Adam, 50,000 Gaussians x 59",
        milliseconds(lambda: native.adam(*tensors, 1e-3, 0.9, 0.999, 1e-15, 5), 25),
        milliseconds(adam.step),
    )
    points, out = (
        np.random.default_rng(0).normal(size=(100_000, 3)).astype(np.float32),
        np.zeros(100_000, np.float32),
    )
    report(
        "3 nearest neighbours, 100,000 points",
        milliseconds(lambda: native.knn_mean_squared(points, 3, out), 3),
        milliseconds(lambda: KDTree(points).query(points, k=4, workers=threads), 3),
    )


if __name__ == "__main__":
    main()
