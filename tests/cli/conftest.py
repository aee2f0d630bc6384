"""A small scene on disk, with and without a run folder around it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from splat.cli.camera_path import Lens
from splat.gaussians import Gaussians
from splat.io import write_ply

TARGET = np.array([0.5, -0.25, 2.0])
"""What the cameras of ``run_folder`` look at."""


@pytest.fixture(scope="session")
def ball() -> Gaussians:
    """Sixty opaque red splats of degree 1 in a ball of radius 0.3 about ``TARGET``."""
    generator = torch.Generator().manual_seed(3)
    offsets = torch.randn(60, 3, generator=generator)
    offsets = 0.3 * offsets / offsets.norm(dim=1, keepdim=True) * torch.rand(60, 1, generator=generator)
    sh = torch.zeros(60, 4, 3)
    sh[:, 0] = torch.tensor([1.7, -1.7, -1.7])
    return Gaussians(
        means=torch.tensor(TARGET, dtype=torch.float32) + offsets,
        quats=torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(60, 1),
        log_scales=torch.full((60, 3), -2.5),
        logit_opacities=torch.full((60,), 4.0),
        sh=sh,
        antialias="mip",
    )


@pytest.fixture
def scene(ball: Gaussians) -> Gaussians:
    """The ball, for a test to change as it likes."""
    return replace(ball, **{name: value.clone() for name, value in ball.parameters().items()})  # type: ignore


@pytest.fixture
def splat_file(tmp_path: Path, scene: Gaussians) -> Path:
    """The scene alone."""
    write_ply(tmp_path / "lone" / "a scene.ply", scene)
    return tmp_path / "lone" / "a scene.ply"


@pytest.fixture(scope="session")
def finished_run(ball: Gaussians, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene as a run leaves it: twelve cameras in a circle of radius 2, two of them held out."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    write_ply(folder / "splat.ply", ball)
    lens = Lens(48, 36, 50.0)
    views = []
    for index in range(12):
        turn = 2 * np.pi * index / 12
        position = TARGET + 2 * np.array([np.cos(turn), -0.3, np.sin(turn)])
        camera = lens.looking(position, TARGET, np.array([0.0, -1.0, 0.0]))
        views.append(
            {
                "name": f"{index:02d}.jpg",
                "world_to_camera": camera.world_to_camera.tolist(),
                "intrinsics": camera.intrinsics.tolist(),
                "width": 48,
                "height": 36,
                "split": "test" if index % 8 == 0 else "train",
            }
        )
    cameras = {"transform": (np.eye(4) * [0.5, 0.5, 0.5, 1]).tolist(), "views": views}
    (folder / "cameras.json").write_text(json.dumps(cameras))
    (folder / "config.json").write_text(json.dumps({"background": [1.0, 1.0, 1.0]}))
    (folder / "metrics.json").write_text(json.dumps({"psnr": 30.5, "ssim": 0.9, "lpips": None}))
    return folder


@pytest.fixture
def run_folder(finished_run: Path, tmp_path: Path) -> Path:
    """The run, for a test to change as it likes."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))
