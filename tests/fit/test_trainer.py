"""Whole fits of a tiny capture: quality, files, limits and what goes wrong."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from splat.capture.types import Capture
from splat.errors import SplatError
from splat.fit import checkpoint, room, trainer
from splat.fit.engine import Engine
from splat.fit.options import FitOptions
from splat.fit.progress import FitHooks, FitResult, Progress
from splat.fit.run import RunFolder
from splat.fit.scene import TrainedScene
from splat.fit.trainer import fit
from splat.gaussians import Gaussians
from splat.io.ply import read_ply
from tests.fit.synthetic import synthetic_capture

CAPTURE = synthetic_capture()


def train(
    folder: Path, capture: Capture = CAPTURE, hooks: FitHooks | None = None, **options: Any
) -> FitResult:
    values = {"iterations": 30, "budget": 120, "threads": 1, "sh_degree": 1, **options}
    return fit(capture, RunFolder.create(folder), FitOptions(**values), hooks)


@pytest.mark.parametrize(("strategy", "iterations", "least"), [("adc", 800, 29.3), ("mcmc", 400, 32.0)])
def test_it_learns_what_only_a_working_optimiser_can(
    tmp_path: Path, strategy: str, iterations: int, least: float
) -> None:
    """Held-out views; seen: adc 31.1 dB (28.7 to 31.1 by seed), mcmc 34.7 (29.7 with a group frozen)."""
    result = train(tmp_path, iterations=iterations, strategy=strategy, eval_every=0, seed=1)
    assert result.psnr is not None and result.psnr > least
    assert len(result.gaussians) <= 120
    assert result.ending == "finished"


@pytest.mark.parametrize("group", ["means", "quats", "log_scales", "logit_opacities", "sh0"])
def test_quality_gate_notices_a_group_that_does_not_learn(
    tmp_path: Path, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = trainer.make_schedule

    class Frozen:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def rates(self, iteration: int) -> dict[str, float]:
            return {**self.inner.rates(iteration), group: 0.0}

    monkeypatch.setattr(trainer, "make_schedule", lambda *args: Frozen(make(*args)))
    result = train(tmp_path, iterations=400, strategy="mcmc", eval_every=0)
    assert result.psnr is not None and result.psnr < 32.0


def test_transparent_photos_without_points_are_learned(tmp_path: Path) -> None:
    capture = synthetic_capture(transparent=True, points=False, spread=0.4)
    result = train(tmp_path, capture, iterations=300, budget=800)
    assert result.psnr is not None and result.psnr > 26.0
    assert any("random points around" in note for note in result.notes)


def test_a_random_background_needs_transparency_and_works_with_it(tmp_path: Path) -> None:
    with pytest.raises(SplatError, match="--random-background was given, but the photos are opaque"):
        train(tmp_path / "a", random_background=True)
    capture = synthetic_capture(transparent=True)
    result = train(tmp_path / "b", capture, random_background=True, iterations=200)
    assert result.psnr is not None and result.psnr > 20.0


def test_files_of_a_run(tmp_path: Path) -> None:
    result = train(tmp_path, eval_every=10, checkpoint_every=10)
    run = RunFolder.open(tmp_path)
    metrics = run.read_json(run.metrics)
    assert metrics["psnr"] == result.psnr and metrics["iterations"] == 30
    assert metrics["gaussians"] == len(read_ply(run.splat)) == len(result.gaussians)
    assert metrics["lpips"] is None and "weights" in metrics["lpips_reason"]
    assert (metrics["width"], metrics["height"], metrics["registered"]) == (32, 32, 12)
    assert metrics["seconds_training"] > 0 and metrics["peak_memory_gib"] > 0.05
    views = run.read_json(run.per_view)
    assert sorted(views) == ["view 00.png", "view 04.png", "view 08.png"]
    assert sum(view["psnr"] for view in views.values()) / 3 == pytest.approx(result.psnr)
    assert sorted(path.name for path in run.renders.iterdir())[0] == "view 00.png.error.png"
    events = [json.loads(line) for line in run.log.read_text().splitlines()]
    scored = [event["iteration"] for event in events if event["event"] == "eval"]
    assert scored == [10, 20, 30]
    assert [event["iteration"] for event in events if event["event"] == "checkpoint"] == [0, 10, 20, 30]
    config = run.read_json(run.config)
    assert config["fit"]["budget"] == 120 and config["plan"]["iterations"] == 30
    assert len(run.read_json(run.cameras)["views"]) == 12
    scene = read_ply(run.splat)
    assert torch.allclose(scene.means, result.gaussians.means.float(), atol=1e-6)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(tmp_path: Path) -> None:
    first, second, other = (
        train(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert torch.equal(first.gaussians.means, second.gaussians.means)
    assert torch.equal(first.gaussians.sh, second.gaussians.sh)
    assert not torch.equal(first.gaussians.means[:40], other.gaussians.means[:40])


def test_hooks_are_told_and_can_stop(tmp_path: Path) -> None:
    told: list[Progress] = []
    shown: list[int] = []
    asked = iter(range(1000))
    hooks = FitHooks(
        on_progress=told.append,
        on_scene=lambda gaussians, iteration: shown.append(len(gaussians)),
        should_stop=lambda: next(asked) == 12,
    )
    result = train(tmp_path, hooks=hooks)
    assert (result.ending, result.iterations) == ("stopped", 12)
    assert {progress.phase for progress in told} >= {"loading", "training", "writing", "evaluating"}
    assert told[-1].iteration == 12 and told[-1].iterations == 30 and shown
    assert (tmp_path / "splat.ply").exists()
    assert checkpoint.load_last(tmp_path / "checkpoints").iteration == 12


def test_max_seconds_stops_cleanly(tmp_path: Path) -> None:
    result = train(tmp_path, iterations=None, max_seconds=0.5)
    assert result.iterations >= 1 and (tmp_path / "splat.ply").exists()
    assert result.ending in ("finished", "time limit")
    plan = json.loads((tmp_path / "config.json").read_text())["plan"]
    assert 50 <= plan["iterations"] <= 30_000


def test_a_capture_without_held_out_photos_has_no_scores(tmp_path: Path) -> None:
    result = train(tmp_path, replace(CAPTURE, train=list(range(12)), test=[]))
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert result.psnr is None and metrics["psnr"] is None and metrics["ssim"] is None


def test_nothing_to_train_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SplatError, match="no photos to train on"):
        train(tmp_path, replace(CAPTURE, train=[], test=list(range(12))))


def test_a_parameter_that_is_not_a_number_stops_with_iteration_and_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = TrainedScene.step

    def poisoned(self: TrainedScene, rates: dict[str, float]) -> None:
        step(self, rates)
        poisoned.calls += 1  # type: ignore[attr-defined]
        if poisoned.calls == 14:  # type: ignore[attr-defined]
            self.gaussians.sh.detach()[0, 0] = math.nan

    poisoned.calls = 0  # type: ignore[attr-defined]
    monkeypatch.setattr(TrainedScene, "step", poisoned)
    with pytest.raises(SplatError, match=r"iteration \d+ on photo view \d\d.png.*checkpoint is kept"):
        train(tmp_path, checkpoint_every=10, iterations=60)
    kept = checkpoint.load_last(tmp_path / "checkpoints")
    assert kept.iteration == 10
    assert torch.isfinite(kept.state["optimisation"]["scene"]["parameters"]["sh"]).all()


def test_a_disk_that_fills_up_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = checkpoint._write

    def full(path: Path, data: bytes) -> None:
        if "0000020" in str(path):
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(checkpoint, "_write", full)
    with pytest.raises(SplatError, match="No space left on device.*--resume"):
        train(tmp_path, checkpoint_every=10)
    assert checkpoint.load_last(tmp_path / "checkpoints").iteration == 10


def test_an_earlier_run_stays_until_the_new_one_can_begin(tmp_path: Path) -> None:
    train(tmp_path)
    run = RunFolder.create(tmp_path, overwrite=True)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(SplatError, match="GiB of memory"):
        fit(CAPTURE, run, FitOptions(max_memory=0.001), about={"source": "new"})
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    options = FitOptions(iterations=10, budget=120, threads=1, sh_degree=0)
    fit(CAPTURE, run, options, about={"source": "new"})
    assert run.read_json(run.config)["source"] == "new"
    assert [path.name for path in checkpoint.numbered(run.checkpoints)] == ["0000000", "0000010"]


def test_too_little_disk_is_said_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(SplatError, match="GB free.*lower --budget"):
        train(tmp_path)
    assert not list(checkpoint.numbered(tmp_path / "checkpoints"))


def test_resuming_with_other_photos_is_refused(tmp_path: Path) -> None:
    train(tmp_path)
    options = FitOptions(resume=True)
    with pytest.raises(SplatError, match="not those that this run was begun with"):
        fit(synthetic_capture(views=8), RunFolder.open(tmp_path), options)


def test_resuming_a_finished_run_writes_the_same_result(tmp_path: Path) -> None:
    first = train(tmp_path)
    os.remove(tmp_path / "splat.ply")
    again = fit(CAPTURE, RunFolder.open(tmp_path), FitOptions(resume=True))
    assert torch.equal(first.gaussians.means, again.gaussians.means) and again.psnr == first.psnr
    assert (tmp_path / "splat.ply").exists()


def test_plain_pytorch_does_the_same_as_the_native_core(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = synthetic_capture(views=4, size=16)
    fast = train(tmp_path / "native", small, iterations=12)
    monkeypatch.setattr(trainer, "choose_engine", lambda: Engine("reference"))
    slow = train(tmp_path / "reference", small, iterations=12)
    assert any("plain PyTorch" in note for note in slow.notes)
    assert fast.psnr == pytest.approx(slow.psnr, abs=0.2)
    assert_close(fast.gaussians, slow.gaussians)


def assert_close(a: Gaussians, b: Gaussians) -> None:
    """Nearly all, nearly: Adam turns the rounding of a vanishing gradient into a full step.

    Rotations are left out: those of round Gaussians have no gradient but rounding.
    """
    assert len(a) == len(b)
    for name in ("means", "log_scales", "logit_opacities", "sh"):
        same = torch.isclose(getattr(a, name), getattr(b, name), atol=5e-3, rtol=1e-2).double().mean()
        assert same > 0.8, (name, float(same))
