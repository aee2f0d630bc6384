"""The kernel exponent in a PLY: round trips, other readers, and files that do not fit together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from splat.errors import SplatError
from splat.gaussians import PARAMETERS, Gaussians
from splat.io.ply import property_names, read_ply, write_ply
from splat.io.ply_beta import beta_of, shape_of


def scene(shape: torch.Tensor) -> Gaussians:
    count, make = len(shape), torch.Generator().manual_seed(1)
    return Gaussians(
        means=torch.randn(count, 3, generator=make),
        quats=torch.randn(count, 4, generator=make),
        log_scales=torch.randn(count, 3, generator=make) - 3,
        logit_opacities=torch.randn(count, generator=make),
        sh=torch.randn(count, 4, 3, generator=make),
        shape=shape,
        kernel="gef",
        antialias="moment",
    )


def exponents(shape: torch.Tensor) -> torch.Tensor:
    return 1.2 + 6.8 / (1 + (-shape.double()).exp())


def edited(path: Path, *pairs: tuple[bytes, bytes]) -> Path:
    data = path.read_bytes()
    for old, new in pairs:
        assert old in data
        data = data.replace(old, new)
    path.write_bytes(data)
    return path


def test_round_trip(tmp_path: Path) -> None:
    shape = torch.cat([torch.linspace(-12, 12, 1001), torch.tensor([-200.0, -30.0, 17.0, 200.0])])
    before = scene(shape)
    write_ply(tmp_path / "a.ply", before)
    after = read_ply(tmp_path / "a.ply")
    assert (after.kernel, after.antialias) == ("gef", "moment")
    assert after.shape is not None and after.shape.dtype == torch.float32
    assert bool(torch.isfinite(after.shape).all())
    assert float((exponents(after.shape) - exponents(shape)).abs().max()) < 1e-6
    for name in PARAMETERS:
        assert torch.equal(getattr(after, name), getattr(before, name)), name
    write_ply(tmp_path / "b.ply", after)
    again = read_ply(tmp_path / "b.ply")
    assert again.shape is not None
    assert float((exponents(again.shape) - exponents(shape)).abs().max()) < 1e-6


def test_the_file_holds_the_exponent_itself_and_last(tmp_path: Path) -> None:
    from plyfile import PlyData

    shape = torch.tensor([-1.0, float(np.log(0.8 / 6.0)), 3.0])  # the middle one is the Gaussian
    write_ply(tmp_path / "a.ply", scene(shape))
    data = PlyData.read(tmp_path / "a.ply")
    names = [p.name for p in data["vertex"].properties]
    assert names == [*property_names(9), "beta"]
    assert np.allclose(data["vertex"]["beta"], exponents(shape), atol=1e-6)
    assert data["vertex"]["beta"][1] == pytest.approx(2, abs=1e-6)
    assert "splat kernel gef" in data.comments and "splat antialias moment" in data.comments
    assert any(comment.startswith("splat beta alpha = opacity exp(") for comment in data.comments)


def test_a_gaussian_scene_has_no_such_property(tmp_path: Path) -> None:
    plain = replace(scene(torch.zeros(3)), kernel="gaussian", shape=None)
    write_ply(tmp_path / "a.ply", plain)
    assert b"beta" not in (tmp_path / "a.ply").read_bytes().split(b"end_header")[0]
    assert read_ply(tmp_path / "a.ply").shape is None


def test_trimesh_reads_the_rest(tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    before = scene(torch.linspace(-2, 2, 5))
    write_ply(tmp_path / "a.ply", before)
    loaded = trimesh.load(tmp_path / "a.ply", process=False)
    assert np.allclose(loaded.vertices, before.means.numpy())
    raw = loaded.metadata["_ply_raw"]["vertex"]["data"]
    assert np.allclose(np.asarray(raw["beta"]).reshape(-1), before.betas.numpy(), atol=1e-6)


def test_open3d_reads_the_rest(tmp_path: Path) -> None:
    o3d = pytest.importorskip("open3d", exc_type=ImportError)
    before = scene(torch.linspace(-2, 2, 5))
    write_ply(tmp_path / "a.ply", before)
    points = o3d.t.io.read_point_cloud(str(tmp_path / "a.ply")).point
    assert np.array_equal(points["positions"].numpy(), before.means.numpy())
    assert np.array_equal(points["f_dc"].numpy().reshape(5, 3), before.sh[:, 0].numpy())
    assert np.array_equal(points["opacity"].numpy()[:, 0], before.logit_opacities.numpy())
    assert np.array_equal(points["rot"].numpy(), before.quats.numpy())


def test_without_the_property_it_is_refused(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", scene(torch.zeros(3)))
    path = edited(tmp_path / "a.ply", (b"property float beta\n", b"property float other\n"))
    with pytest.raises(SplatError, match=r"a\.ply says that its kernel is gef.*no property beta"):
        read_ply(path)


def test_without_the_comment_it_is_refused(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", scene(torch.zeros(3)))
    path = edited(tmp_path / "a.ply", (b"comment splat kernel gef\n", b""))
    with pytest.raises(SplatError, match="property beta, but no comment that says which kernel"):
        read_ply(path)


def test_a_file_that_says_gaussian_may_have_a_beta_of_its_own(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", scene(torch.zeros(3)))
    path = edited(tmp_path / "a.ply", (b"splat kernel gef\n", b"splat kernel gaussian\n"))
    assert (read_ply(path).kernel, read_ply(path).shape) == ("gaussian", None)


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("splat kernel", r"a\.ply was made with kernel ''.*gaussian or gef"),
        ("splat kernel wavelet", r"a\.ply was made with kernel 'wavelet'.*gaussian or gef"),
        ("splat kernel gef of its own", "kernel 'gef of its own'"),
        (
            "splat kernel gef\ncomment splat kernel gaussian",
            r"a\.ply says twice what its kernel is, gef and gau",
        ),
    ],
)
def test_a_kernel_that_is_not_said_clearly_is_refused(tmp_path: Path, comment: str, message: str) -> None:
    write_ply(tmp_path / "a.ply", scene(torch.zeros(3)))
    path = edited(tmp_path / "a.ply", (b"splat kernel gef", comment.encode()))
    with pytest.raises(SplatError, match=message):
        read_ply(path)


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("splat antialias", r"a\.ply was made with antialias ''.*none or mip"),
        ("splat antialias Exact", r"a\.ply was made with antialias 'Exact'"),
        (
            "splat antialias moment\ncomment splat antialias mip",
            "says twice what its antialias is, moment and mip",
        ),
        (
            "splat antialias analytic",
            "has kernel gef and antialias analytic, which integrates Gaussians only",
        ),
    ],
)
def test_a_filter_that_is_not_said_clearly_is_refused(tmp_path: Path, comment: str, message: str) -> None:
    write_ply(tmp_path / "a.ply", scene(torch.zeros(3)))
    path = edited(tmp_path / "a.ply", (b"splat antialias moment", comment.encode()))
    with pytest.raises(SplatError, match=message):
        read_ply(path)


def test_what_is_said_twice_alike_is_read(tmp_path: Path) -> None:
    write_ply(
        tmp_path / "a.ply", scene(torch.zeros(3)), comments=["splat kernel gef", "splat antialias moment"]
    )
    after = read_ply(tmp_path / "a.ply")
    assert (after.kernel, after.antialias) == ("gef", "moment")


def test_another_programs_render_mode_matters_only_without_ours(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", scene(torch.zeros(3)))
    path = edited(tmp_path / "a.ply", (b"SplatRenderMode: mip", b"SplatRenderMode: new"))
    assert read_ply(path).antialias == "moment"
    with pytest.raises(SplatError, match="SplatRenderMode 'new'"):
        read_ply(edited(path, (b"comment splat antialias moment\n", b"")))


def test_a_filter_that_the_kernel_has_not_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(SplatError, match="The scene has kernel gef and antialias analytic"):
        write_ply(tmp_path / "a.ply", replace(scene(torch.zeros(3)), antialias="analytic"))
    assert not (tmp_path / "a.ply").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), r"1 of 4 splats hold NaN.*in beta"),
        (float("inf"), r"1 of 4 splats hold NaN.*in beta"),
        (0.5, r"1 of 4 splats have a kernel exponent beta out of range \(first: splat 3, 0\.5\).*1\.2 to 8"),
        (8.5, r"beta out of range \(first: splat 3, 8\.5\)"),
        (-2.0, "beta out of range"),
    ],
)
def test_bad_exponents_are_refused_or_left_out(tmp_path: Path, value: float, message: str) -> None:
    before = scene(torch.linspace(-1, 1, 4))
    write_ply(tmp_path / "a.ply", before)
    data = bytearray((tmp_path / "a.ply").read_bytes())
    data[-4:] = np.array([value], "<f4").tobytes()
    (tmp_path / "a.ply").write_bytes(data)
    with pytest.raises(SplatError, match=message) as caught:
        read_ply(tmp_path / "a.ply")
    assert "--drop-invalid" in str(caught.value)
    said: list[str] = []
    left = read_ply(tmp_path / "a.ply", drop_invalid=True, say=said.append)
    assert torch.equal(left.means, before.means[:3])
    assert len(said) == 1 and "1 of 4 splats left out" in said[0]


def test_the_limits_of_the_range_are_read(tmp_path: Path) -> None:
    beta = torch.tensor([1.2, 8.0, 2.0])
    assert float((beta_of(shape_of(beta)) - beta).abs().max()) < 1e-6
    assert bool(torch.isfinite(shape_of(beta)).all())


def test_nan_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(SplatError, match="1 of 2 splats hold NaN"):
        write_ply(tmp_path / "a.ply", scene(torch.tensor([0.0, float("nan")])))
