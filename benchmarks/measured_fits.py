"""Fits that benchmarks measure: what to train, and the run folder that comes of it, used again if whole."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args

from results_file import agrees, as_json

from splat import native_core
from splat.capture import CaptureOptions, open_capture
from splat.capture.types import Capture
from splat.cli.run_capture import describe_capture, to_capture_world
from splat.fit.options import FitOptions
from splat.fit.run import RunFolder
from splat.fit.trainer import fit
from splat.gaussians import Antialias, Gaussians, Kernel
from splat.io import read_ply
from splat.rasterize import RenderSettings


@dataclass(frozen=True)
class Pair:
    """A kernel and a pixel filter, and how finely the filter is drawn when it is scored.

    Attributes:
        kernel: trained.
        antialias: trained and scored.
        strips: of "exact", when scored.
        subpixel: when scored.
    """

    kernel: Kernel
    antialias: Antialias
    strips: int = 1
    subpixel: int = 1

    @classmethod
    def parse(cls, text: str) -> Pair:
        """From KERNEL+FILTER, KERNEL+FILTER+strips2 or KERNEL+FILTER+sub2."""
        kernel, antialias, *finer = text.split("+")
        if kernel not in get_args(Kernel) or antialias not in get_args(Antialias):
            raise argparse.ArgumentTypeError(f"{text}: no such kernel or filter")
        if not set(finer) <= {"strips2", "sub2"}:
            raise argparse.ArgumentTypeError(f"{text}: after the filter come strips2 and sub2, if anything")
        return cls(kernel, antialias, 1 + ("strips2" in finer), 1 + ("sub2" in finer))  # type: ignore[arg-type]

    @property
    def trained_name(self) -> str:
        """Of the training, which the finer drawing shares."""
        return f"{self.kernel}+{self.antialias}"

    @property
    def name(self) -> str:
        """As ``parse`` reads it."""
        finer = ("+strips2" if self.strips == 2 else "") + ("+sub2" if self.subpixel == 2 else "")
        return self.trained_name + finer

    def settings(self, capture: Capture) -> RenderSettings:
        """How scenes of this pair are scored."""
        return RenderSettings(
            antialias=self.antialias,
            strips=self.strips,
            subpixel=self.subpixel,
            background=capture.background or (0.0, 0.0, 0.0),
        )


@dataclass(frozen=True)
class Opened:
    """A capture, and what a run folder says of where it is from."""

    capture: Capture
    about: dict[str, object]


@dataclass(frozen=True)
class Trained:
    """A finished fit.

    Attributes:
        scene: normalised world (that of the capture).
        metrics: content of metrics.json.
        curve: dicts with iteration, seconds, psnr, ssim and gaussians, from the log.
    """

    scene: Gaussians
    metrics: dict[str, Any]
    curve: list[dict[str, float]]


def add_fit_options(parser: argparse.ArgumentParser) -> None:
    """Options of training that all measuring scripts share."""
    parser.add_argument("--preset", default="default", choices=("preview", "default", "quality"))
    parser.add_argument("--iterations", type=int, help="the same for all; default: by the preset")
    parser.add_argument("--seconds", type=float, help="most training time of one fit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="any other field of FitOptions"
    )
    parser.add_argument("--label", default="", help="after the names of rows made with --set")


def fit_options(asked: argparse.Namespace, pair: Pair, budget: int | None) -> FitOptions:
    """The options of one fit."""
    values: dict[str, Any] = {
        "preset": asked.preset,
        "iterations": asked.iterations,
        "max_seconds": asked.seconds,
        "seed": asked.seed,
        "budget": budget,
        "kernel": pair.kernel,
        "antialias": pair.antialias,
    }
    for text in asked.set:
        name, value = text.split("=", 1)
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    unknown = set(values) - {field.name for field in fields(FitOptions)}
    if unknown:
        raise SystemExit(f"FitOptions has no field {', '.join(sorted(unknown))}")
    return FitOptions(**values)


def opened(source: Path, max_size: int | None, cache: Path | None = None) -> Opened:
    """The capture, photos at most ``max_size`` on the longer side; cameras found are kept in ``cache``."""
    options = CaptureOptions(max_size=max_size)
    capture = open_capture(source, options, cache, progress=lambda _: None)
    return Opened(capture, describe_capture(source, options, capture))


def trained(found: Opened, folder: Path, options: FitOptions) -> Trained:
    """Fit into ``folder``; a whole run of the same photos and options there is used, a broken one goes on.

    Raises:
        KeyboardInterrupt: it was stopped; another call goes on.
        SplatError: as ``splat.fit.trainer.fit``.
    """
    run, capture = RunFolder(folder), found.capture
    same = (
        run.config.exists()
        and agrees(_asked_of(run), _comparable(asdict(options.filled())))
        and _is_of(run, found)
    )
    if not (same and _is_whole(run, options)):
        resume = same and run.holds_checkpoint()
        if not resume:
            RunFolder.create(folder, overwrite=True)
        print(f"{folder}: {'goes on' if resume else 'training'}", flush=True)
        if fit(capture, run, replace(options, resume=resume), about=found.about).ending == "stopped":
            raise KeyboardInterrupt
    scene = to_capture_world(read_ply(run.splat), capture)
    return Trained(scene, run.read_json(run.metrics), _curve(run))


def about(options: FitOptions, max_size: int | None) -> dict[str, Any]:
    """What a row records of how it was made, and is compared by."""
    return {"fit": _comparable(asdict(options.filled())), "max_size": max_size}


def machine() -> dict[str, Any]:
    """What a row records of where it was made."""
    info = native_core.build_info()
    return {"isa": info["isa"], "threads": info["threads"]}


def _comparable(options: dict[str, Any]) -> dict[str, Any]:
    return as_json({name: value for name, value in options.items() if name not in ("resume", "threads")})


def _is_of(run: RunFolder, found: Opened) -> bool:
    """The run was made from this very capture."""
    config = run.read_json(run.config)
    return all(config.get(name) == value for name, value in as_json(dict(found.about)).items())


def _asked_of(run: RunFolder) -> dict[str, Any]:
    return _comparable(run.read_json(run.config)["fit"])


def _is_whole(run: RunFolder, options: FitOptions) -> bool:
    if not (run.splat.exists() and run.metrics.exists()):
        return False
    done, planned = run.read_json(run.metrics)["iterations"], run.read_json(run.config)["plan"]["iterations"]
    return done >= planned or options.max_seconds is not None


def _curve(run: RunFolder) -> list[dict[str, float]]:
    events: Sequence[dict] = [json.loads(line) for line in run.log.read_text(encoding="utf-8").splitlines()]
    kept = ("iteration", "seconds", "psnr", "ssim", "gaussians")
    return [{name: event[name] for name in kept} for event in events if event["event"] == "eval"]
