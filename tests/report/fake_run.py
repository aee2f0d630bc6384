"""A run folder such as a fit leaves, made up: for tests, and for looking at the page."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from PIL import Image


def scene_image(width: int, height: int, shift: float) -> np.ndarray:
    """[H, W, 3] uint8: smooth colours, some discs, fine stripes."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    base = np.stack([0.5 + 0.4 * np.sin(6 * x + shift), 0.45 + 0.3 * y, 0.6 - 0.4 * x], axis=-1)
    for i in range(9):
        center = (0.1 + 0.1 * i + 0.02 * shift, 0.3 + 0.2 * math.sin(2.1 * i))
        inside = (x - center[0]) ** 2 + (y - center[1]) ** 2 < (0.02 + 0.006 * i) ** 2
        base[inside] = [0.9 - 0.08 * i, 0.2 + 0.07 * i, 0.3 + 0.05 * (i % 4)]
    base += 0.06 * np.sign(np.sin(150 * (x + 0.4 * y)))[..., None]
    return (np.clip(base, 0, 1) * 255).astype(np.uint8)


def blurred(image: np.ndarray, times: int) -> np.ndarray:
    """Repeated five-point mean: what an unfinished scene looks like."""
    soft = image.astype(np.float32)
    for _ in range(times):
        soft = (soft + sum(np.roll(soft, s, a) for s, a in ((1, 0), (-1, 0), (1, 1), (-1, 1)))) / 5
    return soft.round().astype(np.uint8)


def write_fake_run(path: Path, names: list[str], width: int = 160, height: int = 90) -> Path:
    """Write every file the report reads; ``names`` are the held-out views, best first."""
    (path / "renders").mkdir(parents=True)
    per_view = {}
    for i, name in enumerate(names):
        photo = scene_image(width, height, 0.3 * i)
        render = blurred(photo, 1 + 3 * i)
        difference = np.abs(photo.astype(int) - render).mean(axis=2, keepdims=True)
        error = np.broadcast_to(np.clip(4 * difference, 0, 255), photo.shape).astype(np.uint8)
        mse = float(np.mean((photo / 255.0 - render / 255.0) ** 2))
        per_view[name] = {"psnr": -10 * math.log10(mse), "ssim": 0.97 - 0.02 * i, "lpips": None}
        stem = name.replace("/", "__")
        for role, image in (("photo", photo), ("render", render), ("error", error)):
            Image.fromarray(image).save(path / "renders" / f"{stem}.{role}.png")
    _write(path / "per_view.json", per_view)
    _write(path / "metrics.json", _metrics(per_view, width, height))
    _write(path / "config.json", _config())
    _write(path / "cameras.json", {"transform": np.eye(4).tolist(), "views": _views(names, width, height)})
    (path / "log.jsonl").write_text("\n".join(json.dumps(e) for e in _log()) + "\n", encoding="utf-8")
    return path


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _metrics(per_view: dict, width: int, height: int) -> dict:
    return {
        "psnr": sum(v["psnr"] for v in per_view.values()) / max(len(per_view), 1),
        "ssim": 0.9312,
        "lpips": None,
        "lpips_reason": "no network weights are shipped or downloaded",
        "gaussians": 48213,
        "iterations": 4000,
        "width": width,
        "height": height,
        "registered": 49,
        "photos": 50,
        "points": 8123,
        "reprojection_error": 0.612,
        "seconds_sfm": 74.2,
        "seconds_training": 187.9,
        "peak_memory_gib": 1.37,
        "sh_degree": 3,
        "kernel": "gaussian",
        "antialias": "mip",
        "strategy": "adc",
        "version": "0.1.0",
        "notes": [
            "0031.jpg was left out: too few matches with its neighbours.",
            "Photos were halved to 480 px.",
        ],
    }


def _config() -> dict:
    return {
        "source": "/photos/fox/images",
        "capture": {"max_size": 480, "test_every": 8, "masks": None, "kind": "auto"},
        "fit": {"iterations": 4000, "budget": 50000, "strategy": "adc", "antialias": True, "seed": 0},
    }


def _views(test: list[str], width: int, height: int) -> list[dict]:
    views = []
    for i in range(7 * len(test)):
        angle = 2 * math.pi * i / max(7 * len(test), 1)
        pose = np.eye(4)
        pose[:3, :3] = [
            [math.cos(angle), 0, math.sin(angle)],
            [0, 1, 0],
            [-math.sin(angle), 0, math.cos(angle)],
        ]
        pose[2, 3] = 4.0
        views.append(
            {
                "name": test[i // 7] if i % 7 == 0 else f"train_{i:03d}.jpg",
                "world_to_camera": pose.tolist(),
                "intrinsics": [[width, 0, width / 2], [0, width, height / 2], [0, 0, 1]],
                "width": width,
                "height": height,
                "split": "test" if i % 7 == 0 else "train",
            }
        )
    return views


def _log() -> list[dict]:
    random = np.random.default_rng(0)
    events: list[dict] = []
    seconds = 0.0
    for iteration in range(10, 4001, 10):
        gaussians = min(8123 + 18 * max(iteration - 500, 0), 48213)
        speed = 42 - gaussians / 2000 + random.normal()
        seconds += 10 / speed
        loss = 0.03 + 0.2 * math.exp(-iteration / 600) + 0.008 * random.random()
        events.append(
            {
                "event": "train", "iteration": iteration, "loss": loss, "gaussians": gaussians,
                "it_per_second": speed, "memory_gib": 1.2, "seconds": seconds,
            }
        )  # fmt: skip
        if iteration % 400 == 0:
            psnr = 28.4 - 9 * math.exp(-iteration / 800)
            events.append(
                {"event": "eval", "iteration": iteration, "psnr": psnr, "ssim": 0.9, "seconds": seconds,
                 "gaussians": gaussians}
            )  # fmt: skip
    events.append({"event": "note", "text": "The budget of 50,000 Gaussians was not reached."})
    return events
