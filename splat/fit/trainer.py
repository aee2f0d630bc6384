"""A fit from beginning to end: prepare or resume, train, write what came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial

import torch

from splat import __version__
from splat.capture.types import Capture
from splat.devices import choose_device
from splat.errors import SplatError
from splat.fit.device_photos import CudaUploads, DevicePhotos
from splat.fit.engine import Engine, choose_engine
from splat.fit.evaluate import evaluate
from splat.fit.initialise import first_gaussians, with_kernel
from splat.fit.machine import detect, resident_memory_gib
from splat.fit.metrics import Outcome, cameras, mean_psnr, metrics, per_view, to_original
from splat.fit.optimisation import Optimisation
from splat.fit.options import FitOptions
from splat.fit.out_of_memory import OutOfMemory, first_line, no_room, with_room
from splat.fit.pace import iterations_within
from splat.fit.photos import PhotoSource, PhotoStore
from splat.fit.presets import Plan, plan_fit
from splat.fit.progress import Ending, FitHooks, FitResult
from splat.fit.resume import Saved, check_same_capture, read_saved, resumed_device
from splat.fit.room import check_disk
from splat.fit.run import RunFolder
from splat.fit.scene import TrainedScene, from_parameters
from splat.fit.schedules import FitSchedule, Rates
from splat.fit.session import Session
from splat.fit.strategies import make_strategy
from splat.morton import morton_order

PLAIN = "the native core is not built: training in plain PyTorch, some fifty times slower"


def fit(
    capture: Capture,
    run: RunFolder,
    options: FitOptions,
    hooks: FitHooks | None = None,
    about: Mapping[str, object] | None = None,
) -> FitResult:
    """Train a scene on a capture and fill the run folder.

    What an earlier run left in the folder is removed once nothing stands in the way of this one.

    Same seed, machine, device and threads: same bits, also when the run was stopped or killed and resumed.
    (With ``max_seconds`` the number of iterations is planned once from the measured speed and then
    kept; only a run that the clock stops early depends on the clock.)

    Args:
        capture: views, split and sparse points.
        run: where results, log and checkpoints go.
        options: what was asked for.
        hooks: progress, live scene, and a way to stop.
        about: what config.json is to say besides the options and the plan (where the photos are, say).

    Returns:
        The scene in the original world and how training ended.

    Raises:
        SplatError: the capture cannot be trained on, the disk is full, a checkpoint is unusable, or
            training broke down. Checkpoints written before are kept.
    """
    _check_capture(capture, options)
    run.probe()
    hooks = hooks or FitHooks()
    saved = read_saved(run, options) if options.resume else None
    choice = choose_device(options.device) if saved is None else resumed_device(options, saved.plan)
    engine = _begin_on(choice.device)
    notes = [] if engine.name == "native" else [PLAIN]
    notes += [choice.note] if choice.note and saved is None else []
    if saved is None:
        plan, why = plan_fit(options, capture, detect(choice.device), resident_memory_gib())
        notes += why
    else:
        check_same_capture(capture, saved)
        saved = saved.on(choice)
        plan = saved.plan
    engine.set_threads(plan.threads)
    photos = _open_photos(capture, plan, engine)
    try:
        if saved is None:
            optimisation, text = _begin(capture, plan, photos, engine, options)
            notes.append(text)
        else:
            optimisation = _continue(capture, saved, photos, engine)
        check_disk(run, optimisation.plan)
        if saved is None:
            run.clear()
        if saved is None or not run.config.exists():
            _write_config(run, options, optimisation.plan, about or {})
        session = Session(optimisation, run, options, hooks, saved, notes)
        ending = session.train()
        return _finish(session, run, ending)
    except OutOfMemory as error:
        raise no_room(f"GPU memory ran out ({first_line(error)})") from error
    finally:
        photos.close()


def assemble(
    capture: Capture, plan: Plan, scene: TrainedScene, photos: PhotoSource, engine: Engine
) -> Optimisation:
    """An optimiser with the schedule, strategy and loss of ``plan`` around a scene at iteration 0."""
    schedule = make_schedule(capture, plan)
    strategy = make_strategy(
        plan.strategy,
        plan.iterations,
        plan.first,
        plan.budget,
        capture.extent,
        plan.seed + 2,
        engine.device,
        plan.split,
    )
    return Optimisation(
        capture, plan, scene, schedule, strategy, engine.loss(plan.frequency_weight), photos, engine
    )


def make_schedule(capture: Capture, plan: Plan) -> FitSchedule:
    """The 3DGS schedule stretched to ``plan.iterations``."""
    return FitSchedule(
        iterations=plan.iterations,
        extent=capture.extent,
        max_sh_degree=plan.sh_degree,
        downscales=plan.downscales,
        base=Rates(shape=plan.shape_rate),
    )


def _check_capture(capture: Capture, options: FitOptions) -> None:
    if not capture.train:
        raise SplatError(
            "the capture has no photos to train on", expected="at least one besides those held out"
        )
    if options.random_background and (capture.opaque or capture.background is None):
        raise SplatError(
            "--random-background was given, but the photos are opaque", expected="photos with transparency"
        )
    if options.eval_every and not capture.test:
        raise SplatError(
            f"--eval-every {options.eval_every} was given, but no photo is held out to score on",
            expected="--test-every 2 or more, or a capture with test photos",
        )


def _begin_on(device: torch.device) -> Engine:
    """The engine for ``device``, which is made torch's current one and its peak of memory forgotten."""
    if device.type == "cuda":
        torch.cuda.init()
        torch.cuda.set_device(device)
        torch.cuda.reset_peak_memory_stats(device)
    return replace(choose_engine(), device=device)


def _open_photos(capture: Capture, plan: Plan, engine: Engine) -> PhotoSource:
    background = capture.background or (0.0, 0.0, 0.0)
    store = PhotoStore(capture.views, background, plan.random_background, plan.photo_bytes, plan.threads)
    if engine.device.type == "cpu":
        return store
    return DevicePhotos(store, plan.device_photo_bytes, CudaUploads(engine.device))


def _begin(
    capture: Capture, plan: Plan, photos: PhotoSource, engine: Engine, options: FitOptions
) -> tuple[Optimisation, str]:
    """The optimiser at iteration 0, its plan made to fit the clock, and a sentence about the start."""
    first, text = first_gaussians(capture, plan.budget, plan.sh_degree, plan.antialias, plan.seed, engine)
    first, plan = with_kernel(first, plan.kernel), replace(plan, first=len(first))
    scene = TrainedScene(first, make_schedule(capture, plan).rates(0), engine, plan.sh_every)
    scene.keep(morton_order(scene.gaussians.means))
    optimisation = assemble(capture, plan, scene, photos, engine)
    if options.max_seconds is None:
        return optimisation, text
    possible = iterations_within(options.max_seconds, optimisation)
    fitting = possible if options.iterations is None else min(possible, options.iterations)
    return assemble(capture, plan.with_iterations(fitting, options), scene, photos, engine), text


def _continue(capture: Capture, saved: Saved, photos: PhotoSource, engine: Engine) -> Optimisation:
    """The optimiser where a checkpoint left it."""
    start = from_parameters(saved.optimisation["scene"]["parameters"], saved.plan.antialias)
    scene = TrainedScene(start, make_schedule(capture, saved.plan).rates(0), engine, saved.plan.sh_every)
    optimisation = assemble(capture, saved.plan, scene, photos, engine)
    optimisation.load_state_dict(saved.optimisation)
    return optimisation


def _write_config(run: RunFolder, options: FitOptions, plan: Plan, about: Mapping[str, object]) -> None:
    """The options of training and what they were resolved to, beside ``about``."""
    run.write_json(
        run.config, {**about, "version": __version__, "fit": asdict(options.filled()), "plan": asdict(plan)}
    )


def _finish(session: Session, run: RunFolder, ending: Ending) -> FitResult:
    """Write the scene first, then cameras and scores."""
    from splat.io.ply import write_ply

    optimisation = session.optimisation
    capture, plan = optimisation.capture, optimisation.plan
    session.announce("writing")
    trained = optimisation.finished()
    original = to_original(trained, capture)
    write_ply(run.splat, original)
    run.write_json(run.cameras, cameras(capture))
    session.announce("evaluating")
    settings = optimisation.scoring_settings()
    score = partial(evaluate, trained, capture, capture.test, settings, run.renders, optimisation.photos)
    scores = with_room(score, optimisation.release)
    outcome = Outcome(optimisation.iteration, session.seconds, session.notes)
    run.write_json(run.per_view, per_view(scores))
    run.write_json(run.metrics, metrics(scores, original, capture, plan, outcome))
    session.close(scores)
    return FitResult(
        original,
        ending,
        optimisation.iteration,
        mean_psnr(scores),
        session.seconds,
        session.notes,
        optimisation.plan.device,
    )
