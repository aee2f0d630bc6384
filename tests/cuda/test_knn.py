"""The CUDA driver's nearest neighbours, emulated, against all distances in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.cuda.emulated import EmulatedCore
from tests.native.test_knn import Points, cloud
from tests.native.test_knn import spacing as native_spacing

KINDS = ["normal", "flat", "clusters", "outliers", "duplicates", "grid", "line", "one far away"]


@pytest.fixture
def core(emulated_backend: EmulatedCore) -> EmulatedCore:
    """The CUDA driver on the processor."""
    return emulated_backend


def spacing(core: EmulatedCore, points: Points, k: int) -> Points:
    """Mean squared distances by the CUDA driver."""
    return core.spacing(torch.from_numpy(points), k).numpy()


def expected(points: Points, k: int) -> NDArray[np.float64]:
    """From all distances; of all others where there are fewer than k."""
    exact = points.astype(np.float64)
    squared = ((exact[:, None] - exact[None]) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    return np.sort(squared, axis=1)[:, : min(k, len(points) - 1)].mean(axis=1)


def points_of(kind: str, count: int) -> Points:
    """Point clouds of several shapes."""
    if kind == "line":
        points = cloud("normal", count)
        return points[:, :1] * np.array([[1.0, 2.0, -0.5]], np.float32)
    if kind == "one far away":
        points = cloud("normal", count)
        points[count // 2] = 1e6
        return points
    return cloud(kind, count)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 3, 8, 64])
def test_is_exact(core: EmulatedCore, kind: str, k: int) -> None:
    points = points_of(kind, 1000)
    np.testing.assert_allclose(spacing(core, points, k), expected(points, k), rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("count", [2, 3, 5, 31, 32, 33, 64, 65, 127, 129, 257])
@pytest.mark.parametrize("k", [1, 3, 4, 5, 16, 17])
def test_any_number_of_points(core: EmulatedCore, count: int, k: int) -> None:
    """Leaves that are full and not, and fewer points than neighbours."""
    points = cloud("normal", count)
    np.testing.assert_allclose(spacing(core, points, k), expected(points, k), rtol=1e-5)


def test_none_and_one_point(core: EmulatedCore) -> None:
    assert spacing(core, np.zeros((0, 3), np.float32), 3).shape == (0,)
    assert spacing(core, np.ones((1, 3), np.float32), 3).tolist() == [0.0]


def test_all_points_in_one_place(core: EmulatedCore) -> None:
    assert not spacing(core, np.full((300, 3), 0.7, np.float32), 3).any()


def test_far_from_the_origin(core: EmulatedCore) -> None:
    """Neighbours that differ in the last bits of their coordinates."""
    points = cloud("normal", 500) * np.float32(1e-3) + np.float32([1e3, -2e3, 5e3])
    np.testing.assert_allclose(spacing(core, points, 3), expected(points, 3), rtol=1e-5)


@pytest.mark.parametrize("kind", ["outliers", "clusters"])
def test_more_points_as_the_processor(core: EmulatedCore, kind: str) -> None:
    points = cloud(kind, 6000)
    np.testing.assert_allclose(spacing(core, points, 3), native_spacing(points, 3), rtol=1e-6)


def test_the_same_bits_again(core: EmulatedCore) -> None:
    points = cloud("clusters", 700)
    assert np.array_equal(spacing(core, points, 3), spacing(core, points, 3))
