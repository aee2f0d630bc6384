"""When a frame is due and how large it is."""

from __future__ import annotations

import pytest

from splat.viewer.pace import (
    DRAFT_LEAST,
    DRAFT_SECONDS,
    SETTLE_SECONDS,
    Drawn,
    Wanted,
    draft_size,
    due,
    full_size,
)

MOVED = 100.0
STILL = MOVED + SETTLE_SECONDS


def test_a_moving_camera_gets_a_draft_at_once() -> None:
    assert due(Wanted(2, MOVED, 1), Drawn(1, 1, True), MOVED + 0.01) == (MOVED + 0.01, False)


def test_a_draft_is_followed_by_a_full_frame_once_still() -> None:
    assert due(Wanted(2, MOVED, 1), Drawn(2, 1, False), MOVED + 0.1) == (STILL, True)


def test_a_change_long_ago_is_drawn_full_at_once() -> None:
    assert due(Wanted(2, MOVED, 1), Drawn(1, 1, True), STILL + 9) == (STILL + 9, True)


def test_nothing_to_do() -> None:
    assert due(Wanted(2, MOVED, 1), Drawn(2, 1, True), STILL + 9) is None


def test_a_new_scene_is_drawn() -> None:
    drawn = Drawn(2, 1, True, at=STILL + 1, seconds=0.5)
    assert due(Wanted(2, MOVED, 2), drawn, STILL + 1.1) == (STILL + 1, True)


def test_while_training_a_new_scene_waits_for_its_share_of_the_time() -> None:
    drawn = Drawn(2, 1, True, at=STILL + 1, seconds=0.5)
    assert due(Wanted(2, MOVED, 2, live=True), drawn, STILL + 1.1) == (STILL + 2.5, True)


def test_draft_size_follows_cost() -> None:
    width, height = draft_size(1600, 800, 4 * DRAFT_SECONDS / (1600 * 800))
    assert (width, height) == (800, 400)
    assert draft_size(1600, 800, 1e-12) == (1600, 800)
    assert draft_size(1600, 800, 1.0) == (DRAFT_LEAST, DRAFT_LEAST // 2)
    assert draft_size(1600, 800, None) == (400, 200)
    assert draft_size(40, 20, 1.0) == (40, 20)


@pytest.mark.parametrize(
    ("window", "limit", "size"),
    [((1600, 800), 800, (800, 400)), ((300, 200), 800, (300, 200)), ((1, 900), 450, (1, 450))],
)
def test_full_size(window: tuple[int, int], limit: int, size: tuple[int, int]) -> None:
    assert full_size(*window, limit) == size
