"""Straightened photos show points where a pinhole camera does, with no border of invented pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from splat.capture.develop import Recipe
from splat.capture.lens import Lens, pinhole
from splat.capture.masks import MaskFile
from splat.capture.undistort import remap, undistorted
from splat.errors import SplatError
from tests.capture.scenes import draw, find_dots, save

PIXELS = (200.0, 196.0, 131.0, 87.0)
LENSES = [
    Lens("SIMPLE_RADIAL", 256, 170, (200.0, 131.0, 87.0, -0.12)),
    Lens("RADIAL", 256, 170, (200.0, 131.0, 87.0, 0.1, -0.05)),
    Lens("OPENCV", 256, 170, (*PIXELS, -0.2, 0.05, 0.003, -0.002)),
    Lens("FULL_OPENCV", 256, 170, (*PIXELS, -0.1, 0.02, 0.001, 0.001, 0.01, 0.0, 0.0, 0.0)),
    Lens("OPENCV_FISHEYE", 256, 170, (150.0, 150.0, 131.0, 87.0, 0.02, -0.01, 0.0, 0.0)),
]


def brown_conrady(rays: np.ndarray, k1: float, k2: float, p1: float, p2: float) -> np.ndarray:
    """OpenCV's radial and tangential distortion of x/z, y/z, written out."""
    x, y = rays[:, 0], rays[:, 1]
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2 * r2
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=1,
    )


def test_opencv_lens_is_opencvs_formula() -> None:
    rays = np.array([[0.0, 0.0], [0.3, -0.2], [-0.4, 0.1], [0.2, 0.35]])
    lens = LENSES[2]
    expected = brown_conrady(rays, *lens.distortion) * PIXELS[:2] + PIXELS[2:]
    points = np.concatenate([rays, np.ones((4, 1))], axis=1) * 2.5
    assert np.allclose(lens.project(points), expected, atol=1e-9)


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: lens.model)
def test_points_are_where_the_pinhole_says(lens: Lens, tmp_path: Path) -> None:
    straight = undistorted(lens)
    # Near the corners of what is kept, where distortion is largest.
    u = np.array([18.0, straight.width - 18, 20, straight.width - 20])
    v = np.array([15.0, 18, straight.height - 17, straight.height - 15])
    pixels = np.stack([u, v], axis=1)
    rays = (pixels - straight.principal_point) / straight.focal
    seen = lens.project(np.concatenate([rays, np.ones((4, 1))], axis=1))
    assert np.abs(seen - pixels).max() > 2, "the test lens must distort visibly"
    save(tmp_path / "photo.png", draw(seen, lens.width, lens.height))
    recipe = Recipe(tmp_path / "photo.png", True, lens, (straight.width, straight.height))
    assert np.abs(find_dots(recipe().rgb) - pixels).max() < 0.25


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: lens.model)
def test_every_pixel_was_seen(lens: Lens) -> None:
    found = remap(lens)
    assert found.x.min() >= -0.6 and found.x.max() <= lens.width - 0.4
    assert found.y.min() >= -0.6 and found.y.max() <= lens.height - 0.4


@pytest.mark.parametrize("lens", LENSES[:4], ids=lambda lens: lens.model)
def test_little_is_cut_off(lens: Lens) -> None:
    straight = undistorted(lens)
    found = remap(lens)
    touched = [found.x.min() < 1, found.x.max() > lens.width - 2]
    touched += [found.y.min() < 1, found.y.max() > lens.height - 2]
    assert sum(touched) >= 2, "the kept rectangle could be larger"
    assert straight.width * straight.height > 0.7 * lens.width * lens.height


def test_undistorted_lens_is_left_alone() -> None:
    lens = pinhole(100, 80, (90.0, 91.0), (51.0, 42.0))
    assert undistorted(lens) == lens
    zero = Lens("OPENCV", 100, 80, (90.0, 91.0, 51.0, 42.0, 0.0, 0.0, 0.0, 0.0))
    assert undistorted(zero) == lens


def test_fisheye_without_coefficients_is_no_pinhole() -> None:
    lens = Lens("OPENCV_FISHEYE", 100, 80, (60.0, 60.0, 50.0, 40.0, 0.0, 0.0, 0.0, 0.0))
    assert not lens.is_pinhole
    straight = undistorted(lens)
    assert straight.width <= 100 and straight.height <= 80


def test_fisheye_that_sees_behind_itself() -> None:
    lens = Lens("OPENCV_FISHEYE", 200, 200, (60.0, 60.0, 100.0, 100.0, 0.0, 0.0, 0.0, 0.0))
    straight = undistorted(lens)
    assert 0 < straight.width <= 200 and 0 < straight.height <= 200
    half_angle = np.degrees(np.arctan(straight.width / 2 / straight.focal[0]))
    assert 55 < half_angle <= 60.1
    found = remap(lens)
    assert found.x.min() >= -0.6 and found.x.max() <= lens.width - 0.4


def test_mask_is_straightened_with_the_photo(tmp_path: Path) -> None:
    lens = LENSES[2]
    keep = np.zeros((lens.height, lens.width), np.uint8)
    keep[40:120, 60:200] = 255
    save(tmp_path / "mask.png", keep)
    save(tmp_path / "photo.png", np.repeat(keep[..., None], 3, axis=2))
    straight = undistorted(lens)
    size = (straight.width, straight.height)
    pixels = Recipe(tmp_path / "photo.png", True, lens, size, MaskFile(tmp_path / "mask.png"))()
    assert pixels.mask is not None
    assert (pixels.mask == (pixels.rgb[..., 0] > 127)).mean() > 0.995


def test_hopeless_distortion_is_an_error() -> None:
    with pytest.raises(SplatError, match="distorts too much"):
        undistorted(Lens("SIMPLE_RADIAL", 100, 80, (20.0, 50.0, 40.0, -900.0)))


def test_lens_of_a_resized_photo_sees_the_same_rays() -> None:
    for lens in LENSES:
        small = lens.resized(lens.width // 2, lens.height // 2)
        rays = np.array([[0.1, 0.2, 1.0], [-0.3, 0.1, 1.0]])
        assert np.allclose(small.project(rays), lens.project(rays) / 2, atol=1e-9)
