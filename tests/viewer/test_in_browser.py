"""End to end: a browser opens the page, is sent frames, and what it shows is the scene."""

from __future__ import annotations

import io
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splat.gaussians import Gaussians
from splat.viewer import KnownView, serve
from splat.viewer.client_camera import camera_from_client
from splat.viewer.shell import ViewerShell

sys.path.insert(0, str(Path(__file__).parent))
from browser import Browser, chromium  # noqa: E402

pytestmark = pytest.mark.skipif(chromium() is None, reason="needs an installed Chromium")


def wait_for(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.4)


@pytest.fixture
def shell(ball: Gaussians) -> Iterator[ViewerShell]:
    photo = np.full((100, 150, 3), (0, 200, 0), np.uint8)
    straight = camera_from_client((1, 0, 0, 0), (0, 0, 0), math.radians(40), 150, 100)
    aside = camera_from_client((1, 0, 0, 0), (-1.5, 0, 0), math.radians(40), 150, 100)
    views = [KnownView("straight.jpg", straight, True, lambda: photo), KnownView("aside.jpg", aside)]
    opened = serve(ball, views, port=0, block=False, backend="reference", say=lambda _: None)
    yield opened
    opened.close()


def settled(shell: ViewerShell) -> bool:
    sessions = list(shell._sessions.values())
    return bool(sessions) and sessions[0].drawn.full and sessions[0].drawn.request == sessions[0]._request


def picture(browser: Browser) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(browser.screenshot())).convert("RGB")).astype(int)


def red_column(shown: np.ndarray) -> float:
    """Mean column of what is red, or NaN."""
    columns = np.nonzero((shown[..., 0] > 150) & (shown[..., 1] < 60) & (shown[..., 2] < 60))[1]
    return float(columns.mean()) if len(columns) > 100 else math.nan


def test_frames_arrive_and_follow_the_choices(shell: ViewerShell, tmp_path: Path) -> None:
    with Browser(tmp_path / "profile", (900, 500)) as browser:
        browser.open(shell.url)
        wait_for(lambda: settled(shell) and not math.isnan(red_column(picture(browser))))
        session = next(iter(shell._sessions.values()))
        middle = session.client.camera.image_width / 2
        assert red_column(picture(browser)) == pytest.approx(middle, abs=15)  # starts at the first camera

        session.panel._camera.value = session.panel._labels[1]  # type: ignore[union-attr,misc]
        wait_for(lambda: settled(shell) and red_column(picture(browser)) > middle + 50)
        stands = session.client.camera
        np.testing.assert_allclose(stands.position, [-1.5, 0, 0], atol=1e-4)
        assert abs(stands.wxyz[0]) == pytest.approx(1, abs=1e-4)

        session.panel._camera.value = session.panel._labels[0]  # type: ignore[union-attr,misc]
        session.panel._layout.value = "photo"  # type: ignore[misc]
        wait_for(
            lambda: (
                settled(shell)
                and bool((np.abs(picture(browser) - [0, 200, 0]).max(axis=2) < 12).sum() > 3000)
            )
        )
    wait_for(lambda: not shell.watched)
