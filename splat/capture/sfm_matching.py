"""Matching the features of pairs of photos, on the processor, with the same result every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pycolmap

SEED = 0
EXHAUSTIVE_UP_TO = 200
"""Photos; beyond, each is matched with some of the others only."""


def match_all(database: Path) -> None:
    """Every photo with every other."""
    pycolmap.match_exhaustive(database, **_how())


def match_neighbours(database: Path) -> None:
    """Every photo with the next ones in order of name."""
    pycolmap.match_sequential(database, **_how())


def match_pairs(database: Path, pairs: Path) -> None:
    """The pairs in a file of "name name" lines."""
    pairing = pycolmap.ImportedPairingOptions()
    pairing.match_list_path = pairs
    pycolmap.match_image_pairs(database, pairing_options=pairing, **_how())


def _how() -> dict[str, Any]:
    matching = pycolmap.FeatureMatchingOptions()
    matching.use_gpu = False
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = SEED
    return {
        "matching_options": matching,
        "verification_options": verification,
        "device": pycolmap.Device.cpu,
    }
