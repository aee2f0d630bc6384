"""Watching a scene while it is trained."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from splat.fit.progress import Progress
from splat.gaussians import Gaussians
from splat.rasterize import Backend
from splat.viewer.scene import RGB, KnownView
from splat.viewer.shell import ViewerShell


class LiveView:
    """A viewer beside the trainer, with buttons to pause and to stop it.

    The trainer hands scenes over from its own thread; they are copied, and nothing the viewer does
    changes the trainer's tensors or its random state: a watched run gives the same bits.

    Args:
        port: port to listen on; the next free one if it is in use. 0 lets the system choose.
        host: address to listen on; by default only this machine can look.
        backend: of the rasteriser; None: the native core if it is built, else the reference.
        say: receives lines for a person.
        background: RGB 0 to 1 behind the scene, until a person chooses another.

    Raises:
        SplatError: the server cannot be opened.
    """

    def __init__(
        self,
        port: int = 8080,
        host: str = "127.0.0.1",
        backend: Backend | None = None,
        say: Callable[[str], None] = print,
        background: RGB = (0.0, 0.0, 0.0),
    ) -> None:
        self._shell = ViewerShell(host, port, live=True, backend=backend, say=say)
        self._shell.scene.background = background
        self._stop = threading.Event()
        self._going = threading.Event()
        self._going.set()
        gui = self._shell.server.gui
        with gui.add_folder("Training", order=0):
            self._stats = gui.add_markdown("Waiting for the first Gaussians.")
            self._pause = gui.add_button("Pause", hint="Training waits; the time limit goes on")
            self._end = gui.add_button(
                "Stop and keep", color="red", hint="Ends training, keeps what there is"
            )
        self._pause.on_click(lambda _: self.resume() if self.paused else self.pause())
        self._end.on_click(lambda _: self.stop())

    @property
    def url(self) -> str:
        """What to open in a browser."""
        return self._shell.url

    @property
    def paused(self) -> bool:
        """True while training is asked to wait."""
        return not self._going.is_set()

    def show_views(self, views: Sequence[KnownView]) -> None:
        """Offer these cameras, in the world of the scenes that ``update`` gets."""
        self._shell.show_views(views)

    def update(self, gaussians: Gaussians, iteration: int, stats: Progress | None = None) -> None:
        """Show the scene as it is; called by the trainer. Waits here while training is paused.

        Without a browser connected, nothing is copied.

        Args:
            gaussians: the trainer's own; may change once this returns.
            iteration: training steps done.
            stats: shown beside the picture.
        """
        if self._shell.watched or self._shell.scene.get()[0] is None:
            self._shell.show(gaussians, copy=True)
        if stats is not None:
            self.progress(stats)
        self._going.wait()

    def progress(self, progress: Progress) -> None:
        """Show the figures of this moment of the fit."""
        self._stats.content = describe(progress)

    def finish(self, gaussians: Gaussians) -> None:
        """Show the final scene; there is nothing to pause or stop any more."""
        self._shell.live = False
        self._pause.disabled = self._end.disabled = True
        self._shell.show(gaussians, copy=True)

    def should_stop(self) -> bool:
        """True once a person asked to stop; for the trainer."""
        return self._stop.is_set()

    def pause(self) -> None:
        """Let the trainer wait at its next ``update``."""
        self._going.clear()
        self._pause.label = "Go on"

    def resume(self) -> None:
        """Let the trainer go on."""
        self._going.set()
        self._pause.label = "Pause"

    def stop(self) -> None:
        """Ask the trainer to end and keep what there is."""
        self._stop.set()
        self._end.disabled = self._pause.disabled = True
        self.resume()

    def close(self) -> None:
        """Stop serving; a paused trainer goes on."""
        self._going.set()
        self._shell.close()

    def __enter__(self) -> LiveView:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def describe(progress: Progress) -> str:
    """The figures of a moment as a Markdown table."""
    rows = [
        ("Phase", progress.phase),
        ("Iteration", f"{progress.iteration:,} of {progress.iterations:,}"),
        ("Speed", f"{progress.it_per_second:.1f} it/s" if progress.it_per_second else "–"),
        ("Left", "–" if progress.eta_seconds is None else f"{progress.eta_seconds:,.0f} s"),
        ("Loss", "–" if progress.loss is None else f"{progress.loss:.4f}"),
        ("Held-out PSNR", "–" if progress.psnr is None else f"{progress.psnr:.2f} dB"),
        ("Gaussians", f"{progress.gaussians:,}"),
        ("Memory", f"{progress.memory_gib:.2f} GiB"),
    ]
    return "| | |\n|---|--:|\n" + "\n".join(f"| {name} | {value} |" for name, value in rows)
