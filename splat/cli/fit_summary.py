"""What ``splat fit`` says before and after training."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from splat.capture.types import Capture
from splat.cli.progress import duration
from splat.fit.progress import FitResult
from splat.fit.run import RunFolder


def show_capture(capture: Capture, say: Callable[[str], None]) -> None:
    """How many photos have a camera, how good the cameras are, and every note."""
    summary = capture.summary
    line = f"{summary.registered} of {summary.photos} photos have a camera, {summary.points:,} points"
    if summary.reprojection_error is not None:
        line += f", reprojection error {summary.reprojection_error:.2f} px"
    if summary.seconds_sfm:
        line += f" ({duration(summary.seconds_sfm)})"
    say(line)
    for note in summary.notes:
        say(f"Note: {note}")
    width, height = capture.views[0].camera.width, capture.views[0].camera.height
    say(f"Training on {len(capture.train)} photos, {len(capture.test)} held out; {width}x{height}")


def show_result(result: FitResult, run: RunFolder, console: Console) -> None:
    """How training ended, how good the scene is, where it is and what to do next."""
    steps = f"{result.iterations:,} iteration{'' if result.iterations == 1 else 's'}"
    how, after = {
        "finished": ("Done", f"after {steps}"),
        "time limit": ("Time limit reached", f"after {steps}"),
        "stopped": ("Stopped early", f"after {steps}; everything is saved"),
    }[result.ending]
    console.print()
    console.print(Text.assemble((how, "bold green"), f" {after}"))
    quality = "not measured: no photos were held out"
    if result.psnr is not None:
        quality = f"{result.psnr:.2f} dB on held-out photos (PSNR: higher is better)"
    rows = [
        ("Quality", quality),
        ("Gaussians", f"{len(result.gaussians):,}"),
        ("Training", duration(result.seconds)),
        ("Scene", str(run.splat)),
        ("Report", str(run.report)),
    ]
    rows += [("Note", note) for note in result.notes]
    folder = shlex.quote(str(run.path))
    rows.append(("Look at it", f"splat view {folder}"))
    rows.append(("Make a video", f"splat render {folder}"))
    if result.ending == "stopped":
        rows.append(("Continue", "the same command with --resume"))
    for label, text in rows:
        console.print(Text.assemble((f"  {label + ':':<14}", "bold"), text), soft_wrap=True)
