"""The native loss: every instruction set against the PyTorch formulas, masks, threads, odd input."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from splat import native_core
from splat.fit.losses import photometric_loss, ssim, unit_rgb

native = native_core.load()
SIZES = [(37, 53), (5, 7), (1, 1), (11, 3), (2, 300), (300, 2), (64, 64), (41, 530), (17, 500), (33, 1100)]


@pytest.fixture(params=native.build_info()["supported_isas"])
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set this machine runs, in use during the test."""
    before = native.build_info()["isa"]
    assert native.set_isa(request.param)
    yield request.param
    native.set_isa(before)


def pair(height: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A photo with smooth and noisy parts and a render near it."""
    random = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    target = 0.5 + 0.4 * torch.sin(0.1 * rows + 0.07 * columns)[..., None].repeat(1, 1, 3)
    noise = torch.rand(height, width, 3, generator=random) - 0.5
    target = (target + 0.3 * noise * (columns > width // 2)[..., None]).clamp(0, 1)
    return (target + 0.1 * torch.randn(height, width, 3, generator=random)).contiguous(), target.contiguous()


def some_mask(height: int, width: int) -> Tensor:
    """Blobs and single pixels, never none."""
    random = torch.Generator().manual_seed(9)
    mask = (torch.rand(height, width, generator=random) > 0.3) & (torch.arange(width) % 17 < 11)
    mask[0, 0] = True
    return mask


def native_loss(
    image: Tensor, target: Tensor, mask: Tensor | None, weight: float = 0.2
) -> tuple[tuple[float, float, float], Tensor]:
    """(loss, l1, ssim) and the gradient."""
    gradient = torch.full_like(image, float("nan"))
    return native.l1_ssim(image, target, mask, weight, gradient), gradient


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("masked", [False, True])
def test_values_and_gradient(isa: str, size: tuple[int, int], masked: bool) -> None:
    image, target = pair(*size)
    mask = some_mask(*size) if masked else None
    (loss, l1, similarity), gradient = native_loss(image, target, mask)
    exact = image.double().requires_grad_(True)
    expected = photometric_loss(exact, target.double(), mask)
    (expected_gradient,) = torch.autograd.grad(expected, exact)
    assert loss == pytest.approx(expected.item(), abs=1e-5)
    assert l1 == pytest.approx(photometric_loss(exact, target.double(), mask, 0.0).item(), abs=1e-6)
    assert similarity == pytest.approx(ssim(exact, target.double(), mask).item(), abs=1e-5)
    assert native.ssim(image, target, mask) == pytest.approx(similarity, abs=1e-6)
    assert float((gradient - expected_gradient).norm() / expected_gradient.norm()) < 1e-3
    worst = (gradient - expected_gradient).abs().max() / expected_gradient.abs().max()
    assert float(worst) < 1e-3


@pytest.mark.parametrize("widths", [range(1, 60), (682, 683, 684, 1024, 1025)])
def test_every_width_up_to_its_edges(isa: str, widths: range | tuple[int, ...]) -> None:
    for width in widths:
        image, target = pair(12, width, seed=width)
        (loss, _, _), gradient = native_loss(image, target, None, 0.9)
        exact = image.double().requires_grad_(True)
        expected = photometric_loss(exact, target.double(), None, 0.9)
        (expected_gradient,) = torch.autograd.grad(expected, exact)
        assert loss == pytest.approx(expected.item(), abs=1e-5), width
        worst = (gradient - expected_gradient).abs().max() / expected_gradient.abs().max()
        assert float(worst) < 1e-3, width


def test_writes_nothing_but_its_gradient(isa: str) -> None:
    for height, width in ((9, 14), (23, 127), (8, 700)):
        image, target = pair(height, width)
        guarded = torch.full((height + 2, width, 3), 7.0)
        native.l1_ssim(image, target, None, 0.2, guarded[1:-1])
        assert bool((guarded[0] == 7).all()) and bool((guarded[-1] == 7).all())
        assert torch.equal(guarded[1:-1], native_loss(image, target, None)[1])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (11, 3), (37, 53), (70, 700)])
def test_a_photo_as_bytes_gives_the_same_bits(isa: str, size: tuple[int, int], masked: bool) -> None:
    image, target = pair(*size)
    photo = (target * 255).round().to(torch.uint8)
    mask = some_mask(*size) if masked else None
    result, gradient = native_loss(image, photo, mask)
    expected, expected_gradient = native_loss(image, unit_rgb(photo), mask)
    assert result == expected and torch.equal(gradient, expected_gradient)


def test_ssim_gradient_alone(isa: str) -> None:
    image, target = pair(45, 61)
    _, gradient = native_loss(image, target, None, 1.0)
    exact = image.double().requires_grad_(True)
    (expected,) = torch.autograd.grad(photometric_loss(exact, target.double(), None, 1.0), exact)
    assert float((gradient - expected).norm() / expected.norm()) < 1e-4


def test_bright_flat_images(isa: str) -> None:
    image, target = torch.ones(40, 40, 3), torch.ones(40, 40, 3)
    image[20, 20] = 0.9
    (loss, _, _), gradient = native_loss(image, target, None)
    exact = image.double().requires_grad_(True)
    expected = photometric_loss(exact, target.double())
    (expected_gradient,) = torch.autograd.grad(expected, exact)
    assert loss == pytest.approx(expected.item(), abs=1e-5)
    assert float((gradient - expected_gradient).abs().max() / expected_gradient.abs().max()) < 1e-3


def test_equal_pixels_have_no_l1_gradient(isa: str) -> None:
    image, _ = pair(20, 20)
    (loss, l1, _), gradient = native_loss(image, image, None, 0.0)
    assert loss == 0.0 and l1 == 0.0 and not gradient.any()


def test_nothing_kept_gives_nothing(isa: str) -> None:
    image, target = pair(20, 33)
    result, gradient = native_loss(image, target, torch.zeros(20, 33, dtype=torch.bool))
    assert result == (0.0, 0.0, 1.0) and torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", [(37, 53), (131, 99), (260, 600), (150, 1100)])
def test_same_bits_for_any_number_of_threads(isa: str, size: tuple[int, int], masked: bool) -> None:
    image, target = pair(*size)
    mask = some_mask(*size) if masked else None
    before = native.build_info()["threads"]
    results = []
    for threads in (1, 2, 3, 4, 7):
        native.set_threads(threads)
        results.append(native_loss(image, target, mask))
    native.set_threads(before)
    for result, gradient in results[1:]:
        assert result == results[0][0]
        assert torch.equal(gradient, results[0][1])


def test_nan_stays_near_its_pixel(isa: str) -> None:
    image, target = pair(50, 70)
    _, clean = native_loss(image, target, None)
    image[25, 30, 1] = float("nan")
    (loss, _, _), gradient = native_loss(image, target, None)
    assert loss != loss
    far = torch.ones(50, 70, 3, dtype=torch.bool)
    far[15:36, 20:41, 1] = False
    assert torch.equal(gradient[far], clean[far])


def test_bad_arguments_are_named() -> None:
    image, target = pair(8, 9)
    out = torch.empty_like(image)
    with pytest.raises(ValueError, match=r"target has shape \[9, 9, 3\]"):
        native.l1_ssim(image, torch.zeros(9, 9, 3), None, 0.2, out)
    with pytest.raises(ValueError, match=r"grad_out has shape \[8, 8, 3\]"):
        native.l1_ssim(image, target, None, 0.2, torch.zeros(8, 8, 3))
    with pytest.raises(ValueError, match=r"mask has shape \[9, 8\]"):
        native.l1_ssim(image, target, torch.ones(9, 8, dtype=torch.bool), 0.2, out)
    with pytest.raises(ValueError, match="ssim_weight"):
        native.l1_ssim(image, target, None, 1.5, out)
    with pytest.raises(ValueError, match=r"target has shape \[9, 9, 3\]"):
        native.l1_ssim(image, torch.zeros(9, 9, 3, dtype=torch.uint8), None, 0.2, out)
    for bad in (image.double(), image.permute(1, 0, 2)):
        with pytest.raises(TypeError):
            native.l1_ssim(bad, bad, None, 0.2, out)
