"""Tiny captures with known truth: cameras around a few points, photos with a dot where each falls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

POINTS = np.array([[0.6, -0.1, 0.6], [0.5, -0.2, -0.7], [-0.6, -0.1, 0.6], [-0.4, 0.6, 0.5]])
"""World points, each drawn as a dot of its own colour; the dots never overlap in ``ring`` photos."""

COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]], np.uint8)

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


def ring(count: int, radius: float = 3.0) -> list[NDArray[np.float64]]:
    """World-to-camera [4, 4] of cameras on a ring about the origin, looking at it."""
    poses = []
    for i in range(count):
        angle = 2 * np.pi * i / count
        position = radius * np.array([np.cos(angle), 0.3, np.sin(angle)])
        forward = -position / np.linalg.norm(position)
        right = np.cross(np.array([0.0, 1.0, 0.0]), forward)
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, -rotation @ position
        poses.append(pose)
    return poses


def camera_to_world_opengl(pose: NDArray[np.float64]) -> list[list[float]]:
    """The pose as a transforms.json stores it."""
    return (np.linalg.inv(pose) @ OPENGL).tolist()


def in_camera(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """``POINTS`` in the camera's frame."""
    return POINTS @ pose[:3, :3].T + pose[:3, 3]


def draw(pixels: NDArray[np.float64], width: int, height: int) -> NDArray[np.uint8]:
    """Grey [H, W, 3] photo with a round dot of radius 3 at each pixel position (centres at 0.5)."""
    big = np.full((height * 4, width * 4, 3), 60, np.uint8)
    for (x, y), color in zip(pixels, COLORS, strict=True):
        where = (round((x * 4 - 0.5) * 16), round((y * 4 - 0.5) * 16))
        cv2.circle(big, where, 12 * 16, [int(value) for value in color], -1, shift=4)
    return np.asarray(cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA))


def find_dots(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """[4, 2] centres of the dots, by how much of each colour a pixel has (dots must not overlap)."""
    found = []
    for color in COLORS:
        background = np.full(3, 60.0)
        direction = color - background
        share = (rgb.astype(float) - background) @ direction / (direction @ direction)
        other = np.abs(rgb - background - share[..., None] * direction).sum(axis=2)
        weight = np.where((share > 0.2) & (other < 60), share, 0.0)
        y, x = np.mgrid[: rgb.shape[0], : rgb.shape[1]] + 0.5
        found.append([(weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()])
    return np.array(found)


def save(path: Path, rgb: NDArray, **how: Any) -> None:
    """Write an image, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path, **how)


def write_transforms(
    folder: Path, count: int = 6, suffix: str = ".png", size: tuple[int, int] = (96, 64), **extra: Any
) -> dict[str, Any]:
    """A pinhole transforms.json with its photos; returns what was written (change and write again)."""
    width, height = size
    fx, cx, cy = 1.2 * width, width / 2 + 3, height / 2 - 2
    frames = []
    for i, pose in enumerate(ring(count)):
        camera = in_camera(pose)
        pixels = camera[:, :2] / camera[:, 2:] * fx + [cx, cy]
        name = f"images/{i:03d}{suffix}"
        save(folder / name, draw(pixels, width, height))
        frames.append({"file_path": name, "transform_matrix": camera_to_world_opengl(pose)})
    document = {
        "w": width,
        "h": height,
        "fl_x": fx,
        "fl_y": fx,
        "cx": cx,
        "cy": cy,
        **extra,
        "frames": frames,
    }
    (folder / "transforms.json").write_text(json.dumps(document))
    return document


def rewrite(folder: Path, document: dict[str, Any]) -> None:
    """Write a changed transforms.json."""
    (folder / "transforms.json").write_text(json.dumps(document))


def projected(view: Any, transform: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a loaded view's camera says ``POINTS`` (original world) are, in pixels."""
    world = POINTS @ transform[:3, :3].T + transform[:3, 3]
    pose = view.camera.world_to_camera.double().numpy()
    camera = world @ pose[:3, :3].T + pose[:3, 3]
    pixels = camera @ view.camera.intrinsics.double().numpy().T
    return pixels[:, :2] / pixels[:, 2:]
