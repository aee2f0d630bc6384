"""Where the photos were taken: the cameras seen along the direction in which they spread least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splat.report.run_data import Json

SIZE, MARGIN, LENGTH = 320, 30, 13


def camera_map(views: list[Json]) -> str:
    """The map as a ``<figure>``, or nothing when fewer than two cameras have a usable pose."""
    posed = [(pose, view) for view in views if (pose := _pose(view)) is not None]
    if len(posed) < 2:
        return ""
    rotations = np.stack([pose[:3, :3] for pose, _ in posed])
    centers = -np.einsum("nij,ni->nj", rotations, np.stack([pose[:3, 3] for pose, _ in posed]))
    directions = rotations[:, 2, :]
    plane = _widest_plane(centers, rotations)
    flat = (centers - centers.mean(axis=0)) @ plane.T
    flat *= (SIZE / 2 - MARGIN) / max(float(np.abs(flat).max()), 1e-12)
    arrows = directions @ plane.T * LENGTH
    marks = ""
    for (x, y), (u, v), (_, view) in zip(flat + SIZE / 2, arrows, posed, strict=True):
        kind = "test" if view.get("split") == "test" else "train"
        marks += (
            f'<g class="{kind}"><path d="M{x:.1f} {y:.1f}l{u:.1f} {v:.1f}"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4.5 if kind == "test" else 3}"/></g>'
        )
    return (
        f'<figure class="map"><svg viewBox="0 0 {SIZE} {SIZE}" role="img" '
        f'aria-label="Places of {len(posed)} cameras and where they look">{marks}</svg>'
        '<figcaption><span class="key train"></span>trained on <span class="key test"></span>held out'
        "; the stroke points where the camera looks</figcaption></figure>"
    )


def _pose(view: Json) -> NDArray[np.float64] | None:
    """[4, 4] world to camera, or None if it is not one."""
    try:
        pose = np.asarray(view.get("world_to_camera"), dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return pose if pose.shape == (4, 4) and bool(np.isfinite(pose).all()) else None


def _widest_plane(centers: NDArray[np.float64], rotations: NDArray[np.float64]) -> NDArray[np.float64]:
    """[2, 3] axes of the plane in which the centres spread most, mean camera right pointing right."""
    centered = centers - centers.mean(axis=0)
    _, _, axes = np.linalg.svd(centered, full_matrices=False)
    plane = np.zeros((2, 3))
    plane[: min(2, len(axes))] = axes[:2]
    signs = np.sign(plane @ (rotations[:, 0, :].mean(axis=0) - rotations[:, 2, :].mean(axis=0)))
    return plane * np.where(signs == 0, 1.0, signs)[:, None]
