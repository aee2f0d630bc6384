"""Structure from motion for real, on small photos of a made-up room."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splat.capture import CaptureOptions, open_capture
from splat.capture.sfm_effort import feature_limit
from splat.capture.types import Capture
from splat.errors import SplatError
from tests.capture.alignment import pose_error
from tests.capture.room import FOCAL, HEIGHT, WIDTH, cameras, write_room
from tests.capture.scenes import save

NAMES = [f"\u00fc {i}.jpg" for i in range(8)]


def quiet(_: str) -> None:
    """Say nothing."""


def camera_to_world(capture: Capture, index: int) -> np.ndarray:
    """A view's pose in the original world."""
    pose = np.linalg.inv(capture.views[index].camera.world_to_camera.double().numpy())
    pose[:3, 3] = (pose[:3, 3] - capture.transform[:3, 3]) / capture.transform[0, 0]
    return pose


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Capture]:
    """Photos, cache, and the capture made of them."""
    folder = tmp_path_factory.mktemp("room")
    write_room(folder / "photos", NAMES)
    (folder / "photos/broken.jpg").write_bytes(b"")
    capture = open_capture(folder / "photos", CaptureOptions(), folder / "cache", quiet)
    return folder / "photos", folder / "cache", capture


def test_cameras_are_found(solved: tuple[Path, Path, Capture]) -> None:
    capture = solved[2]
    assert [view.name for view in capture.views] == NAMES
    error = pose_error(
        [camera_to_world(capture, i) for i in range(8)], [np.linalg.inv(p) for p in cameras(8)]
    )
    assert error.position < 0.02
    assert error.degrees < 0.6
    assert capture.views[0].camera.focal[0] == pytest.approx(FOCAL, rel=0.05)


def test_what_was_found_is_told(solved: tuple[Path, Path, Capture]) -> None:
    summary = solved[2].summary
    assert (summary.source, summary.photos, summary.registered) == ("photos", 8, 8)
    assert summary.points == len(solved[2].points) > 100
    assert summary.reprojection_error is not None and summary.reprojection_error < 1.0
    assert summary.seconds_sfm > 0
    assert any("1 photo skipped as unreadable" in note for note in summary.notes)


def test_up_is_minus_y(solved: tuple[Path, Path, Capture]) -> None:
    rows = [view.camera.world_to_camera[1, :3].numpy() for view in solved[2].views]
    mean = np.mean(rows, axis=0)
    assert np.allclose(mean / np.linalg.norm(mean), [0, 1, 0], atol=1e-4)


def test_points_project_where_photos_have_their_colour(solved: tuple[Path, Path, Capture]) -> None:
    capture = solved[2]
    view = capture.views[3]
    rgb = view.load().rgb.astype(float)
    camera = capture.points.double().numpy() @ view.camera.world_to_camera.double().numpy()[:3, :3].T
    camera += view.camera.world_to_camera.double().numpy()[:3, 3]
    pixels = camera @ view.camera.intrinsics.double().numpy().T
    x, y = (pixels[:, :2] / pixels[:, 2:]).T
    seen = (x > 5) & (x < view.camera.width - 5) & (y > 5) & (y < view.camera.height - 5)
    sampled = rgb[y[seen].astype(int), x[seen].astype(int)]
    stored = capture.point_colors.numpy()[seen].astype(float)
    shuffled = np.roll(stored, 7, axis=0)
    assert seen.sum() > 50
    assert np.abs(sampled - stored).mean() < 0.5 * np.abs(sampled - shuffled).mean()


def test_same_photos_give_the_same_model(solved: tuple[Path, Path, Capture], tmp_path: Path) -> None:
    photos, cache, _ = solved
    open_capture(photos, CaptureOptions(), tmp_path, quiet)
    for name in ("cameras.bin", "images.bin", "points3D.bin"):
        assert (tmp_path / "model" / name).read_bytes() == (cache / "model" / name).read_bytes(), name


def test_cache_is_used_again(solved: tuple[Path, Path, Capture], monkeypatch: pytest.MonkeyPatch) -> None:
    photos, cache, before = solved
    monkeypatch.setattr("splat.capture.raw.run_sfm", lambda *_: pytest.fail("solved again"))
    said: list[str] = []
    after = open_capture(photos, CaptureOptions(max_size=100), cache, said.append)
    assert any("found before" in line for line in said)
    assert after.summary.seconds_sfm == before.summary.seconds_sfm
    assert np.allclose(after.transform, before.transform)
    assert max(after.views[0].camera.width, after.views[0].camera.height) == 100


def test_cache_of_other_photos_is_not_used(
    solved: tuple[Path, Path, Capture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, cache, _ = solved
    for name in NAMES[:-1]:
        save(tmp_path / name, np.asarray(Image.open(photos / name)))
    monkeypatch.setattr("splat.capture.raw.run_sfm", lambda *_: (_ for _ in ()).throw(SplatError("solving")))
    with pytest.raises(SplatError, match="solving"):
        open_capture(tmp_path, CaptureOptions(), cache, quiet)
    record = json.loads((cache / "model/splat.json").read_text())
    assert record["registered"] == 8, "a failed attempt must leave the cache as it was"
    assert not list(cache.glob("working-*"))


def test_cameras_of_a_run_are_not_replaced_by_those_of_other_photos(
    solved: tuple[Path, Path, Capture], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, cache, before = solved
    monkeypatch.setattr("splat.capture.raw.run_sfm", lambda *_: pytest.fail("solved again"))
    for name in NAMES[:-1]:
        save(tmp_path / name, np.asarray(Image.open(photos / name)))
    with pytest.raises(SplatError, match="added, removed or changed.*--out"):
        open_capture(tmp_path, CaptureOptions(), cache, quiet, keep_cache=True)
    again = open_capture(photos, CaptureOptions(), cache, quiet, keep_cache=True)
    assert len(again.views) == len(before.views)


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The solver dies of it without saying so."""
    write_room(tmp_path / "photos", NAMES[:3])
    monkeypatch.setattr("splat.capture.worker.sys.executable", "false")
    with pytest.raises(SplatError, match="broke down.*sfm.log"):
        open_capture(tmp_path / "photos", CaptureOptions(), tmp_path / "cache", quiet)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("splat.capture.worker.shutil.disk_usage", lambda path: usage)
    with pytest.raises(SplatError, match="disk is full"):
        open_capture(tmp_path / "photos", CaptureOptions(), tmp_path / "cache", quiet)


def test_photos_without_overlap_are_an_error(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for i in range(3):
        noise = random.integers(0, 255, (18, 24, 3), dtype=np.uint8)
        save(tmp_path / f"{i}.png", np.asarray(Image.fromarray(noise).resize((192, 144))))
    with pytest.raises(SplatError, match="None of the 3 photos could be placed.*each overlapping"):
        open_capture(tmp_path, CaptureOptions(), tmp_path / "cache", quiet)
    assert not (tmp_path / "cache/model").exists()


def test_blank_photos_are_an_error(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / f"{i}.png", np.full((HEIGHT, WIDTH, 3), 128, np.uint8))
    with pytest.raises(SplatError, match="None of the 3 photos could be placed"):
        open_capture(tmp_path, CaptureOptions(), None, quiet)


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_interrupt_ends_the_solver_and_leaves_no_half_cache(tmp_path: Path) -> None:
    write_room(tmp_path / "photos", NAMES)
    code = (
        "import sys; from pathlib import Path\n"
        "from splat.capture import CaptureOptions, open_capture\n"
        "def say(text): print(text, flush=True)\n"
        "open_capture(Path(sys.argv[1]), CaptureOptions(), Path(sys.argv[2]), say)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "photos"), str(tmp_path / "cache")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if "finding features" in line:
            break
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in stderr
    assert time.monotonic() - start < 30
    assert not (tmp_path / "cache/model").exists()
    assert not list((tmp_path / "cache").glob("working-*"))


def test_cache_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    write_room(tmp_path / "photos", NAMES[:4])
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(SplatError, match="cache"):
        open_capture(tmp_path / "photos", CaptureOptions(), tmp_path / "cache", quiet)


def test_fewer_features_for_more_photos() -> None:
    assert feature_limit(11, "exhaustive") == 8192
    assert 3000 < feature_limit(50, "exhaustive") < 4000
    assert feature_limit(1000, "exhaustive") == 2048
    assert feature_limit(150, "sequential") > feature_limit(150, "exhaustive")
