"""Video: the sharpest frame of each window, no repeats, upright, cached."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from splat.capture import CaptureOptions, open_capture
from splat.capture.video import Frame, choose_frames, extract_frames, motion, sharpness
from splat.errors import SplatError
from tests.capture.room import HEIGHT, WIDTH, cameras, photo


def panorama() -> np.ndarray:
    """A wide textured picture to pan over."""
    noise = np.random.default_rng(0).integers(0, 255, (80, 400, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (1200, 240), interpolation=cv2.INTER_CUBIC))


def pan(position: int, blur: int = 0) -> np.ndarray:
    """A 320 x 240 part of it, maybe blurred."""
    frame = panorama()[:, position : position + 320]
    return np.asarray(cv2.blur(frame, (blur, blur))) if blur else frame


def test_blur_lowers_sharpness_and_contrast_does_not() -> None:
    frame = pan(0)
    faint = (frame.astype(float) * 0.5 + 64).astype(np.uint8)
    assert sharpness(pan(0, blur=9)) < 0.5 * sharpness(frame)
    assert sharpness(faint) == pytest.approx(sharpness(frame), rel=0.1)


def test_motion_is_a_fraction_of_the_side() -> None:
    assert motion(pan(0), pan(0)) < 1e-3
    assert motion(pan(0), pan(8)) == pytest.approx(8 / 320, rel=0.3)


def test_the_sharpest_of_each_window_is_chosen() -> None:
    sharp = {3, 7, 9}
    frames = [Frame(i, pan(40 * i, blur=0 if i in sharp else 9)) for i in range(12)]
    chosen = [frame.number for frame in choose_frames(iter(frames), 12, 3)]
    assert chosen == [3, 7, 9]


def test_frames_that_repeat_the_last_are_dropped() -> None:
    positions = [0, 0, 0, 60, 60, 120]
    frames = [Frame(i, pan(position)) for i, position in enumerate(positions)]
    chosen = [frame.number for frame in choose_frames(iter(frames), 6, 6)]
    assert chosen == [0, 3, 5]


def write_video(path: Path, frames: list[np.ndarray]) -> None:
    """An AVI of RGB frames."""
    size = frames[0].shape[1], frames[0].shape[0]
    video = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, size)
    for frame in frames:
        video.write(np.ascontiguousarray(frame[..., ::-1]))
    video.release()


def test_frames_are_extracted_once(tmp_path: Path) -> None:
    write_video(tmp_path / "pan.avi", [pan(10 * i) for i in range(40)])
    said: list[str] = []
    folder, note = extract_frames(tmp_path / "pan.avi", 10, tmp_path / "cache", said.append)
    names = sorted(path.name for path in folder.glob("*.jpg"))
    assert len(names) == 10
    assert note == "10 sharp frames were chosen out of 40."
    assert said
    said.clear()
    assert extract_frames(tmp_path / "pan.avi", 10, tmp_path / "cache", said.append) == (folder, note)
    assert not said
    extract_frames(tmp_path / "pan.avi", 5, tmp_path / "cache", said.append)
    assert len(list(folder.glob("*.jpg"))) == 5
    with pytest.raises(SplatError, match="added, removed or changed"):
        extract_frames(tmp_path / "pan.avi", 7, tmp_path / "cache", said.append, keep_cache=True)
    assert len(list(folder.glob("*.jpg"))) == 5
    assert not list((tmp_path / "cache").glob("working-*"))


def test_a_video_of_a_still_picture_is_an_error(tmp_path: Path) -> None:
    write_video(tmp_path / "still.avi", [pan(0)] * 20)
    with pytest.raises(SplatError, match="only 1 frame that differ"):
        open_capture(tmp_path / "still.avi", CaptureOptions(), tmp_path / "cache", lambda _: None)
    assert not (tmp_path / "cache/frames").exists()


def test_a_broken_video_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    with pytest.raises(SplatError, match="cannot be decoded as a video"):
        open_capture(tmp_path / "broken.mp4", CaptureOptions(), tmp_path / "cache", lambda _: None)


def test_cameras_of_a_video_are_found(tmp_path: Path) -> None:
    write_video(tmp_path / "room.avi", [photo(pose) for pose in cameras(9)])
    capture = open_capture(
        tmp_path / "room.avi", CaptureOptions(video_frames=9), tmp_path / "cache", lambda _: None
    )
    assert capture.summary.source == "video"
    assert capture.summary.registered == 9
    assert [view.name for view in capture.views] == [f"frame_{i:06d}.jpg" for i in range(9)]
    assert capture.views[0].load().rgb.shape[1] <= WIDTH
    assert capture.views[0].camera.height <= HEIGHT
