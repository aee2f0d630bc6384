"""Ways to add and remove Gaussians during training, all under a hard budget."""

from __future__ import annotations

import torch

from splat.fit.options import Split, StrategyName
from splat.fit.protocols import Strategy
from splat.fit.strategies.adc import Adc, AdcSettings
from splat.fit.strategies.growth import Growth
from splat.fit.strategies.mcmc import Mcmc, McmcSettings

CPU = torch.device("cpu")

__all__ = ["Adc", "AdcSettings", "Growth", "Mcmc", "McmcSettings", "make_strategy"]


def make_strategy(
    name: StrategyName,
    iterations: int,
    first: int,
    budget: int,
    extent: float,
    seed: int,
    device: torch.device = CPU,
    split: Split = "halved",
) -> Strategy:
    """A strategy with its constants scaled to the length of the run.

    Args:
        name: "adc" or "mcmc".
        iterations: planned steps.
        first: Gaussians at the start.
        budget: most Gaussians ever.
        extent: scene extent, normalised units.
        seed: of everything random in it.
        device: of the scene.
        split: of "adc"; "mcmc" does not split.
    """
    if name == "adc":
        growth = Growth.scaled_to(iterations, first, budget, 0.5)
        return Adc(AdcSettings.scaled_to(iterations, extent, split=split), growth, seed, device)
    growth = Growth.scaled_to(iterations, first, budget, 0.6)
    return Mcmc(McmcSettings.scaled_to(iterations), growth, seed, device)
