"""A process of its own for pycolmap, and how it speaks with us.

The solver does not return to Python for minutes and writes to the terminal as it likes; in its own
process it can be stopped at once and its words go to a log file. A worker module is run as
``python -m MODULE WORK``, reads WORK/job.json and speaks to us on stdout: "SAY text" lines, then
"DONE json". What libraries print there goes to stderr, that is, to the log.
"""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from splat.errors import SplatError
from splat.io.atomic import write_error

Say = Callable[[str], None]

_LEAST_FREE = 4 << 20
"""Bytes; a solver that broke down with less free broke down for that."""


class BrokeDown(SplatError):
    """A worker ended without a result."""


def run_worker(
    module: str, job: dict[str, Any], work: Path, log: Path, say: Say, what: str
) -> dict[str, Any]:
    """Start a worker in ``work`` and wait for its result.

    Args:
        module: dotted name of the worker.
        job: goes to ``work / "job.json"``.
        work: scratch folder.
        log: file for the worker's stderr.
        say: receives its lines for a person.
        what: what it does, for the message if it breaks down: "The search for the cameras".

    Raises:
        BrokeDown: it ended without a result.
        SplatError: so it did, because the disk is full.
    """
    (work / "job.json").write_text(json.dumps(job), encoding="utf-8")
    command = [sys.executable, "-m", module, str(work)]
    with open(log, "w", encoding="utf-8") as words:
        # Its own session: Ctrl-C reaches us alone, and we stop it. Its stdin ends when we do.
        worker = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        try:
            result = _listen(worker, say)
            code = worker.wait()
        finally:
            worker.kill()
            worker.communicate()
    if result is None:
        if shutil.disk_usage(work).free < _LEAST_FREE:
            raise write_error(work, OSError(errno.ENOSPC, "No space left on device"))
        raise BrokeDown(
            f"{what} broke down (exit code {code}; {_last_words(log)})",
            advice=f"Look into {log}; if memory ran out, use fewer or smaller photos",
        )
    return result


def _listen(worker: subprocess.Popen[str], say: Say) -> dict[str, Any] | None:
    result = None
    assert worker.stdout is not None
    for line in worker.stdout:
        kind, _, text = line.rstrip("\n").partition(" ")
        if kind == "SAY":
            say(text)
        elif kind == "DONE":
            result = json.loads(text)
    return result


def _last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"
