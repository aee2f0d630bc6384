"""``splat fit``: photos in, a scene and its report out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.console import Console
from tyro.conf import Positional, arg

from splat.capture import CaptureOptions
from splat.cli.fit_view import wait_for_interrupt, watch, watched
from splat.errors import SplatError
from splat.fit.options import FitOptions

if TYPE_CHECKING:
    from splat.capture.types import Capture
    from splat.cli.progress import Display
    from splat.fit.progress import FitResult
    from splat.fit.run import RunFolder
    from splat.viewer import LiveView

_GENERIC_NAMES = {"images", "image", "photos", "input", "frames", "rgb"}


@dataclass(frozen=True)
class Fit:
    """Make a 3D Gaussian splat scene from photos, a video or a capture with known cameras.

    The result is a folder: splat.ply (the scene), report.html (how good it is), metrics.json and more.
    Photos are shrunk to the size that the preset works at, unless --max-size is given. Ctrl-C stops early
    and keeps what there is.
    """

    source: Annotated[Path, Positional, arg(metavar="SOURCE")]
    """A folder of photos, a video, a COLMAP model, a transforms.json, or the folder of one of these."""
    out: Path | None = None
    """Folder for the result. Default: runs/ and the name of the source, or of the folder that it is in where
    it is only called images, photos or the like."""
    overwrite: bool = False
    """Replace the run that is in the folder already."""
    view: bool = False
    """Watch the scene grow in the browser."""
    capture: CaptureOptions = field(default_factory=CaptureOptions)
    """Photos: how they are read."""
    fit: FitOptions = field(default_factory=FitOptions)
    """Training: how long and how."""

    def run(self) -> int:
        """Fit; returns the exit code: 0, or 130 if it was stopped early."""
        from splat.cli.fit_summary import show_capture, show_result
        from splat.cli.progress import open_display
        from splat.cli.run_capture import describe_capture, to_capture_world

        console = Console(highlight=False)
        run = self._open_run()
        with ExitStack() as stack:
            with open_display(console) as display, _keeping(run, display):
                display.say(f"{self.source} -> {run.path}")
                capture, options = self._open_capture(run, display)
                show_capture(capture, display.say)
                live = stack.enter_context(watch(capture, display.say)) if self.view else None
                about = describe_capture(self.source, options, capture)
                result = self._train(capture, run, display, live, about)
            self._report(run, console)
            show_result(result, run, console)
            if live is not None:
                live.finish(to_capture_world(result.gaussians, capture).to(result.device))
                wait_for_interrupt(console)
        return 130 if result.ending == "stopped" else 0

    def folder(self) -> Path:
        """Where the run goes."""
        if self.out is not None:
            return self.out
        source = self.source.resolve()
        name = source.name if source.is_dir() else source.stem
        generic = name.lower() in _GENERIC_NAMES or name == "transforms"
        return Path("runs") / ((source.parent.name if generic else name) or "scene")

    def _open_run(self) -> RunFolder:
        """Refuse what cannot end well before anything slow is done."""
        from splat.devices import choose_device
        from splat.fit.presets import kernel_and_filter, splitting
        from splat.fit.run import RunFolder

        if not self.source.exists():
            raise SplatError(
                f"{self.source} does not exist", expected="a folder of photos, a video or a capture"
            )
        if self.fit.resume and self.overwrite:
            raise SplatError(
                "--resume and --overwrite were both given", expected="one of them: continue, or start again"
            )
        if self.fit.resume:
            return self._open_broken_run()
        kernel_and_filter(self.fit)
        splitting(self.fit)
        choose_device(self.fit.device)
        return RunFolder.create(self.folder(), self.overwrite)

    def _open_broken_run(self) -> RunFolder:
        from splat.fit.run import RunFolder

        run = RunFolder(self.folder())
        if not run.holds_checkpoint():
            again = "with --overwrite in place of --resume" if run.holds_training() else "without --resume"
            raise SplatError(
                f"{run.path} holds no checkpoint to resume from",
                expected="the folder of a fit that had begun to train",
                advice=f"Give the same command {again}; cameras that were found are used again",
            )
        return run

    def _open_capture(self, run: RunFolder, display: Display) -> tuple[Capture, CaptureOptions]:
        """The capture, and the options that it was opened with."""
        from splat.capture import open_capture
        from splat.cli.run_capture import recorded_options
        from splat.devices import choose_device
        from splat.fit.machine import detect
        from splat.fit.presets import long_side

        options = self.capture
        if self.fit.resume and options == CaptureOptions():
            options = recorded_options(run)
        elif options.max_size is None:
            machine = detect(choose_device(self.fit.device).device)
            options = replace(options, max_size=long_side(self.fit.preset, machine))
        resume = self.fit.resume
        capture = open_capture(self.source, options, cache=run.sfm, progress=display.say, keep_cache=resume)
        return capture, options

    def _train(
        self,
        capture: Capture,
        run: RunFolder,
        display: Display,
        live: LiveView | None,
        about: dict[str, object],
    ) -> FitResult:
        from splat.fit.progress import FitHooks
        from splat.fit.trainer import fit

        hooks = FitHooks(on_progress=display.update)
        return fit(capture, run, self.fit, hooks if live is None else watched(hooks, live), about)

    def _report(self, run: RunFolder, console: Console) -> None:
        """The report is made last; if it fails, the scene is there all the same."""
        from splat.report import write_report

        try:
            write_report(run)
        except SplatError as error:
            console.print(f"The report could not be written: {error}", markup=False)


@contextmanager
def _keeping(run: RunFolder, display: Display) -> Iterator[None]:
    """Say what is kept where Ctrl-C ends a fit that cannot end well."""
    try:
        yield
    except KeyboardInterrupt:
        if run.holds_checkpoint():
            display.say(f"What was trained is kept in {run.path}; the same command with --resume goes on.")
        raise
