"""Photos of a textured corner of a room from known cameras, good enough for SIFT."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.capture.scenes import save

WIDTH, HEIGHT, FOCAL = 240, 180, 220.0
TEXELS = 600
SIDE = 4.0

# Corner at the origin; y is down, so the floor is the plane y = 0 and the walls rise to y = -4.
QUADS = [
    np.array([[0, 0, 0], [SIDE, 0, 0], [SIDE, 0, SIDE], [0, 0, SIDE]]),
    np.array([[0, 0, 0], [SIDE, 0, 0], [SIDE, -SIDE, 0], [0, -SIDE, 0]]),
    np.array([[0, 0, 0], [0, 0, SIDE], [0, -SIDE, SIDE], [0, -SIDE, 0]]),
]


def cameras(count: int) -> list[NDArray[np.float64]]:
    """World-to-camera [4, 4] on an arc that looks into the corner, level (up is -y)."""
    poses = []
    for i in range(count):
        angle = np.radians(20 + 50 * i / (count - 1))
        height = -1.6 - 0.5 * np.sin(1.7 * i)
        position = np.array([4.2 * np.cos(angle), height, 4.2 * np.sin(angle)])
        forward = np.array([0.9, -1.1, 0.9]) - position
        forward /= np.linalg.norm(forward)
        right = np.cross(np.array([0.0, 1.0, 0.0]), forward)
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, -rotation @ position
        poses.append(pose)
    return poses


def photo(pose: NDArray[np.float64]) -> NDArray[np.uint8]:
    """What a camera sees, [H, W, 3]."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    intrinsics = np.array([[FOCAL, 0, WIDTH / 2 - 0.5], [0, FOCAL, HEIGHT / 2 - 0.5], [0, 0, 1]])
    for quad, texture in zip(QUADS, _textures(), strict=True):
        # Homography from texel (u, v) to pixel: corner + u * edge_1 + v * edge_2, then project.
        axes = np.stack([quad[1] - quad[0], quad[3] - quad[0], quad[0]], axis=1)
        axes = axes @ np.diag([1 / TEXELS, 1 / TEXELS, 1.0])
        plane = pose[:3, :3] @ axes
        plane[:, 2] += pose[:3, 3]
        warp = intrinsics @ plane
        seen = cv2.warpPerspective(texture, warp, (WIDTH, HEIGHT), flags=cv2.INTER_AREA)
        covered = cv2.warpPerspective(np.ones(texture.shape[:2], np.uint8), warp, (WIDTH, HEIGHT))
        image[covered > 0] = seen[covered > 0]
    return image


def write_room(folder: Path, names: list[str]) -> None:
    """One photo for a name; JPEG, as a camera would."""
    for name, pose in zip(names, cameras(len(names)), strict=True):
        save(folder / name, photo(pose), quality=95)


@cache
def _textures() -> list[NDArray[np.uint8]]:
    """Noise in several octaves, in colour."""
    random = np.random.default_rng(5)
    textures = []
    for _ in QUADS:
        total = np.zeros((TEXELS, TEXELS, 3))
        for cells, weight in ((12, 0.3), (40, 0.3), (80, 0.4)):
            noise = random.uniform(0, 255, (cells, cells, 3))
            total += weight * cv2.resize(noise, (TEXELS, TEXELS), interpolation=cv2.INTER_CUBIC)
        textures.append(np.clip((total - 128) * 1.8 + 128, 0, 255).astype(np.uint8))
    return textures
