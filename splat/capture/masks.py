"""Masks: which part of each photo counts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from splat.capture.decode import IMAGE_SUFFIXES, decode_grey
from splat.capture.photos import counted, listed
from splat.capture.skips import Skips
from splat.errors import SplatError

KEEPS_NOTHING = "its mask keeps nothing"
"""Why a photo is left out, and ``INVERT``, what may help."""
INVERT = "If black should be kept in the masks, give --invert-masks"

_FOLDERS = ("masks", "mask")
_SUSPICIOUS_LOW, _SUSPICIOUS_HIGH = 0.05, 0.995


@dataclass(frozen=True)
class MaskFile:
    """A mask on the disk.

    Attributes:
        path: the image; white keeps (black does when inverted).
        inverted: black keeps.
    """

    path: Path
    inverted: bool = False

    def read(self, upright: bool = True) -> NDArray[np.bool_]:
        """[H, W] bool, True where the photo counts.

        Raises:
            SplatError: the file cannot be read.
        """
        keep = decode_grey(self.path, upright) > 127
        return ~keep if self.inverted else keep


def find_masks(
    photo_root: Path, names: Sequence[str], folder: Path | None, inverted: bool
) -> dict[str, MaskFile]:
    """Masks by photo name, wherever one of the usual naming conventions finds one.

    For photo ``a/012.jpg`` below the mask folder: ``a/012.jpg.png`` (COLMAP), ``a/012.jpg`` or the
    same stem with any image suffix (nerfstudio, Brush), ``a/012.mask.png``. Where ``folder`` is None,
    the mask folders are ``masks`` inside and beside the photo folder, and ``a/012.mask.png`` beside
    the photo itself is found too.

    Raises:
        SplatError: ``folder`` is given but does not exist or holds no mask for any photo.
    """
    if folder is not None and not folder.is_dir():
        raise SplatError(f"--masks {folder} is not a folder", expected="a folder with one mask for a photo")
    usual = [parent / name for parent in (photo_root, photo_root.parent) for name in _FOLDERS]
    roots = [folder] if folder else usual
    indices = [_index(root) for root in roots if root.is_dir()]
    if folder is None:
        beside = {key: path for key, path in _index(photo_root).items() if ".mask." in key.lower()}
        indices.append(beside)
    found = {}
    for name in names:
        path = _match(name, indices)
        if path is not None and path != photo_root / name:
            found[name] = MaskFile(path, inverted)
    if folder is not None and not found:
        raise SplatError(
            f"--masks {folder} has no mask for any of the {counted(len(names), 'photo')}",
            expected=f"names like {names[0]}.png or {PurePosixPath(names[0]).stem}.png",
        )
    return found


def check_inverted(inverted: bool, found: bool, photo_root: Path) -> None:
    """Refuse to invert masks where there are none.

    Raises:
        SplatError: ``inverted``, and no photo of ``photo_root`` has a mask.
    """
    if inverted and not found:
        raise SplatError(
            f"--invert-masks was given, but no photo of {photo_root} has a mask",
            expected="masks in a folder named masks, or one given with --masks",
        )


def share_kept(mask: MaskFile, upright: bool, name: str, skips: Skips) -> float:
    """Fraction of the photo that its mask keeps; 0, with the photo counted as skipped, if unusable."""
    try:
        share = float(mask.read(upright).mean())
    except SplatError:
        skips.add(name, "its mask cannot be read")
        return 0.0
    if share == 0.0:
        skips.add(name, KEEPS_NOTHING)
    return share


def describe_masks(kept: dict[str, float], photos: int) -> list[str]:
    """Sentences on how many masks there are, how much they keep, and which look wrong.

    Args:
        kept: fraction kept, by photo name.
        photos: how many photos there are in all.
    """
    if not kept:
        return []
    mean = 100 * float(np.mean(list(kept.values())))
    lines = [f"{len(kept)} of {counted(photos, 'photo')} have a mask; they keep {mean:.1f} % of the pixels."]
    little = [name for name, value in kept.items() if 0 < value < _SUSPICIOUS_LOW]
    if little:
        lines.append(
            f"{counted(len(little), 'mask')} keep under 5 % of the photo ({listed(little)}): "
            "if black should be kept, give --invert-masks."
        )
    most = [name for name, value in kept.items() if value > _SUSPICIOUS_HIGH]
    if most:
        lines.append(
            f"{counted(len(most), 'mask')} keep over 99.5 % of the photo: {listed(most)}; is that meant?"
        )
    return lines


def _index(root: Path) -> dict[str, Path]:
    """All image files below a folder by relative name."""
    found = {}
    for place, _, files in os.walk(root):
        for file in files:
            path = Path(place) / file
            if path.suffix.lower() in IMAGE_SUFFIXES:
                found[path.relative_to(root).as_posix()] = path
    return found


def _match(name: str, indices: list[dict[str, Path]]) -> Path | None:
    inner = name.partition("/")[2]  # images/012.jpg of a transforms.json is masks/012.png
    wanted = [*_spellings(name), *(_spellings(inner) if inner else [])]
    for index in indices:
        for candidate in wanted:
            if candidate in index:
                return index[candidate]
            upper = PurePosixPath(candidate).with_suffix(PurePosixPath(candidate).suffix.upper()).as_posix()
            if upper in index:
                return index[upper]
    return None


def _spellings(name: str) -> list[str]:
    stem = PurePosixPath(name).with_suffix("").as_posix()
    suffixes = [stem + suffix for suffix in sorted(IMAGE_SUFFIXES)]
    return [f"{name}.png", f"{name}.mask.png", f"{stem}.mask.png", name, *suffixes]
