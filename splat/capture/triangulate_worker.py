"""The process that finds points for given cameras: features, matches, triangulation by pycolmap.

``python -m splat.capture.triangulate_worker WORK`` reads WORK/job.json, writes WORK/found.npz and speaks
to its parent as ``worker`` says.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap

from splat.capture.epipolar import count_matches
from splat.capture.sfm_features import extract_features
from splat.capture.sfm_matching import SEED, match_all, match_pairs, search
from splat.capture.worker_side import Channel, read_job


def main(work: Path) -> None:
    """Do the job in ``work``."""
    channel = Channel()
    job = read_job(work)
    database = search(work, job, channel, _extract, _match)
    channel.say("  placing points")
    model = _triangulate(_given_cameras(database, job), database, work)
    _save(model, work / "found.npz")
    matches, fitting = count_matches(database, model)
    channel.done(
        {
            "matches": {"count": matches, "fitting": fitting},
            "reprojection_error": _reprojection_error(model, job),
        }
    )


def _extract(database: Path, work: Path, job: dict[str, Any]) -> None:
    """The lenses as given; ids are given out here, in order."""
    for camera in job["cameras"]:
        reader = pycolmap.ImageReaderOptions()
        reader.camera_model = camera["model"]
        reader.camera_params = ",".join(repr(float(value)) for value in camera["params"])
        pycolmap.import_images(
            database, work / "photos", pycolmap.CameraMode.SINGLE, camera["files"], options=reader
        )
    masks = work / "masks" if job["masked"] else None
    extract_features(database, work / "photos", masks, job["max_features"], job["first_octave"])


def _match(database: Path, work: Path, job: dict[str, Any]) -> None:
    if job["pairs"] is None:
        match_all(database)
        return
    listed = work / "pairs.txt"
    listed.write_text("".join(f"{one} {other}\n" for one, other in job["pairs"]), encoding="utf-8")
    match_pairs(database, listed)


def _given_cameras(database: Path, job: dict[str, Any]) -> pycolmap.Reconstruction:
    """A model of the database's cameras, rigs, frames and images at the given poses."""
    model = pycolmap.Reconstruction()
    store = pycolmap.Database.open(database)
    images = {image.image_id: image for image in store.read_all_images()}
    for camera in store.read_all_cameras():
        model.add_camera(camera)
    for rig in store.read_all_rigs():
        model.add_rig(rig)
    for frame in store.read_all_frames():
        (data,) = frame.data_ids  # one camera a rig: the frame is where its only image is
        pose = np.array(job["photos"][images[data.id].name]["world_to_camera"])
        frame.rig_from_world = pycolmap.Rigid3d(pose)
        model.add_frame(frame)
    for image in images.values():
        model.add_image(image)
        model.register_frame(image.frame_id)
    store.close()
    return model


def _triangulate(model: pycolmap.Reconstruction, database: Path, work: Path) -> pycolmap.Reconstruction:
    """Points by the features that agree; poses and lenses stay.

    Features that only two photos share count too: their cameras are known, not guessed from them.
    """
    options = pycolmap.IncrementalPipelineOptions()
    options.random_seed = SEED
    options.num_threads = 1  # sums in a fixed order: the same photos give the same points
    options.triangulation.ignore_two_view_tracks = False
    for part in (options, options.mapper, options.triangulation):  # a lens that is given is plausible
        part.min_focal_length_ratio, part.max_focal_length_ratio = 1e-3, 1e3
        part.max_extra_param = 1e3
    (work / "triangulated").mkdir()
    before = _cameras(model)
    found = pycolmap.triangulate_points(
        model, database, work / "photos", work / "triangulated", True, options, False
    )
    if not all(np.allclose(a, b, rtol=1e-9, atol=1e-9) for a, b in zip(before, _cameras(found), strict=True)):
        raise RuntimeError("triangulation moved the cameras")
    return found


def _cameras(model: pycolmap.Reconstruction) -> list[np.ndarray]:
    poses = [image.cam_from_world().matrix().copy() for _, image in sorted(model.images.items())]
    return poses + [np.array(camera.params) for _, camera in sorted(model.cameras.items())]


def _save(model: pycolmap.Reconstruction, path: Path) -> None:
    found = [point for _, point in sorted(model.points3D.items())]
    positions = np.array([point.xyz for point in found], np.float64).reshape(-1, 3)
    colors = np.array([point.color for point in found], np.uint8).reshape(-1, 3)
    np.savez(path, positions=positions, colors=colors)


def _reprojection_error(model: pycolmap.Reconstruction, job: dict[str, Any]) -> float:
    """Mean over all observations, in pixels of the original photos; 0 without points."""
    total, count = 0.0, 0
    for image in model.images.values():
        seen = image.get_observation_points2D()
        if not seen:
            continue
        points = np.array([model.points3D[point.point3D_id].xyz for point in seen])
        local = image.cam_from_world() * points
        pixels = model.cameras[image.camera_id].img_from_cam(local)
        error = np.linalg.norm(pixels - np.array([point.xy for point in seen]), axis=1)
        total += float(error.sum()) * job["photos"][image.name]["reduced"]
        count += len(seen)
    return total / count if count else 0.0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
