"""Which photos are matched where there are too many to match all: 230 made-up ones, by their features."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pycolmap
import pytest

from splat.capture import sfm_progress, sfm_worker
from splat.capture.sfm_pairs import NEIGHBOURS, write_similar_pairs
from splat.capture.sfm_progress import telling

COUNT, LANDMARKS, SEEN = 230, 1150, 100


def name(photo: int) -> str:
    return f"{photo:06d}.png"


def photographed(path: Path, places: np.ndarray, blank: frozenset[int] = frozenset()) -> Path:
    """A database of photos of a ring of landmarks, each standing at one of ``COUNT`` places round it."""
    random = np.random.default_rng(0)
    landmarks = random.integers(0, 200, (LANDMARKS, 128))
    store = pycolmap.Database.open(path)
    camera = store.write_camera(pycolmap.Camera.create_from_model_name(1, "SIMPLE_RADIAL", 100.0, 64, 48))
    for photo, place in enumerate(places):
        seen = (np.arange(SEEN) + place * LANDMARKS // COUNT) % LANDMARKS
        features = np.clip(landmarks[seen] + random.normal(0, 8, (SEEN, 128)), 0, 255).astype(np.uint8)
        features = features[: 0 if photo in blank else None]
        image = store.write_image(pycolmap.Image(name=name(photo), camera_id=camera))
        sift = pycolmap.FeatureExtractorType.SIFT
        store.write_descriptors(image, pycolmap.FeatureDescriptors(sift, features))
    store.close()
    return path


def read_pairs(path: Path) -> set[tuple[int, int]]:
    lines = path.read_text().splitlines()
    pairs = {(int(one[:6]), int(other[:6])) for one, other in map(str.split, lines)}
    assert len(pairs) == len(lines) and all(one < other for one, other in pairs)
    return pairs


def apart(places: np.ndarray, one: int, other: int) -> int:
    """Steps round the ring."""
    steps = abs(int(places[one]) - int(places[other]))
    return min(steps, COUNT - steps)


def test_photos_of_the_same_place_are_paired_whatever_their_names(tmp_path: Path) -> None:
    places = np.random.default_rng(1).permutation(COUNT)
    database = photographed(tmp_path / "d.db", places)
    written = write_similar_pairs(database, tmp_path / "pairs.txt", 12)
    pairs = read_pairs(tmp_path / "pairs.txt")
    assert written == len(pairs) <= COUNT * (12 + NEIGHBOURS)
    assert {(i, j) for i in range(COUNT) for j in range(i + 1, min(i + 4, COUNT))} <= pairs, "next in order"
    near = {(i, j) for i in range(COUNT) for j in range(i + 1, COUNT) if apart(places, i, j) <= 4}
    assert len(near & pairs) > 0.97 * len(near)
    far = [(i, j) for i, j in pairs if j - i > NEIGHBOURS and apart(places, i, j) > 20]
    assert len(far) < 0.02 * len(pairs), "no time spent on photos that share nothing"


def test_a_video_that_comes_round_is_matched_where_it_does(tmp_path: Path) -> None:
    """Its frames look most like those just before, which are matched already."""
    places = np.arange(COUNT)
    database = photographed(tmp_path / "d.db", places)
    write_similar_pairs(database, tmp_path / "pairs.txt", 5, matched=10)
    pairs = read_pairs(tmp_path / "pairs.txt")
    assert all(j - i > 10 for i, j in pairs)
    closing = {(i, j) for i, j in pairs if apart(places, i, j) <= 5}
    assert {(0, COUNT - 1), (1, COUNT - 1), (0, COUNT - 2)} <= closing


def test_photos_without_features_only_meet_their_neighbours(tmp_path: Path) -> None:
    blank = frozenset({7, 100})
    database = photographed(tmp_path / "d.db", np.arange(COUNT), blank)
    write_similar_pairs(database, tmp_path / "pairs.txt", 12)
    found = [pair for pair in read_pairs(tmp_path / "pairs.txt") if blank & set(pair)]
    assert found and all(j - i <= NEIGHBOURS for i, j in found)


def test_no_feature_at_all_is_no_breakdown(tmp_path: Path) -> None:
    database = photographed(tmp_path / "d.db", np.arange(9), frozenset(range(9)))
    assert write_similar_pairs(database, tmp_path / "pairs.txt", 40) == 8 + 7 + 6


@pytest.mark.parametrize(
    ("matching", "photos", "called"),
    [
        ("exhaustive", 200, ["all"]),
        ("exhaustive", 201, ["similar 40, matched 0", "pairs"]),
        ("sequential", 50, ["neighbours", "similar 5, matched 10", "pairs"]),
        ("sequential", 300, ["neighbours", "similar 5, matched 10", "pairs"]),
    ],
)
def test_what_is_matched_for_how_many(
    matching: str, photos: int, called: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def similar(database: Path, path: Path, most: int, matched: int = 0) -> int:
        calls.append(f"similar {most}, matched {matched}")
        return 0

    monkeypatch.setattr(sfm_worker, "match_all", lambda database: calls.append("all"))
    monkeypatch.setattr(sfm_worker, "match_neighbours", lambda database: calls.append("neighbours"))
    monkeypatch.setattr(sfm_worker, "match_pairs", lambda database, pairs: calls.append("pairs"))
    monkeypatch.setattr(sfm_worker, "write_similar_pairs", similar)
    job = {"matching": matching, "photos": {name(i): {} for i in range(photos)}}
    sfm_worker.match(tmp_path / "d.db", tmp_path, job)
    assert calls == called


def test_progress_is_told_while_the_database_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sfm_progress, "SECONDS", 0.02)
    database = photographed(tmp_path / "d.db", np.arange(2))
    said: list[str] = []
    told = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        told.set()

    store = pycolmap.Database.open(database)
    camera = store.read_all_cameras()[0].camera_id
    with telling(database, "descriptors", say, "found {} of 3"):
        for photo in range(2, 5):
            image = store.write_image(pycolmap.Image(name=name(photo), camera_id=camera))
            sift = pycolmap.FeatureExtractorType.SIFT
            store.write_descriptors(image, pycolmap.FeatureDescriptors(sift, np.zeros((4, 128), np.uint8)))
            assert told.wait(20), "a line for each"
            told.clear()
    store.close()
    assert said == ["found 1 of 3", "found 2 of 3", "found 3 of 3"]


def test_the_search_brings_no_second_sqlite() -> None:
    """Two of them in one process drop each other's locks; pycolmap then dies on a file cut under it."""
    check = "import splat.capture.sfm_worker, sys; sys.exit('_sqlite3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
