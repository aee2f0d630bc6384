"""What a fit tells its caller while it runs, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from splat.gaussians import Gaussians

Phase = Literal["loading", "training", "evaluating", "writing"]
Ending = Literal["finished", "time limit", "stopped"]


@dataclass(frozen=True)
class Progress:
    """A moment of a fit.

    Attributes:
        phase: what is being done.
        iteration: training steps done.
        iterations: training steps planned.
        it_per_second: recent rate; 0 while unknown.
        eta_seconds: estimated seconds of training left; None while unknown.
        loss: smoothed training loss; None before the first step.
        psnr: last held-out mean PSNR in dB; None before the first evaluation.
        gaussians: Gaussians now.
        memory_gib: resident memory of the process; its GPU memory where training runs on a GPU.
        seconds: training seconds so far (evaluation and writing excluded).
    """

    phase: Phase
    iteration: int
    iterations: int
    it_per_second: float
    eta_seconds: float | None
    loss: float | None
    psnr: float | None
    gaussians: int
    memory_gib: float
    seconds: float


def _ignore_progress(progress: Progress) -> None:
    """Do nothing."""


def _ignore_scene(gaussians: Gaussians, iteration: int) -> None:
    """Do nothing."""


def _never() -> bool:
    return False


@dataclass(frozen=True)
class FitHooks:
    """Calls into the caller, all from the training thread.

    Attributes:
        on_progress: several times a second at most.
        on_scene: the scene as it is, normalised world, about once a second; the tensors are the
            trainer's own and change afterwards, so a hook that keeps them must copy.
        should_stop: asked every step; True ends training cleanly.
    """

    on_progress: Callable[[Progress], None] = field(default=_ignore_progress)
    on_scene: Callable[[Gaussians, int], None] = field(default=_ignore_scene)
    should_stop: Callable[[], bool] = field(default=_never)


@dataclass(frozen=True)
class FitResult:
    """What came out.

    Attributes:
        gaussians: the scene in the ORIGINAL world, as written to splat.ply.
        ending: why training ended.
        iterations: steps done.
        psnr: held-out mean PSNR in dB, or None without held-out photos.
        seconds: training seconds.
        notes: plain sentences for a person.
        device: where it was trained, "cpu" or "cuda:N"; the Gaussians are on the processor.
    """

    gaussians: Gaussians
    ending: Ending
    iterations: int
    psnr: float | None
    seconds: float
    notes: list[str]
    device: str = "cpu"
