from __future__ import annotations

import math

import pytest
import torch

from splat.fit.engine import Engine
from splat.fit.scene import TrainedScene
from splat.fit.schedules import FitSchedule
from splat.fit.strategies import Growth, Mcmc, McmcSettings, make_strategy
from splat.fit.strategies.adc import Adc, AdcSettings
from splat.fit.strategies.covariance import covariance_times_noise, rotated
from splat.fit.strategies.mcmc import shared_opacity_and_scale
from splat.fit.strategies.splitting import split_in_two
from splat.gaussians import Gaussians
from splat.rasterize import Rendered
from tests.fit.synthetic import ring_camera, true_scene

ENGINE = Engine("reference")
RATES = FitSchedule(100, 1.1, 0, ((0.0, 1),)).rates(0)


def scene_of(gaussians: Gaussians) -> TrainedScene:
    return TrainedScene(gaussians, RATES, ENGINE)


def rendered_with(screen: torch.Tensor, visible: torch.Tensor) -> Rendered:
    zeros = torch.zeros_like(screen, requires_grad=True)
    zeros.grad = screen
    blank = torch.zeros(1)
    return Rendered(blank, blank, None, None, None, visible, visible.float(), zeros)


@pytest.mark.parametrize("budget", [41, 60, 500])
def test_growth_never_passes_the_budget_and_reaches_it(budget: int) -> None:
    growth, now = Growth.scaled_to(1000, 40, budget, 0.6), 40
    for iteration in range(1000):
        if growth.due(iteration):
            now += growth.room(now, iteration)
            assert now <= budget
    assert now == budget


def test_growth_that_starts_over_the_budget_adds_nothing() -> None:
    growth = Growth.scaled_to(1000, 40, 30, 0.6)
    assert all(growth.room(40, iteration) == 0 for iteration in range(1000))


@pytest.mark.parametrize("beta", [1.2, 2.0, 3.0, 8.0])
@pytest.mark.parametrize("copies", [1, 2, 3, 17, 51])
def test_relocation_keeps_opacity_and_line_integral(copies: int, beta: float) -> None:
    opacity = torch.tensor([0.01, 0.3, 0.9, 0.99])
    single, factor = shared_opacity_and_scale(opacity, torch.full((4,), copies), torch.full((4,), beta))
    assert torch.allclose(1 - (1 - single.double()) ** copies, opacity.double(), atol=1e-6)
    x = torch.linspace(0, 200, 2_000_001, dtype=torch.float64)
    power = x**beta
    for o, s, f in zip(opacity.double(), single.double(), factor.double(), strict=True):
        before = torch.trapezoid(o * torch.exp(-power / 2), x)
        after = torch.trapezoid(1 - (1 - s * torch.exp(-power / (2 * f**beta))) ** copies, x)
        assert after == pytest.approx(before.item(), rel=1e-4)


def test_mcmc_moves_the_dead_and_keeps_the_count() -> None:
    gaussians = true_scene(30)
    gaussians.logit_opacities[:10] = -8.0
    scene = scene_of(gaussians)
    scene.adam.moments["means"].exp_avg.fill_(1.0)
    alive = gaussians.means[10:].clone()
    mcmc = Mcmc(McmcSettings(noise=0.0), Growth(30, 30, 1, 100, 1), seed=0)
    change = mcmc.after_step(scene, RATES, 5)
    assert change is not None and change.moved == 10 and change.added == 0 and len(scene) == 30
    assert float(torch.sigmoid(scene.gaussians.logit_opacities.detach()).min()) > 0.005
    distance = torch.cdist(scene.gaussians.means.detach()[:10], alive).amin(1)
    assert float(distance.max()) == 0.0
    assert torch.all(scene.adam.moments["means"].exp_avg[:10] == 0)
    untouched = scene.gaussians.logit_opacities.detach()[10:] == gaussians.logit_opacities[10:]
    assert torch.all(scene.adam.moments["means"].exp_avg[10:][untouched] == 1)
    assert torch.all(scene.adam.moments["means"].exp_avg[10:][~untouched] == 0)


def test_mcmc_with_nobody_alive_does_nothing() -> None:
    gaussians = true_scene(5)
    gaussians.logit_opacities.fill_(-9.0)
    change = Mcmc(McmcSettings(), Growth(5, 5, 1, 100, 1), 0).after_step(scene_of(gaussians), RATES, 5)
    assert change is not None and change.moved == 0


def test_mcmc_noise_spares_the_opaque() -> None:
    gaussians = true_scene(20)
    gaussians.logit_opacities[:10] = math.log(0.005 / 0.995)
    scene = scene_of(gaussians)
    Mcmc(McmcSettings(), Growth(20, 20, 50, 60, 5), 0).after_step(scene, RATES, 1)
    moved = (scene.gaussians.means.detach() - gaussians.means).norm(dim=1)
    assert torch.all(moved[:10] > 0) and torch.all(moved[10:] == 0)


def test_mcmc_regularisers_add_their_derivatives() -> None:
    scene = scene_of(true_scene(8))
    parameters = scene.gaussians
    target = (
        0.01 * torch.sigmoid(parameters.logit_opacities).mean() + 0.02 * parameters.log_scales.exp().mean()
    )
    expected = torch.autograd.grad(target, [parameters.logit_opacities, parameters.log_scales])
    parameters.logit_opacities.grad = torch.zeros(8)
    parameters.log_scales.grad = torch.zeros(8, 3)
    mcmc = Mcmc(McmcSettings(scale_weight=0.02), Growth(8, 8, 1, 2, 1), 0)
    mcmc.before_step(
        scene, rendered_with(torch.zeros(8, 4), torch.ones(8, dtype=torch.bool)), ring_camera(0), 1
    )
    assert torch.allclose(parameters.logit_opacities.grad, expected[0], atol=1e-8)
    assert torch.allclose(parameters.log_scales.grad, expected[1], atol=1e-8)


def test_rotations_are_those_of_the_rasteriser() -> None:
    quarter = torch.tensor([[2**-0.5, 0.0, 0.0, 2**-0.5]])
    x, y = torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0])
    assert torch.allclose(rotated(3 * quarter, x[None])[0], y, atol=1e-6)


def one_long_gaussian() -> Gaussians:
    return Gaussians(
        means=torch.tensor([[1.0, 2.0, 3.0]]),
        quats=torch.tensor([[0.9, 0.1, -0.3, 0.2]]),
        log_scales=torch.tensor([[0.5, 0.05, 0.2]]).log(),
        logit_opacities=torch.zeros(1),
        sh=torch.zeros(1, 1, 3),
    )


def covariance(gaussians: Gaussians) -> torch.Tensor:
    turn = rotated(gaussians.quats.expand(3, 4), torch.eye(3)).T
    return turn @ torch.diag((2 * gaussians.log_scales[0]).exp()) @ turn.T


def test_split_children_have_the_parents_covariance_as_spread() -> None:
    gaussians = one_long_gaussian()
    scene = scene_of(gaussians)
    rows = torch.zeros(40_000, dtype=torch.int64)
    children = split_in_two(scene, rows, torch.Generator().manual_seed(0))
    assert len(children) == 2
    for child in children:
        assert torch.allclose(child["log_scales"], gaussians.log_scales - math.log(1.6))
        spread = torch.cov(child["means"].T)
        assert torch.allclose(spread, covariance(gaussians), atol=0.005)
        assert torch.allclose(child["means"].mean(0), gaussians.means[0], atol=0.01)
    assert not torch.equal(children[0]["means"], children[1]["means"])


def test_noise_has_covariance_squared_as_spread() -> None:
    gaussians, rows = one_long_gaussian(), torch.zeros(60_000, dtype=torch.int64)
    noise = covariance_times_noise(gaussians, rows, torch.Generator().manual_seed(0))
    expected = covariance(gaussians) @ covariance(gaussians)
    assert torch.allclose(torch.cov(noise.T), expected, atol=0.02 * float(expected.max()))


def adc_scene() -> tuple[TrainedScene, Adc]:
    """Ten Gaussians: 0 is small and wants to grow, 1 is large and wants to, 2 is faint; the rest rest.

    Children are drawn; for halves see test_splitting.
    """
    gaussians = true_scene(10)
    gaussians.log_scales[:] = math.log(0.005)
    gaussians.log_scales[1] = math.log(0.05)
    gaussians.logit_opacities[2] = -7.0
    settings = AdcSettings(threshold=1e-3, split="drawn", small=0.01, large=1.0, reset_every=1000)
    return scene_of(gaussians), Adc(settings, Growth(10, 20, 1, 100, 5, step=1.0), seed=0)


def screen_gradient(camera_size: int) -> torch.Tensor:
    """Absolute pixel gradients that are 2e-3 (above the threshold) in NDC for Gaussians 0 and 1."""
    screen = torch.zeros(10, 4)
    screen[:2, 2] = 2e-3 / (camera_size / 2)
    screen[5, 0] = 1.0  # signed sums do not count
    return screen


def test_adc_clones_splits_and_prunes() -> None:
    scene, adc = adc_scene()
    before, camera = scene.rows(torch.arange(10)), ring_camera(0)
    visible = torch.ones(10, dtype=torch.bool)
    for _ in range(3):
        adc.before_step(scene, rendered_with(screen_gradient(camera.width), visible), camera, 99)
    change = adc.after_step(scene, RATES, 95)
    assert change is not None
    assert (change.added, change.removed, len(scene)) == (2, 1, 11)
    means = scene.gaussians.means.detach()
    assert (means == before["means"][0]).all(1).sum() == 2, "0 is there twice"
    assert (means == before["means"][1]).all(1).sum() == 0, "1 was replaced"
    assert (means == before["means"][2]).all(1).sum() == 0, "2 was removed"
    children = scene.gaussians.log_scales.detach()[:, 0].sub(math.log(0.05 / 1.6)).abs() < 1e-6
    assert children.sum() == 2
    assert torch.all(scene.adam.moments["means"].exp_avg[-3:] == 0)


def test_adc_averages_over_visible_views_only() -> None:
    scene, adc = adc_scene()
    camera, visible = ring_camera(0), torch.ones(10, dtype=torch.bool)
    adc.before_step(scene, rendered_with(screen_gradient(camera.width), visible), camera, 1)
    hidden = visible.clone()
    hidden[0] = False
    for _ in range(9):
        adc.before_step(scene, rendered_with(torch.zeros(10, 4), hidden), camera, 1)
    change = adc.after_step(scene, RATES, 95)
    assert change is not None and change.added == 1, "0 keeps its mean, 1 falls below the threshold"


def test_adc_obeys_the_budget_and_takes_the_largest() -> None:
    scene, adc = adc_scene()
    adc.growth = Growth(10, 10, 1, 100, 5, step=1.0)
    camera, visible = ring_camera(0), torch.ones(10, dtype=torch.bool)
    screen = screen_gradient(camera.width)
    screen[3, 3] = 1.0
    adc.before_step(scene, rendered_with(screen, visible), camera, 1)
    before = scene.rows(torch.tensor([3]))["means"]
    assert adc.after_step(scene, RATES, 95) is not None
    assert len(scene) == 10, "one removed, one added"
    assert (scene.gaussians.means.detach() == before).all(1).sum() == 2


def test_adc_reset_cuts_opacity_and_its_moments() -> None:
    scene, adc = adc_scene()
    scene.adam.moments["logit_opacities"].exp_avg.fill_(1.0)
    scene.adam.moments["means"].exp_avg.fill_(1.0)
    adc.growth = Growth(10, 20, 1, 2, 5)
    adc.after_step(scene, RATES, 1000)
    opacity = torch.sigmoid(scene.gaussians.logit_opacities.detach())
    assert float(opacity.max()) == pytest.approx(0.01, rel=1e-4) and float(opacity[2]) < 0.002
    assert torch.all(scene.adam.moments["logit_opacities"].exp_avg == 0)
    assert torch.all(scene.adam.moments["means"].exp_avg == 1)


@pytest.mark.parametrize("name", ["adc", "mcmc"])
def test_state_goes_through_a_checkpoint(name: str) -> None:
    def advance(strategy: object, scene: TrainedScene) -> torch.Tensor:
        camera, visible = ring_camera(0), torch.ones(10, dtype=torch.bool)
        screen = torch.full((10, 4), 1.0)
        if len(scene) == 10:
            strategy.before_step(scene, rendered_with(screen, visible), camera, 1)  # type: ignore[attr-defined]
        strategy.after_step(scene, RATES, 10)  # type: ignore[attr-defined]
        return scene.gaussians.means.detach().clone()

    def make() -> object:
        return make_strategy(name, 100, 10, 30, 1.1, seed=3, split="drawn")  # type: ignore[arg-type]

    gaussians = true_scene(10)
    gaussians.logit_opacities[:4] = -7.0
    first, second = make(), make()
    advance(first, scene_of(gaussians))
    second.load_state_dict(first.state_dict())  # type: ignore[attr-defined]
    a, b = advance(first, scene_of(gaussians)), advance(second, scene_of(gaussians))
    assert torch.equal(a, b)
    assert not torch.equal(a, advance(make(), scene_of(gaussians))), (
        "the draws must differ from the first ones"
    )
