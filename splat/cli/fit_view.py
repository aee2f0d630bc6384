"""The browser beside ``splat fit --view``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from splat.capture.types import Capture, View
    from splat.fit.progress import FitHooks, Progress
    from splat.viewer import LiveView


def watch(capture: Capture, say: Callable[[str], None]) -> LiveView:
    """Open the live viewer with the capture's cameras and photos in it.

    Raises:
        SplatError: no port is free.
    """
    from splat.fit.photos import premultiplied
    from splat.viewer import LiveView
    from splat.viewer.scene import KnownView

    background = capture.background or (0.0, 0.0, 0.0)

    def known(view: View, held_out: bool) -> KnownView:
        return KnownView(view.name, view.camera, held_out, lambda: premultiplied(view.load(), background).rgb)

    live = LiveView(say=say, background=background)
    held_out = set(capture.test)
    live.show_views([known(view, index in held_out) for index, view in enumerate(capture.views)])
    return live


def watched(hooks: FitHooks, live: LiveView) -> FitHooks:
    """The same hooks, shown in the viewer too and stopped by its button."""
    from splat.fit.progress import FitHooks

    def on_progress(progress: Progress) -> None:
        hooks.on_progress(progress)
        live.progress(progress)

    return FitHooks(on_progress, live.update, lambda: hooks.should_stop() or live.should_stop())


def wait_for_interrupt(console: Console) -> None:
    """Keep the viewer open for a person at a terminal, until Ctrl-C; return at once elsewhere."""
    if not (console.is_terminal and sys.stdin.isatty()):
        return
    console.print("The viewer stays open; press Ctrl-C to close it.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        console.print("Closed.")
