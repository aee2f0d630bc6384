"""Losses: the plain PyTorch formulas against scipy, and the native loss against them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from torch import Tensor

from splat.errors import SplatError
from splat.fit.engine import PlainLoss
from splat.fit.frequency import FrequencyLoss
from splat.fit.losses import Loss, PhotometricLoss, photometric_loss, psnr, ssim, ssim_map, unit_rgb

SIZES = [(37, 53), (5, 7), (1, 1), (11, 11), (64, 96), (3, 200), (150, 2)]


def pair(height: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A smooth-ish photo and a noisy render of it, float32."""
    random = torch.Generator().manual_seed(seed)
    target = torch.rand(height, width, 3, generator=random)
    target = (target + target.roll(1, 0) + target.roll(1, 1)) / 3
    image = (target + 0.1 * torch.randn(height, width, 3, generator=random)).clamp(0, 1)
    return image, target


def half_mask(height: int, width: int) -> Tensor:
    """A mask with about half of the pixels, never none."""
    mask = torch.rand(height, width, generator=torch.Generator().manual_seed(9)) > 0.5
    mask[0, 0] = True
    return mask


def scipy_ssim_map(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """SSIM map by scipy's correlation, an implementation that shares nothing with ours."""
    taps = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    taps /= taps.sum()

    def blur(image: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(image, taps, 0, mode="constant"), taps, 1, mode="constant")

    mx, my = blur(x), blur(y)
    vx, vy, c = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    return (2 * mx * my + 1e-4) * (2 * c + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))


@pytest.mark.parametrize("size", SIZES)
def test_reference_ssim_is_scipys(size: tuple[int, int]) -> None:
    image, target = (value.double() for value in pair(*size))
    expected = scipy_ssim_map(image.numpy(), target.numpy())
    np.testing.assert_allclose(ssim_map(image, target).numpy(), expected, atol=1e-12)
    assert float(ssim(image, target)) == pytest.approx(expected.mean(), abs=1e-12)


def test_ssim_of_constant_images_far_from_the_border_is_the_luminance_term() -> None:
    values = ssim_map(
        torch.full((31, 31, 3), 0.25, dtype=torch.float64), torch.full((31, 31, 3), 0.75, dtype=torch.float64)
    )
    assert float(values[15, 15, 1]) == pytest.approx((2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4))


def test_ssim_of_equal_images_is_one() -> None:
    image, _ = pair(20, 30)
    assert float(ssim(image, image)) == pytest.approx(1.0, abs=1e-6)


def test_mask_averages_over_kept_pixels_only() -> None:
    image, target = (value.double() for value in pair(37, 53))
    mask = half_mask(37, 53)
    expected = scipy_ssim_map(image.numpy(), target.numpy())[mask.numpy()].mean()
    assert float(ssim(image, target, mask)) == pytest.approx(expected, abs=1e-12)
    l1 = np.abs(image.numpy() - target.numpy())[mask.numpy()].mean()
    loss = photometric_loss(image, target, mask, ssim_weight=0.3)
    assert float(loss) == pytest.approx(0.7 * l1 + 0.3 * (1 - expected), abs=1e-12)


@pytest.mark.parametrize("masked", [False, True])
def test_reference_gradient(masked: bool) -> None:
    image, target = (value.double() for value in pair(7, 6, seed=3))
    mask = half_mask(7, 6) if masked else None
    image.requires_grad_(True)
    assert torch.autograd.gradcheck(
        lambda x: photometric_loss(x, target, mask), (image,), eps=1e-7, atol=1e-6
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("weight", [0.0, 0.2, 1.0])
def test_native_loss_is_the_reference(size: tuple[int, int], masked: bool, weight: float) -> None:
    image, target = pair(*size)
    mask = half_mask(*size) if masked else None
    image.requires_grad_(True)
    loss = PhotometricLoss(weight)(image, target, mask)
    (gradient,) = torch.autograd.grad(loss, image)
    exact = image.detach().double().requires_grad_(True)
    expected = photometric_loss(exact, target.double(), mask, weight)
    (expected_gradient,) = torch.autograd.grad(expected, exact)
    assert float(loss) == pytest.approx(float(expected), abs=1e-5)
    assert float((gradient - expected_gradient).norm() / expected_gradient.norm()) < 1e-3


def test_native_gradient_is_scaled_by_what_follows() -> None:
    image, target = pair(12, 17)
    image.requires_grad_(True)
    loss = PhotometricLoss()(image, target)
    (once,) = torch.autograd.grad(loss, image, retain_graph=True)
    (thrice,) = torch.autograd.grad(3 * loss, image)
    torch.testing.assert_close(thrice, 3 * once)


def test_native_loss_accepts_views_that_are_not_contiguous() -> None:
    image, target = pair(16, 20)
    whole = PhotometricLoss()(image, target)
    views = [value.permute(2, 0, 1).contiguous().permute(1, 2, 0) for value in (image, target)]
    assert float(PhotometricLoss()(*views)) == float(whole)


@pytest.mark.parametrize("loss", [PhotometricLoss(), PlainLoss(), FrequencyLoss(PhotometricLoss(), 0.3)])
def test_a_photo_as_bytes_is_that_photo(loss: Loss) -> None:
    image, target = pair(20, 31)
    photo = (target * 255).round().to(torch.uint8)
    gradients = []
    for given in (photo, unit_rgb(photo)):
        render = image.clone().requires_grad_(True)
        value = loss(render, given, None, 0.3)
        gradients.append((float(value.detach()), *torch.autograd.grad(value, render)))
    assert gradients[0][0] == gradients[1][0] and torch.equal(gradients[0][1], gradients[1][1])


def test_bytes_are_divided_by_255() -> None:
    photo = torch.tensor([[[0, 51, 255]]], dtype=torch.uint8)
    assert unit_rgb(photo).dtype == torch.float32
    torch.testing.assert_close(unit_rgb(photo), torch.tensor([[[0.0, 0.2, 1.0]]]))
    image, _ = pair(2, 2)
    assert unit_rgb(image) is image


def test_psnr() -> None:
    target = torch.zeros(4, 5, 3)
    assert psnr(target + 0.1, target) == pytest.approx(20.0, abs=1e-5)
    assert psnr(target, target) == math.inf
    image = target.clone()
    image[0, 0] = 1.0
    mask = torch.zeros(4, 5, dtype=torch.bool)
    mask[0, :2] = True
    assert psnr(image, target, mask) == pytest.approx(10 * math.log10(2), abs=1e-6)


@pytest.mark.parametrize("loss", [photometric_loss, PhotometricLoss()])
def test_bad_shapes_are_named(loss: object) -> None:
    assert callable(loss)
    image = torch.zeros(4, 5, 3)
    with pytest.raises(SplatError, match=r"\(4, 6, 3\)"):
        loss(image, torch.zeros(4, 6, 3))
    with pytest.raises(SplatError, match=r"\(3, 4, 5\)"):
        loss(torch.zeros(3, 4, 5), torch.zeros(3, 4, 5))


def test_native_loss_refuses_other_types() -> None:
    image = torch.zeros(4, 5, 3)
    with pytest.raises(SplatError, match="float64"):
        PhotometricLoss()(image.double(), image.double())
    with pytest.raises(SplatError, match="bool mask"):
        PhotometricLoss()(image, image, torch.ones(4, 5))


def test_state_is_empty() -> None:
    assert PhotometricLoss().state_dict() == {}
    with pytest.raises(SplatError, match="extra"):
        PhotometricLoss().load_state_dict({"extra": 1.0})
