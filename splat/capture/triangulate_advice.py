"""Whether triangulated points can be used, and in plain words why not."""

from __future__ import annotations

from dataclasses import dataclass

FEWEST = 100
"""Points; with fewer, training starts without them."""

WITHOUT = "Training starts without points."
"""The end of every sentence on why there are none."""

_MANY = 300
_WRONG, _DOUBTFUL = 0.2, 0.5


@dataclass(frozen=True)
class Matches:
    """How matched features agree with the cameras.

    Attributes:
        count: features matched between two photos, summed over pairs of photos; each pair's fit some
            geometry of two cameras.
        fitting: those that fit the given cameras, by the epipolar distance.
    """

    count: int
    fitting: int

    @property
    def share(self) -> float:
        """Of matches that fit the cameras."""
        return self.fitting / max(self.count, 1)


def judge(matches: Matches, points: int, source: str) -> tuple[bool, list[str]]:
    """Whether to use the points, and sentences for a person.

    Args:
        matches: how features agree with the cameras.
        points: that were found.
        source: kind of the capture.
    """
    enough = points >= FEWEST
    if matches.count >= _MANY and matches.share < (_WRONG if enough else _DOUBTFUL):
        return False, [f"No points could be found: {_disagreement(matches, source)} {WITHOUT}"]
    if not enough:
        return False, [f"No points could be found: {_why_few(matches, points)} {WITHOUT}"]
    notes = [f"The capture has no points; {points:,} were found in its photos."]
    if matches.share < _DOUBTFUL:
        notes.append(f"Expect a blurred scene: {_disagreement(matches, source)}")
    return True, notes


def _why_few(matches: Matches, points: int) -> str:
    if matches.count < _MANY:
        return (
            f"only {matches.count} features were matched between the photos, which overlap too little or "
            "show little texture."
        )
    return (
        f"of {matches.count:,} features matched between the photos, only {points} could be placed; "
        "the cameras may stand too close together to tell depth."
    )


def _disagreement(matches: Matches, source: str) -> str:
    axes = {
        "colmap": "COLMAP's poses are world to camera, with y down and z forward",
        "transforms": "a transforms.json has camera-to-world poses in OpenGL axes, with y up and z back",
        "blender": "these files have camera-to-world poses in OpenGL axes, with y up and z back",
    }
    return (
        f"of {matches.count:,} features matched between photos only {100 * matches.share:.0f} % fit the "
        f"cameras, so the cameras look wrong. Check that poses and lenses belong to these photos"
        f" ({axes.get(source, 'and their axes')}), or let splat find the cameras: give the folder of photos "
        "with --kind photos."
    )
