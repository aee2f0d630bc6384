"""The run folder: one place for everything that a fit leaves behind."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

from splat.errors import SplatError
from splat.fit.checkpoint import numbered
from splat.io.atomic import write_error


class RunFolder:
    """Names of the files of a run, and the way to write them.

    A run folder is made to be read by a person: JSON for settings and scores, a PLY for the scene,
    one HTML report. Everything is written to a temporary name and renamed, so that a file that
    exists is whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.splat = self.path / "splat.ply"
        self.metrics = self.path / "metrics.json"
        self.per_view = self.path / "per_view.json"
        self.cameras = self.path / "cameras.json"
        self.log = self.path / "log.jsonl"
        self.report = self.path / "report.html"
        self.checkpoints = self.path / "checkpoints"
        self.renders = self.path / "renders"
        self.sfm = self.path / "sfm"

    @classmethod
    def create(cls, path: Path, overwrite: bool = False) -> RunFolder:
        """Make the folder and check that it can be written to.

        Args:
            path: the folder; parents are made.
            overwrite: accept a folder that holds a finished or broken run. What it left stays until
                ``clear``, so that a new run that cannot even begin costs nothing.

        Raises:
            SplatError: the folder holds a run already, is not a folder, or cannot be written to.
        """
        run = cls(path)
        if run.path.exists() and not run.path.is_dir():
            raise SplatError(f"{path} is a file", expected="a folder for the run")
        if run.holds_training() and not overwrite:
            raise SplatError(
                f"{path} already holds a run",
                advice="Choose another folder, continue it with --resume, or replace it with --overwrite",
            )
        try:
            run.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(run.path, error) from error
        run.probe()
        return run

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """A folder that a run left behind.

        Raises:
            SplatError: there is no such folder, or it holds no run.
        """
        run = cls(path)
        if not run.path.is_dir():
            raise SplatError(f"{path} is not a folder", expected="a run folder made by `splat fit`")
        if not (run.config.exists() or run.splat.exists() or run.holds_training()):
            raise SplatError(f"{path} holds no run", expected="a folder with config.json and splat.ply")
        return run

    def holds_training(self) -> bool:
        """True when training has left something here that must not be lost unasked."""
        return self.splat.exists() or self.metrics.exists() or self.holds_checkpoint()

    def holds_checkpoint(self) -> bool:
        """True when there is a checkpoint to resume from (whole or not)."""
        return bool(numbered(self.checkpoints))

    def clear(self) -> None:
        """Remove what an earlier run left; its structure-from-motion cache stays.

        Raises:
            SplatError: a file cannot be removed.
        """
        import shutil

        try:
            for folder in (self.checkpoints, self.renders):
                if folder.exists():
                    shutil.rmtree(folder)
            for file in (self.splat, self.metrics, self.per_view, self.cameras, self.log, self.report):
                file.unlink(missing_ok=True)
        except OSError as error:
            raise write_error(self.path, error) from error

    def probe(self) -> None:
        """Write and remove a small file.

        Raises:
            SplatError: the folder is read-only, or the disk is full.
        """
        probe = self.path / f".probe-{uuid.uuid4().hex}"
        try:
            try:
                _write_durably(probe, b"splat" * 1024)
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            raise write_error(self.path, error) from error

    def write_json(self, path: Path, value: object) -> None:
        """Write ``value`` as JSON, whole or not at all.

        Raises:
            SplatError: the file cannot be written.
        """
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
        try:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                _write_durably(temporary, text.encode())
                os.replace(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise write_error(path, error) from error

    def read_json(self, path: Path) -> dict[str, Any]:
        """Read a JSON file of the run; each of them is an object.

        Raises:
            SplatError: the file is missing or is no JSON object.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(content, dict):
                raise ValueError(f"a {type(content).__name__} where an object should be")
            return content
        except FileNotFoundError as error:
            raise SplatError(f"{path} is missing", advice="Was the run finished?") from error
        except (OSError, ValueError) as error:
            raise SplatError(
                f"{path} cannot be read as JSON ({error})",
                expected="the file as `splat fit` wrote it",
                advice="Put it back if you have a copy, or train again with --overwrite",
            ) from error


def trained_background(path: Path) -> tuple[float, float, float]:
    """RGB 0 to 1 that transparent photos of a run were composited onto; black if there were none.

    Args:
        path: a run folder, or a file in one.
    """
    file = RunFolder(path if path.is_dir() else path.parent).config
    try:
        red, green, blue = json.loads(file.read_text(encoding="utf-8"))["background"]
        return float(red), float(green), float(blue)
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0, 0.0, 0.0


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
