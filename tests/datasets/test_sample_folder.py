"""The sample's folder: same bytes for the same seed, finished when partial, never mixed with other photos."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import datasets.sample.photos as photos
from datasets.sample.__main__ import main
from datasets.sample.generate import SampleSettings, generate
from datasets.sample.walk import walk
from splat.errors import SplatError

SMALL = SampleSettings(count=3, width=64, height=48)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file's bytes by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder with the small sample."""
    generate(tmp_path / "images", tmp_path / "truth.json", SMALL)
    return tmp_path / "images"


def test_same_seed_same_bytes(made: Path, tmp_path: Path) -> None:
    done = generate(tmp_path / "again", tmp_path / "again.json", SMALL)
    assert (done.rendered, done.ready) == (3, 0)
    assert list(contents(made)) == ["IMG_0001.jpg", "IMG_0002.jpg", "IMG_0003.jpg"]
    assert contents(tmp_path / "again") == contents(made)
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "truth.json").read_bytes()


def test_complete_folder_is_left_alone(made: Path, tmp_path: Path) -> None:
    times = [path.stat().st_mtime_ns for path in sorted(made.iterdir())]
    done = generate(made, tmp_path / "truth.json", SMALL)
    assert (done.rendered, done.ready, done.removed) == (0, 3, 0)
    assert [path.stat().st_mtime_ns for path in sorted(made.iterdir())] == times


def test_partial_folder_is_finished(made: Path, tmp_path: Path) -> None:
    before = contents(made)
    kept = (made / "IMG_0001.jpg").stat().st_mtime_ns
    (made / "IMG_0002.jpg").unlink()
    (made / "IMG_0003.jpg").write_bytes(before["IMG_0003.jpg"][:-40])
    (made / ".IMG_0002.jpg.77.part").write_bytes(b"broken off")
    done = generate(made, tmp_path / "truth.json", SMALL)
    assert (done.rendered, done.ready) == (2, 1)
    assert contents(made) == before
    assert (made / "IMG_0001.jpg").stat().st_mtime_ns == kept


def test_other_settings_replace_the_old_photos(made: Path, tmp_path: Path) -> None:
    fewer = SampleSettings(count=2, width=64, height=48, seed=0)
    done = generate(made, tmp_path / "truth.json", fewer)
    assert (done.rendered, done.removed) == (2, 3)
    assert list(contents(made)) == ["IMG_0001.jpg", "IMG_0002.jpg"]


def test_photos_of_others_are_not_touched(made: Path, tmp_path: Path) -> None:
    Image.new("RGB", (64, 48)).save(made / "holiday.png")
    before = contents(made)
    with pytest.raises(SplatError, match=r"holiday\.png"):
        generate(made, tmp_path / "truth.json", SampleSettings(count=2, width=64, height=48))
    assert contents(made) == before


def test_exif_gives_the_true_focal_length(made: Path, tmp_path: Path) -> None:
    truth = json.loads((tmp_path / "truth.json").read_text())["views"]
    assert [view["name"] for view in truth] == list(contents(made))
    for view in truth:
        with Image.open(made / view["name"]) as image:
            assert image.size == (view["width"], view["height"]) == (64, 48)
            exif = image.getexif()
            details = exif.get_ifd(0x8769)
        assert exif[0x0110] == "Pinhole 28" and exif[0x0112] == 1
        focal = details[0xA405] * np.hypot(64, 48) / np.hypot(36, 24)
        np.testing.assert_allclose(view["intrinsics"], [[focal, 0, 32], [0, focal, 24], [0, 0, 1]], rtol=1e-4)


def test_truth_is_the_walk(made: Path, tmp_path: Path) -> None:
    truth = json.loads((tmp_path / "truth.json").read_text())["views"]
    for view, camera in zip(truth, walk(3, 64, 48), strict=True):
        np.testing.assert_array_equal(view["world_to_camera"], camera.world_to_camera)
        rotation = camera.world_to_camera[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) > 0
        centre = -rotation.T @ camera.world_to_camera[:3, 3]
        assert 1.0 < np.hypot(*centre[:2]) < 2.4 and 1.0 < centre[2] < 2.1
        assert rotation[1, 2] < -0.7  # image down is world down


def test_failed_write_leaves_no_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(photos.os, "replace", full_disk)
    caption = photos.Caption("test", 1)
    with pytest.raises(OSError, match="No space"):
        photos.write_photo(tmp_path, caption, np.zeros((4, 4, 3), dtype=np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_errors_are_words(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    for arguments, word in (
        (["--size", "big"], "--size"),
        (["--count", "1"], "--count"),
        (["--seed", "-1"], "--seed"),
        (["--out", str(tmp_path / "file" / "images")], "cannot write"),
        (["--out", str(tmp_path / "a"), "--truth", str(tmp_path / "a" / "truth.json")], "--truth"),
    ):
        monkeypatch.setattr("sys.argv", ["sample", *arguments])
        assert main() == 1
        message = capsys.readouterr().err
        assert message.startswith("error: ") and word in message and "Traceback" not in message
