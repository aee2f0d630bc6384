"""Which photos look alike, from their own SIFT features: no downloaded vocabulary."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pycolmap
from numpy.typing import NDArray

_WORDS = 64
_SAMPLE = 40_000
_NEIGHBOURS = 3


def write_similar_pairs(database: Path, path: Path, most: int) -> Path:
    """Write "name name" lines: each photo with its ``most`` most similar and its next few in order.

    Similarity is the cosine of VLAD descriptors (Jegou et al. 2010): the residuals of a photo's
    features from 64 visual words, which are clustered from the photos themselves.
    """
    names, features = _read(database)
    vectors = np.stack([_vlad(part, words) for words in [_words(features)] for part in features])
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -np.inf)
    pairs = set()
    for i in range(len(names)):
        alike = np.argsort(-likeness[i], kind="stable")[:most]
        following = range(i + 1, min(i + 1 + _NEIGHBOURS, len(names)))
        pairs |= {(min(i, int(j)), max(i, int(j))) for j in [*alike, *following] if int(j) != i}
    path.write_text("".join(f"{names[i]} {names[j]}\n" for i, j in sorted(pairs)), encoding="utf-8")
    return path


def _read(database: Path) -> tuple[list[str], list[NDArray[np.float32]]]:
    store = pycolmap.Database.open(database)
    images = sorted(store.read_all_images(), key=lambda image: image.name)
    features = [np.asarray(store.read_descriptors(image.image_id).data, np.float32) for image in images]
    store.close()
    return [image.name for image in images], features


def _words(features: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    share = max(1, sum(len(part) for part in features) // _SAMPLE)
    sample = np.concatenate([part[::share] for part in features])
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_COUNT, 12, 0.0)
    count = min(_WORDS, len(sample))
    _, _, centers = cv2.kmeans(sample, count, None, stop, 1, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    return centers


def _vlad(features: NDArray[np.float32], words: NDArray[np.float32]) -> NDArray[np.float32]:
    total = np.zeros_like(words)
    if len(features):
        distance = (words**2).sum(1) - 2 * features @ words.T
        nearest = distance.argmin(axis=1)
        np.add.at(total, nearest, features - words[nearest])
    total /= np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-6)
    flat = total.ravel()
    return flat / max(float(np.linalg.norm(flat)), 1e-6)
