"""What is done otherwise on a GPU, acted out on the processor."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from splat.errors import SplatError
from splat.fit.engine import Engine
from splat.fit.filter3d import Filter3D
from splat.fit.scene import TrainedScene
from splat.fit.schedules import FitSchedule
from splat.fit.strategies import make_strategy
from splat.fit.strategies.covariance import chosen, chosen_exactly, restore, seeded
from splat.fit.strategies.mcmc import LEAST_NOISE, Mcmc
from tests.fit.synthetic import ring_camera, true_scene
from tests.fit.test_out_of_memory import begun

CPU, META = torch.device("cpu"), torch.device("meta")


def on_a_gpu(run: Any) -> None:
    """Let the loop believe that its tensors are on a GPU."""
    run.engine = SimpleNamespace(name=run.engine.name, device=SimpleNamespace(type="cuda"))


def test_losses_stay_on_the_device_until_they_are_asked_for() -> None:
    run, plain = begun(), begun()
    on_a_gpu(run)
    for _ in range(7):
        run.step(), plain.step()
    assert all(isinstance(value, torch.Tensor) for value in run._losses)
    assert all(isinstance(value, float) for value in plain._losses)
    assert run.mean_loss() == plain.mean_loss()
    for _ in range(3):
        run.step(), plain.step()
    assert run.mean_loss() == plain.mean_loss()


def test_loss_that_is_not_finite_is_found_when_it_is_read() -> None:
    run = begun()
    on_a_gpu(run)
    run.step()
    loss = run.loss
    run.loss = lambda *args: loss(*args) * torch.nan  # type: ignore[assignment]
    run.step()
    with pytest.raises(SplatError, match="broke down at iteration 2.*loss is not a finite number"):
        run.mean_loss()


@pytest.mark.parametrize("draw", [chosen, chosen_exactly])
def test_rows_are_drawn_in_proportion_to_their_weights(draw: Any) -> None:
    weights = torch.tensor([0.0, 0.5, 0.01, 0.0, 0.3, 0.19, 0.0])
    rows = draw(weights, 200_000, seeded(3, CPU))
    share = torch.bincount(rows, minlength=7) / 200_000
    assert rows.dtype == torch.int64
    assert torch.equal(share == 0, weights == 0) and torch.allclose(share, weights, atol=0.004)
    assert torch.equal(rows, draw(weights, 200_000, seeded(3, CPU)))


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_exact_draws_take_weights_of_any_size(scale: float) -> None:
    rows = chosen_exactly(scale * torch.tensor([1.0, 3.0]), 10_000, seeded(0, CPU))
    assert rows.double().mean() == pytest.approx(0.75, abs=0.02)


def test_many_more_rows_than_multinomial_takes() -> None:
    rows = chosen_exactly(torch.ones(2**24 + 5), 1000, seeded(0, CPU))
    assert 0 <= rows.min() and rows.max() < 2**24 + 5 and rows.unique().numel() > 990


def test_generator_of_another_kind_of_device_is_not_taken_up() -> None:
    generator, other = seeded(5, CPU), seeded(6, CPU)
    restore(generator, other.get_state())
    assert torch.equal(generator.get_state(), other.get_state())
    restore(generator, torch.zeros(16, dtype=torch.uint8))
    assert torch.equal(generator.get_state(), other.get_state())


def test_noise_for_all_rows_is_that_for_the_rows_that_get_any() -> None:
    schedule = FitSchedule(100, 1.1, 0, ((0.0, 1),))
    scenes = [TrainedScene(true_scene(), schedule.rates(0), Engine("reference")) for _ in range(2)]
    for scene in scenes:  # all of them faint enough for noise: then both draw the same numbers
        scene.gaussians.logit_opacities.detach().fill_(-5.0)
    plain, everywhere = (make_strategy("mcmc", 100, 40, 60, 1.1, 0) for _ in range(2))
    assert isinstance(plain, Mcmc) and isinstance(everywhere, Mcmc)
    opacity = torch.sigmoid(scenes[1].gaussians.logit_opacities.detach())
    weight = torch.sigmoid(-100 * (opacity - everywhere.settings.dead))
    assert bool((weight > LEAST_NOISE).all())
    start = scenes[0].gaussians.means.detach().clone()
    plain._add_noise(scenes[0], 1e-4)
    everywhere._add_noise_to_all(scenes[1], 1e-4, weight)
    moved = scenes[0].gaussians.means.detach() - start
    assert float(moved.abs().max()) > 1e-3
    torch.testing.assert_close(scenes[1].gaussians.means.detach() - start, moved, rtol=1e-4, atol=1e-6)
    before = scenes[1].gaussians.means.detach().clone()
    everywhere._add_noise_to_all(scenes[1], 1e-4, torch.full_like(weight, 0.5 * LEAST_NOISE))
    assert torch.equal(scenes[1].gaussians.means.detach(), before)


def test_what_is_made_beside_the_scene_is_on_its_device() -> None:
    """With tensors that have no values: an operation across devices raises."""
    scene = true_scene().to(META)
    strategy: Any = make_strategy("adc", 100, 40, 60, 1.1, 0)
    strategy._device = META
    strategy._restart(40)
    assert strategy._gradient.device == META
    camera = ring_camera(0.3)
    assert strategy._half_size(camera, scene.means).device == META
    rates = FitSchedule(100, 1.1, 0, ((0.0, 1),)).rates(0)
    trained = TrainedScene(true_scene(), rates, Engine("reference", META))
    assert {t.device for t in trained.gaussians.parameters().values()} == {META}
    assert {m.exp_avg.device for m in trained.adam.moments.values()} == {META}
    trained.keep(torch.arange(7, device=META), trained.rows(torch.arange(3, device=META)))
    assert len(trained) == 10
    assert Filter3D([camera], META).sigma.device == META


def test_checkpoint_of_a_device_is_on_the_processor(tmp_path: Any) -> None:
    from splat.fit import checkpoint

    run = begun()
    for _ in range(3):
        run.step()
    checkpoint.save(tmp_path, 3, {"optimisation": run.state_dict()})
    loaded = checkpoint.load_last(tmp_path).state["optimisation"]
    again = begun()
    again.load_state_dict(loaded)
    run.step(), again.step()
    for name, value in run.scene.gaussians.parameters().items():
        assert torch.equal(value, again.scene.gaussians.parameters()[name]), name


@pytest.mark.parametrize("strategy", ["adc", "mcmc"])
def test_colours_may_wait_through_densification_and_a_checkpoint(strategy: str) -> None:
    """Gradients added up meanwhile go with their rows, and a resumed run goes on to the same bits."""
    options = {"strategy": strategy, "sh_every": 3, "iterations": 80, "budget": 100}
    run, again = begun(**options), begun(**options)
    first = run.scene.gaussians.sh.detach().clone()
    run.step(), run.step()
    assert torch.equal(run.scene.gaussians.sh.detach(), first)
    run.step()
    assert not torch.equal(run.scene.gaussians.sh.detach(), first)
    for _ in range(37):
        run.step()
    again.load_state_dict(run.state_dict())
    for _ in range(10):
        run.step(), again.step()
    assert len(run.scene) > len(first)
    for name, value in run.scene.gaussians.parameters().items():
        assert torch.equal(value, again.scene.gaussians.parameters()[name]), name
