"""Matching the features of pairs of photos, on the processor, with the same result every time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pycolmap

from splat.capture.sfm_progress import telling
from splat.capture.worker_side import Channel

SEED = 0
EXHAUSTIVE_UP_TO = 200
"""Photos; beyond, each is matched with some of the others only."""
OVERLAP = 10
"""Photos that follow in order, for ``match_neighbours``; it also takes those 2, 4, 8, ... further on."""

Step = Callable[[Path, Path, dict[str, Any]], None]
"""Part of a search: of a database, the folder of the work, and the job."""


def search(work: Path, job: dict[str, Any], channel: Channel, extract: Step, match: Step) -> Path:
    """The database of a search: photos with their features, and which belong together."""
    pycolmap.set_random_seed(SEED)
    database = work / "database.db"
    channel.say("  finding features")
    pycolmap.Database.open(database).close()
    photos = len(job["photos"])
    with telling(database, "descriptors", channel.say, f"  found features in {{}} of {photos:,} photos"):
        extract(database, work, job)
    channel.say(f"  matching features ({job['max_features']} a photo at most)")
    with telling(database, "matches", channel.say, "  matched {} pairs of photos"):
        match(database, work, job)
    return database


def match_all(database: Path) -> None:
    """Every photo with every other."""
    pycolmap.match_exhaustive(database, **_how())


def match_neighbours(database: Path) -> None:
    """Every photo with the next ones in order of name, and fewer and fewer of those after them."""
    pairing = pycolmap.SequentialPairingOptions()
    pairing.overlap, pairing.quadratic_overlap = OVERLAP, True
    pycolmap.match_sequential(database, pairing_options=pairing, **_how())


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
