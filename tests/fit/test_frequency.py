"""The frequency-modulated loss against its formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from splat.fit.engine import Engine
from splat.fit.frequency import FrequencyLoss, blurred, detail_band
from splat.fit.losses import photometric_loss, ssim


def picture(height: int = 60, width: int = 80) -> torch.Tensor:
    """Flat on the left; fine bright dots on the right."""
    image = torch.full((height, width, 3), 0.2)
    image[::10, width // 2 :: 10] = 0.9
    image[1::10, width // 2 :: 10] = 0.9
    return image


def test_blur_is_a_gaussian() -> None:
    image = torch.rand(1, 1, 21, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for sigma in (0.1, 0.7, 2.6):
        expected = ndimage.gaussian_filter(
            image[0, 0].numpy(), sigma, mode="nearest", radius=max(1, math.ceil(3 * sigma))
        )
        assert np.allclose(blurred(image, sigma)[0, 0].numpy(), expected, atol=1e-12)


def test_flat_parts_come_first_and_detail_comes_later() -> None:
    for early, late in ((0.1, 0.9), (0.3, 0.7)):
        first, second = detail_band(picture(), early), detail_band(picture(), late)
        assert float(first[:, :30].double().mean()) > float(second[:, :30].double().mean()) + 0.5
        assert torch.equal(first, ~second), "the same width of the band on both sides of the middle"


def test_band_follows_a_slow_computation_of_the_formula() -> None:
    image = torch.rand(50, 40, 3, generator=torch.Generator().manual_seed(1))
    grey = image.mean(2).double().numpy()
    small = grey.reshape(10, 5, 8, 5).mean((1, 3))
    sigma = 0.1 + 0.1 * 20
    band = ndimage.gaussian_filter(small, sigma, mode="nearest", radius=math.ceil(3 * sigma))
    band -= ndimage.gaussian_filter(small, 2 * sigma, mode="nearest", radius=math.ceil(6 * sigma))
    rows, columns = np.meshgrid(
        (np.arange(50) + 0.5) / 5 - 0.5, (np.arange(40) + 0.5) / 5 - 0.5, indexing="ij"
    )
    band = ndimage.map_coordinates(band, [rows, columns], order=1, mode="nearest")
    band = (band - band.min()) / (band.max() - band.min())
    found = detail_band(image, 0.8).numpy()
    clear = np.abs(band - 0.5) > 1e-4
    assert np.array_equal(found[clear], (band > 0.5)[clear])
    assert 0.05 < found.mean() < 0.95


@pytest.mark.parametrize("masked", [False, True])
def test_loss_is_that_of_the_paper(masked: bool) -> None:
    generator = torch.Generator().manual_seed(2)
    image, target = picture(), torch.rand(60, 80, 3, generator=generator)
    mask = torch.rand(60, 80, generator=generator) > 0.3 if masked else None
    kept = torch.ones(60, 80, dtype=torch.bool) if mask is None else mask
    band = detail_band(image, 0.6)[..., None]
    inside = (band * image - band * target).abs()[kept].mean()
    plain = (image - target).abs()[kept].mean()
    expected = 0.3 * plain + 0.2 * (1 - ssim(image, target, mask)) + 0.5 * inside
    loss = Engine("reference").loss(0.5)
    assert isinstance(loss, FrequencyLoss)
    assert float(loss(image, target, mask, 0.6)) == pytest.approx(float(expected), abs=1e-6)


def test_gradient_ignores_where_the_band_is() -> None:
    image, target = picture().requires_grad_(), torch.zeros(60, 80, 3)
    Engine("reference").loss(0.5)(image, target, None, 0.2).backward()
    twin = picture().requires_grad_()
    photometric_loss(twin, target).backward()
    assert image.grad is not None and twin.grad is not None
    outside = ~detail_band(picture(), 0.2)[..., None]
    assert torch.allclose(image.grad, twin.grad - 0.5 * outside / image.numel(), atol=1e-9)


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (4, 300)])
def test_small_and_flat_pictures(size: tuple[int, int]) -> None:
    assert bool(detail_band(torch.full((*size, 3), 0.5), 0.4).all())
    noise = torch.rand(*size, 3, generator=torch.Generator().manual_seed(0))
    for done in (0.0, 0.5, 1.0):
        assert detail_band(noise, done).shape == size


def test_without_weight_it_is_the_plain_loss() -> None:
    assert not isinstance(Engine("reference").loss(), FrequencyLoss)
