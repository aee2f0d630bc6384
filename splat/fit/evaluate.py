"""Scores on photos: render, clamp, round to 8 bits, compare (the protocol of 3DGS)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from splat.capture.types import Capture
from splat.fit.engine import choose_engine
from splat.fit.losses import psnr
from splat.fit.photos import Photo, PhotoSource, PhotoStore
from splat.gaussians import Gaussians
from splat.rasterize import RenderSettings, rasterize

LPIPS_REASON = "LPIPS not computed (no weights are shipped)"
MOST_DB = 100.0
"""PSNR of a perfect image, which has none."""


@dataclass(frozen=True)
class ViewScore:
    """Scores of one photo.

    Attributes:
        name: of the view.
        psnr: dB, over all channels of the pixels that count.
        ssim: 11 x 11 Gaussian window, zero padding, mean over the pixels that count.
        lpips: None; see ``LPIPS_REASON``.
        seconds: time to render.
    """

    name: str
    psnr: float
    ssim: float
    lpips: float | None
    seconds: float


def evaluate(
    gaussians: Gaussians,
    capture: Capture,
    indices: Sequence[int],
    settings: RenderSettings,
    save_to: Path | None = None,
    photos: PhotoSource | None = None,
) -> list[ViewScore]:
    """Score a scene on some views of a capture.

    Args:
        gaussians: normalised world (that of the capture), on any device.
        capture: views.
        indices: which of them.
        settings: how the scene is rendered; transparent photos are composited onto its background.
        save_to: folder for ``<name>.photo.png``, ``<name>.render.png`` and ``<name>.error.png``
            (absolute error, averaged over channels, white at 0.25), or None.
        photos: a store to take photos from (at full size); without one, each is decoded here.

    Raises:
        SplatError: a photo cannot be read, or an image cannot be written.
    """
    if photos is not None:
        return [_score(gaussians, capture, index, settings, save_to, photos) for index in indices]
    store = PhotoStore(capture.views, settings.background, False, limit=1, threads=1)
    try:
        return [_score(gaussians, capture, index, settings, save_to, store) for index in indices]
    finally:
        store.close()


def _score(
    gaussians: Gaussians,
    capture: Capture,
    index: int,
    settings: RenderSettings,
    save_to: Path | None,
    store: PhotoSource,
) -> ViewScore:
    view, device = capture.views[index], gaussians.means.device
    engine = replace(choose_engine(), device=device)
    photo = store.get(index, 1, settings.background)
    started = time.perf_counter()
    with torch.no_grad():
        color = rasterize(gaussians.detached(), view.camera, settings, engine.name).color
    engine.wait()
    seconds = time.perf_counter() - started
    mask = None if photo.mask is None else photo.mask.to(device)
    render, target = rounded(color), rounded(photo.rgb.to(device))
    if save_to is not None:
        _save(save_to, safe_stem(view.name), render, Photo(target, mask))
    return ViewScore(
        name=view.name,
        psnr=min(MOST_DB, psnr(render, target, mask)),
        ssim=engine.ssim(render, target, mask),
        lpips=None,
        seconds=seconds,
    )


def rounded(image: Tensor) -> Tensor:
    """[H, W, 3] clamped to [0, 1] and rounded to 8-bit steps, float32."""
    return (image.clamp(0, 1) * 255).round() / 255


def safe_stem(name: str) -> str:
    """File name without path separators, for images of the view ``name``.

    The suffix stays, so that a.jpg and a.png of one folder do not overwrite each other.
    """
    return name.replace("\\", "/").strip("/").replace("/", "__")


def _save(folder: Path, stem: str, render: Tensor, photo: Photo) -> None:
    error = (render - photo.rgb).abs().mean(2, keepdim=True).expand(-1, -1, 3) * 4
    if photo.mask is not None:
        error = error * photo.mask[..., None]
    for kind, image in (("photo", photo.rgb), ("render", render), ("error", error)):
        _write_png(folder / f"{stem}.{kind}.png", image)


def _write_png(path: Path, image: Tensor) -> None:
    from splat.io.image import write_image

    write_image(path, (image.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy())
