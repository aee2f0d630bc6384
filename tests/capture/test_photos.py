"""Photo files of every kind, whole and broken, and which folders hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from splat.capture import CaptureOptions, open_capture
from splat.capture.decode import decode, is_whole, read_header
from splat.capture.open import detect_kind
from splat.capture.photos import list_photos, photo_folder, readable_photos
from splat.errors import SplatError
from tests.capture.scenes import save

ORIENTATION = 0x0112


def gradient(height: int = 24, width: int = 36) -> np.ndarray:
    """A photo that looks different any way it is turned."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], -1).astype(
        np.uint8
    )


def oriented(path: Path, stored: np.ndarray, orientation: int) -> None:
    """Save pixels as stored, with an EXIF orientation."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    save(path, stored, exif=exif.tobytes())


# How a camera stores an upright photo under each EXIF orientation: the inverse of what a viewer does.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(tmp_path: Path, orientation: int) -> None:
    upright = gradient()
    path = tmp_path / "photo.png"
    oriented(path, np.ascontiguousarray(STORED[orientation](upright)), orientation)
    header = read_header(path)
    assert header.orientation == orientation
    assert header.size() == (36, 24)
    rgb, alpha = decode(path)
    assert alpha is None
    assert (rgb == upright).all()
    raw, _ = decode(path, upright=False)
    assert raw.shape[:2] == header.size(upright=False)[::-1]


def test_greyscale_and_16_bits(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 24 * 36).reshape(24, 36).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    rgb, alpha = decode(tmp_path / "deep.png")
    assert alpha is None and rgb.dtype == np.uint8
    assert np.abs(rgb[..., 1].astype(int) - values / 257).max() <= 1
    save(tmp_path / "grey.png", gradient()[..., 0])
    rgb, _ = decode(tmp_path / "grey.png")
    assert (rgb == gradient()[..., :1]).all()


def test_16_bit_colour(tmp_path: Path) -> None:
    import cv2

    wide = gradient().astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "deep.png"), wide[..., ::-1])
    rgb, _ = decode(tmp_path / "deep.png")
    assert np.abs(rgb.astype(int) - gradient()).max() <= 1


def test_transparency_is_straight(tmp_path: Path) -> None:
    rgba = np.dstack([gradient(), np.full((24, 36), 77, np.uint8)])
    save(tmp_path / "photo.png", rgba)
    assert read_header(tmp_path / "photo.png").alpha
    rgb, alpha = decode(tmp_path / "photo.png")
    assert (rgb == gradient()).all()
    assert alpha is not None and (alpha == 77).all()


def test_names_with_spaces_and_umlauts(tmp_path: Path) -> None:
    for name in ("a b.jpg", "M\u00fcnchen \u6771\u4eac.JPG", "sub dir/\u00e9.png"):
        save(tmp_path / name, gradient())
    names = list_photos(tmp_path)
    assert names == sorted(["a b.jpg", "M\u00fcnchen \u6771\u4eac.JPG", "sub dir/\u00e9.png"])
    photos = readable_photos(tmp_path, names, [])
    assert [decode(photo.path)[0].shape for photo in photos] == [(24, 36, 3)] * 3


def test_heic(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    Image.fromarray(gradient(64, 96)).save(tmp_path / "photo.heic", quality=95)
    rgb, _ = decode(tmp_path / "photo.heic")
    assert rgb.shape == (64, 96, 3)
    assert np.abs(rgb.astype(int) - gradient(64, 96)).mean() < 4


def test_heic_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for i in range(3):
        (tmp_path / f"{i}.heic").write_bytes(b"....ftypheic")
    with pytest.raises(SplatError, match="pip install pillow-heif"):
        open_capture(tmp_path, CaptureOptions(), progress=lambda _: None)


def cut(path: Path) -> None:
    """Cut a file to two thirds."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_photo_cut_short_is_noticed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    noise = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
    save(path, noise)
    assert is_whole(path)
    cut(path)
    assert not is_whole(path)
    with pytest.raises(SplatError, match="cannot be read as an image"):
        decode(path)


def test_broken_photos_are_counted(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
    for i in range(5):
        save(tmp_path / f"{i}.jpg", noise)
    cut(tmp_path / "1.jpg")
    (tmp_path / "2.jpg").write_text("this is no image")
    (tmp_path / "3.jpg").write_bytes(b"")
    notes: list[str] = []
    photos = readable_photos(tmp_path, list_photos(tmp_path), notes)
    assert [photo.name for photo in photos] == ["0.jpg", "4.jpg"]
    assert notes == ["3 photos skipped as unreadable or cut short: 1.jpg, 2.jpg, 3.jpg."]


def test_all_photos_broken_is_an_error(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.jpg").write_text("this is no image")
    with pytest.raises(SplatError, match="None of the 3 photos"):
        open_capture(tmp_path, CaptureOptions(), progress=lambda _: None)


def test_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SplatError, match="has no photos in it"):
        open_capture(tmp_path, CaptureOptions(), progress=lambda _: None)
    with pytest.raises(SplatError, match="has no photos in it"):
        open_capture(tmp_path, CaptureOptions(kind="photos"), progress=lambda _: None)


def test_one_photo_is_an_error(tmp_path: Path) -> None:
    save(tmp_path / "only.jpg", gradient())
    with pytest.raises(SplatError, match="has 1 photo that can be used"):
        open_capture(tmp_path, CaptureOptions(), progress=lambda _: None)


def test_what_a_source_is(tmp_path: Path) -> None:
    save(tmp_path / "flat/1.jpg", gradient())
    save(tmp_path / "nested/images/1.jpg", gradient())
    save(tmp_path / "nested/masks/1.jpg.png", gradient())
    (tmp_path / "film.MP4").write_bytes(b"")
    (tmp_path / "film_in/film.mov").parent.mkdir()
    (tmp_path / "film_in/film.mov").write_bytes(b"")
    assert detect_kind(tmp_path / "flat") == "photos"
    assert detect_kind(tmp_path / "nested") == "photos"
    assert list_photos(photo_folder(tmp_path / "nested")) == ["1.jpg"]
    assert detect_kind(tmp_path / "film.MP4") == "video"
    with pytest.raises(SplatError, match="Give the video itself"):
        detect_kind(tmp_path / "film_in")
    with pytest.raises(SplatError, match="no known kind"):
        detect_kind(tmp_path / "flat/1.jpg")
    with pytest.raises(SplatError, match="does not exist"):
        open_capture(tmp_path / "nowhere", CaptureOptions(), progress=lambda _: None)


@pytest.mark.parametrize(
    "options",
    [CaptureOptions(max_size=3), CaptureOptions(test_every=1), CaptureOptions(video_frames=0)],
    ids=["max_size", "test_every", "video_frames"],
)
def test_options_that_cannot_work(tmp_path: Path, options: CaptureOptions) -> None:
    with pytest.raises(SplatError, match="--"):
        open_capture(tmp_path, options, progress=lambda _: None)


@pytest.mark.parametrize("kind", ["photos", "colmap"])
def test_a_file_where_a_folder_is_needed(tmp_path: Path, kind: Literal["photos", "colmap"]) -> None:
    save(tmp_path / "1.png", gradient())
    with pytest.raises(SplatError, match=f"1.png is a file.*a folder for --kind {kind}"):
        open_capture(tmp_path / "1.png", CaptureOptions(kind=kind), progress=lambda _: None)


def test_a_folder_where_a_video_is_needed(tmp_path: Path) -> None:
    with pytest.raises(SplatError, match="is a folder.*a video file"):
        open_capture(tmp_path, CaptureOptions(kind="video"), progress=lambda _: None)


def test_pixels_may_be_written_to(tmp_path: Path) -> None:
    save(tmp_path / "1.png", gradient())
    assert decode(tmp_path / "1.png")[0].flags.writeable


def test_frames_of_what_is_no_video_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png", gradient())
    with pytest.raises(SplatError, match=r"--video-frames was given, but .* is no video"):
        open_capture(tmp_path, CaptureOptions(video_frames=50))
