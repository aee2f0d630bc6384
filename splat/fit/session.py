"""The training loop: steps, and between them evaluations, checkpoints, progress and stopping."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from statistics import fmean

from splat.fit import checkpoint
from splat.fit.evaluate import ViewScore, evaluate
from splat.fit.log import RunLog
from splat.fit.machine import used_memory_gib
from splat.fit.metrics import mean_psnr
from splat.fit.optimisation import Optimisation
from splat.fit.options import FitOptions
from splat.fit.out_of_memory import MemoryGuard, NoRoom, with_room
from splat.fit.progress import Ending, FitHooks, Phase, Progress
from splat.fit.rate import Rate
from splat.fit.resume import Saved, fingerprint, plan_state
from splat.fit.run import RunFolder
from splat.fit.signals import StopRequest

LOG_EVERY = 20
SECONDS_BETWEEN_REPORTS = 0.25
SECONDS_BETWEEN_SCENES = 1.0


class Session:
    """One process's part of a fit.

    Args:
        optimisation: at iteration 0 or where a checkpoint left it.
        run: log and checkpoints go here.
        options: the clock.
        hooks: calls into the caller.
        saved: the checkpoint that this continues, or None.
        notes: sentences so far; more are appended.

    Attributes:
        seconds: training seconds of all sessions together, evaluation and writing excluded.
    """

    def __init__(
        self,
        optimisation: Optimisation,
        run: RunFolder,
        options: FitOptions,
        hooks: FitHooks,
        saved: Saved | None,
        notes: list[str],
    ) -> None:
        self.optimisation, self.run, self.options, self.hooks = optimisation, run, options, hooks
        self.notes = [*saved.notes, *notes] if saved else notes
        self.seconds = saved.seconds if saved else 0.0
        self.psnr = saved.psnr if saved else None
        self.log = RunLog(run.log, saved.log_position if saved else 0)
        for note in notes if saved is None else saved.new_notes:
            self.note(note, keep=saved is not None)
        self._rate = Rate(optimisation.schedule, optimisation.plan.iterations)
        self._loss: float | None = None
        self._reported = self._shown = 0.0
        self._saved_at = optimisation.iteration if saved else -1

    def train(self) -> Ending:
        """Step until the plan is done, the time is up, or someone asks to stop; then checkpoint."""
        self.announce("loading")
        optimisation = self.optimisation
        optimisation.load_photos()
        with StopRequest() as stop:
            if self._saved_at < 0:
                self.checkpoint()
            try:
                ending = self._loop(stop)
            except NoRoom as error:
                if error.intact:
                    self._keep()
                raise
            self._keep()
        if ending != "finished":
            self.note(
                f"ended after {optimisation.iteration} of {optimisation.plan.iterations} iterations: {ending}"
            )
        return ending

    def _keep(self) -> None:
        """A checkpoint of the scene as it is, unless there is one."""
        if self._saved_at != self.optimisation.iteration:
            self.optimisation.check()
            self.checkpoint()

    def announce(self, phase: Phase) -> None:
        """Tell the caller where things stand."""
        self.hooks.on_progress(self._progress(phase))

    def note(self, text: str, keep: bool = True) -> None:
        """A sentence for the log and, with ``keep``, for metrics.json."""
        if keep:
            self.notes.append(text)
        self.log.write("note", text=text)

    def checkpoint(self) -> None:
        """Save everything that the rest of the run depends on."""
        self._saved_at = self.optimisation.iteration
        self.log.write("checkpoint", iteration=self._saved_at)
        state = {
            "optimisation": self.optimisation.state_dict(),
            "plan": plan_state(self.optimisation.plan),
            "capture": fingerprint(self.optimisation.capture),
            "seconds": self.seconds,
            "psnr": self.psnr,
            "notes": self.notes,
            "log_position": self.log.position,
        }
        checkpoint.save(self.run.checkpoints, self._saved_at, state)

    def close(self, scores: Sequence[ViewScore]) -> None:
        """Log the final scores and close the log."""
        self._log_scores(scores)
        self.log.close()

    def _loop(self, stop: StopRequest) -> Ending:
        optimisation, limit = self.optimisation, self.options.max_seconds
        guard = MemoryGuard(optimisation, self.note)
        while optimisation.iteration < optimisation.plan.iterations:
            if stop.requested or self.hooks.should_stop():
                return "stopped"
            if limit is not None and self.seconds >= limit:
                return "time limit"
            started = time.perf_counter()
            done = guard.step()
            spent = time.perf_counter() - started
            self.seconds += spent
            if done:
                self._rate.add(optimisation.iteration, spent)
                self._after_step()
        return "finished"

    def _after_step(self) -> None:
        optimisation, plan = self.optimisation, self.optimisation.plan
        iteration, change = optimisation.iteration, optimisation.change
        if change is not None:
            self.log.write(
                "densify",
                iteration=iteration,
                added=change.added,
                removed=change.removed,
                moved=change.moved,
                gaussians=len(optimisation.scene),
            )
        if iteration % LOG_EVERY == 0:
            self._log_step()
        if plan.eval_every and iteration % plan.eval_every == 0 and iteration < plan.iterations:
            self._evaluate()
        if plan.checkpoint_every and iteration % plan.checkpoint_every == 0:
            optimisation.check()
            self.checkpoint()
        self._report()

    def _log_step(self) -> None:
        self._loss = self.optimisation.mean_loss()
        self.log.write(
            "train",
            iteration=self.optimisation.iteration,
            loss=self._loss,
            gaussians=len(self.optimisation.scene),
            it_per_second=self._rate.per_second,
            memory_gib=used_memory_gib(self.optimisation.plan.device),
            seconds=self.seconds,
        )

    def _report(self) -> None:
        now = time.perf_counter()
        if now - self._reported >= SECONDS_BETWEEN_REPORTS:
            self._reported = now
            self.announce("training")
        if now - self._shown >= SECONDS_BETWEEN_SCENES:
            self._shown = now
            with_room(self._show, self.optimisation.release)

    def _show(self) -> None:
        self.hooks.on_scene(self.optimisation.finished(), self.optimisation.iteration)

    def _evaluate(self) -> None:
        optimisation = self.optimisation
        capture = optimisation.capture
        if not capture.test:
            return
        scene, settings = optimisation.finished(), optimisation.scoring_settings()
        score = partial(evaluate, scene, capture, capture.test, settings, photos=optimisation.photos)
        self._log_scores(with_room(score, optimisation.release))

    def _log_scores(self, scores: Sequence[ViewScore]) -> None:
        self.psnr = mean_psnr(scores)
        if self.psnr is None:
            return
        self.log.write(
            "eval",
            iteration=self.optimisation.iteration,
            psnr=self.psnr,
            ssim=fmean(score.ssim for score in scores),
            seconds=self.seconds,
            gaussians=len(self.optimisation.scene),
        )

    def _progress(self, phase: Phase) -> Progress:
        iteration = self.optimisation.iteration
        return Progress(
            phase=phase,
            iteration=iteration,
            iterations=self.optimisation.plan.iterations,
            it_per_second=self._rate.per_second,
            eta_seconds=self._rate.eta_seconds(iteration),
            loss=self._loss,
            psnr=self.psnr,
            gaussians=len(self.optimisation.scene),
            memory_gib=used_memory_gib(self.optimisation.plan.device),
            seconds=self.seconds,
        )
