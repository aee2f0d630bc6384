"""A training process to be killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from splat.fit import checkpoint, trainer
from splat.fit.options import FitOptions, StrategyName
from splat.fit.progress import FitHooks
from splat.fit.run import RunFolder
from tests.fit.synthetic import synthetic_capture

ITERATIONS = 40


class Killer:
    """Counts steps and strikes."""

    def __init__(self, steps: int, where: str) -> None:
        self.left, self.where = steps, where

    def __call__(self) -> bool:
        self.left -= 1
        if self.left < 0 and self.where == "step":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.left == -1 and self.where in ("interrupt", "terminate"):
            os.kill(os.getpid(), signal.SIGINT if self.where == "interrupt" else signal.SIGTERM)
        return False


def run_worker(folder: Path, strategy: StrategyName, resume: bool, steps: int, where: str) -> None:
    """Train the synthetic capture.

    ``where``: "end" trains to the end; "step" kills the process after ``steps`` steps; "saving" kills it
    in the middle of writing the first checkpoint after them; "interrupt" and "terminate" send SIGINT
    and SIGTERM after them.
    """
    killer = Killer(steps, where)
    write = checkpoint._write

    def interrupted_write(path: Path, data: bytes) -> None:
        if where == "saving" and killer.left < 0 and path.name == checkpoint.STATE:
            path.write_bytes(data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, data)

    checkpoint._write = interrupted_write
    options = FitOptions(
        iterations=ITERATIONS,
        budget=80,
        threads=1,
        sh_degree=1,
        seed=5,
        strategy=strategy,
        eval_every=16,
        checkpoint_every=8,
        resume=resume,
    )
    run = RunFolder.open(folder) if resume else RunFolder.create(folder)
    trainer.fit(synthetic_capture(views=8, size=24), run, options, FitHooks(should_stop=killer))
