from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from splat.errors import SplatError
from splat.fit.log import RunLog
from splat.fit.run import RunFolder


def test_a_folder_with_a_run_is_refused_unless_overwritten(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "deep" / "run")
    run.write_json(run.metrics, {"psnr": 1.0})
    (run.checkpoints / "0000001").mkdir(parents=True)
    (run.sfm).mkdir()
    with pytest.raises(SplatError, match="already holds a run.*--resume.*--overwrite"):
        RunFolder.create(run.path)
    again = RunFolder.create(run.path, overwrite=True)
    assert again.metrics.exists() and again.holds_checkpoint(), "a run that cannot begin must cost nothing"
    again.clear()
    assert not again.metrics.exists() and not again.checkpoints.exists()
    assert again.sfm.exists(), "structure from motion takes long and stays"


def test_a_folder_where_nothing_was_trained_can_be_used(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path)
    run.write_json(run.config, {})
    run.sfm.mkdir()
    run.log.write_text("")
    (run.checkpoints / ".writing-0000000").mkdir(parents=True)  # killed during the very first checkpoint
    assert RunFolder.create(tmp_path).read_json(run.config) == {}


def test_a_file_or_an_empty_folder_is_no_run(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(SplatError, match="is a file"):
        RunFolder.create(file)
    with pytest.raises(SplatError, match="holds no run"):
        RunFolder.open(tmp_path)
    with pytest.raises(SplatError, match="is not a folder"):
        RunFolder.open(tmp_path / "missing")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_clear_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SplatError, match="cannot be written"):
        RunFolder.create(tmp_path)
    tmp_path.chmod(0o700)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder.create(tmp_path)
    run.write_json(run.metrics, {"psnr": 1})

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SplatError, match="disk is full"):
        run.write_json(run.metrics, {"psnr": 2})
    with pytest.raises(SplatError, match="disk is full"):
        run.probe()
    assert run.read_json(run.metrics) == {"psnr": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_broken_json_is_named(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path)
    run.config.write_text("{")
    with pytest.raises(SplatError, match="config.json cannot be read as JSON"):
        run.read_json(run.config)
    run.config.write_text("[1]")
    with pytest.raises(SplatError, match=r"config.json cannot be read as JSON \(a list where an object"):
        run.read_json(run.config)
    with pytest.raises(SplatError, match="metrics.json is missing"):
        run.read_json(run.metrics)


def test_log_is_cut_to_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = RunLog(path)
    log.write("train", iteration=1)
    position = log.position
    log.write("train", iteration=2, text="naïve")
    log.close()
    again = RunLog(path, position)
    again.write("train", iteration=3)
    again.close()
    assert [json.loads(line)["iteration"] for line in path.read_text().splitlines()] == [1, 3]
