"""How well structure from motion went, in plain words."""

from __future__ import annotations

from splat.capture.photos import counted
from splat.capture.sfm_cache import SfmRecord
from splat.errors import SplatError

_HOW_TO_SHOOT = (
    "Take more photos, each overlapping the last by two thirds, moving around the thing rather than "
    "turning on the spot; avoid blank walls, mirrors and blur"
)
_GOOD_SHARE = 0.8
_POOR_ERROR = 1.5
_FEW_POINTS = 20


def check_registered(registered: int, photos: int, fewest: int, source: str) -> None:
    """Stop where too few photos found their place.

    Raises:
        SplatError: fewer than ``fewest`` are registered.
    """
    if registered >= fewest:
        return
    what = "frames" if source == "video" else "photos"
    found = "None" if registered == 0 else f"Only {registered}"
    raise SplatError(
        f"{found} of the {photos} {what} could be placed: they overlap too little or lack texture",
        expected=f"at least {fewest} that show the same thing from different places",
        advice=_HOW_TO_SHOOT,
    )


def advise(record: SfmRecord, photos: int, source: str) -> list[str]:
    """Sentences on what is poor in a solution, and what to do; none where it is good."""
    what = "frame" if source == "video" else "photo"
    notes = []
    missing = photos - record.registered
    if record.registered < _GOOD_SHARE * photos:
        notes.append(
            f"{missing} of {counted(photos, what)} could not be placed and are not used: they overlap too "
            f"little with the others. {_HOW_TO_SHOOT}."
        )
    elif missing:
        notes.append(
            f"{counted(missing, what)} could not be placed and {'is' if missing == 1 else 'are'} not used."
        )
    if record.reprojection_error > _POOR_ERROR:
        notes.append(
            f"The reprojection error of {record.reprojection_error:.1f} pixels is high: things may have "
            "moved between the photos, or several cameras are mixed. Expect a blurred scene."
        )
    if record.points < _FEW_POINTS * record.registered:
        notes.append(
            f"Only {record.points} points were found: the photos show little texture. Expect floating blobs; "
            "more and sharper photos help."
        )
    return notes
