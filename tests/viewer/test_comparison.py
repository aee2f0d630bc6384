"""Photo, render and error in one picture."""

from __future__ import annotations

import math

import numpy as np
import pytest

from splat.viewer.comparison import GAP, arrange, error_map, fitted, letterbox, psnr, stack_is_larger

PHOTO = np.full((20, 30, 3), 200, np.uint8)
RENDER = np.full((20, 30, 3), 190, np.uint8)


def test_psnr() -> None:
    assert psnr(PHOTO, RENDER) == pytest.approx(20 * math.log10(255 / 10))
    assert psnr(PHOTO, PHOTO) == math.inf


def test_error_map_is_dark_where_equal_and_brightest_at_a_quarter() -> None:
    other = PHOTO.copy()
    other[0, 0] = 200 - 64  # 64 / 255 > 0.25
    other[0, 1] = 0
    other[0, 2] = 180
    shown = error_map(PHOTO, other).astype(int).sum(axis=2)
    assert shown[0, 0] == shown[0, 1] == shown.max()
    assert shown[5, 5] == shown.min() < shown[0, 2] < shown.max()


def test_three_in_a_row() -> None:
    row = arrange(PHOTO, RENDER, "photo | render | error")
    assert row.shape == (20, 3 * 30 + 2 * GAP, 3)
    np.testing.assert_array_equal(row[:, :30], PHOTO)
    np.testing.assert_array_equal(row[:, 30 + GAP : 60 + GAP], RENDER)
    np.testing.assert_array_equal(row[:, -30:], error_map(PHOTO, RENDER))


def test_three_above_each_other() -> None:
    column = arrange(PHOTO, RENDER, "photo | render | error", stacked=True)
    assert column.shape == (3 * 20 + 2 * GAP, 30, 3)
    np.testing.assert_array_equal(column[:20], PHOTO)
    np.testing.assert_array_equal(column[20 + GAP : 40 + GAP], RENDER)


@pytest.mark.parametrize(("share", "edge"), [(0.0, 0), (0.5, 15), (1.0, 30), (-3, 0), (7, 30)])
def test_slider(share: float, edge: int) -> None:
    joined = arrange(PHOTO, RENDER, "slider", share)
    assert (joined[:, : max(edge - 1, 0)] == 200).all()
    assert (joined[:, edge + 1 :] == 190).all()
    assert (joined == 255).any() == (0 < edge < 30)


def test_single_images() -> None:
    assert arrange(PHOTO, RENDER, "photo") is PHOTO
    assert arrange(PHOTO, RENDER, "render") is RENDER
    np.testing.assert_array_equal(arrange(PHOTO, RENDER, "error"), error_map(PHOTO, RENDER))


def test_letterbox_keeps_the_shape_and_centres() -> None:
    window = letterbox(PHOTO, 120, 40)
    assert window.shape == (40, 120, 3)
    assert (window[:, 30:90] == 200).all()
    assert (window[:, :30] == 24).all() and (window[:, 90:] == 24).all()


def test_fitted() -> None:
    assert fitted(PHOTO, 30, 20) is PHOTO
    assert fitted(PHOTO, 15, 10).shape == (10, 15, 3)


def test_the_larger_arrangement_is_found() -> None:
    assert stack_is_larger(300, 200, 400, 900)
    assert not stack_is_larger(300, 200, 1600, 400)
