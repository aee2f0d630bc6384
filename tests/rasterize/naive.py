"""A second, independent rasteriser: numpy, one loop per pixel and splat, textbook formulas."""

from __future__ import annotations

from math import gamma

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from splat.cameras import Camera
from splat.gaussians import Gaussians
from splat.rasterize import RenderSettings
from splat.sh import eval_sh

Array = NDArray[np.float64]


def naive_render(scene: Gaussians, camera: Camera, settings: RenderSettings) -> dict[str, Array]:
    """Images by name: color, alpha, depth, median_depth, normals."""
    pose = camera.world_to_camera.double().numpy()
    rotation, shift = pose[:3, :3], pose[:3, 3]
    k = camera.intrinsics.double().numpy()
    (fx, cx), (fy, cy) = k[0, [0, 2]], k[1, [1, 2]]
    width, height = camera.width, camera.height
    extra = {"none": 0.3, "mip": 0.1}[settings.antialias]
    splats = []
    for i in range(len(scene)):
        world = Rotation.from_quat(scene.quats[i].double().numpy(), scalar_first=True).as_matrix()
        scales = np.exp(scene.log_scales[i].double().numpy())
        sigma = rotation @ world @ np.diag(scales**2) @ world.T @ rotation.T
        mu = rotation @ scene.means[i].double().numpy() + shift
        if not settings.near < mu[2] < settings.far:
            continue
        u = np.clip(mu[0] / mu[2], (-0.15 * width - cx) / fx, (1.15 * width - cx) / fx)
        v = np.clip(mu[1] / mu[2], (-0.15 * height - cy) / fy, (1.15 * height - cy) / fy)
        jacobian = np.array([[fx, 0, -fx * u], [0, fy, -fy * v]]) / mu[2]
        small = jacobian @ sigma @ jacobian.T
        cov = small + extra * np.eye(2)
        opacity = 1 / (1 + np.exp(-scene.logit_opacities[i].double().item()))
        if settings.antialias == "mip":
            opacity *= np.sqrt(max(np.linalg.det(small) / np.linalg.det(cov), 1e-12))
        direction = scene.means[i].double() - camera.position.double()
        direction = (direction / direction.norm())[None]
        degree = scene.sh_degree if settings.sh_degree is None else settings.sh_degree
        color = (0.5 + eval_sh(degree, scene.sh[i : i + 1].double(), direction)[0]).numpy()
        mean = np.array([fx * mu[0] / mu[2] + cx, fy * mu[1] / mu[2] + cy])
        inverses = np.linalg.inv(cov), np.linalg.inv(sigma)
        beta = scene.betas[i].double().item()
        bare = 2 ** (2 / beta) * gamma(4 / beta) / (2 * gamma(2 / beta))  # variance of exp(-r^beta / 2)
        profile = beta, bare
        splats.append((mu[2], mean, *inverses, opacity, np.maximum(color, 0), mu, profile))
    splats.sort(key=lambda splat: splat[0])

    images = {n: np.zeros((height, width)) for n in ("alpha", "depth", "median_depth")}
    images |= {n: np.zeros((height, width, 3)) for n in ("color", "normals")}
    for row in range(height):
        for column in range(width):
            pixel = np.array([column + 0.5, row + 0.5])
            ray = np.array([(pixel[0] - cx) / fx, (pixel[1] - cy) / fy, 1.0])
            transmittance, total, median = 1.0, 0.0, False
            for _, mean, conic, precision, opacity, color, mu, (beta, bare) in splats:
                d = pixel - mean
                alpha = min(0.99, opacity * np.exp(-0.5 * (bare * d @ conic @ d) ** (beta / 2)))
                if alpha < 1 / 255 or transmittance < 1e-4:
                    continue
                t = (ray @ precision @ mu) / (ray @ precision @ ray)
                normal = -rotation.T @ precision @ ray
                weight = transmittance * alpha
                transmittance *= 1 - alpha
                total += weight
                images["color"][row, column] += weight * color
                images["depth"][row, column] += weight * t
                images["normals"][row, column] += weight * normal / np.linalg.norm(normal)
                if transmittance < 0.5 and not median:
                    images["median_depth"][row, column], median = t, True
            images["color"][row, column] += transmittance * np.array(settings.background)
            images["alpha"][row, column] = 1 - transmittance
            images["depth"][row, column] /= total if total > 0 else 1
    return images
