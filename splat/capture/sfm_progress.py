"""How far features and matches are, while pycolmap works and says nothing itself."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

SECONDS = 10.0
"""Between two lines."""

_COUNT = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], uri=True, timeout=1.0)
print(store.execute(f"SELECT COUNT(*) FROM {sys.argv[2]}").fetchone()[0])
"""


@contextmanager
def telling(
    database: Path, table: Literal["descriptors", "matches"], say: Callable[[str], None], text: str
) -> Iterator[None]:
    """Say how many rows a database's table has, every few seconds in which it grew.

    Args:
        database: of COLMAP, whose write-ahead log lets others read while it is written.
        table: a row for each photo that has its features, or for each pair that was matched.
        say: receives the lines.
        text: the line, with "{}" for the number.
    """
    done, before = threading.Event(), max(0, _rows(database, table))

    def watch() -> None:
        told = before
        while not done.wait(SECONDS):
            now = _rows(database, table)
            if now > told:
                told = now
                say(text.format(f"{now - before:,}"))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _rows(database: Path, table: str) -> int:
    """Rows of a table; -1 where it cannot be read just now.

    Counted by another process: Python and pycolmap each bring their own SQLite, and two of them in one
    process drop each other's locks on a file, which ends in a crash (sqlite.org/howtocorrupt.html, 2.2.1).
    """
    command = [sys.executable, "-I", "-c", _COUNT, f"{database.resolve().as_uri()}?mode=ro", table]
    try:
        asked = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS + 5
        )
        return int(asked.stdout)
    except (subprocess.TimeoutExpired, OSError, ValueError):
        return -1
