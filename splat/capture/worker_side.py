"""A worker's side of ``worker``; imports nothing heavy, so that the process starts at once."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any


class Channel:
    """The worker's side: stdout kept for the parent; the process ends when its stdin does."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

        def watch() -> None:
            sys.stdin.read()
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()

    def say(self, text: str) -> None:
        """A line for a person."""
        print("SAY", text, file=self._out, flush=True)

    def done(self, result: dict[str, Any]) -> None:
        """What came out."""
        print("DONE", json.dumps(result), file=self._out, flush=True)


def read_job(work: Path) -> dict[str, Any]:
    """What the parent asks for."""
    return json.loads((work / "job.json").read_text(encoding="utf-8"))
