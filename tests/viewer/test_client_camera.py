"""The browser's camera and ours."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from viser import transforms

from splat.cameras import Camera
from splat.viewer.client_camera import camera_from_client, client_from_camera

HALF = math.sqrt(0.5)


def project(camera: Camera, point: tuple[float, float, float]) -> tuple[float, float, float]:
    p = camera.world_to_camera @ torch.tensor([*point, 1.0])
    u, v, w = (camera.intrinsics @ p[:3]).tolist()
    return u / w, v / w, w


def test_known_camera() -> None:
    camera = camera_from_client((1, 0, 0, 0), (1, 2, 3), math.pi / 2, 200, 100)
    assert camera.focal == pytest.approx((50, 50))
    assert camera.principal_point == (100, 50)
    assert camera.position.tolist() == pytest.approx([1, 2, 3])
    assert project(camera, (1, 2, 5)) == pytest.approx((100, 50, 2))
    u, v, _ = project(camera, (1.5, 2.25, 5))  # right and down of the axis
    assert (u, v) == pytest.approx((100 + 50 * 0.25, 50 + 50 * 0.125))


def test_a_quarter_turn_about_y_looks_along_x() -> None:
    camera = camera_from_client((HALF, 0, HALF, 0), (0, 0, 0), 1.0, 100, 100)
    assert camera.world_to_camera[2, :3].tolist() == pytest.approx([1, 0, 0], abs=1e-6)
    assert camera.world_to_camera[1, :3].tolist() == pytest.approx([0, 1, 0], abs=1e-6)
    assert camera.world_to_camera[0, :3].tolist() == pytest.approx([0, 0, -1], abs=1e-6)


def test_rotation_is_what_viser_means() -> None:
    wxyz = np.array([0.3, -0.5, 0.7, 0.2])
    wxyz /= np.linalg.norm(wxyz)
    camera = camera_from_client(wxyz.tolist(), (0.4, 0, -2), 0.8, 64, 48)
    to_world = transforms.SE3.from_rotation_and_translation(
        transforms.SO3(wxyz), np.array([0.4, 0.0, -2.0])
    ).as_matrix()
    np.testing.assert_allclose(camera.world_to_camera.numpy(), np.linalg.inv(to_world), atol=1e-6)


@pytest.mark.parametrize(
    "wxyz",
    [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (0.5, -0.5, 0.5, 0.5), (0.1, 0.7, -0.7, 0.1)],
)
def test_there_and_back(wxyz: tuple[float, float, float, float]) -> None:
    camera = camera_from_client(wxyz, (3, -1, 2), 0.7, 320, 240)
    pose = client_from_camera(camera)
    again = camera_from_client(pose.wxyz, pose.position, pose.fov, 320, 240)
    torch.testing.assert_close(again.world_to_camera, camera.world_to_camera, atol=1e-5, rtol=0)
    torch.testing.assert_close(again.intrinsics, camera.intrinsics, atol=1e-3, rtol=0)


def test_a_narrow_window_still_shows_the_whole_photo() -> None:
    intrinsics = torch.tensor([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]])
    camera = Camera(torch.eye(4), intrinsics, 320, 240)
    wide = client_from_camera(camera, aspect=2.0)
    assert wide.fov == pytest.approx(2 * math.atan(120 / 300))
    narrow = client_from_camera(camera, aspect=0.5)
    seen = camera_from_client(narrow.wxyz, narrow.position, narrow.fov, 200, 400)
    corner = ((0 - 160) / 300 * 4, 0.0, 4.0)  # left edge of the photo
    assert project(seen, corner)[0] == pytest.approx(0, abs=1e-3)


def test_an_off_centre_principal_point_is_covered() -> None:
    intrinsics = torch.tensor([[300.0, 0, 100], [0, 300, 150], [0, 0, 1]])
    pose = client_from_camera(Camera(torch.eye(4), intrinsics, 320, 240))
    assert pose.fov == pytest.approx(2 * math.atan(150 / 300))
