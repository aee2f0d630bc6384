"""Checkpoints: a folder with tensors (safetensors), state (JSON) and checksums; no pickle.

A checkpoint is written beside its name, flushed to disk, and renamed: a folder with a number as its
name is whole unless the disk broke it, and that the checksums tell.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from splat.errors import SplatError

VERSION = 1
TENSORS, STATE, SUMS = "tensors.safetensors", "state.json", "checksums.json"
KEPT = 2


@dataclass(frozen=True)
class Loaded:
    """A checkpoint that was read.

    Attributes:
        iteration: steps done.
        state: the nested state that was saved.
        note: a sentence if a later checkpoint had to be passed over, else None.
    """

    iteration: int
    state: dict[str, Any]
    note: str | None


def save(folder: Path, iteration: int, state: dict[str, Any]) -> Path:
    """Write a checkpoint and remove all but the last two.

    Args:
        folder: the run's checkpoints.
        iteration: steps done; the checkpoint's name.
        state: nested dicts of tensors and of what JSON can hold.

    Raises:
        SplatError: it cannot be written; earlier checkpoints are untouched.
    """
    from safetensors.torch import save as to_bytes

    tensors, rest = _split(state)
    target, temporary = folder / f"{iteration:07d}", folder / f".writing-{iteration:07d}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        parts = {
            TENSORS: to_bytes({name: value.contiguous() for name, value in tensors.items()}),
            STATE: json.dumps({"version": VERSION, "iteration": iteration, "state": rest}, indent=1).encode(),
        }
        parts[SUMS] = json.dumps({name: _digest(data) for name, data in parts.items()}).encode()
        for name, data in parts.items():
            _write(temporary / name, data)
        _sync_folder(temporary)
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
        _sync_folder(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise SplatError(
            f"checkpoint {iteration} cannot be written to {folder} ({error.strerror or error})",
            advice="Free some disk space and continue from the last checkpoint with --resume",
        ) from error
    for old in numbered(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def load_last(folder: Path) -> Loaded:
    """Read the newest checkpoint that is whole.

    Raises:
        SplatError: there is none.
    """
    passed: list[str] = []
    for path in reversed(numbered(folder)):
        try:
            iteration, state = _read(path)
        except (OSError, ValueError, KeyError) as error:
            passed.append(f"{path.name} ({error})")
            continue
        note = None
        if passed:
            note = f"damaged checkpoint {', '.join(passed)} passed over; going on from {iteration}"
        return Loaded(iteration, state, note)
    if passed:
        raise SplatError(
            f"every checkpoint in {folder} is damaged: {', '.join(passed)}",
            advice="Train again with --overwrite",
        )
    raise SplatError(
        f"{folder} holds no checkpoint: nothing was trained yet",
        advice="Give the same command without --resume; cameras that were found are used again",
    )


def numbered(folder: Path) -> list[Path]:
    """Finished checkpoints, oldest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def _read(path: Path) -> tuple[int, dict[str, Any]]:
    """Read one checkpoint.

    Raises:
        ValueError, KeyError, OSError: it is not whole.
    """
    from safetensors.torch import load as from_bytes

    sums = json.loads((path / SUMS).read_text())
    data = {name: (path / name).read_bytes() for name in (TENSORS, STATE)}
    for name, content in data.items():
        if _digest(content) != sums[name]:
            raise ValueError(f"{name} does not match its checksum")
    head = json.loads(data[STATE])
    if head["version"] != VERSION:
        raise ValueError(f"version {head['version']}, this program reads {VERSION}")
    return int(head["iteration"]), _join(from_bytes(data[TENSORS]), head["state"])


def _split(state: dict[str, Any], prefix: str = "") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by path, and the same nesting without them."""
    tensors: dict[str, Tensor] = {}
    rest: dict[str, Any] = {}
    for name, value in state.items():
        if "/" in name:
            raise ValueError(f"state name {name!r} holds a slash")
        if isinstance(value, Tensor):
            tensors[prefix + name] = value.detach().cpu()
        elif isinstance(value, dict):
            inner, rest[name] = _split(value, f"{prefix}{name}/")
            tensors.update(inner)
        else:
            rest[name] = value
    return tensors, rest


def _join(tensors: dict[str, Tensor], rest: dict[str, Any]) -> dict[str, Any]:
    """The inverse of ``_split``."""
    for path, value in tensors.items():
        *parents, name = path.split("/")
        inner = rest
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[name] = value.clone(memory_format=torch.contiguous_format)
    return rest


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    """Flush a folder's entries, where the system can."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
