"""The CUDA driver's loss, emulated, against the PyTorch formulas in double precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from splat.fit.losses import photometric_loss, ssim, unit_rgb
from tests.cuda.emulated import EmulatedCore
from tests.native.test_ssim import pair, some_mask

SIZES = [(1, 1), (5, 7), (11, 3), (37, 53), (2, 140), (90, 2), (64, 64), (33, 129), (16, 65)]
"""Below the window, one tile and less, a pixel more than a tile, several bands."""


@pytest.fixture
def core(emulated_backend: EmulatedCore) -> EmulatedCore:
    """The CUDA driver on the processor."""
    return emulated_backend


def loss_of(
    core: EmulatedCore, image: Tensor, target: Tensor, mask: Tensor | None, weight: float
) -> tuple[Tensor, Tensor]:
    """Loss, L1 and SSIM; and the gradient."""
    gradient = torch.full_like(image, float("nan"))
    return core.loss(image, target, mask, weight, gradient), gradient


def assert_right(
    core: EmulatedCore, image: Tensor, target: Tensor, mask: Tensor | None, weight: float
) -> None:
    """Values and gradient are those of ``photometric_loss``."""
    values, gradient = loss_of(core, image, target, mask, weight)
    exact = image.double().requires_grad_(True)
    photo = unit_rgb(target).double()
    loss = photometric_loss(exact, photo, mask, weight)
    (expected,) = torch.autograd.grad(loss, exact)
    parts = [loss, photometric_loss(exact, photo, mask, 0.0), ssim(exact, photo, mask)]
    assert values.tolist() == pytest.approx([part.item() for part in parts], abs=2e-6)
    assert float((gradient - expected).abs().max()) <= 2e-5 * float(expected.abs().max())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("masked", [False, True])
def test_values_and_gradient(core: EmulatedCore, size: tuple[int, int], masked: bool) -> None:
    image, target = pair(*size)
    assert_right(core, image, target, some_mask(*size) if masked else None, 0.2)


@pytest.mark.parametrize("weight", [0.0, 0.6, 1.0])
def test_weights(core: EmulatedCore, weight: float) -> None:
    assert_right(core, *pair(23, 41), some_mask(23, 41), weight)


def test_every_width_and_height_near_the_tile(core: EmulatedCore) -> None:
    for extent in (*range(1, 24), 63, 64, 65, 66):
        assert_right(core, *pair(3, extent, seed=extent), None, 0.5)
        assert_right(core, *pair(extent, 3, seed=extent), None, 0.5)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (37, 70)])
def test_a_photo_as_bytes_gives_the_same_bits(
    core: EmulatedCore, size: tuple[int, int], masked: bool
) -> None:
    image, target = pair(*size)
    photo = (target * 255).round().to(torch.uint8)
    mask = some_mask(*size) if masked else None
    values, gradient = loss_of(core, image, photo, mask, 0.2)
    expected, expected_gradient = loss_of(core, image, unit_rgb(photo), mask, 0.2)
    assert torch.equal(values, expected) and torch.equal(gradient, expected_gradient)
    assert_right(core, image, photo, mask, 0.2)


def test_values_without_a_gradient(core: EmulatedCore) -> None:
    image, target = pair(40, 71)
    mask, values = some_mask(40, 71), torch.full((3,), float("nan"))
    arrays = [core.array(tensor) for tensor in (image, target, mask)]
    core.work.l1_ssim(0, *arrays, 0.2, None, core.array(values))
    assert torch.equal(values, loss_of(core, image, target, mask, 0.2)[0])


def test_writes_nothing_but_its_gradient(core: EmulatedCore) -> None:
    for height, width in ((9, 14), (21, 66)):
        image, target = pair(height, width)
        guarded = torch.full((height + 2, width, 3), 7.0)
        core.loss(image, target, None, 0.2, guarded[1:-1])
        assert bool((guarded[0] == 7).all()) and bool((guarded[-1] == 7).all())
        assert torch.equal(guarded[1:-1], loss_of(core, image, target, None, 0.2)[1])


def test_the_same_bits_again(core: EmulatedCore) -> None:
    """The emulator shuffles threads and blocks anew in every call."""
    image, target = pair(50, 130)
    mask = some_mask(50, 130)
    values, gradient = loss_of(core, image, target, mask, 0.2)
    for _ in range(3):
        again, gradient_again = loss_of(core, image, target, mask, 0.2)
        assert torch.equal(values, again) and torch.equal(gradient, gradient_again)


def test_bright_flat_images(core: EmulatedCore) -> None:
    image, target = torch.ones(40, 40, 3), torch.ones(40, 40, 3)
    image[20, 20] = 0.9
    values, gradient = loss_of(core, image, target, None, 0.2)
    exact = image.double().requires_grad_(True)
    loss = photometric_loss(exact, target.double())
    (expected,) = torch.autograd.grad(loss, exact)
    assert float(values[0]) == pytest.approx(loss.item(), abs=1e-5)
    assert float((gradient - expected).abs().max() / expected.abs().max()) < 1e-3


def test_equal_pixels_have_no_l1_gradient(core: EmulatedCore) -> None:
    image, _ = pair(20, 20)
    values, gradient = loss_of(core, image, image, None, 0.0)
    assert float(values[0]) == 0 and float(values[1]) == 0 and not gradient.any()


def test_nothing_kept_gives_nothing(core: EmulatedCore) -> None:
    image, target = pair(20, 33)
    values, gradient = loss_of(core, image, target, torch.zeros(20, 33, dtype=torch.bool), 0.2)
    assert values.tolist() == [0.0, 0.0, 1.0] and not gradient.any()


def test_nan_stays_near_its_pixel(core: EmulatedCore) -> None:
    image, target = pair(50, 70)
    _, clean = loss_of(core, image, target, None, 0.2)
    image[25, 30, 1] = float("nan")
    values, gradient = loss_of(core, image, target, None, 0.2)
    assert bool(values[0].isnan())
    far = torch.ones(50, 70, 3, dtype=torch.bool)
    far[15:36, 20:41, 1] = False
    assert torch.equal(gradient[far], clean[far])
