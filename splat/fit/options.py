"""What a person may ask of a fit. Field docstrings are the help texts of the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from splat.errors import SplatError
from splat.gaussians import Antialias

Preset = Literal["preview", "default", "quality"]
StrategyName = Literal["adc", "mcmc"]

LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class FitOptions:
    """Options of training. None means: let the preset choose from the machine and the photos."""

    preset: Preset = "default"
    """How much time to spend: preview (a few minutes), default, or quality (an hour or more)."""
    iterations: int | None = None
    """Training steps, one photo each. All schedules stretch to this number."""
    budget: int | None = None
    """Most Gaussians the scene may ever have."""
    max_memory: float | None = None
    """Most memory to plan for, in GiB; lowers the budget if needed. Default: 80% of what is free."""
    max_seconds: float | None = None
    """Most seconds of training. Iterations are planned to fit, and training stops cleanly at the limit."""
    strategy: StrategyName = "adc"
    """How Gaussians are added and removed: adc (clone, split, prune) or mcmc (relocate, add, noise)."""
    sh_degree: int = 3
    """View-dependent colour: spherical-harmonics degree, 0 (none) to 3."""
    antialias: Antialias = "mip"
    """Pixel filter: mip (keeps its look at any size) or none (as the original 3DGS)."""
    random_background: bool = False
    """Transparent photos only: train over a random background colour each step."""
    seed: int = 0
    """Seed of everything random. Same seed, machine and threads: same result, bit for bit."""
    eval_every: int | None = None
    """Iterations between scores on the held-out photos during training; 0 scores only at the end."""
    checkpoint_every: int | None = None
    """Iterations between checkpoints; 0 writes one only at the end or when stopped."""
    threads: int | None = None
    """Processor threads. Default: all cores that this process may use."""
    resume: bool = False
    """Continue from the run folder's last checkpoint."""

    def __post_init__(self) -> None:
        _require_whole("--iterations", self.iterations, 1)
        _require_whole("--budget", self.budget, 1)
        _require_whole("--threads", self.threads, 1)
        _require_whole("--eval-every", self.eval_every, 0)
        _require_whole("--checkpoint-every", self.checkpoint_every, 0)
        _require_whole("--seed", self.seed, 0)
        if self.seed > LARGEST_SEED:
            raise SplatError(f"--seed is {self.seed}", expected=f"at most {LARGEST_SEED}")
        _require_positive("--max-memory", self.max_memory)
        _require_positive("--max-seconds", self.max_seconds)
        if self.sh_degree not in (0, 1, 2, 3):
            raise SplatError(f"--sh-degree is {self.sh_degree}", expected="0, 1, 2 or 3")
        _require_choice("--preset", self.preset, ("preview", "default", "quality"))
        _require_choice("--strategy", self.strategy, ("adc", "mcmc"))
        _require_choice("--antialias", self.antialias, ("none", "mip"))


def _require_whole(option: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise SplatError(f"{option} is {value}", expected=f"a whole number, {least} or more")


def _require_positive(option: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise SplatError(f"{option} is {value}", expected="a number greater than 0")


def _require_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise SplatError(f"{option} is {value!r}", expected="one of " + ", ".join(choices))
