"""The process that runs pycolmap: features, matches, mapping, refinement.

``python -m splat.capture.sfm_worker WORK`` reads WORK/job.json, writes WORK/model and speaks to its
parent as ``worker`` says.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pycolmap
from PIL import Image

from splat.capture.sfm_features import extract_features
from splat.capture.sfm_matching import (
    EXHAUSTIVE_UP_TO,
    OVERLAP,
    SEED,
    match_all,
    match_neighbours,
    match_pairs,
    search,
)
from splat.capture.sfm_model import finish, reprojection_error
from splat.capture.sfm_pairs import write_similar_pairs
from splat.capture.worker_side import Channel, read_job

_SIMILAR = 40
_SIMILAR_FRAMES = 5
_ENOUGH = 0.8


def main(work: Path) -> None:
    """Solve the job in ``work``."""
    channel = Channel()
    job = read_job(work)
    database = search(work, job, channel, _extract, match)
    best, notes = _map(database, work, job, channel.say)
    result: dict[str, Any] = {"registered": 0, "points": 0, "reprojection_error": 0.0, "notes": notes}
    if best is not None:
        channel.say("  refining lenses and cameras")
        best = finish(best, job["photos"])
        (work / "model").mkdir()
        best.write_binary(work / "model")
        result |= {
            "registered": best.num_reg_images(),
            "points": best.num_points3D(),
            "reprojection_error": reprojection_error(best),
        }
    channel.done(result)


def _extract(database: Path, work: Path, job: dict[str, Any]) -> None:
    """One camera for each group; ids are given out here, in order, so that every run gets the same."""
    for group in job["groups"]:
        reader = pycolmap.ImageReaderOptions()
        reader.camera_model = "SIMPLE_RADIAL"
        if group["focal"]:
            width, height = _size(work / "photos" / group["files"][0])
            reader.camera_params = f"{group['focal']},{width / 2},{height / 2},0"
        pycolmap.import_images(
            database, work / "photos", pycolmap.CameraMode.SINGLE, group["files"], options=reader
        )
    masks = work / "masks" if job["masked"] else None
    extract_features(database, work / "photos", masks, job["max_features"], job["first_octave"])


def match(database: Path, work: Path, job: dict[str, Any]) -> None:
    """All with all; of many photos, those that look alike; of a video, neighbours and where it comes back."""
    pairs = work / "pairs.txt"
    if job["matching"] == "sequential":
        match_neighbours(database)
        write_similar_pairs(database, pairs, _SIMILAR_FRAMES, matched=OVERLAP)
    elif len(job["photos"]) > EXHAUSTIVE_UP_TO:
        write_similar_pairs(database, pairs, _SIMILAR)
    else:
        match_all(database)
        return
    match_pairs(database, pairs)


def _map(
    database: Path, work: Path, job: dict[str, Any], say: Any
) -> tuple[pycolmap.Reconstruction | None, list[str]]:
    """The incremental solution, or the global one where that places more photos."""
    total = len(job["photos"])
    say("  placing photos")
    best = _largest(_incremental(database, work, total, say))
    if best is not None and best.num_reg_images() >= _ENOUGH * total:
        return best, []
    placed = best.num_reg_images() if best is not None else 0
    say(f"  only {placed} of {total} placed one by one; trying all at once")
    other = _largest(_global(database, work))
    if other is None or (best is not None and _rank(best) >= _rank(other)):
        return best, []
    return other, [f"The cameras were found all at once (one by one placed only {placed} of {total})."]


def _incremental(database: Path, work: Path, total: int, say: Any) -> list[pycolmap.Reconstruction]:
    options = pycolmap.IncrementalPipelineOptions()
    options.min_model_size = 3
    options.random_seed = SEED
    options.num_threads = 1  # sums in a fixed order: the same photos give the same model
    # The solution is refined to the end afterwards; on the way, less is enough.
    options.ba_global_frames_ratio = options.ba_global_points_ratio = 1.4
    options.ba_global_function_tolerance = options.ba_local_function_tolerance = 1e-5
    placed, spoken = 2, time.monotonic()

    def step() -> None:
        nonlocal placed, spoken
        placed += 1
        if time.monotonic() - spoken > 5:
            spoken = time.monotonic()
            say(f"  placed {min(placed, total)} of {total} photos")

    (work / "incremental").mkdir()
    models = pycolmap.incremental_mapping(
        database, work / "photos", work / "incremental", options, next_image_callback=step
    )
    return list(models.values())


def _global(database: Path, work: Path) -> list[pycolmap.Reconstruction]:
    options = pycolmap.GlobalPipelineOptions()
    options.random_seed = SEED
    options.num_threads = 1
    options.mapper.global_positioning.use_gpu = False
    options.mapper.bundle_adjustment.ceres.use_gpu = False
    (work / "global").mkdir()
    try:
        return list(pycolmap.global_mapping(database, work / "photos", work / "global", options).values())
    except Exception as error:  # the incremental solution, if any, still stands
        print(f"global mapping failed: {error}", file=sys.stderr)
        return []


def _largest(models: list[pycolmap.Reconstruction]) -> pycolmap.Reconstruction | None:
    return max(models, key=_rank, default=None)


def _rank(model: pycolmap.Reconstruction) -> tuple[int, float]:
    return model.num_reg_images(), -reprojection_error(model)


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


if __name__ == "__main__":
    main(Path(sys.argv[1]))
