"""What a checkpoint says beyond the optimiser's state, and whether it may be continued."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch

from splat.capture.types import Capture
from splat.devices import Choice, choose_device
from splat.errors import SplatError
from splat.fit import checkpoint
from splat.fit.machine import GIB, detect
from splat.fit.options import FitOptions
from splat.fit.presets import Plan
from splat.fit.run import RunFolder

FREE = ("max_seconds", "resume", "device")
"""Options that may differ when a run is resumed."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint, taken apart.

    Attributes:
        optimisation: the optimiser's state.
        plan: the plan of the run.
        capture: fingerprint of its capture.
        seconds: training seconds so far.
        psnr: last held-out PSNR, or None.
        notes: sentences so far.
        new_notes: sentences about the checkpoint itself.
        log_position: bytes of the log that belong to it.
    """

    optimisation: dict[str, Any]
    plan: Plan
    capture: str
    seconds: float
    psnr: float | None
    notes: list[str]
    new_notes: list[str]
    log_position: int

    def on(self, choice: Choice) -> Saved:
        """The same, to be gone on with on a device; photos take a quarter of a GPU that is new to the run."""
        device = str(choice.device)
        if device == self.plan.device:
            return self
        bytes_there = int(0.25 * detect(choice.device).gpu_memory_gib * GIB)
        plan = replace(self.plan, device=device, device_photo_bytes=bytes_there)
        return replace(self, plan=plan, new_notes=[*self.new_notes, *([choice.note] if choice.note else [])])


def read_saved(run: RunFolder, options: FitOptions) -> Saved:
    """The last whole checkpoint of a run.

    Raises:
        SplatError: there is none, or an option asks for something else than the run was begun with.
    """
    loaded = checkpoint.load_last(run.checkpoints)
    state = loaded.state
    plan = Plan(**{**state["plan"], "downscales": tuple((a, b) for a, b in state["plan"]["downscales"])})
    _check_options(options, plan, _begun_with(run))
    news = [loaded.note] if loaded.note else []
    news.append(
        f"resumed at {loaded.iteration} of {plan.iterations} iterations, with the options of its beginning"
    )
    return Saved(
        optimisation=state["optimisation"],
        plan=plan,
        capture=state["capture"],
        seconds=float(state["seconds"]),
        psnr=state["psnr"],
        notes=list(state["notes"]),
        new_notes=news,
        log_position=int(state["log_position"]),
    )


def resumed_device(options: FitOptions, plan: Plan) -> Choice:
    """Where a resumed run goes on: where it was begun, unless another device is asked for by name.

    Returns:
        The device, and a sentence if it is of another kind than that of the beginning.

    Raises:
        SplatError: that device cannot be used here.
    """
    if options.device != "auto":
        choice = choose_device(options.device)
        if choice.device.type == torch.device(plan.device).type:
            return choice
        note = f"goes on on {choice.device}, begun on {plan.device}: not bit for bit as an unbroken run"
        return Choice(choice.device, note)
    try:
        return choose_device(plan.device)
    except SplatError as error:
        raise SplatError(
            f"the run was begun on {plan.device}, which cannot be used here: {error}",
            expected="the device of its beginning, so that the same bits come out",
            advice="Name another one to go on there all the same: --device cpu, say",
        ) from error


def plan_state(plan: Plan) -> dict[str, Any]:
    """The plan as JSON can hold it."""
    return asdict(plan)


def fingerprint(capture: Capture) -> str:
    """A short name for the views, cameras and split of a capture."""
    digest = hashlib.blake2b(digest_size=12)
    for view in capture.views:
        digest.update(view.name.encode())
        camera = view.camera
        for matrix in (camera.world_to_camera, camera.intrinsics):
            digest.update(matrix.detach().float().contiguous().numpy().tobytes())
        digest.update(f"{camera.width}x{camera.height}".encode())
    digest.update(repr((capture.train, capture.test, capture.background)).encode())
    return digest.hexdigest()


def check_same_capture(capture: Capture, saved: Saved) -> None:
    """Raise SplatError unless the checkpoint was trained on this very capture."""
    if fingerprint(capture) != saved.capture:
        raise SplatError(
            "the photos, cameras, size or background are not those that this run was begun with",
            expected="the same capture and capture options",
            advice="Resume with the first options, or train into another folder",
        )


def _check_options(options: FitOptions, plan: Plan, begun: dict[str, Any]) -> None:
    """An option given on resuming must be as at the beginning; those that are left out are.

    Args:
        options: what is asked for now.
        plan: of the run.
        begun: the options the run was begun with; empty if that is not known. The plan may have less:
            memory limits the budget, and the clock the iterations.
    """
    for field in fields(FitOptions):
        asked = getattr(options, field.name)
        if field.name in FREE or asked is None or asked is False:
            continue
        planned = _planned(field.name, plan, begun)
        if asked not in (planned, begun.get(field.name, planned)):
            option = "--" + field.name.replace("_", "-")
            given = option if asked is True else f"{option} {asked}"
            raise SplatError(
                f"{given} was given, but the run was begun "
                + ("without it" if planned is None or planned is False else f"with {planned}"),
                advice=f"Leave {option} out when resuming, or train into another folder",
            )


def _planned(name: str, plan: Plan, begun: dict[str, Any]) -> Any:
    """What a run does about an option; None where it has no use for it."""
    unused = {"split": plan.strategy != "adc", "shape_rate": plan.kernel == "gaussian"}
    return None if unused.get(name) else getattr(plan, name, begun.get(name))


def _begun_with(run: RunFolder) -> dict[str, Any]:
    """The options in the run's config.json; a resumed run can do without them."""
    try:
        content = run.read_json(run.config).get("fit", {})
    except SplatError:
        return {}
    return content if isinstance(content, dict) else {}
