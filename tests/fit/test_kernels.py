"""Fits with a learned exponent, other pixel filters, the 3D filter and the frequency-modulated loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from splat.capture.types import Capture
from splat.errors import SplatError
from splat.fit import checkpoint, evaluate, trainer
from splat.fit.engine import Engine
from splat.fit.filter3d import filtered
from splat.fit.initialise import with_kernel
from splat.fit.machine import Machine
from splat.fit.memory import bytes_per_gaussian
from splat.fit.metrics import to_original
from splat.fit.options import FitOptions
from splat.fit.presets import plan_fit
from splat.fit.progress import FitHooks, FitResult
from splat.fit.run import RunFolder
from splat.fit.scene import TrainedScene, from_parameters
from splat.fit.schedules import FitSchedule
from splat.fit.strategies import Adc, AdcSettings, Growth, Mcmc, McmcSettings
from splat.gaussians import Gaussians, shape_from_betas
from splat.io.ply import read_ply
from tests.fit import synthetic
from tests.fit.synthetic import ring_camera, synthetic_capture, true_scene
from tests.fit.test_strategies import rendered_with

RATES = FitSchedule(100, 1.1, 0, ((0.0, 1),)).rates(0)


@pytest.fixture(autouse=True)
def plain_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference draws every kernel with every filter."""
    for module in (trainer, evaluate):
        monkeypatch.setattr(module, "choose_engine", lambda: Engine("reference"))


@pytest.fixture
def edges(monkeypatch: pytest.MonkeyPatch) -> Capture:
    """Photos of eight splats with exponent 6."""
    scene = replace(true_scene(8), kernel="gef", shape=shape_from_betas(torch.full((8,), 6.0)))
    monkeypatch.setattr(synthetic, "true_scene", lambda **_: scene)
    return synthetic_capture(views=5, size=16)


def train(
    folder: Path, capture: Capture, steps: int | None = None, resume: bool = False, **options: Any
) -> FitResult:
    """Fit; with ``steps``, stop after so many."""
    asked = iter(range(10_000))
    hooks = FitHooks(should_stop=lambda: next(asked) == steps)
    values = {"iterations": 16, "budget": 12, "threads": 1, "sh_degree": 0, "eval_every": 0, **options}
    run = RunFolder.open(folder) if resume else RunFolder.create(folder)
    return trainer.fit(capture, run, FitOptions(**values, resume=resume), hooks)


def gef(count: int) -> Gaussians:
    """Random splats with exponents from 1.5 to 7."""
    return replace(true_scene(count), kernel="gef", shape=shape_from_betas(torch.linspace(1.5, 7, count)))


def test_exponents_are_learned_and_written_down(tmp_path: Path, edges: Capture) -> None:
    result = train(
        tmp_path, edges, kernel="gef", antialias="moment", shape_rate=0.02, iterations=30, budget=8
    )
    assert float(result.gaussians.betas.median()) > 2.15, "towards the 6 of the photos"
    run = RunFolder.open(tmp_path)
    metrics, config = run.read_json(run.metrics), run.read_json(run.config)
    assert (metrics["kernel"], metrics["antialias"]) == ("gef", "moment")
    assert metrics["betas"][1] == pytest.approx(float(result.gaussians.betas.quantile(0.5)))
    assert (config["plan"]["kernel"], config["plan"]["shape_rate"]) == ("gef", 0.02)
    written = read_ply(run.splat)
    assert (written.kernel, written.antialias) == ("gef", "moment")
    assert torch.allclose(written.betas, result.gaussians.betas, atol=1e-4)


def test_a_shape_that_is_not_trained_stays_a_gaussian(tmp_path: Path, edges: Capture) -> None:
    result = train(tmp_path, edges, kernel="gef", antialias="none", shape_rate=1e-30, iterations=5, budget=8)
    assert torch.allclose(result.gaussians.betas, torch.tensor(2.0), atol=1e-5)


@pytest.mark.parametrize("strategy", ["adc", "mcmc"])
def test_resumed_run_ends_with_the_same_bits(tmp_path: Path, edges: Capture, strategy: str) -> None:
    options: dict[str, Any] = {
        "strategy": strategy,
        "kernel": "gef",
        "antialias": "exact",
        "filter3d": True,
        "frequency_weight": 0.5,
        "checkpoint_every": 0,
    }
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(whole, edges, **options)
    assert train(broken, edges, steps=7, **options).ending == "stopped"
    train(broken, edges, resume=True, **options)
    states = []
    for folder in (whole, broken):
        loaded = checkpoint.load_last(folder / "checkpoints")
        assert loaded.iteration == 16
        states.append(checkpoint._split(loaded.state)[0])
    assert states[0].keys() == states[1].keys()
    assert "optimisation/scene/parameters/shape" in states[0] and "optimisation/filter/sigma" in states[0]
    assert [name for name in states[0] if not torch.equal(states[0][name], states[1][name])] == []
    assert (whole / "splat.ply").read_bytes() == (broken / "splat.ply").read_bytes()
    with pytest.raises(SplatError, match="--antialias none was given, but the run was begun with exact"):
        train(broken, edges, resume=True, antialias="none")


def test_what_is_written_is_after_the_3d_filter(tmp_path: Path, edges: Capture) -> None:
    result = train(tmp_path, edges, filter3d=True, iterations=6)
    state = checkpoint.load_last(tmp_path / "checkpoints").state["optimisation"]
    raw = from_parameters(state["scene"]["parameters"], "mip")
    sigma = state["filter"]["sigma"]
    assert sigma.shape == (len(raw),) and torch.all(sigma > 0)
    baked = to_original(filtered(raw, sigma), edges)
    assert torch.equal(result.gaussians.log_scales, baked.log_scales)
    written = read_ply(tmp_path / "splat.ply")
    assert torch.allclose(written.log_scales, baked.log_scales)
    assert torch.allclose(written.logit_opacities, baked.logit_opacities)
    assert not torch.allclose(baked.logit_opacities, raw.logit_opacities, atol=1e-3)


def test_frequency_loss_changes_the_training(tmp_path: Path, edges: Capture) -> None:
    plain = train(tmp_path / "a", edges, iterations=4)
    other = train(tmp_path / "b", edges, iterations=4, frequency_weight=0.5)
    assert not torch.equal(plain.gaussians.sh, other.gaussians.sh)


def test_what_does_not_go_together_is_refused() -> None:
    capture, machine = synthetic_capture(views=4), Machine(2, 8.0)
    with pytest.raises(SplatError, match="--antialias analytic.*the kernel is gef.*--antialias moment"):
        plan_fit(FitOptions(kernel="gef", antialias="analytic"), capture, machine, 0.5)
    with pytest.raises(SplatError, match="--shape-rate.*no edge sharpness.*--kernel gef"):
        plan_fit(FitOptions(shape_rate=0.1), capture, machine, 0.5)
    made, _ = plan_fit(FitOptions(kernel="gef", antialias="exact", budget=77), capture, machine, 0.5)
    assert (made.kernel, made.antialias, made.budget) == ("gef", "exact", 77)


def test_memory_counts_what_is_trained() -> None:
    assert bytes_per_gaussian(3, "gef") == bytes_per_gaussian(3) + 7 * 4
    assert bytes_per_gaussian(3, "gef", True) > bytes_per_gaussian(3, "gef")


def test_the_first_exponents_are_those_of_gaussians() -> None:
    made = with_kernel(true_scene(5), "gef")
    assert made.kernel == "gef" and torch.allclose(made.betas, torch.tensor(2.0), atol=1e-6)
    assert with_kernel(made, "gaussian").shape is None


def test_drawn_children_and_clones_keep_the_exponent() -> None:
    scene = TrainedScene(gef(10), RATES, Engine("reference"))
    before = scene.gaussians.betas.detach().clone()
    scene.gaussians.log_scales.detach()[:] = -6.0
    scene.gaussians.log_scales.detach()[1] = -2.0
    scene.adam.moments["shape"].exp_avg.fill_(1.0)
    adc = Adc(
        AdcSettings(threshold=1e-3, split="drawn", large=9.0), Growth(10, 20, 1, 100, 5, step=1.0), seed=0
    )
    screen = torch.zeros(10, 4)
    screen[:2, 2] = 1.0
    adc.before_step(scene, rendered_with(screen, torch.ones(10, dtype=torch.bool)), ring_camera(0), 9)
    adc.after_step(scene, RATES, 95)
    expected = torch.cat([before[[0]], before[2:], before[[0]], before[[1, 1]]])
    assert torch.equal(scene.gaussians.betas.detach(), expected)
    assert torch.all(scene.adam.moments["shape"].exp_avg[:9] == 1)
    assert torch.all(scene.adam.moments["shape"].exp_avg[9:] == 0)


def test_relocated_splats_take_the_exponent_of_their_source() -> None:
    start = gef(6)
    start.logit_opacities[:3] = -8.0
    start.logit_opacities[4:] = -5.0
    scene = TrainedScene(start, RATES, Engine("reference"))
    scene.adam.moments["shape"].exp_avg.fill_(1.0)
    mcmc = Mcmc(McmcSettings(noise=0.0), Growth(6, 8, 1, 100, 1, step=1.0), seed=0)
    change = mcmc.after_step(scene, RATES, 99)
    assert change is not None and change.moved == 3 and change.added == 2 and len(scene) == 8
    near = torch.cdist(scene.gaussians.means.detach(), start.means).argmin(1)
    assert torch.equal(scene.gaussians.betas.detach(), start.betas[near])
    assert torch.all(near >= 3)
    assert scene.adam.moments["shape"].exp_avg.shape == (8,)
    assert torch.all(scene.adam.moments["shape"].exp_avg[[0, 1, 2, 6, 7]] == 0)
