"""A training process to be killed: python worker.py RUN STRATEGY RESUME STEPS WHERE.

WHERE: "end" trains to the end; "step" kills the process after STEPS steps of this process;
"saving" kills it in the middle of writing the first checkpoint after that; "interrupt" and "terminate"
send SIGINT and SIGTERM instead.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from splat.fit import checkpoint, evaluate, trainer
from splat.fit.engine import Engine
from splat.fit.options import FitOptions
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


def main() -> None:
    folder, strategy, resume, steps, where = sys.argv[1:6]
    killer = Killer(int(steps), where)
    write = checkpoint._write

    def interrupted_write(path: Path, data: bytes) -> None:
        if where == "saving" and killer.left < 0 and path.name == checkpoint.STATE:
            path.write_bytes(data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, data)

    checkpoint._write = interrupted_write
    options = FitOptions(
        iterations=ITERATIONS, budget=80, threads=1, sh_degree=1, seed=5, strategy=strategy,  # type: ignore[arg-type]
        eval_every=16, checkpoint_every=8, resume=resume == "resume",
    )  # fmt: skip
    run = RunFolder.open(Path(folder)) if options.resume else RunFolder.create(Path(folder))
    if os.environ.get("SPLAT_TEST_ENGINE") == "reference":
        trainer.choose_engine = evaluate.choose_engine = lambda: Engine("reference")
    trainer.fit(synthetic_capture(views=8, size=24), run, options, FitHooks(should_stop=killer))


if __name__ == "__main__":
    main()
