"""The PLY layout of 3D Gaussian Splatting (Kerbl et al. 2023), read and written.

Binary little-endian float32, in this order: x y z, nx ny nz (zeros), f_dc_0..2, f_rest_0.. (channel by
channel: all red coefficients, then green, then blue), opacity (logit), scale_0..2 (natural log),
rot_0..3 (w x y z). A scene whose splats have a kernel exponent has one more property at the end, which
other readers pass over (``splat.io.ply_beta``). Kernel and pixel filter travel as comments
(``splat.io.ply_tags``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splat.errors import SplatError
from splat.gaussians import BETA_MAX, BETA_MIN, Gaussians
from splat.io import ply_beta
from splat.io.atomic import atomic_path
from splat.io.ply_table import Header, read_columns, read_header
from splat.io.ply_tags import Tags, read_tags, write_tags

_MEAN = ["x", "y", "z"]
_NORMAL = ["nx", "ny", "nz"]
_DC = ["f_dc_0", "f_dc_1", "f_dc_2"]
_SCALE = ["scale_0", "scale_1", "scale_2"]
_ROTATION = ["rot_0", "rot_1", "rot_2", "rot_3"]
_REQUIRED = [*_MEAN, *_DC, "opacity", *_SCALE, *_ROTATION]
_FILTER = "filter_3D"
_REST_COUNTS = (0, 9, 24, 45)
_LOGIT_LIMIT = 20.0


def property_names(rest: int, beta: bool = False) -> list[str]:
    """The properties in file order, for ``rest`` f_rest coefficients (0, 9, 24 or 45)."""
    names = [*_MEAN, *_NORMAL, *_DC, *_rest(rest), "opacity", *_SCALE, *_ROTATION]
    return [*names, ply_beta.PROPERTY] if beta else names


def read_ply(path: Path, drop_invalid: bool = False, say: Callable[[str], None] = print) -> Gaussians:
    """Read a splat PLY: ours, INRIA's or another tool's; any property order and numeric type, or text.

    Properties that are not part of the scene are passed over. Mip-Splatting's ``filter_3D`` is baked
    into scales and opacities. Infinite opacity logits (which converters write for 0 and 255) become
    -20 and 20.

    Args:
        path: the file.
        drop_invalid: leave out splats that have NaN, infinity, an all-zero rotation or an exponent out of
            range, instead of refusing the file.
        say: receives a line on how many were left out.

    Returns:
        Gaussians with float32 parameters, exactly the bits of the file where that holds float32 (the
        exponents to 1e-6).

    Raises:
        SplatError: the file is missing, cut off, not a splat PLY, or holds numbers that are no splat.
    """
    path = Path(path)
    header = read_header(path)
    vertex = header.element("vertex")
    _check_is_splat(path, header)
    assert vertex is not None
    rest = _count_rest(path, vertex.properties)
    tags = read_tags(header.comments, str(path))
    extra = [ply_beta.PROPERTY] if ply_beta.has_beta(path, tags.kernel, vertex.properties) else []
    extra += [_FILTER] if _FILTER in vertex.properties else []
    names = [*_REQUIRED, *_rest(rest), *extra]
    table = read_columns(path, header, names)
    columns = {name: index for index, name in enumerate(names)}
    opacity = table[:, columns["opacity"]]
    opacity[np.isinf(opacity)] = np.copysign(_LOGIT_LIMIT, opacity[np.isinf(opacity)])
    table = _valid_rows(path, table, columns, say if drop_invalid else None)
    if _FILTER in columns:
        _bake_filter(table, columns)
    return _to_gaussians(table, columns, tags, rest)


def write_ply(path: Path, gaussians: Gaussians, comments: Sequence[str] = (), overwrite: bool = True) -> None:
    """Write a scene atomically in the INRIA layout.

    Every parameter is written with its own bits, so that reading gives back what was there;
    quaternions are therefore not normalised (every reader normalises them). Kernel exponents, where the
    scene has them, follow rot_3 as the property ``beta``.

    Args:
        path: the file; missing folders are made.
        gaussians: the scene; float64 parameters are rounded to float32.
        comments: further header lines.
        overwrite: whether a file that exists may be replaced.

    Raises:
        SplatError: the scene is empty or holds NaN or infinity, or the file cannot be written.
    """
    table, names = _to_table(gaussians)
    _check_writable_numbers(path, table)
    header = ["ply", "format binary_little_endian 1.0"]
    header += [f"comment {' '.join(line.split())}" for line in (*write_tags(gaussians), *comments)]
    header += [f"element vertex {len(table)}"]
    header += [f"property float {name}" for name in names]
    with atomic_path(path, overwrite) as temporary, open(temporary, "wb") as file:
        file.write("\n".join([*header, "end_header\n"]).encode())
        file.write(table.astype("<f4", copy=False).data)


def _rest(count: int) -> list[str]:
    return [f"f_rest_{index}" for index in range(count)]


def _check_is_splat(path: Path, header: Header) -> None:
    vertex = header.element("vertex")
    if vertex is None:
        raise SplatError(f"{path} has no element called vertex", expected="a Gaussian splat PLY")
    if "packed_position" in vertex.properties:
        raise SplatError(
            f"{path} is a compressed PLY (SuperSplat / PlayCanvas), which this version cannot read",
            expected="a plain splat PLY",
            advice="Open it in SuperSplat and export it as plain .ply",
        )
    missing = [name for name in _REQUIRED if name not in vertex.properties]
    if missing:
        plain = "It looks like a point cloud or mesh. " if len(missing) > len(_REQUIRED) // 2 else ""
        what = "a property" if len(missing) == 1 else f"{len(missing)} properties"
        raise SplatError(
            f"{path} lacks {what} of a splat: {', '.join(missing)}",
            expected=f"at least {' '.join(_REQUIRED)}",
            advice=f"{plain}Export it as a Gaussian splat PLY",
        )
    if vertex.count == 0:
        raise SplatError(f"{path} has no splats: its header says element vertex 0")


def _count_rest(path: Path, properties: dict[str, str]) -> int:
    found = {name for name in properties if name.startswith("f_rest_")}
    if len(found) not in _REST_COUNTS or found != set(_rest(len(found))):
        raise SplatError(
            f"{path} has {len(found)} f_rest properties",
            expected="f_rest_0 onwards, 0, 9, 24 or 45 of them (spherical-harmonics degree 0 to 3)",
            advice="Export it with spherical harmonics of degree 3 or less",
        )
    return len(found)


def _valid_rows(
    path: Path, table: NDArray[np.float32], columns: dict[str, int], drop: Callable[[str], None] | None
) -> NDArray[np.float32]:
    """The rows that are splats; the others are left out and counted to ``drop``, or refused without it."""
    rotation = table[:, [columns[name] for name in _ROTATION]]
    finite = np.isfinite(table)
    strange = np.zeros(len(table), bool)
    if ply_beta.PROPERTY in columns:
        strange = ply_beta.out_of_range(table[:, columns[ply_beta.PROPERTY]])
    valid = finite.all(1) & (rotation != 0).any(1) & ~strange
    bad = int((~valid).sum())
    if bad == 0:
        return table
    if drop and bad < len(table):
        drop(f"{path}: {bad:,} of {len(table):,} splats left out, whose numbers are no splat's.")
        return table[valid]
    if finite.all() and strange.any():
        first = int(np.argmax(strange))
        raise SplatError(
            f"{path}: {int(strange.sum()):,} of {len(table):,} splats have a kernel exponent beta out of "
            f"range (first: splat {first}, {table[first, columns[ply_beta.PROPERTY]]:g})",
            expected=f"{BETA_MIN:g} to {BETA_MAX:g}",
            advice="" if drop else _leave_out(path),
        )
    names = [name for name, index in columns.items() if not finite[:, index].all()] or ["rot_0..3 all zero"]
    raise SplatError(
        f"{path}: {bad:,} of {len(table):,} splats hold NaN, infinity or no rotation "
        f"(first: splat {int(np.argmin(valid))}; in {', '.join(names[:6])})",
        expected="finite numbers",
        advice="" if drop else _leave_out(path),
    )


def _leave_out(path: Path) -> str:
    return f"Leave them out with: splat convert {path} CLEAN.ply --drop-invalid"


def _bake_filter(table: NDArray[np.float32], columns: dict[str, int]) -> None:
    """Fold the 3D smoothing filter in (Mip-Splatting, Yu et al. 2024, eq. 7): s^2 + f^2, same mass."""
    scale = [columns[name] for name in _SCALE]
    opacity = columns["opacity"]
    variance = np.exp(2.0 * table[:, scale].astype(np.float64))
    filtered = variance + table[:, [columns[_FILTER]]].astype(np.float64) ** 2
    alpha = 1.0 / (1.0 + np.exp(-table[:, opacity].astype(np.float64)))
    alpha = np.clip(alpha * np.sqrt(np.prod(variance / filtered, axis=1)), 1e-9, 1.0 - 1e-9)
    table[:, scale] = 0.5 * np.log(filtered)
    table[:, opacity] = np.log(alpha / (1.0 - alpha))


def _to_gaussians(table: NDArray[np.float32], columns: dict[str, int], tags: Tags, rest: int) -> Gaussians:
    def take(names: list[str]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(table[:, [columns[name] for name in names]]))

    dc = take(_DC)[:, None, :]
    higher = take(_rest(rest)).reshape(len(table), 3, rest // 3).transpose(1, 2)
    return Gaussians(
        means=take(_MEAN),
        quats=take(_ROTATION),
        log_scales=take(_SCALE),
        logit_opacities=take(["opacity"])[:, 0],
        sh=torch.cat([dc, higher], dim=1).contiguous(),
        shape=ply_beta.shape_of(take([ply_beta.PROPERTY])[:, 0]) if ply_beta.PROPERTY in columns else None,
        kernel=tags.kernel or "gaussian",
        antialias=tags.antialias or ("mip" if _FILTER in columns else "none"),
    )


def _to_table(gaussians: Gaussians) -> tuple[NDArray[np.float32], list[str]]:
    scene = gaussians.detached()
    count = len(scene)
    rest = 3 * (scene.sh.shape[1] - 1)
    parts = [
        scene.means,
        torch.zeros(count, 3),
        scene.sh[:, 0],
        scene.sh[:, 1:].transpose(1, 2).reshape(count, rest),
        scene.logit_opacities[:, None],
        scene.log_scales,
        scene.quats,
    ]
    if scene.shape is not None and scene.kernel == "gef":
        parts.append(ply_beta.beta_of(scene.shape)[:, None])
    table = torch.cat([part.to("cpu", torch.float32) for part in parts], dim=1)
    return np.ascontiguousarray(table.numpy()), property_names(rest, scene.kernel == "gef")


def _check_writable_numbers(path: Path, table: NDArray[np.float32]) -> None:
    if len(table) == 0:
        raise SplatError(f"{path} was not written: the scene has no splats")
    bad = int((~np.isfinite(table)).any(1).sum())
    if bad:
        raise SplatError(f"{path} was not written: {bad:,} of {len(table):,} splats hold NaN or infinity")
