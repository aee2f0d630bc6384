"""The run's log: one JSON object a line, appended as things happen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from splat.errors import SplatError


class RunLog:
    """Appends events to ``log.jsonl``, flushed line by line.

    Args:
        path: the file.
        position: bytes to keep, as a checkpoint recorded it; what lies after is of steps that will
            be done again. 0 starts anew.

    Raises:
        SplatError: the file cannot be written.
    """

    def __init__(self, path: Path, position: int = 0) -> None:
        self.path = path
        try:
            path.touch(exist_ok=True)
            self._file = path.open("r+b")
            size = self._file.seek(0, 2)
            self._file.truncate(min(position, size))
            self._file.seek(0, 2)
        except OSError as error:
            raise SplatError(f"{path} cannot be written ({error.strerror})") from error

    def write(self, event: str, **values: Any) -> None:
        """Append one line ``{"event": event, ...values}``.

        Raises:
            SplatError: the disk is full or went away.
        """
        line = json.dumps({"event": event, **values}, ensure_ascii=False, allow_nan=False)
        try:
            self._file.write(line.encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise SplatError(
                f"{self.path} cannot be written ({error.strerror})",
                advice="Free some disk space and continue with --resume",
            ) from error

    @property
    def position(self) -> int:
        """Bytes written so far."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file; no event may follow."""
        self._file.close()
