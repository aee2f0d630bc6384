"""Masks under every naming convention, inverted ones, and those that are surely a mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from splat.capture import CaptureOptions, open_capture
from splat.capture.masks import find_masks
from splat.capture.types import Capture
from splat.errors import SplatError
from tests.capture.scenes import rewrite, save, write_transforms

LEFT = np.repeat(np.repeat(np.array([[255, 0]], np.uint8), 64, axis=0), 48, axis=1)
"""A 96 x 64 mask that keeps the left half."""


def read(folder: Path, options: CaptureOptions | None = None) -> Capture:
    """The capture, silently."""
    return open_capture(folder, options or CaptureOptions(), progress=lambda _: None)


@pytest.mark.parametrize(
    "where",
    [
        "masks/{stem}.jpg.png",  # COLMAP
        "masks/images/{stem}.jpg.png",  # the tree mirrored
        "masks/{stem}.png",  # nerfstudio: same stem
        "masks/{stem}.jpg",  # same name
        "masks/{stem}.PNG",
        "masks/{stem}.mask.png",
        "masks/{stem}.jpg.mask.png",
        "mask/{stem}.png",
        "images/masks/{stem}.png",
        "images/{stem}.mask.png",  # beside the photo
        "images/{stem}.jpg.mask.png",
    ],
)
def test_every_naming_convention_is_found(tmp_path: Path, where: str) -> None:
    write_transforms(tmp_path, suffix=".jpg")
    names = [f"images/{i:03d}.jpg" for i in range(6)]
    for i in range(6):
        save(tmp_path / where.format(stem=f"{i:03d}"), LEFT)
    roots = [(tmp_path, names)] if "images/masks" not in where else []
    roots.append((tmp_path / "images", [name.removeprefix("images/") for name in names]))
    for root, wanted in roots:
        if where.startswith("masks/images") and root != tmp_path:
            continue
        assert list(find_masks(root, wanted, None, False)) == wanted


def test_mask_reaches_the_pixels(tmp_path: Path) -> None:
    write_transforms(tmp_path)
    for i in range(5):
        save(tmp_path / f"masks/{i:03d}.png", LEFT)
    capture = read(tmp_path)
    masks = [view.load().mask for view in capture.views]
    for mask in masks[:5]:
        assert mask is not None
        assert mask[:, :48].all() and not mask[:, 48:].any()
    assert masks[5] is None
    assert "5 of 6 photos have a mask; they keep 50.0 % of the pixels." in capture.summary.notes


def test_masks_shrink_with_the_photo_and_may_be_smaller(tmp_path: Path) -> None:
    write_transforms(tmp_path)
    for i in range(6):
        save(tmp_path / f"masks/{i:03d}.png", LEFT[::2, ::2])
    mask = read(tmp_path, CaptureOptions(max_size=48)).views[0].load().mask
    assert mask is not None and mask.shape == (32, 48)
    assert mask[:, :23].all() and not mask[:, 25:].any()


def test_inverted(tmp_path: Path) -> None:
    write_transforms(tmp_path)
    for i in range(6):
        save(tmp_path / f"masks/{i:03d}.png", LEFT)
    mask = read(tmp_path, CaptureOptions(invert_masks=True)).views[0].load().mask
    assert mask is not None and not mask[:, :48].any() and mask[:, 48:].all()


def test_mask_path_of_a_frame(tmp_path: Path) -> None:
    document = write_transforms(tmp_path)
    for i, frame in enumerate(document["frames"]):
        frame["mask_path"] = f"elsewhere/m{i}.png"
        save(tmp_path / frame["mask_path"], LEFT)
    document["frames"][3]["mask_path"] = "elsewhere/gone.png"
    rewrite(tmp_path, document)
    capture = read(tmp_path)
    assert len(capture.views) == 5
    assert any("its mask cannot be read" in note for note in capture.summary.notes)
    assert all(view.load().mask is not None for view in capture.views)


def test_folder_of_masks_that_is_given_wins(tmp_path: Path) -> None:
    write_transforms(tmp_path / "a")
    for i in range(6):
        save(tmp_path / f"a/masks/{i:03d}.png", LEFT)
        save(tmp_path / f"mine/images/{i:03d}.png", 255 - LEFT)
    mask = read(tmp_path / "a", CaptureOptions(masks=tmp_path / "mine")).views[0].load().mask
    assert mask is not None and mask[:, 48:].all() and not mask[:, :48].any()


def test_folder_without_a_match_is_an_error(tmp_path: Path) -> None:
    write_transforms(tmp_path)
    save(tmp_path / "mine/other.png", LEFT)
    with pytest.raises(SplatError, match="no mask for any of the 6 photos"):
        read(tmp_path, CaptureOptions(masks=tmp_path / "mine"))
    with pytest.raises(SplatError, match="is not a folder"):
        read(tmp_path, CaptureOptions(masks=tmp_path / "nowhere"))


def test_mask_that_keeps_nothing_is_stated(tmp_path: Path) -> None:
    write_transforms(tmp_path)
    for i in range(6):
        save(tmp_path / f"masks/{i:03d}.png", LEFT * (i != 2))
    capture = read(tmp_path)
    assert [view.name for view in capture.views] == [f"images/{i:03d}.png" for i in (0, 1, 3, 4, 5)]
    assert "1 photo skipped (its mask keeps nothing): images/002.png." in capture.summary.notes


def test_masks_that_all_keep_nothing_are_an_error(tmp_path: Path) -> None:
    write_transforms(tmp_path)
    for i in range(6):
        save(tmp_path / f"masks/{i:03d}.png", LEFT * 0)
    with pytest.raises(SplatError, match="--invert-masks"):
        read(tmp_path)


def test_suspicious_masks_are_warned_of(tmp_path: Path) -> None:
    write_transforms(tmp_path)
    tiny, full = np.zeros_like(LEFT), np.full_like(LEFT, 255)
    tiny[:4, :4] = 255
    for i in range(6):
        save(tmp_path / f"masks/{i:03d}.png", [LEFT, tiny, full, LEFT, LEFT, LEFT][i])
    notes = " ".join(read(tmp_path).summary.notes)
    assert "1 mask keep under 5 % of the photo (images/001.png)" in notes
    assert "1 mask keep over 99.5 % of the photo: images/002.png" in notes


@pytest.mark.parametrize("posed", [True, False])
def test_nothing_to_invert_is_an_error(tmp_path: Path, posed: bool) -> None:
    if posed:
        write_transforms(tmp_path)
    else:
        for i in range(4):
            save(tmp_path / f"{i}.png", LEFT)
    with pytest.raises(SplatError, match="--invert-masks was given, but no photo of .* has a mask"):
        read(tmp_path, CaptureOptions(invert_masks=True))


def test_masks_that_keep_nothing_are_said_before_cameras_are_looked_for(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    for i in range(4):
        save(tmp_path / f"images/{i}.png", noise)
        save(tmp_path / f"masks/{i}.png", LEFT * 0)
    (tmp_path / "masks/3.png").write_bytes(b"no image")
    words = r"0 photos that can be used.*3 photos skipped \(its mask keeps nothing\).*--invert-masks"
    with pytest.raises(SplatError, match=words) as error:
        read(tmp_path)
    assert "1 photo skipped (its mask cannot be read): 3.png" in str(error.value)
