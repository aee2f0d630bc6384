"""Which photos look alike, from their own SIFT features: no downloaded vocabulary."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pycolmap
from numpy.typing import NDArray

NEIGHBOURS = 3
"""Photos that follow in order of name and are paired whatever they look like."""

_WORDS = 64
_SAMPLE = 40_000
_SIFT = 128


def write_similar_pairs(database: Path, path: Path, most: int, matched: int = 0) -> int:
    """Write "name name" lines: each photo with its ``most`` most similar and its next few in order.

    Similarity is the cosine of VLAD descriptors (Jegou et al. 2010): the residuals of a photo's
    features from 64 visual words, which are clustered from the photos themselves. The features of one
    photo at a time are in memory.

    Args:
        database: with features.
        path: file to write.
        most: similar photos of each; those without a feature are similar to none.
        matched: photos no further apart than this in order are matched already, and are passed over.

    Returns:
        How many pairs were written.
    """
    store = pycolmap.Database.open(database)
    images = sorted(store.read_all_images(), key=lambda image: image.name)
    words = _words(store, images)
    vectors = np.stack([_vlad(_features(store, image), words) for image in images])
    store.close()
    pairs = _pairs(vectors, most, matched)
    lines = (f"{images[i].name} {images[j].name}\n" for i, j in pairs)
    path.write_text("".join(lines), encoding="utf-8")
    return len(pairs)


def _pairs(vectors: NDArray[np.float32], most: int, matched: int) -> list[tuple[int, int]]:
    """(i, j), i < j, of [N, D] descriptors of photos, sorted."""
    count, order = len(vectors), np.arange(len(vectors))
    empty = np.linalg.norm(vectors, axis=1) == 0
    pairs = set()
    for i in range(count):
        likeness = vectors @ vectors[i]
        likeness[empty | (abs(order - i) <= matched)] = -np.inf
        likeness[i] = -np.inf
        alike = np.argsort(-likeness, kind="stable")[:most]
        similar = [] if empty[i] else [int(j) for j in alike if likeness[j] > -np.inf]
        following = [] if matched else range(i + 1, min(i + 1 + NEIGHBOURS, count))
        pairs |= {(min(i, j), max(i, j)) for j in [*similar, *following]}
    return sorted(pairs)


def _features(store: pycolmap.Database, image: pycolmap.Image) -> NDArray[np.float32]:
    """[n, 128] SIFT descriptors of a photo."""
    return np.asarray(store.read_descriptors(image.image_id).data, np.float32).reshape(-1, _SIFT)


def _words(store: pycolmap.Database, images: list[pycolmap.Image]) -> NDArray[np.float32]:
    """[at most 64, 128] centres of clusters of some of the features of all photos."""
    share = max(1, store.num_descriptors() // _SAMPLE)
    sample = np.concatenate([_features(store, image)[::share] for image in images])
    count = min(_WORDS, len(sample))
    if count == 0:
        return np.zeros((1, _SIFT), np.float32)
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_COUNT, 12, 0.0)
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
