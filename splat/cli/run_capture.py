"""Which photos a run was made from, kept in its config.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from splat.capture import CaptureOptions, open_capture
from splat.capture.photos import counted, listed
from splat.capture.types import Capture
from splat.errors import SplatError
from splat.fit.run import RunFolder
from splat.gaussians import Gaussians
from splat.io.cameras import read_views


def describe_capture(source: Path, options: CaptureOptions, capture: Capture) -> dict[str, object]:
    """For a run's config.json: where the photos are, how they are read and what is behind them."""
    values = {
        name: str(value.resolve()) if isinstance(value, Path) else value
        for name, value in asdict(options).items()
    }
    background = None if capture.background is None else list(capture.background)
    return {"source": str(source.resolve()), "capture": values, "background": background}


def recorded_source(run: RunFolder) -> Path:
    """Where the photos of a run were.

    Raises:
        SplatError: config.json is missing or does not say.
    """
    source = run.read_json(run.config).get("source")
    if not isinstance(source, str):
        raise SplatError(f"{run.config} does not say where the photos are", advice="Name them with --source")
    return Path(source)


def recorded_options(run: RunFolder) -> CaptureOptions:
    """How the photos of a run were read.

    Raises:
        SplatError: config.json is missing or was written by another version.
    """
    values: Any = run.read_json(run.config).get("capture")
    known = {field.name for field in fields(CaptureOptions)}
    if not isinstance(values, dict) or not set(values) <= known:
        raise SplatError(
            f"{run.config} does not say how the photos were read",
            expected="a run made by this version of splat",
        )
    paths = {"masks"} & {name for name, value in values.items() if value is not None}
    return CaptureOptions(**{**values, **{name: Path(values[name]) for name in paths}})


def reopen_capture(run: RunFolder, source: Path | None, say: Callable[[str], None]) -> Capture:
    """The capture that a run was trained on.

    Args:
        run: the run folder, whose structure-from-motion cache is used.
        source: where the photos are now, if they have moved.
        say: receives lines for a person.

    Raises:
        SplatError: the photos are gone, or cannot be read.
    """
    place = source or recorded_source(run)
    if not place.exists():
        raise SplatError(
            f"{place}, where the photos of {run.path} were, does not exist",
            advice="If they have moved, name them with --source",
        )
    capture = open_capture(place, recorded_options(run), cache=run.sfm, progress=say, keep_cache=True)
    _check_same_photos(run, place, capture)
    return capture


def _check_same_photos(run: RunFolder, place: Path, capture: Capture) -> None:
    """Scores on photos that the run does not know would mean nothing."""
    known = {view.name for view in read_views(run.cameras).views}
    strange = [view.name for view in capture.views if view.name not in known]
    if strange:
        raise SplatError(
            f"{place} holds {counted(len(strange), 'photo')} that {run.path} was not made from: "
            f"{listed(strange)}",
            expected="the photos of the fit",
        )


def to_capture_world(scene: Gaussians, capture: Capture) -> Gaussians:
    """A scene of the original world (that of splat.ply) in the capture's normalised one."""
    scale = float(capture.transform[0, 0])
    return scene.scaled(scale, torch.from_numpy(capture.transform[:3, 3].copy()))
