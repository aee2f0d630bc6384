"""What a person may ask of a fit. Field docstrings are the help texts of the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from splat.devices import check_name
from splat.errors import SplatError
from splat.gaussians import Antialias, Kernel

Preset = Literal["preview", "default", "quality"]
StrategyName = Literal["adc", "mcmc"]
Split = Literal["drawn", "halved"]

PRESET: Preset = "default"
STRATEGY: StrategyName = "adc"
SH_DEGREE = 3
"""What is taken where nothing else is asked for."""

LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class FitOptions:
    """Options of training. None means: not asked for, so the preset, or what a resumed run was begun with."""

    preset: Preset | None = None
    """How much time to spend: preview (a few minutes), default, or quality (an hour or more
    on a processor). Default: default."""
    iterations: int | None = None
    """Training steps, one photo each; all schedules stretch to this number. Default: from the preset, the
    photos and the machine."""
    budget: int | None = None
    """Most Gaussians the scene may ever have. Default: from the preset and the photos."""
    device: str = "auto"
    """Where to train: auto (an NVIDIA GPU if one can be used, else the processor), cpu, cuda, or cuda:1 for
    the second GPU. A resumed run stays where it was begun."""
    max_memory: float | None = None
    """Most memory to plan for, in GiB, of the GPU if training runs there; lowers the budget if needed.
    Default: 80% of what is free, on a GPU 85%."""
    max_seconds: float | None = None
    """Most seconds of training. Iterations are planned to fit, and training stops cleanly at the limit."""
    strategy: StrategyName | None = None
    """How Gaussians are added and removed: adc (clone, split, prune) or mcmc (relocate, add, noise).
    Default: adc."""
    split: Split | None = None
    """How --strategy adc adds detail: halved (a splat becomes its two halves along its longest axis) or drawn
    (3DGS: small splats are cloned, large ones split at random). Default: halved."""
    sh_degree: int | None = None
    """View-dependent colour: spherical-harmonics degree, 0 (none) to 3. Default: 3."""
    kernel: Kernel | None = None
    """Shape of a splat: gaussian, or gef (generalised exponential, whose edge sharpness is learned).
    Default: the preset's."""
    antialias: Antialias | None = None
    """Pixel filter: none (as the original 3DGS), mip (Mip-Splatting), analytic (Analytic-Splatting; Gaussians
    only), moment (matches the moments of splat and pixel) or exact (integrates over the pixel).
    Default: the preset's."""
    filter3d: bool = False
    """Keep splats no finer than the photos can show (the 3D filter of Mip-Splatting)."""
    shape_rate: float | None = None
    """Learning rate of the edge sharpness, with --kernel gef; falls towards the end as the others do.
    Default: 0.002."""
    frequency_weight: float | None = None
    """Weight, 0 to 0.8, of the loss of GES that trains coarse structure first and fine detail later.
    Default: 0."""
    sh_every: int | None = None
    """Optimise colours only every so many iterations, on the gradients added up: quicker steps on a GPU.
    Default: 1."""
    random_background: bool = False
    """Transparent photos only: train over a random background colour each step."""
    seed: int | None = None
    """Seed of everything random. Same seed, machine and threads: same result, bit for bit. Default: 0."""
    eval_every: int | None = None
    """Iterations between scores on the held-out photos during training; 0 scores only at the end.
    Default: a tenth of all, at least 50."""
    checkpoint_every: int | None = None
    """Iterations between checkpoints; 0 writes one only at the end or when stopped. Default: an eighth of
    all, at least 50."""
    threads: int | None = None
    """Processor threads. Default: all cores that this process may use."""
    resume: bool = False
    """Continue from the run folder's last checkpoint."""

    def __post_init__(self) -> None:
        check_name(self.device)
        _require_whole("--iterations", self.iterations, 1)
        _require_whole("--budget", self.budget, 1)
        _require_whole("--threads", self.threads, 1)
        _require_whole("--sh-every", self.sh_every, 1)
        _require_whole("--eval-every", self.eval_every, 0)
        _require_whole("--checkpoint-every", self.checkpoint_every, 0)
        _require_whole("--seed", self.seed, 0)
        if self.seed is not None and self.seed > LARGEST_SEED:
            raise SplatError(f"--seed is {self.seed}", expected=f"at most {LARGEST_SEED}")
        _require_positive("--max-memory", self.max_memory)
        _require_positive("--max-seconds", self.max_seconds)
        if self.sh_degree not in (None, 0, 1, 2, 3):
            raise SplatError(f"--sh-degree is {self.sh_degree}", expected="0, 1, 2 or 3")
        _require_choice("--preset", self.preset, ("preview", "default", "quality"))
        _require_choice("--strategy", self.strategy, ("adc", "mcmc"))
        _require_choice("--split", self.split, get_args(Split))
        _require_choice("--kernel", self.kernel, get_args(Kernel))
        _require_choice("--antialias", self.antialias, get_args(Antialias))
        _require_positive("--shape-rate", self.shape_rate)
        if self.frequency_weight is not None and not 0 <= self.frequency_weight <= 0.8:
            raise SplatError(f"--frequency-weight is {self.frequency_weight}", expected="0 to 0.8")

    def filled(self) -> FitOptions:
        """The same, with what is taken for those left out that no preset decides on."""
        return replace(
            self,
            preset=self.preset or PRESET,
            strategy=self.strategy or STRATEGY,
            sh_degree=SH_DEGREE if self.sh_degree is None else self.sh_degree,
            frequency_weight=self.frequency_weight or 0.0,
            sh_every=self.sh_every or 1,
            seed=self.seed or 0,
        )


def _require_whole(option: str, value: int | None, least: int) -> None:
    if value is not None and value < least:
        raise SplatError(f"{option} is {value}", expected=f"a whole number, {least} or more")


def _require_positive(option: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise SplatError(f"{option} is {value}", expected="a number greater than 0")


def _require_choice(option: str, value: str | None, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        raise SplatError(f"{option} is {value!r}", expected="one of " + ", ".join(choices))
