"""Nearest-neighbour spacing against scipy's k-d tree."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import KDTree

from splat import native_core

native = native_core.load()
Points = NDArray[np.float32]


def spacing(points: Points, k: int) -> Points:
    """Native mean squared distances."""
    out = np.full(len(points), np.nan, np.float32)
    native.knn_mean_squared(points, k, out)
    return out


def expected(points: Points, k: int) -> NDArray[np.float64]:
    """The same by scipy in double precision; a duplicate of a point is a neighbour like any other."""
    distances, _ = KDTree(points.astype(np.float64)).query(points.astype(np.float64), k=k + 1)
    return (distances[:, 1:] ** 2).mean(axis=1)


def cloud(kind: str, count: int) -> Points:
    """Point clouds of several shapes."""
    random = np.random.default_rng(1)
    points = random.normal(size=(count, 3))
    if kind == "flat":
        points[:, 1] = 0.25
    elif kind == "clusters":
        points = points * 1e-3 + random.integers(0, 5, size=(count, 3)) * 10.0
    elif kind == "outliers":
        points[: max(1, count // 50)] *= 1e4
    elif kind == "duplicates":
        points = points[random.integers(0, max(1, count // 3), size=count)]
    elif kind == "grid":
        points = np.stack(np.meshgrid(*[np.arange(13)] * 3), -1).reshape(-1, 3)[:count].astype(np.float64)
    return points.astype(np.float32)


@pytest.mark.parametrize("kind", ["normal", "flat", "clusters", "outliers", "duplicates", "grid"])
@pytest.mark.parametrize("k", [1, 3, 8])
def test_is_scipys(kind: str, k: int) -> None:
    points = cloud(kind, 2000)
    np.testing.assert_allclose(spacing(points, k), expected(points, k), rtol=1e-5, atol=1e-12)


def test_many_points() -> None:
    points = cloud("outliers", 50000)
    np.testing.assert_allclose(spacing(points, 3), expected(points, 3), rtol=1e-5)


@pytest.mark.parametrize("count", [2, 3, 4, 9, 17])
def test_fewer_points_than_neighbours(count: int) -> None:
    points = cloud("normal", count)
    np.testing.assert_allclose(spacing(points, 20), expected(points, count - 1), rtol=1e-5)


def test_none_and_one_point() -> None:
    assert spacing(np.zeros((0, 3), np.float32), 3).shape == (0,)
    assert spacing(np.ones((1, 3), np.float32), 3).tolist() == [0.0]


def test_all_points_in_one_place() -> None:
    assert not spacing(np.full((1000, 3), 0.7, np.float32), 3).any()


def test_same_bits_for_any_number_of_threads() -> None:
    points = cloud("normal", 5000)
    before = native.build_info()["threads"]
    results = []
    for threads in (1, 2, 4):
        native.set_threads(threads)
        results.append(spacing(points, 3))
    native.set_threads(before)
    assert np.array_equal(results[0], results[1]) and np.array_equal(results[0], results[2])


def test_bad_arguments_are_named() -> None:
    points, out = cloud("normal", 10), np.zeros(10, np.float32)
    with pytest.raises(ValueError, match="k must lie in 1 to 64"):
        native.knn_mean_squared(points, 0, out)
    with pytest.raises(ValueError, match=r"out has shape \[9\]"):
        native.knn_mean_squared(points, 3, out[:9])
    points[4, 1] = np.nan
    with pytest.raises(ValueError, match="point 4 is not finite"):
        native.knn_mean_squared(points, 3, out)
