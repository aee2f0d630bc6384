"""The picture that answers a browser."""

from __future__ import annotations

import math

import numpy as np
import pytest

from splat.gaussians import Antialias, Gaussians
from splat.viewer.client_camera import camera_from_client
from splat.viewer.comparison import GAP, Layout
from splat.viewer.frames import Image, render_frame
from splat.viewer.panel import Choices, _distinct
from splat.viewer.scene import KnownView
from splat.viewer.session import Drawing, Window, draw

DRAWING = Drawing("reference")
WINDOW = Window((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0), math.radians(60), 60, 40)


def known(ball: Gaussians, photo: Image | None) -> KnownView:
    camera = camera_from_client((1, 0, 0, 0), (0.5, 0, 0), math.radians(50), 30, 20)
    return KnownView("a.jpg", camera, True, lambda: photo)


def test_the_windows_own_view(ball: Gaussians) -> None:
    picture = draw(ball, WINDOW, Choices(background=(0, 1, 0)), [], (60, 40), DRAWING)
    expected = render_frame(ball, WINDOW.camera(60, 40), "colour", (0, 1, 0), "reference")
    np.testing.assert_array_equal(picture.image, expected)
    assert picture.words == ""


@pytest.mark.parametrize("layout", ["off", "render"])
def test_the_chosen_filter_draws(ball: Gaussians, layout: Layout) -> None:
    ball.log_scales = ball.log_scales - 3
    views, size = [known(ball, np.zeros((20, 30, 3), np.uint8))], (30, 20)

    def drawn(antialias: Antialias | None) -> Image:
        choices = Choices(view=0, layout=layout, antialias=antialias)
        return draw(ball, WINDOW, choices, views, size, DRAWING).image

    np.testing.assert_array_equal(drawn(None), drawn("none"))  # the ball's own
    assert (drawn("mip") != drawn("none")).any()


def test_a_comparison_is_drawn_from_the_photos_camera(ball: Gaussians) -> None:
    view = known(ball, None)
    render = render_frame(ball, view.camera, backend="reference")
    photo = np.clip(render.astype(int) + 10, 0, 255).astype(np.uint8)
    choices = Choices(view=0, layout="photo | render | error")
    window = (30 * 3 + 2 * GAP, 20)
    picture = draw(ball, WINDOW, choices, [known(ball, photo)], window, DRAWING)
    np.testing.assert_array_equal(picture.image[:, :30], photo)
    np.testing.assert_array_equal(picture.image[:, 30 + GAP : 60 + GAP], render)
    assert "dB at 30 × 20" in picture.words


def test_a_photo_of_another_size_is_fitted(ball: Gaussians) -> None:
    photo = np.full((40, 60, 3), 128, np.uint8)
    picture = draw(ball, WINDOW, Choices(view=0, layout="photo"), [known(ball, photo)], (30, 20), DRAWING)
    assert (picture.image == 128).all()


def test_without_a_photo_the_render_is_shown_and_told(ball: Gaussians) -> None:
    view = known(ball, None)
    picture = draw(ball, WINDOW, Choices(view=0, layout="error"), [view], (30, 20), DRAWING)
    np.testing.assert_array_equal(picture.image, render_frame(ball, view.camera, backend="reference"))
    assert "no photo" in picture.words


def test_equal_names_stay_apart() -> None:
    assert _distinct(["a", "b", "a", "(free)"]) == ["a", "b", "a (2)", "(free) (2)"]
