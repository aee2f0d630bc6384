"""What a splat's halves look like beside it, for every profile."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from splat.cameras import Camera
from splat.fit.engine import Engine
from splat.fit.scene import TrainedScene, from_parameters
from splat.fit.schedules import FitSchedule
from splat.fit.strategies import Adc, AdcSettings, Growth, make_strategy
from splat.fit.strategies.splitting import HALF_OFFSET, halves, split_in_two
from splat.gaussians import Gaussians, shape_from_betas
from splat.rasterize import RenderSettings
from splat.rasterize.reference import rasterize_reference
from tests.fit.synthetic import ring_camera, true_scene
from tests.fit.test_strategies import rendered_with

RATES = FitSchedule(100, 1.1, 0, ((0.0, 1),)).rates(0)
FIRST = torch.zeros(1, dtype=torch.int64)
SIZE = 96
CAMERA = Camera(
    torch.eye(4), torch.tensor([[100.0, 0, SIZE / 2], [0, 100.0, SIZE / 2], [0, 0, 1]]), SIZE, SIZE
)


def one(beta: float, opacity: float) -> TrainedScene:
    """One splat, 9 by 5 px, turned by 0.6 in the image; thin along the view."""
    gaussians = Gaussians(
        means=torch.tensor([[0.0, 0.0, 1.0]]),
        quats=torch.tensor([[math.cos(0.3), 0.0, 0.0, math.sin(0.3)]]),
        log_scales=torch.tensor([[0.05, 0.09, 0.001]]).log(),
        logit_opacities=torch.logit(torch.tensor([opacity])),
        sh=torch.zeros(1, 1, 3),
        shape=shape_from_betas(torch.tensor([beta])),
        kernel="gef",
    )
    return TrainedScene(gaussians, RATES, Engine("reference"))


def drawn(rows: dict[str, torch.Tensor]) -> torch.Tensor:
    """[H, W] alpha of splats, by the reference rasteriser."""
    with torch.no_grad():
        settings = RenderSettings(antialias="mip")
        return rasterize_reference(from_parameters(rows, "mip"), CAMERA, settings).alpha.double()


def together(children: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: torch.cat([child[name] for child in children]) for name in children[0]}


def moments(alpha: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Mass, and the [2, 2] second moment about the image's centre, px^2."""
    centres = torch.arange(SIZE, dtype=torch.float64) + 0.5 - SIZE / 2
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    place = torch.stack([x, y]).flatten(1)
    mass = alpha.sum()
    return float(mass), (place * alpha.flatten()) @ place.T / mass


def distance(image: torch.Tensor, wanted: torch.Tensor) -> float:
    """RMS difference over the RMS of ``wanted``."""
    return float((image - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("beta", [1.2, 2.0, 5.0, 8.0])
def test_halves_have_the_mass_and_the_covariance_of_the_whole(beta: float) -> None:
    scene = one(beta, 0.99)
    mass, spread = moments(drawn(scene.rows(FIRST)))
    first, second = (drawn(child) for child in halves(scene, FIRST))
    half_mass, half_spread = moments(first + second)
    tail = 0.15 if beta < 2 else 0.03  # of a tail, some is cut off with the picture and below 1/255
    assert half_mass == pytest.approx(mass, rel=0.2 * tail)
    assert torch.allclose(half_spread, spread, rtol=tail, atol=0.3)


@pytest.mark.parametrize(("beta", "most"), [(1.2, 0.73), (2.0, 0.44), (5.0, 0.26), (8.0, 0.27)])
@pytest.mark.parametrize("opacity", [0.2, 0.9])
def test_halves_look_like_the_whole_more_than_drawn_children_do(
    beta: float, most: float, opacity: float
) -> None:
    scene = one(beta, opacity)
    whole = drawn(scene.rows(FIRST))
    found = distance(drawn(together(halves(scene, FIRST))), whole)
    generator = torch.Generator().manual_seed(0)
    others = [distance(drawn(together(split_in_two(scene, FIRST, generator))), whole) for _ in range(8)]
    assert found < most and found < sum(others) / len(others) - 0.04


def test_halves_lie_on_the_longest_axis_and_keep_everything_else() -> None:
    start = replace(true_scene(20), kernel="gef", shape=shape_from_betas(torch.linspace(1.5, 7, 20)))
    scene, rows = TrainedScene(start, RATES, Engine("reference")), torch.tensor([3, 11, 12])
    before, pair = scene.rows(rows), halves(scene, rows)
    apart = (pair[1]["means"] - pair[0]["means"]).norm(dim=1)
    longest = before["log_scales"].amax(1).exp()
    assert torch.allclose(apart, 2 * HALF_OFFSET * longest, rtol=1e-5)
    assert torch.allclose((pair[0]["means"] + pair[1]["means"]) / 2, before["means"], atol=1e-6)
    for child in pair:
        change = (before["log_scales"] - child["log_scales"]) / math.log(2)
        expected = torch.nn.functional.one_hot(before["log_scales"].argmax(1), 3).float()
        assert torch.allclose(change, expected, atol=1e-5)
        for name in ("quats", "logit_opacities", "sh", "shape"):
            assert torch.equal(child[name], before[name]), name


@pytest.mark.parametrize("scale", [0.001, 0.05])
def test_halving_takes_the_place_of_clone_and_split(scale: float) -> None:
    start = true_scene(10)
    start.log_scales[:] = math.log(scale)
    scene = TrainedScene(start, RATES, Engine("reference"))
    settings = AdcSettings(threshold=1e-3, split="halved", small=0.01, large=9.0)
    adc = Adc(settings, Growth(10, 12, 1, 100, 5, step=1.0), seed=0)
    screen = torch.zeros(10, 4)
    screen[:, 2] = 1.0
    screen[[4, 7], 2] = 2.0
    adc.before_step(scene, rendered_with(screen, torch.ones(10, dtype=torch.bool)), ring_camera(0), 9)
    state = adc.state_dict()["generator"].clone()
    change = adc.after_step(scene, RATES, 95)
    assert change is not None and (change.added, change.removed, len(scene)) == (2, 0, 12)
    shortest = scene.gaussians.log_scales.detach().amin(1)
    assert (shortest < math.log(0.6 * scale)).sum() == 4, "both that wanted most, and nothing else"
    assert torch.equal(adc.state_dict()["generator"], state), "nothing is drawn"


def test_make_strategy_hands_the_split_on() -> None:
    plain = make_strategy("adc", 100, 10, 30, 1.1, seed=3)
    assert isinstance(plain, Adc) and plain.settings.split == "halved"
    adc = make_strategy("adc", 100, 10, 30, 1.1, seed=3, split="drawn")
    assert isinstance(adc, Adc) and adc.settings.split == "drawn"
