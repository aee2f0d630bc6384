"""From a preset, the machine and the capture to the numbers of one fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

from splat.capture.types import Capture
from splat.errors import SplatError
from splat.fit.machine import GIB, Machine
from splat.fit.memory import GPU, MemoryPlan, bytes_per_gaussian, gpu_bytes_per_gaussian, plan_memory
from splat.fit.options import PRESET, SH_DEGREE, STRATEGY, FitOptions, Preset, Split, StrategyName
from splat.fit.schedules import Rates, coarse_to_fine
from splat.fit.step_cost import step_seconds
from splat.gaussians import Antialias, Kernel


@dataclass(frozen=True)
class Goal:
    """What a preset aims at.

    Attributes:
        seconds: training time on a machine of two cores; a GPU does ``most`` iterations, whatever it is.
        least: fewest iterations, whatever the machine.
        most: most iterations, whatever the machine.
        long_side: of the photos, pixels.
        gaussians_per_megapixel: budget for each million pixels of one photo.
        most_gaussians: largest budget.
        kernel: profile of the splats.
        antialias: pixel filter.
    """

    seconds: float
    least: int
    most: int
    long_side: int
    gaussians_per_megapixel: float
    most_gaussians: int
    kernel: Kernel = "gaussian"
    antialias: Antialias = "mip"


GOALS: dict[Preset, Goal] = {
    "preview": Goal(120, 2000, 3000, 480, 200_000, 80_000),
    "default": Goal(720, 3000, 15_000, 800, 300_000, 400_000),
    "quality": Goal(3600, 7000, 30_000, 1600, 400_000, 1_500_000),
}
GPU_GOALS: dict[Preset, Goal] = {
    "preview": Goal(15, 3000, 3000, 1000, 300_000, 300_000),
    "default": Goal(60, 15_000, 15_000, 1600, 600_000, 1_000_000),
    "quality": Goal(300, 30_000, 30_000, 1920, 1_500_000, 3_000_000),
}
"""On a GPU. Peers train 1 million Gaussians for 10,000 to 30,000 steps, 2 to 3 million for their best."""


@dataclass(frozen=True)
class Plan:
    """Every number of a fit; recorded in the checkpoint, so that a resumed fit has the same.

    Attributes:
        preset: the preset.
        iterations: training steps.
        budget: most Gaussians.
        strategy: "adc" or "mcmc".
        sh_degree: highest spherical-harmonics degree.
        antialias: pixel filter.
        random_background: a random background each step.
        seed: of everything random.
        threads: processor threads.
        downscales: (fraction of the run from which it holds, factor) of the photos.
        eval_every: iterations between evaluations, 0 for none.
        checkpoint_every: iterations between checkpoints, 0 for none.
        photo_bytes: limit for decoded photos in the processor's memory.
        first: Gaussians at the start; 0 until that is known.
        kernel: profile of the splats.
        filter3d: whether the 3D filter of Mip-Splatting is on.
        shape_rate: learning rate of the raw exponents, before the factors of the schedule.
        frequency_weight: weight of the frequency-modulated loss, 0 for none.
        device: where training runs, "cpu" or "cuda:N".
        device_photo_bytes: limit for photos on a GPU.
        sh_every: steps between those on the colours.
        split: how "adc" adds detail.
    """

    preset: Preset
    iterations: int
    budget: int
    strategy: StrategyName
    sh_degree: int
    antialias: Antialias
    random_background: bool
    seed: int
    threads: int
    downscales: tuple[tuple[float, int], ...]
    eval_every: int
    checkpoint_every: int
    photo_bytes: int
    first: int = 0
    kernel: Kernel = "gaussian"
    filter3d: bool = False
    shape_rate: float = Rates.shape
    frequency_weight: float = 0.0
    device: str = "cpu"
    device_photo_bytes: int = 0
    sh_every: int = 1
    split: Split = "halved"

    def with_iterations(self, iterations: int, options: FitOptions) -> Plan:
        """The same plan, stretched or shrunk; intervals that ``options`` leave open follow."""
        return replace(
            self,
            iterations=iterations,
            eval_every=_or_default(options.eval_every, evaluation_interval(iterations)),
            checkpoint_every=_or_default(options.checkpoint_every, checkpoint_interval(iterations)),
        )


def long_side(preset: Preset | None, machine: Machine) -> int:
    """Longest side in pixels that photos should be loaded at."""
    goal = _goal(preset or PRESET, machine)
    if machine.has_gpu:
        return goal.long_side
    return 1000 if (preset or PRESET) == "default" and machine.cores >= 8 else goal.long_side


def _goal(preset: Preset, machine: Machine) -> Goal:
    return (GPU_GOALS if machine.has_gpu else GOALS)[preset]


def plan_fit(
    options: FitOptions, capture: Capture, machine: Machine, resident_gib: float
) -> tuple[Plan, list[str]]:
    """Resolve everything that was left to the preset.

    Args:
        options: what the person asked for; it wins over the preset.
        capture: photos and points.
        machine: cores, memory and device.
        resident_gib: memory of the process now.

    Returns:
        The plan, and sentences about what had to give way.

    Raises:
        SplatError: the memory limit is too small for anything, or options do not go together.
    """
    preset = options.preset or PRESET
    goal = _goal(preset, machine)
    kernel, antialias = kernel_and_filter(options)
    threads = options.threads or machine.cores
    pixels = max(view.camera.width * view.camera.height for view in capture.views)
    budget = options.budget or default_budget(goal, pixels, capture.points.shape[0])
    memory = _room(options, kernel, machine, budget, pixels, _photo_bytes(capture), resident_gib)
    downscales = coarse_to_fine(max(max(v.camera.width, v.camera.height) for v in capture.views))
    seconds = step_seconds(memory.budget, pixels, threads, downscales, kernel, antialias)
    affordable = goal.most if machine.has_gpu else round(goal.seconds / seconds, -2)
    iterations = options.iterations or int(min(goal.most, max(goal.least, affordable)))
    on_host = int(min(_photo_bytes(capture), 0.5 * machine.memory_gib * GIB))
    plan = Plan(
        preset=preset,
        iterations=iterations,
        budget=memory.budget,
        strategy=options.strategy or STRATEGY,
        sh_degree=_or_default(options.sh_degree, SH_DEGREE),
        antialias=antialias,
        random_background=options.random_background,
        seed=options.seed or 0,
        threads=threads,
        downscales=downscales,
        eval_every=_or_default(options.eval_every, evaluation_interval(iterations)),
        checkpoint_every=_or_default(options.checkpoint_every, checkpoint_interval(iterations)),
        photo_bytes=on_host if machine.has_gpu else memory.photo_bytes,
        kernel=kernel,
        filter3d=options.filter3d,
        shape_rate=options.shape_rate or Rates.shape,
        frequency_weight=options.frequency_weight or 0.0,
        device=machine.device,
        device_photo_bytes=memory.photo_bytes if machine.has_gpu else 0,
        sh_every=options.sh_every or 1,
        split=splitting(options),
    )
    return plan, [memory.note] if memory.note else []


def _room(
    options: FitOptions,
    kernel: Kernel,
    machine: Machine,
    budget: int,
    pixels: int,
    photo_bytes: int,
    resident_gib: float,
) -> MemoryPlan:
    """Budget and photos where training runs."""
    waiting, degree = _waiting_bytes(options), _or_default(options.sh_degree, SH_DEGREE)
    if machine.has_gpu:
        limit = options.max_memory or 0.85 * machine.gpu_memory_gib
        each = gpu_bytes_per_gaussian(degree, kernel, options.filter3d) + waiting
        return plan_memory(budget, each, pixels, photo_bytes, limit, 0.0, GPU)
    limit = options.max_memory or resident_gib + 0.8 * machine.memory_gib
    each = bytes_per_gaussian(degree, kernel, options.filter3d) + waiting
    return plan_memory(budget, each, pixels, photo_bytes, limit, resident_gib)


def _waiting_bytes(options: FitOptions) -> int:
    """Of one Gaussian's colour gradients that add up between steps, and their copy while rows are added."""
    degree = _or_default(options.sh_degree, SH_DEGREE)
    return 2 * 4 * 3 * (degree + 1) ** 2 if (options.sh_every or 1) > 1 else 0


def kernel_and_filter(options: FitOptions) -> tuple[Kernel, Antialias]:
    """What was asked for, or the preset's.

    Raises:
        SplatError: they do not go together.
    """
    goal = GOALS[options.preset or PRESET]
    kernel, antialias = options.kernel or goal.kernel, options.antialias or goal.antialias
    if kernel == "gef" and antialias == "analytic":
        raise SplatError(
            "--antialias analytic can only integrate Gaussians, and the kernel is gef",
            expected="--kernel gaussian, or --antialias moment",
        )
    if kernel == "gaussian" and options.shape_rate is not None:
        raise SplatError(
            "--shape-rate was given, but Gaussians have no edge sharpness to learn", expected="--kernel gef"
        )
    return kernel, antialias


def splitting(options: FitOptions) -> Split:
    """What was asked for, or halves.

    Raises:
        SplatError: the strategy does not split.
    """
    if options.split is not None and (options.strategy or STRATEGY) != "adc":
        raise SplatError(
            f"--split {options.split} was given, but --strategy {options.strategy} does not split",
            expected="--strategy adc",
        )
    return options.split or "halved"


def default_budget(goal: Goal, pixels: int, points: int) -> int:
    """Gaussians in proportion to the pixels of a photo, and room for the sparse points to grow."""
    wanted = max(goal.gaussians_per_megapixel * pixels / 1e6, 3.0 * points)
    return int(max(5000, min(goal.most_gaussians, wanted)))


def evaluation_interval(iterations: int) -> int:
    """Iterations between scores on the held-out photos, unless asked otherwise."""
    return max(50, iterations // 10)


def checkpoint_interval(iterations: int) -> int:
    """Iterations between checkpoints, unless asked otherwise."""
    return max(50, iterations // 8)


def _photo_bytes(capture: Capture) -> int:
    """Bytes of all photos decoded at full size and at the coarse sizes, with mask and alpha."""
    pixels = sum(view.camera.width * view.camera.height for view in capture.views)
    return int(5 * pixels * (1 + 1 / 4 + 1 / 16))


def _or_default(value: int | None, default: int) -> int:
    return default if value is None else value
