"""The controls: what is set is what is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, get_args

import pytest
import torch
import viser

from splat.errors import SplatError
from splat.gaussians import Antialias, Gaussians
from splat.viewer.panel import FILTERS, OWN_FILTER, Choices, Panel, PanelEvents
from splat.viewer.scene import LatestScene
from splat.viewer.server import open_server
from splat.viewer.session import Session, Window, draw


@pytest.fixture
def server() -> Iterator[viser.ViserServer]:
    opened = open_server("127.0.0.1", 0, lambda _: None)
    yield opened
    opened.stop()


def panel_on(server: Any, defaults: Choices, changes: list[int]) -> Panel:
    events = PanelEvents(lambda: changes.append(1), lambda _: None, lambda: None)
    return Panel(server, [], defaults, events)


def test_every_filter_can_be_chosen(server: viser.ViserServer) -> None:
    changes: list[int] = []
    panel = panel_on(server, Choices(), changes)
    assert panel.choices() == Choices()
    assert panel._filter.options == FILTERS
    for antialias in get_args(Antialias):
        panel._filter.value = antialias  # type: ignore[misc]
        assert panel.choices().antialias == antialias
    panel._filter.value = OWN_FILTER  # type: ignore[misc]
    assert panel.choices().antialias is None
    assert len(changes) == len(get_args(Antialias)) + 1


def test_the_choice_outlives_new_cameras(server: viser.ViserServer) -> None:
    panel = panel_on(server, Choices(antialias="moment"), [])
    assert panel.choices().antialias == "moment"


def test_a_browser_starts_over_the_background_of_the_scene(server: viser.ViserServer) -> None:
    scene = LatestScene()
    scene.background = (1.0, 0.0, 1.0)
    client: Any = SimpleNamespace(gui=server.gui, camera=SimpleNamespace(on_update=lambda _: None))
    session = Session(client, [], lambda: None, scene, "reference")
    assert session.panel.choices().background == (1.0, 0.0, 1.0)
    session.show_views([])
    assert session.panel.choices().background == (1.0, 0.0, 1.0)


def test_a_filter_that_the_kernel_has_not_is_a_message(ball: Gaussians) -> None:
    edged = replace(ball, kernel="gef", shape=torch.zeros(1))
    window = Window((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 1.0, 30, 20)
    from splat.viewer.session import Drawing

    with pytest.raises(SplatError) as caught:
        draw(edged, window, Choices(antialias="analytic"), [], (30, 20), Drawing("reference"))
    told: list[tuple[str, str]] = []
    client = SimpleNamespace(add_notification=lambda title, body, color: told.append((title, body)))
    Session.complain(SimpleNamespace(client=client), caught.value)  # type: ignore[arg-type]
    assert told[0][0] == "This cannot be drawn" and "moment" in told[0][1]
