"""Folding to plain Gaussians: the same mass and covariance, known by numerical integration."""

from __future__ import annotations

from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch

from splat import io
from splat.errors import SplatError
from splat.gaussians import PARAMETERS, Gaussians
from splat.io.folding import fold, mass_ratio

GAUSSIAN_SHAPE = log(0.8 / 6.0)
"""Raw shape of the exponent 2: logit(0.8 / 6.8)."""


def scene(betas: list[float], opacity: float = 0.5) -> Gaussians:
    count, part = len(betas), (torch.tensor(betas).double() - 1.2) / 6.8
    return Gaussians(
        means=torch.randn(count, 3),
        quats=torch.randn(count, 4),
        log_scales=torch.randn(count, 3),
        logit_opacities=torch.full((count,), log(opacity / (1 - opacity))),
        sh=torch.randn(count, 4, 3),
        shape=torch.logit(part).float(),
        kernel="gef",
        antialias="moment",
    )


def integrated(beta: float) -> tuple[float, float]:
    """Mass over 2 pi and variance per axis of exp(-r^beta / 2) in the plane, by summation."""
    r = np.linspace(0, 60, 3_000_001)
    k = np.exp(-(r**beta) / 2)
    step = r[1]
    mass = float((k * r).sum() * step)
    return mass, float((k * r**3).sum() * step / mass / 2)


@pytest.mark.parametrize("beta", [1.2, 1.5, 2.0, 3.0, 5.0, 8.0])
def test_mass_ratio_is_that_of_the_integral(beta: float) -> None:
    mass, variance = integrated(beta)
    assert float(mass_ratio(torch.tensor(beta))) == pytest.approx(mass / variance, rel=1e-6)


def test_mass_and_covariance_are_kept() -> None:
    before = scene([1.3, 1.7, 2.0, 3.5, 7.5])
    after = fold(before)
    assert (after.kernel, after.shape, after.antialias) == ("gaussian", None, "mip")
    masses = [float(torch.sigmoid(o)) * m / v for o, (m, v) in _with_integrals(before)]
    assert torch.sigmoid(after.logit_opacities).tolist() == pytest.approx(masses, rel=1e-5)
    for name in ("means", "quats", "log_scales", "sh"):
        assert torch.equal(getattr(after, name), getattr(before, name)), name


def _with_integrals(scene: Gaussians) -> list[tuple[torch.Tensor, tuple[float, float]]]:
    return [(o, integrated(float(b))) for o, b in zip(scene.logit_opacities, scene.betas, strict=True)]


def test_exponent_two_folds_to_itself() -> None:
    before = replace(scene([2.0] * 5), antialias="mip", shape=torch.full((5,), GAUSSIAN_SHAPE))
    before.logit_opacities = torch.tensor([-30.0, -2.0, 0.0, 8.0, 30.0])
    after = fold(before)
    assert torch.allclose(after.logit_opacities, before.logit_opacities, rtol=1e-5, atol=1e-5)
    assert (after.kernel, after.antialias) == ("gaussian", "mip")


@pytest.mark.parametrize(
    ("antialias", "plain"),
    [("none", "none"), ("mip", "mip"), ("analytic", "mip"), ("moment", "mip"), ("exact", "mip")],
)
def test_a_gaussian_scene_keeps_every_bit(antialias: str, plain: str) -> None:
    before = replace(scene([2.0] * 4), kernel="gaussian", shape=None, antialias=antialias)
    before.logit_opacities[0] = 25.0
    after = fold(before)
    assert after.antialias == plain
    for name in PARAMETERS:
        assert torch.equal(getattr(after, name), getattr(before, name)), name


def test_opacity_stays_below_one_and_is_never_lowered_for_edges() -> None:
    before = scene([8.0, 8.0, 1.2], opacity=0.9)
    before.logit_opacities[1] = 12.0  # more opaque than a folded splat may become
    after = fold(before)
    assert torch.sigmoid(after.logit_opacities.double())[0] == pytest.approx(0.9999, abs=1e-7)
    assert after.logit_opacities[1] == 12.0
    assert torch.sigmoid(after.logit_opacities[2]) < 0.9


def test_the_scene_itself_is_left_alone() -> None:
    before = scene([3.0, 4.0])
    logits = before.logit_opacities.clone()
    fold(before)
    assert before.kernel == "gef" and torch.equal(before.logit_opacities, logits)


def test_a_format_of_gaussians_only_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Gaussians] = []
    plain = io.Writer(lambda path, gaussians, overwrite: written.append(gaussians))
    monkeypatch.setitem(io.WRITERS, ".plain", plain)
    before = scene([3.0])
    with pytest.raises(SplatError, match=r"kernel is gef, and \.plain files know only gaussian.*--fold"):
        io.write(tmp_path / "a.plain", before)
    assert written == []
    io.write(tmp_path / "a.plain", fold(before))
    assert written[0].kernel == "gaussian"
