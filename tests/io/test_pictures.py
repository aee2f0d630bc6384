"""Pictures and videos out, and back in."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from splat.errors import SplatError
from splat.io.image import read_image, write_image
from splat.io.video import VideoWriter


def gradient(height: int = 40, width: int = 60) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 4, y * 6, np.full_like(x, 30)], axis=-1).astype(np.uint8)


def test_png_is_lossless_and_rgb(tmp_path: Path) -> None:
    write_image(tmp_path / "ä b.png", gradient())
    assert np.array_equal(read_image(tmp_path / "ä b.png"), gradient())
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    write_image(tmp_path / "red.png", red)
    bgr = cv2.imread(str(tmp_path / "red.png"))
    assert bgr is not None and bgr[0, 0].tolist() == [0, 0, 255]


def test_sixteen_bit_grey(tmp_path: Path) -> None:
    depth = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    write_image(tmp_path / "d.png", depth)
    assert np.array_equal(np.asarray(cv2.imread(str(tmp_path / "d.png"), cv2.IMREAD_UNCHANGED)), depth)


def test_jpeg_is_close(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", gradient())
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - gradient()).mean() < 3


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_unreadable_picture(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(SplatError, match=r"a\.png cannot be decoded"):
        read_image(tmp_path / "a.png")
    with pytest.raises(SplatError, match=r"none\.png cannot be read"):
        read_image(tmp_path / "none.png")


def test_unknown_picture_suffix(tmp_path: Path) -> None:
    with pytest.raises(SplatError, match=r"a\.gif.*\.png"):
        write_image(tmp_path / "a.gif", gradient())


def test_video_plays_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.mp4"
    with VideoWriter(path, 60, 40, fps=10) as video:
        for step in range(7):
            video.add(np.full((40, 60, 3), [200, 10 + 20 * step, 40], np.uint8))
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 7
    assert capture.get(cv2.CAP_PROP_FPS) == 10
    for step in range(7):
        frame = capture.read()[1]
        assert np.abs(frame[:, :, ::-1].astype(int) - [200, 10 + 20 * step, 40]).max() < 12
    assert [p.name for p in path.parent.iterdir()] == ["a.mp4"]


def test_video_is_not_left_half_written(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), VideoWriter(tmp_path / "a.mp4", 60, 40, fps=10) as video:
        video.add(gradient())
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_video_refuses_to_overwrite(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"mine")
    with pytest.raises(SplatError, match="exists already"), VideoWriter(tmp_path / "a.mp4", 60, 40, fps=10):
        pass
    assert (tmp_path / "a.mp4").read_bytes() == b"mine"


def test_missing_encoder_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splat.io.video._CODEC", "zzzz")
    with pytest.raises(SplatError, match="encoder.*folder"), VideoWriter(tmp_path / "a.mp4", 60, 40, fps=10):
        pass
    assert list(tmp_path.iterdir()) == []


def test_video_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("splat.io.video.shutil.disk_usage", lambda path: usage)
    with (
        pytest.raises(SplatError, match="disk is full"),
        VideoWriter(tmp_path / "a.mp4", 60, 40, 10) as video,
    ):
        video.add(gradient())
    assert list(tmp_path.iterdir()) == []


def test_video_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path, data: bytes) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", forbidden)
    with pytest.raises(SplatError, match="may write to"), VideoWriter(tmp_path / "a.mp4", 60, 40, 10):
        pass
