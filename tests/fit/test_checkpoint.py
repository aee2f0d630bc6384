from __future__ import annotations

from pathlib import Path

import pytest
import torch

from splat.errors import SplatError
from splat.fit import checkpoint


def state(value: float) -> dict[str, object]:
    return {
        "scene": {"means": torch.full((3, 2), value), "adam": {"step": 7, "empty": torch.zeros(0, 4)}},
        "generator": torch.Generator().manual_seed(1).get_state(),
        "notes": ["a", "b"],
        "value": value,
    }


def test_round_trip_keeps_types_and_bits(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 12, state(1 / 3))
    loaded = checkpoint.load_last(tmp_path)
    assert loaded.iteration == 12 and loaded.note is None
    assert torch.equal(loaded.state["scene"]["means"], torch.full((3, 2), 1 / 3))
    assert loaded.state["scene"]["adam"]["empty"].shape == (0, 4)
    assert loaded.state["generator"].dtype == torch.uint8
    assert loaded.state["notes"] == ["a", "b"] and loaded.state["value"] == 1 / 3


def test_last_two_are_kept(tmp_path: Path) -> None:
    for iteration in (5, 10, 100, 20000000):
        checkpoint.save(tmp_path, iteration, state(iteration))
    assert [int(path.name) for path in checkpoint.numbered(tmp_path)] == [100, 20000000]


@pytest.mark.parametrize("damage", ["truncate", "flip", "json", "missing", "empty"])
def test_damaged_checkpoint_is_passed_over_with_a_note(tmp_path: Path, damage: str) -> None:
    checkpoint.save(tmp_path, 10, state(1.0))
    last = checkpoint.save(tmp_path, 20, state(2.0))
    tensors = last / checkpoint.TENSORS
    if damage == "truncate":
        tensors.write_bytes(tensors.read_bytes()[:-5])
    elif damage == "flip":
        data = bytearray(tensors.read_bytes())
        data[-3] ^= 1
        tensors.write_bytes(bytes(data))
    elif damage == "json":
        (last / checkpoint.STATE).write_text("{")
    elif damage == "missing":
        (last / checkpoint.SUMS).unlink()
    else:
        (last / checkpoint.SUMS).write_text("{}")
    loaded = checkpoint.load_last(tmp_path)
    assert loaded.iteration == 10 and loaded.state["value"] == 1.0
    assert loaded.note is not None and "0000020" in loaded.note and "from 10" in loaded.note


def test_no_usable_checkpoint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SplatError, match="holds no checkpoint"):
        checkpoint.load_last(tmp_path)
    (checkpoint.save(tmp_path, 1, state(0.0)) / checkpoint.TENSORS).write_bytes(b"")
    with pytest.raises(SplatError, match="every checkpoint .* is damaged"):
        checkpoint.load_last(tmp_path)


def test_full_disk_keeps_the_last_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path, 1, state(1.0))

    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[:4])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "_write", full)
    with pytest.raises(SplatError, match="No space left on device"):
        checkpoint.save(tmp_path, 2, state(2.0))
    assert checkpoint.load_last(tmp_path).iteration == 1
    assert [path.name for path in tmp_path.iterdir()] == ["0000001"]
