"""Points for captures that have cameras but none: found in photos of a made-up room."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray
from PIL import Image

from splat.capture import CaptureOptions, open_capture
from splat.capture.camera_pairs import nearby_pairs
from splat.capture.decode import read_header
from splat.capture.lens import Lens
from splat.capture.masks import MaskFile
from splat.capture.photos import Photo
from splat.capture.sfm_prepare import prepare_photos
from splat.capture.types import Capture
from splat.errors import SplatError
from tests.capture.room import FOCAL, HEIGHT, WIDTH, cameras, photo
from tests.capture.scenes import camera_to_world_opengl, ring, save, write_transforms

COUNT = 7
CHANGES = {"cx": WIDTH / 2, "cy": HEIGHT / 2, "fl_x": FOCAL, "fl_y": FOCAL, "w": WIDTH, "h": HEIGHT}


def quiet(_: str) -> None:
    """Say nothing."""


def write_posed_room(folder: Path, suffix: str = ".png", **changes: Any) -> None:
    """The room's photos with their true cameras in a transforms.json."""
    frames = []
    for i, pose in enumerate(cameras(COUNT)):
        name = f"images/{i}{suffix}"
        save(folder / name, photo(pose))
        frames.append({"file_path": name, "transform_matrix": camera_to_world_opengl(pose)})
    (folder / "transforms.json").write_text(json.dumps({**CHANGES, "frames": frames, **changes}))


def in_original_world(capture: Capture) -> NDArray[np.float64]:
    """The capture's points where its cameras were given."""
    return (capture.points.double().numpy() - capture.transform[:3, 3]) / capture.transform[0, 0]


def off_the_walls(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each point from the nearest of the room's three planes x, y, z = 0."""
    return np.abs(points).min(axis=1)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Capture]:
    """Photos with cameras, cache, and the capture made of them."""
    folder = tmp_path_factory.mktemp("posed_room")
    write_posed_room(folder / "room")
    capture = open_capture(folder / "room", CaptureOptions(), folder / "cache", quiet)
    return folder / "room", folder / "cache", capture


def test_points_lie_on_the_walls(found: tuple[Path, Path, Capture]) -> None:
    capture = found[2]
    distance = off_the_walls(in_original_world(capture))
    assert len(distance) > 300
    assert np.median(distance) < 0.01, "of cameras 4 away"
    assert np.mean(distance < 0.1) > 0.95
    seen = in_original_world(capture)
    assert np.ptp(seen, axis=0).min() > 1.0, "on all three walls"


def test_what_was_found_is_told(found: tuple[Path, Path, Capture]) -> None:
    capture = found[2]
    summary = capture.summary
    assert summary.points == len(capture.points) == len(capture.point_colors)
    assert summary.reprojection_error is not None and 0 < summary.reprojection_error < 1.0
    assert summary.seconds_sfm > 0
    assert [note for note in summary.notes if f"{len(capture.points):,} were found in its photos" in note]


def test_colours_are_those_of_the_photos(found: tuple[Path, Path, Capture]) -> None:
    capture = found[2]
    pose = cameras(COUNT)[3]
    local = in_original_world(capture) @ pose[:3, :3].T + pose[:3, 3]
    x, y = (local[:, :2] / local[:, 2:] * FOCAL + [WIDTH / 2, HEIGHT / 2]).T
    seen = (x > 5) & (x < WIDTH - 5) & (y > 5) & (y < HEIGHT - 5)
    sampled = photo(pose)[y[seen].astype(int), x[seen].astype(int)].astype(float)
    stored = capture.point_colors.numpy()[seen].astype(float)
    assert seen.sum() > 50
    assert np.abs(sampled - stored).mean() < 0.5 * np.abs(sampled - np.roll(stored, 7, axis=0)).mean()


def test_cameras_stay_as_they_are_given(found: tuple[Path, Path, Capture]) -> None:
    source, _, capture = found
    without = open_capture(source, CaptureOptions(points="given"), None, quiet)
    assert without.summary.points == 0 and not without.summary.notes
    for view, other in zip(capture.views, without.views, strict=True):
        assert view.camera.world_to_camera.equal(other.camera.world_to_camera)
        assert view.camera.intrinsics.equal(other.camera.intrinsics)


def test_points_found_before_are_used_again(
    found: tuple[Path, Path, Capture], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, cache, before = found
    monkeypatch.setattr("splat.capture.triangulate.find_points", lambda *_: pytest.fail("searched again"))
    said: list[str] = []
    after = open_capture(source, CaptureOptions(max_size=100), cache, said.append, keep_cache=True)
    assert after.points.equal(before.points) and after.point_colors.equal(before.point_colors)
    assert after.summary == before.summary
    assert any("points found before" in line for line in said)


def test_same_photos_give_the_same_points_also_in_place_of_a_damaged_cache(
    found: tuple[Path, Path, Capture], tmp_path: Path
) -> None:
    source, cache, before = found
    (tmp_path / "model").mkdir()
    for name in ("splat.json", "points.npz"):
        whole = (cache / "model" / name).read_bytes()
        (tmp_path / "model" / name).write_bytes(whole if name == "splat.json" else whole[: len(whole) // 2])
    again = open_capture(source, CaptureOptions(), tmp_path, quiet, keep_cache=True)
    assert again.points.equal(before.points) and again.point_colors.equal(before.point_colors)
    stored = [(folder / "model/points.npz").read_bytes() for folder in (cache, tmp_path)]
    assert stored[0] == stored[1]
    assert not list(tmp_path.glob("working-*"))


@pytest.mark.parametrize("change", ["pose", "lens", "photo"])
def test_points_of_a_run_are_not_replaced_by_those_of_others(
    found: tuple[Path, Path, Capture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    source, cache, _ = found
    document = json.loads((source / "transforms.json").read_text())
    for frame in document["frames"]:
        save(tmp_path / frame["file_path"], np.asarray(Image.open(source / frame["file_path"])))
    if change == "pose":
        document["frames"][3]["transform_matrix"][0][3] += 1e-4
    if change == "lens":
        document["k1"] = 1e-4
    if change == "photo":
        save(tmp_path / "images/3.png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    (tmp_path / "transforms.json").write_text(json.dumps(document))
    monkeypatch.setattr("splat.capture.triangulate.find_points", lambda *_: pytest.fail("searched again"))
    with pytest.raises(SplatError, match="masks or cameras were added, removed or changed.*--out"):
        open_capture(tmp_path, CaptureOptions(), cache, quiet, keep_cache=True)


def test_wrong_axes_are_named_and_no_points_used(tmp_path: Path) -> None:
    write_posed_room(tmp_path)
    document = json.loads((tmp_path / "transforms.json").read_text())
    for frame, pose in zip(document["frames"], cameras(COUNT), strict=True):
        frame["transform_matrix"] = np.linalg.inv(pose).tolist()
    (tmp_path / "transforms.json").write_text(json.dumps(document))
    capture = open_capture(tmp_path, CaptureOptions(), tmp_path / "cache", quiet)
    assert len(capture.points) == 0 and capture.summary.reprojection_error is None
    (note,) = capture.summary.notes
    assert "cameras look wrong" in note and "OpenGL axes" in note and "--kind photos" in note
    again = open_capture(tmp_path, CaptureOptions(), tmp_path / "cache", quiet)
    assert again.summary == capture.summary, "a search that found nothing is remembered too"


def test_blank_photos_are_named(tmp_path: Path) -> None:
    write_posed_room(tmp_path)
    for i in range(COUNT):
        save(tmp_path / f"images/{i}.png", np.full((HEIGHT, WIDTH, 3), 128, np.uint8))
    capture = open_capture(tmp_path, CaptureOptions(), None, quiet)
    assert len(capture.points) == 0
    assert "overlap too little or show little texture" in capture.summary.notes[0]


def test_a_solver_that_breaks_down_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_posed_room(tmp_path)
    monkeypatch.setattr("splat.capture.worker.sys.executable", "false")
    capture = open_capture(tmp_path, CaptureOptions(), tmp_path / "cache", quiet)
    assert len(capture.points) == 0
    assert "broke down" in capture.summary.notes[0] and "points.log" in capture.summary.notes[0]
    assert not (tmp_path / "cache/model").exists(), "it may have been for want of memory: try again next time"


def test_photos_with_a_bent_lens_and_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Straight photos are bent by the lens that the file names; the right wall (z = 0) is masked out.

    And the pairs are those of near cameras, as for many photos.
    """
    monkeypatch.setattr("splat.capture.triangulate_task.ALL_PAIRS_UP_TO", 2)
    lens = Lens("OPENCV", WIDTH, HEIGHT, (FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, -0.15, 0.02, 0.002, -0.001))
    write_posed_room(tmp_path, k1=-0.15, k2=0.02, p1=0.002, p2=-0.001)
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    rays = lens.unproject(np.stack([x.ravel(), y.ravel()], axis=1)).reshape(HEIGHT, WIDTH, 2)
    where = (rays * FOCAL + [WIDTH / 2, HEIGHT / 2] - 0.5).astype(np.float32)
    for i, pose in enumerate(cameras(COUNT)):
        save(tmp_path / f"images/{i}.png", cv2.remap(photo(pose), where, None, cv2.INTER_CUBIC))
        directions = np.concatenate([rays, np.ones((HEIGHT, WIDTH, 1))], axis=2) @ pose[:3, :3]
        centre = -pose[:3, :3].T @ pose[:3, 3]
        meets = centre - directions * (centre[2] / directions[..., 2:])  # where rays meet the plane z = 0
        wall = (directions[..., 2] < 0) & (meets[..., 0] > -0.05) & (meets[..., 1] < 0.05)
        save(tmp_path / f"masks/{i}.png", np.where(wall, 0, 255).astype(np.uint8))
    capture = open_capture(tmp_path, CaptureOptions(), None, quiet)
    points = in_original_world(capture)
    assert len(points) > 100
    assert np.median(off_the_walls(points)) < 0.015
    assert np.mean((points[:, 2] < 0.03) & (points[:, 0] > 0.1) & (points[:, 1] < -0.1)) < 0.03


def test_transparent_photos_keep_their_silhouettes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_posed_room(tmp_path)
    monkeypatch.setattr("splat.capture.triangulate.find_points", lambda *_: pytest.fail("searched"))
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:40] = 0
    for i, pose in enumerate(cameras(COUNT)):
        save(tmp_path / f"images/{i}.png", np.dstack([photo(pose), alpha]))
    capture = open_capture(tmp_path, CaptureOptions(), None, quiet)
    assert len(capture.points) == 0 and not capture.summary.notes


def test_an_unused_transparency_channel_is_opaque(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_posed_room(tmp_path)

    def search(*_: object) -> None:
        raise SplatError("searching")

    monkeypatch.setattr("splat.capture.triangulate.find_points", search)
    for i, pose in enumerate(cameras(COUNT)):
        save(tmp_path / f"images/{i}.png", np.dstack([photo(pose), np.full((HEIGHT, WIDTH), 255, np.uint8)]))
    with pytest.raises(SplatError, match="searching"):
        open_capture(tmp_path, CaptureOptions(), None, quiet)


def test_a_colmap_model_without_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_posed_room(tmp_path)
    (tmp_path / "transforms.json").unlink()
    model = pycolmap.Reconstruction()
    lens = [FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2]
    model.add_camera_with_trivial_rig(
        pycolmap.Camera(model="PINHOLE", width=WIDTH, height=HEIGHT, params=lens, camera_id=1)
    )
    for i, pose in enumerate(cameras(COUNT)):
        image = pycolmap.Image(name=f"{i}.png", camera_id=1, image_id=i + 1)
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pose[:3]))
    (tmp_path / "sparse/0").mkdir(parents=True)
    model.write_binary(tmp_path / "sparse/0")
    asked: list[Any] = []

    def search(source: str, photos: list[Any], *_: object) -> None:
        asked.extend(photos)
        raise SplatError(f"searching a {source} capture")

    monkeypatch.setattr("splat.capture.triangulate.find_points", search)
    with pytest.raises(SplatError, match="searching a colmap capture"):
        open_capture(tmp_path, CaptureOptions(test_every=0), None, quiet)
    for one, pose in zip(asked, cameras(COUNT), strict=True):
        assert np.allclose(one.posed.world_to_camera, pose)


@pytest.mark.parametrize("as_stored", [True, False])
def test_copies_and_masks_are_turned_as_the_lens_is(tmp_path: Path, as_stored: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter, clockwise: the top right corner is stored top left
    stored = np.zeros((30, 40, 3), np.uint8)
    stored[:15, :20] = 255
    for name in ("photo.jpg", "mask.jpg"):
        save(tmp_path / name, stored, quality=95, exif=exif)
    path = tmp_path / "photo.jpg"
    turned = stored if as_stored else np.rot90(stored, -1)
    prepare_photos(
        [Photo("photo.jpg", path, read_header(path))],
        {"photo.jpg": MaskFile(tmp_path / "mask.jpg")},
        tmp_path,
        {"photo.jpg"} if as_stored else (),
    )
    for copy in ("photos/000000.png", "masks/000000.png.png"):
        pixels = np.asarray(Image.open(tmp_path / copy).convert("L"))
        assert pixels.shape == turned.shape[:2]
        assert np.mean((pixels > 127) == (turned[..., 0] > 127)) > 0.98


def test_only_photos_to_train_on_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_posed_room(tmp_path)
    asked: list[str] = []

    def search(source: str, photos: list[Any], *_: object) -> None:
        asked.extend(photo.posed.name for photo in photos)
        raise SplatError("searching")

    monkeypatch.setattr("splat.capture.triangulate.find_points", search)
    with pytest.raises(SplatError, match="searching"):
        open_capture(tmp_path, CaptureOptions(test_every=3), None, quiet)
    assert asked == [f"images/{i}.png" for i in (1, 2, 4, 5)]


def test_tiny_photos_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_transforms(tmp_path)
    monkeypatch.setattr("splat.capture.triangulate.find_points", lambda *_: pytest.fail("searched"))
    assert (
        "too small to find points in"
        in open_capture(tmp_path, CaptureOptions(), None, quiet).summary.notes[0]
    )


def test_pairs_are_near_and_look_the_same_way() -> None:
    poses = np.stack(ring(36))
    pairs = nearby_pairs(poses, most=4)
    assert pairs == sorted({(min(i, (i + k) % 36), max(i, (i + k) % 36)) for i in range(36) for k in (1, 2)})
    gaps = {abs(i - j) for i, j in nearby_pairs(poses, most=35)}
    assert {min(gap, 36 - gap) for gap in gaps} == {1, 2, 3, 4, 5, 6}, "10 degrees each about the axis"
