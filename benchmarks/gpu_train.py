"""Whole fits on a CUDA device, by splat and by gsplat's default trainer, from the same photos and points.

    python benchmarks/gpu_train.py --data data --captures fox lego --iterations 7000 --json train.json

gsplat runs first, with its default schedule of 30,000 steps, and is scored after ``--iterations`` of them, as
its own trainer does after 7,000. Then splat takes as many steps, once with its preset's budget of Gaussians
and once with as many as gsplat ended with. One function scores all: the processor's driver renders the
held-out views, clamped and rounded to 8 bits. Where --seconds run short, gsplat stops early, splat takes that
many steps, and it is said.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from gpu_engines import gsplat_problem
from gpu_trainer import GsplatTrainer, Settings
from results_file import markdown

from splat.capture import CaptureOptions, open_capture
from splat.capture.types import Capture
from splat.cli.run_capture import to_capture_world
from splat.fit.engine import Engine
from splat.fit.evaluate import evaluate
from splat.fit.initialise import first_gaussians
from splat.fit.options import FitOptions
from splat.fit.photos import PhotoStore
from splat.fit.run import RunFolder
from splat.fit.trainer import fit
from splat.gaussians import Gaussians
from splat.io import read_ply
from splat.rasterize import RenderSettings

SKIPPED = 77
LARGEST_START = 200_000


@dataclass(frozen=True)
class Row:
    """One fit.

    Attributes:
        engine: and what is special about it.
        psnr: mean over the held-out views, dB.
        ssim: likewise.
        seconds: of the training steps.
        peak_bytes: most device memory in tensors.
        gaussians: at the end.
        iterations: done.
    """

    engine: str
    psnr: float
    ssim: float
    seconds: float
    peak_bytes: int
    gaussians: int
    iterations: int


def scored(name: str, scene: Gaussians, capture: Capture, **rest: Any) -> Row:
    """A row, with the scene's scores on the held-out views; the scene is on the processor."""
    background = capture.background or (0.0, 0.0, 0.0)
    settings = RenderSettings(antialias=scene.antialias, background=background)
    scores = evaluate(scene, capture, capture.test, settings)
    return Row(
        engine=name,
        psnr=fmean(score.psnr for score in scores),
        ssim=fmean(score.ssim for score in scores),
        gaussians=len(scene),
        **rest,
    )


def train_gsplat(capture: Capture, device: torch.device, asked: argparse.Namespace, seconds: float) -> Row:
    """gsplat's default trainer."""
    background = capture.background or (0.0, 0.0, 0.0)
    photos = PhotoStore(capture.views, background, False, limit=2**34, threads=8)
    try:
        first, _ = first_gaussians(capture, LARGEST_START, 3, "none", 0, Engine("native"))
        settings = Settings(asked.iterations, asked.schedule)
        outcome = GsplatTrainer(capture, first, photos, device, settings).train(seconds)
    finally:
        photos.close()
    return scored(
        "gsplat", outcome.gaussians, capture,
        seconds=outcome.seconds, peak_bytes=outcome.peak_bytes, iterations=outcome.iterations,
    )  # fmt: skip


def train_splat(
    capture: Capture, device: torch.device, asked: argparse.Namespace, iterations: int, budget: int | None
) -> Row:
    """This program, with the preset's budget or with a given one."""
    values: dict[str, Any] = {
        "preset": asked.preset,
        "iterations": iterations,
        "budget": budget,
        "antialias": asked.antialias,
        "eval_every": 0,
        "checkpoint_every": 0,
        "device": str(device),
    }
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.create(Path(folder) / "run")
        result = fit(capture, run, FitOptions(**values))
        peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
        scene = to_capture_world(read_ply(run.splat), capture)
    name = "splat" if budget is None else f"splat, at most {budget:,} Gaussians"
    return scored(name, scene, capture, seconds=result.seconds, peak_bytes=peak, iterations=result.iterations)


def train_all(
    capture: Capture, device: torch.device, asked: argparse.Namespace, gsplat: bool, until: float
) -> tuple[list[Row], list[str]]:
    """All fits of one capture, and what is to be said of them."""
    rows, notes, iterations = [], [], asked.iterations
    if gsplat:
        # splat is to be three times as fast, and trains twice; some time for scores.
        theirs = train_gsplat(capture, device, asked, 0.5 * (until - time.monotonic()))
        rows.append(theirs)
        if theirs.iterations < iterations:
            iterations = max(theirs.iterations, 1)
            notes.append(f"time was short: {iterations} of {asked.iterations} iterations")
    rows.append(train_splat(capture, device, asked, iterations, None))
    if gsplat and time.monotonic() < until:
        rows.append(train_splat(capture, device, asked, iterations, rows[0].gaussians))
    return rows, notes


def table(rows: list[Row]) -> str:
    """Rows, and beside gsplat's what the others are to it."""
    theirs = next((row for row in rows if row.engine == "gsplat"), None)
    lines = []
    for row in rows:
        against = ["-", "-"]
        if theirs is not None and row is not theirs:
            against = [f"{row.psnr - theirs.psnr:+.2f}", f"{row.seconds / max(theirs.seconds, 1e-9):.0%}"]
        lines.append(
            [row.engine, f"{row.psnr:.2f}", f"{row.ssim:.4f}", f"{row.seconds:.1f}", *against,
             f"{row.gaussians:,}", f"{row.iterations:,}", f"{row.peak_bytes / 2**20:,.0f}"]
        )  # fmt: skip
    head = ["engine", "PSNR, dB", "SSIM", "training, s", "PSNR - gsplat's", "time / gsplat's", "Gaussians",
            "iterations", "peak, MiB"]  # fmt: skip
    return markdown(head, lines)


def parser() -> argparse.ArgumentParser:
    """The options."""
    style = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    made.add_argument("--data", type=Path, required=True, help="folder of the captures")
    made.add_argument("--captures", nargs="+", default=["fox", "lego"], help="folders in --data")
    made.add_argument("--iterations", type=int, default=7000)
    made.add_argument("--schedule", type=int, default=30_000, help="gsplat's: steps its rates fall over")
    made.add_argument("--preset", default="default", choices=("preview", "default", "quality"))
    made.add_argument("--antialias", default="none", choices=("none", "mip"), help="splat's; gsplat: none")
    made.add_argument("--max-size", type=int, help="longer side of the photos, pixels; default: as they are")
    made.add_argument("--seconds", type=float, default=600, help="for everything")
    made.add_argument("--no-gsplat", action="store_true")
    made.add_argument("--json", type=Path)
    made.add_argument("--markdown", type=Path)
    return made


def main() -> int:
    """Train, print, write; 77 where there is no device."""
    asked, begin = parser().parse_args(), time.monotonic()
    if not torch.cuda.is_available():
        print("skipped: no CUDA device")
        return SKIPPED
    device = torch.device("cuda", torch.cuda.current_device())
    problem = "left out by --no-gsplat" if asked.no_gsplat else gsplat_problem()
    texts = [f"gsplat is not trained: {problem}"] if problem else []
    result: dict[str, Any] = {}
    for number, name in enumerate(asked.captures):
        now = time.monotonic()
        until = now + (asked.seconds - (now - begin)) / (len(asked.captures) - number)
        source = asked.data / name
        if not source.exists():
            texts.append(f"### {name}\n\nskipped: {source} does not exist")
            continue
        capture = open_capture(source, CaptureOptions(max_size=asked.max_size), progress=lambda _: None)
        rows, notes = train_all(capture, device, asked, not problem, until)
        camera = capture.views[0].camera
        split = f"{len(capture.train)} photos to train on, {len(capture.test)} held out"
        about = f"{split}, {camera.width}x{camera.height}"
        texts.append("\n\n".join([f"### {name}: {about}", *notes, table(rows)]))
        print(texts[-1], flush=True)
        result[name] = {"notes": notes, "rows": [asdict(row) for row in rows], "about": about}
        if asked.json:
            asked.json.write_text(json.dumps(result, indent=1) + "\n")
        if asked.markdown:
            asked.markdown.write_text("\n\n".join(texts) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
