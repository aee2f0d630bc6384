"""transforms.json: conventions, lenses, splits, points, and everything that can be wrong with one."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from splat.capture import CaptureOptions, open_capture
from splat.errors import SplatError
from tests.capture.scenes import POINTS, find_dots, projected, rewrite, save, write_transforms

OPTIONS = CaptureOptions(test_every=3)


def quiet(_: str) -> None:
    """Say nothing."""


def test_known_points_fall_on_their_dots(tmp_path: Path) -> None:
    write_transforms(tmp_path)
    capture = open_capture(tmp_path, OPTIONS, progress=quiet)
    assert capture.summary.source == "transforms"
    for view in capture.views:
        dots = find_dots(view.load().rgb)
        assert np.abs(projected(view, capture.transform) - dots).max() < 0.15


def test_points_still_fall_on_their_dots_when_reduced(tmp_path: Path) -> None:
    write_transforms(tmp_path, size=(190, 130))
    capture = open_capture(tmp_path, CaptureOptions(max_size=95, points="given"), progress=quiet)
    for view in capture.views:
        assert (view.camera.width, view.camera.height) == (95, 65)
        pixels = view.load()
        assert pixels.rgb.shape == (65, 95, 3)
        assert np.abs(projected(view, capture.transform) - find_dots(pixels.rgb)).max() < 0.15


def test_photos_are_never_enlarged(tmp_path: Path) -> None:
    write_transforms(tmp_path)
    view = open_capture(tmp_path, CaptureOptions(max_size=5000), progress=quiet).views[0]
    assert (view.camera.width, view.camera.height) == (96, 64)
    assert view.load().rgb.shape == (64, 96, 3)


def test_world_is_normalised_and_kept(tmp_path: Path) -> None:
    write_transforms(tmp_path)
    capture = open_capture(tmp_path, OPTIONS, progress=quiet)
    centres = np.stack([view.camera.position.double().numpy() for view in capture.views])
    assert np.abs(centres.mean(axis=0)).max() < 1e-5
    assert np.linalg.norm(centres, axis=1).max() == pytest.approx(1.0, abs=1e-5)
    assert capture.extent == pytest.approx(1.1)
    scale = capture.transform[0, 0]
    assert np.allclose(capture.transform[:3, :3], scale * np.eye(3))
    original = (centres - capture.transform[:3, 3]) / scale
    assert np.allclose(np.linalg.norm(original, axis=1), 3 * math.hypot(1, 0.3), atol=1e-4)


def test_every_nth_photo_by_name_is_held_out(tmp_path: Path) -> None:
    document = write_transforms(tmp_path, count=7)
    document["frames"].reverse()
    rewrite(tmp_path, document)
    capture = open_capture(tmp_path, OPTIONS, progress=quiet)
    assert [view.name for view in capture.views] == [f"images/{i:03d}.png" for i in range(7)]
    assert capture.test == [0, 3, 6]
    assert capture.train == [1, 2, 4, 5]
    assert open_capture(tmp_path, CaptureOptions(test_every=0), progress=quiet).test == []


def test_named_test_photos_are_held_out(tmp_path: Path) -> None:
    document = write_transforms(tmp_path)
    document["test_filenames"] = ["images/001.png", "images/004.png"]
    rewrite(tmp_path, document)
    assert open_capture(tmp_path, OPTIONS, progress=quiet).test == [1, 4]


def test_field_of_view_instead_of_focal_length(tmp_path: Path) -> None:
    document = write_transforms(tmp_path)
    for key in ("w", "h", "fl_x", "fl_y", "cx", "cy"):
        del document[key]
    document["camera_angle_x"] = 0.9
    rewrite(tmp_path, document)
    camera = open_capture(tmp_path, OPTIONS, progress=quiet).views[0].camera
    expected = 48 / math.tan(0.45)
    assert camera.focal == pytest.approx((expected, expected))
    assert camera.principal_point == (48.0, 32.0)


def test_intrinsics_of_a_frame_win(tmp_path: Path) -> None:
    document = write_transforms(tmp_path)
    document["frames"][2] |= {"fl_x": 77.0, "fl_y": 78.0}
    rewrite(tmp_path, document)
    views = open_capture(tmp_path, OPTIONS, progress=quiet).views
    assert views[2].camera.focal == (77.0, 78.0)
    assert views[1].camera.focal == pytest.approx((115.2, 115.2))


def test_names_without_suffix(tmp_path: Path) -> None:
    document = write_transforms(tmp_path)
    for frame in document["frames"]:
        frame["file_path"] = "./" + frame["file_path"].removesuffix(".png")
    rewrite(tmp_path, document)
    assert len(open_capture(tmp_path, OPTIONS, progress=quiet).views) == 6


def test_points_of_a_ply(tmp_path: Path) -> None:
    document = write_transforms(tmp_path)
    rows = "".join(f"{x} {y} {z} 10 20 30\n" for x, y, z in POINTS)
    colors = "".join(f"property uchar {name}\n" for name in ("red", "green", "blue"))
    axes = "".join(f"property float {name}\n" for name in "xyz")
    header = f"ply\nformat ascii 1.0\nelement vertex 4\n{axes}{colors}end_header\n"
    (tmp_path / "cloud.ply").write_text(header + rows)
    document["ply_file_path"] = "cloud.ply"
    rewrite(tmp_path, document)
    capture = open_capture(tmp_path, OPTIONS, progress=quiet)
    world = (capture.points.double().numpy() - capture.transform[:3, 3]) / capture.transform[0, 0]
    assert np.allclose(world, POINTS, atol=1e-5)
    assert capture.point_colors.tolist() == [[10, 20, 30]] * 4


def test_missing_photos_are_counted(tmp_path: Path) -> None:
    document = write_transforms(tmp_path)
    document["frames"] += [{**document["frames"][0], "file_path": f"images/gone{i}.png"} for i in range(17)]
    rewrite(tmp_path, document)
    summary = open_capture(tmp_path, OPTIONS, progress=quiet).summary
    assert (summary.photos, summary.registered) == (23, 6)
    assert any("17 photos skipped (the file does not exist)" in note for note in summary.notes)


def test_all_photos_missing_is_an_error(tmp_path: Path) -> None:
    document = write_transforms(tmp_path)
    for frame in document["frames"]:
        frame["file_path"] = "elsewhere/" + frame["file_path"]
    rewrite(tmp_path, document)
    with pytest.raises(SplatError, match="None of the 6 photos"):
        open_capture(tmp_path, OPTIONS, progress=quiet)


def test_nan_poses_are_counted(tmp_path: Path) -> None:
    document = write_transforms(tmp_path)
    document["frames"][1]["transform_matrix"][0][3] = float("nan")
    document["frames"][4]["transform_matrix"] = np.diag([5.0, 1.0, 1.0, 1.0]).tolist()
    rewrite(tmp_path, document)
    capture = open_capture(tmp_path, OPTIONS, progress=quiet)
    assert len(capture.views) == 4
    notes = " ".join(capture.summary.notes)
    assert "1 photo skipped (its camera pose has NaN" in notes and "001.png" in notes
    assert "1 photo skipped (its camera pose is no rotation" in notes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"camera_model": "EQUIRECTANGULAR"}, "camera_model EQUIRECTANGULAR"),
        ({"fl_x": None, "fl_y": None}, "no focal length"),
        ({"fl_x": float("nan")}, "frame 0 has fl_x = nan"),
        ({"fl_x": "wide"}, "frame 0 has fl_x = 'wide'"),
        ({"fl_x": -50.0, "fl_y": -50.0}, "focal lengths -50 and -50"),
        ({"fl_x": None, "fl_y": None, "camera_angle_x": 4.0}, "camera_angle_x = 4.0"),
        ({"w": "wide"}, "frame 0 has w = 'wide'"),
        ({"h": -64}, "frame 0 has size 96 x -64"),
        ({"cx": [1]}, "frame 0 has cx"),
        ({"k1": "x"}, "frame 0 has k1 = 'x'"),
        ({"frames": []}, "has no frames"),
        ({"frames": [{"transform_matrix": []}]}, "has no file_path"),
        ({"k1": -30.0}, "distorts too much"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, change: dict, words: str) -> None:
    document = write_transforms(tmp_path)
    rewrite(tmp_path, document | change)
    with pytest.raises(SplatError, match=words):
        open_capture(tmp_path, OPTIONS, progress=quiet)


def test_broken_json_is_named(tmp_path: Path) -> None:
    write_transforms(tmp_path)
    (tmp_path / "transforms.json").write_text('{"frames": [')
    with pytest.raises(SplatError, match="cannot be read as JSON"):
        open_capture(tmp_path, OPTIONS, progress=quiet)


def test_missing_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(SplatError, match="transforms.json does not exist"):
        open_capture(tmp_path, CaptureOptions(kind="transforms"), progress=quiet)


def test_left_out_principal_point_is_the_middle(tmp_path: Path) -> None:
    document = write_transforms(tmp_path)
    rewrite(tmp_path, document | {"cx": None, "cy": None})
    camera = open_capture(tmp_path, OPTIONS, progress=quiet).views[0].camera
    assert camera.principal_point == (48.0, 32.0)


def test_cameras_in_one_place_are_an_error(tmp_path: Path) -> None:
    document = write_transforms(tmp_path)
    for frame in document["frames"]:
        for row, value in enumerate((5.0, 1.0, -2.0)):
            frame["transform_matrix"][row][3] = value
    rewrite(tmp_path, document)
    with pytest.raises(SplatError, match="All 6 cameras.*in one place.*different places"):
        open_capture(tmp_path, OPTIONS, progress=quiet)


def test_photo_of_another_shape_is_counted(tmp_path: Path) -> None:
    write_transforms(tmp_path)
    save(tmp_path / "images/003.png", np.zeros((64, 64, 3), np.uint8))
    summary = open_capture(tmp_path, OPTIONS, progress=quiet).summary
    assert summary.registered == 5
    assert any("64 x 64 pixels, but its camera has 96 x 64" in note for note in summary.notes)


def test_photos_reduced_beforehand_fit_their_camera(tmp_path: Path) -> None:
    document = write_transforms(tmp_path)
    rewrite(tmp_path, document | {key: document[key] * 4 for key in ("w", "h", "fl_x", "fl_y", "cx", "cy")})
    capture = open_capture(tmp_path, OPTIONS, progress=quiet)
    view = capture.views[2]
    assert np.abs(projected(view, capture.transform) - find_dots(view.load().rgb)).max() < 0.15
