"""How a fit shows what it is doing: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from splat.fit.progress import Progress as FitProgress

PLAIN_SECONDS = 5.0
"""Seconds between plain lines."""


class Display(Protocol):
    """Shows progress and messages while it is entered."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def update(self, progress: FitProgress) -> None:
        """Show a moment of the fit."""
        ...

    def say(self, text: str) -> None:
        """Print a message that stays."""
        ...


def open_display(console: Console) -> Display:
    """A live display on a terminal, plain lines elsewhere."""
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


class PlainDisplay:
    """One line every few seconds, and one whenever the phase or the held-out score changes."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._said_at = -PLAIN_SECONDS
        self._said: tuple[str, float | None] = ("", None)

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def update(self, progress: FitProgress) -> None:
        """Print a line if one is due."""
        state = (progress.phase, progress.psnr)
        if state == self._said and self._clock() - self._said_at < PLAIN_SECONDS:
            return
        self._said, self._said_at = state, self._clock()
        counts = f"{progress.phase} {progress.iteration:,}/{progress.iterations:,}"
        self.say("  ".join([counts, *figures(progress)]))

    def say(self, text: str) -> None:
        """Print a message."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class LiveDisplay:
    """A bar and a line of figures that are drawn over."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TaskProgressColumn(),
            console=console,
            expand=True,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._live = Live(Group(self._bar), console=console, refresh_per_second=8)

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def update(self, progress: FitProgress) -> None:
        """Redraw."""
        self._bar.update(
            self._task,
            description=progress.phase,
            completed=progress.iteration,
            total=progress.iterations,
        )
        self._live.update(Group(self._bar, Text("  ".join(figures(progress)), style="dim")))

    def say(self, text: str) -> None:
        """Print a message above the bar."""
        self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)


def figures(progress: FitProgress) -> list[str]:
    """The figures that are known and of use in this phase, each with its unit."""
    parts = []
    if progress.phase == "training" and progress.it_per_second > 0:
        parts.append(f"{progress.it_per_second:.1f} it/s")
    if progress.phase == "training" and progress.eta_seconds is not None:
        parts.append(f"{duration(progress.eta_seconds)} left")
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4f}")
    if progress.psnr is not None:
        parts.append(f"held-out {progress.psnr:.2f} dB")
    parts.append(f"{progress.gaussians:,} Gaussians")
    parts.append(f"{progress.memory_gib:.1f} GiB")
    return parts


def duration(seconds: float) -> str:
    """A length of time in words: "42 s", "3 min 05 s", "2 h 10 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
