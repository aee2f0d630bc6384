"""The live view as the trainer sees it, with no browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from splat.errors import SplatError
from splat.fit.progress import Progress
from splat.gaussians import Gaussians
from splat.viewer import LiveView, serve
from splat.viewer.live import describe


def quiet(_: str) -> None:
    """Say nothing."""


PROGRESS = Progress("training", 1200, 4000, 31.42, 89.6, 0.04321, 26.789, 41234, 1.25, 38.0)


@pytest.fixture
def live() -> Iterator[LiveView]:
    with LiveView(0, backend="reference", say=quiet) as view:
        yield view


def test_an_update_changes_nothing(live: LiveView, ball: Gaussians) -> None:
    ball.means.requires_grad_(True)
    before = {name: value.detach().clone() for name, value in ball.parameters().items()}
    state = torch.random.get_rng_state()
    live.update(ball, 1, PROGRESS)
    live.update(ball, 2)
    assert torch.equal(state, torch.random.get_rng_state())
    for name, value in ball.parameters().items():
        assert torch.equal(value.detach(), before[name])
    shown, _ = live._shell.scene.get()
    assert shown is not None
    assert shown.means.data_ptr() != ball.means.data_ptr()


def test_nothing_is_copied_when_nobody_looks(live: LiveView, ball: Gaussians) -> None:
    live.update(ball, 1)
    live.update(ball, 2)
    assert live._shell.scene.get()[1] == 1
    live.finish(ball)
    assert live._shell.scene.get()[1] == 2


def test_pause_holds_the_trainer_until_resumed(live: LiveView, ball: Gaussians) -> None:
    live.pause()
    done = threading.Event()
    trainer = threading.Thread(target=lambda: (live.update(ball, 1), done.set()))
    trainer.start()
    assert not done.wait(0.2)
    live.resume()
    assert done.wait(10)
    trainer.join()


@pytest.mark.parametrize("ending", ["stop", "close"])
def test_stopping_lets_a_paused_trainer_go(live: LiveView, ball: Gaussians, ending: str) -> None:
    live.pause()
    trainer = threading.Thread(target=lambda: live.update(ball, 1))
    trainer.start()
    getattr(live, ending)()
    trainer.join(10)
    assert not trainer.is_alive()
    assert live.should_stop() == (ending == "stop")


def test_figures_are_shown(live: LiveView) -> None:
    live.progress(PROGRESS)
    assert live._stats.content == describe(PROGRESS)
    for figure in ("1,200 of 4,000", "31.4 it/s", "90 s", "0.0432", "26.79 dB", "41,234", "1.25 GiB"):
        assert figure in describe(PROGRESS)


def test_unknown_figures_are_dashes() -> None:
    text = describe(Progress("loading", 0, 4000, 0.0, None, None, None, 0, 0.5, 0.0))
    assert text.count("–") == 4


def test_scenes_stand_before_the_background_that_is_given(ball: Gaussians) -> None:
    with LiveView(0, backend="reference", say=quiet, background=(1.0, 1.0, 1.0)) as view:
        assert view._shell.scene.background == (1.0, 1.0, 1.0)
    shell = serve(ball, port=0, block=False, backend="reference", say=quiet, background=(0.0, 1.0, 0.0))
    try:
        assert shell.scene.background == (0.0, 1.0, 0.0)
    finally:
        shell.close()


def test_an_empty_scene_is_refused(ball: Gaussians) -> None:
    empty = replace(ball)
    for name, value in ball.parameters().items():
        setattr(empty, name, value[:0])
    with pytest.raises(SplatError, match="no Gaussians"):
        serve(empty, port=0, block=False, say=quiet)
