"""Features of the working copies: SIFT, at most so many a photo, the coarsest kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pycolmap
from numpy.typing import NDArray


def extract_features(database: Path, photos: Path, masks: Path | None, most: int, first_octave: int) -> None:
    """Put SIFT features of all images of a database into it.

    Args:
        database: with the images in it already.
        photos: folder of the images.
        masks: folder of masks (image name with .png added), or None.
        most: features kept for an image, by scale.
        first_octave: -1 also looks at twice the resolution, 0 does not.
    """
    options = pycolmap.FeatureExtractionOptions()
    options.use_gpu = False
    options.sift.max_num_features = most
    options.sift.first_octave = first_octave
    reader = pycolmap.ImageReaderOptions()
    if masks is not None:
        reader.mask_path = masks
    pycolmap.extract_features(
        database,
        photos,
        reader_options=reader,
        extraction_options=options,
        device=pycolmap.Device.cpu,
    )
    _trim(database, most)


def _trim(database: Path, most: int) -> None:
    """Keep the ``most`` largest features of each image.

    pycolmap's own limit works by whole octaves and gives up to twice as many; matching time grows
    with the square.
    """
    store = pycolmap.Database.open(database)
    kept: dict[int, tuple[NDArray[np.float32], NDArray[np.uint8]]] = {}
    for image in store.read_all_images():
        keypoints = np.asarray(store.read_keypoints(image.image_id), np.float32)
        descriptors = np.asarray(store.read_descriptors(image.image_id).data, np.uint8)
        chosen = _largest(keypoints, most)
        kept[image.image_id] = keypoints[chosen], descriptors[chosen]
    store.clear_keypoints()
    store.clear_descriptors()
    for image_id, (keypoints, descriptors) in kept.items():
        store.write_keypoints(image_id, keypoints)
        sift = pycolmap.FeatureDescriptors(pycolmap.FeatureExtractorType.SIFT, descriptors)
        store.write_descriptors(image_id, sift)
    store.close()


def _largest(keypoints: NDArray[np.float32], most: int) -> NDArray[np.intp]:
    """Rows of the largest features, in the order they had. Columns: x, y, then the affine shape."""
    if len(keypoints) <= most:
        return np.arange(len(keypoints))
    scale = np.hypot(keypoints[:, 2], keypoints[:, 4])
    return np.sort(np.argsort(-scale, kind="stable")[:most])
