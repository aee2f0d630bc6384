"""How many features to look for, and how finely, so that it stays affordable on two cores."""

from __future__ import annotations

import math
from typing import Literal

Matching = Literal["exhaustive", "sequential"]

# Matching compares every feature of a photo with every feature of the other, so the number of
# features is chosen to keep pairs x features^2 near this (about 25 s on two cores).
_COMPARISONS = 1.4e10
_FEATURES = (2048, 8192)

# Up to this many pixels in all, features are also looked for at twice the photo's resolution: three
# quarters of the time of feature extraction, for features that are placed more exactly.
_PIXELS_FOR_FINE_FEATURES = 60e6


def feature_limit(photos: int, matching: Matching) -> int:
    """How many features a photo to look for, so that matching them all stays affordable."""
    return features_for_pairs(photos * (photos - 1) / 2 if matching == "exhaustive" else photos * 20)


def features_for_pairs(pairs: float) -> int:
    """The same for so many pairs of photos."""
    wanted = int(math.sqrt(_COMPARISONS / max(pairs, 1)))
    return min(max(wanted, _FEATURES[0]), _FEATURES[1])


def first_octave(sizes: list[tuple[int, int]]) -> int:
    """-1 (look at twice the resolution) where the (width, height) of the photos allow it, else 0."""
    return -1 if sum(width * height for width, height in sizes) <= _PIXELS_FOR_FINE_FEATURES else 0
