"""The measuring scripts' own arithmetic, files and tables."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from splat.capture import CaptureOptions, open_capture
from splat.fit.options import FitOptions
from tests.fit.synthetic import synthetic_capture

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from chart import Line, Panel, write_chart  # noqa: E402
from kernels import splats_for  # noqa: E402
from measured_fits import Opened, Pair, fit_options, trained  # noqa: E402
from multiscale import scaled_captures  # noqa: E402
from results_file import ResultsFile, markdown, put_table  # noqa: E402
from zoomout import cropped, psnr, shrunk, supersampled  # noqa: E402


def test_splats_for_a_quality() -> None:
    rows = [{"gaussians": n, "psnr": p} for n, p in ((10_000, 20.0), (40_000, 22.0), (80_000, 21.5))]
    assert splats_for(rows, 21.0) == pytest.approx(20_000)
    assert splats_for(rows, 22.0) == pytest.approx(40_000)
    assert splats_for(rows, 19.0) == 0
    assert splats_for(rows, 22.1) is None


def test_rows_stay_and_are_known_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.json"
    ResultsFile(path).put("lego/a/10", {"fit": {"seed": 0}}, {"psnr": 1.5})
    results = ResultsFile(path)
    assert results.has("lego/a/10", {"fit": {"seed": 0}})
    assert results.has("lego/a/10", {"fit": {"seed": 0, "an option that came later": True}})
    assert not results.has("lego/a/10", {"fit": {"seed": 1}})
    assert not results.has("lego/a", {"fit": {"seed": 0}})
    results.put("fox/a/10", {}, {"psnr": 2.0})
    assert [(name, row["psnr"]) for name, row in results.under("lego")] == [("a/10", 1.5)]
    assert results.groups() == ["lego", "fox"]


def test_a_table_takes_the_place_of_the_last(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table a -->\nold\n<!-- end a -->\nafter\n")
    for _ in range(2):
        put_table(page, "a", markdown(["x", "y"], [["1", "2"]]))
    expected = "before\n<!-- table a -->\n\n| x | y |\n| --- | ---: |\n| 1 | 2 |\n\n<!-- end a -->\nafter\n"
    assert page.read_text() == expected
    with pytest.raises(ValueError, match="no place for the table b"):
        put_table(page, "b", "")


def test_the_page_has_a_place_for_every_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "kernels-and-filters.md").read_text()
    for name in ("multiscale lego", "multiscale spot_gt", "kernels", "kernels goal", "zoom-out"):
        assert page.count(f"<!-- table {name} -->") == page.count(f"<!-- end {name} -->") == 1, name


@pytest.mark.parametrize(
    "text", ["gaussian+mip", "gef+moment", "gaussian+exact+strips2", "gaussian+none+sub2"]
)
def test_pairs_have_names(text: str) -> None:
    assert Pair.parse(text).name == text
    assert Pair.parse(text).strips == (2 if "strips2" in text else 1)
    assert Pair.parse(text).subpixel == (2 if "sub2" in text else 1)


@pytest.mark.parametrize("text", ["gaussian", "gauss+mip", "gaussian+blur", "gaussian+mip+sub3"])
def test_pairs_that_do_not_exist(text: str) -> None:
    with pytest.raises((argparse.ArgumentTypeError, ValueError)):
        Pair.parse(text)


def test_fit_options_come_from_the_call() -> None:
    asked = argparse.Namespace(
        preset="preview", iterations=7, seconds=None, seed=3, set=["sh_degree=1", "strategy=mcmc"]
    )
    options = fit_options(asked, Pair.parse("gaussian+none"), 1000)
    assert options == FitOptions(
        preset="preview",
        iterations=7,
        seed=3,
        sh_degree=1,
        strategy="mcmc",
        kernel="gaussian",
        antialias="none",
        budget=1000,
    )
    asked.set = ["no_such_option=1"]
    with pytest.raises(SystemExit, match="no_such_option"):
        fit_options(asked, Pair.parse("gaussian+none"), 1000)


def test_chart_is_well_formed_and_in_its_frame(tmp_path: Path) -> None:
    lines = [Line("a & b", [10, 100, 1000], [20.0, 21.0, 30.0]), Line("c", [10], [25.0])]
    write_chart(tmp_path / "a.svg", [Panel("x < y", lines), Panel("empty", [])])
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    name = "{http://www.w3.org/2000/svg}"
    dots = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in root.iter(f"{name}circle")]
    assert len(dots) == 4
    assert all(0 < x < 440 and 0 < y < 280 for x, y in dots)
    assert dots[0][0] == dots[3][0] and dots[0][1] > dots[1][1] > dots[2][1]
    assert {t.text for t in root.iter(f"{name}text")} >= {"a & b", "x < y", "100", "1k"}


def test_images_are_averaged_and_enlarged() -> None:
    image = torch.arange(64.0).reshape(8, 8, 1).expand(-1, -1, 3) / 255
    small = shrunk(image, 2)
    assert small.shape == (4, 4, 3)
    assert float(small[0, 0, 0] * 255) == pytest.approx((0 + 1 + 8 + 9) / 4)
    shown = cropped(image, 1, (2, 4, 2))
    assert shown[..., 0].tolist() == [[34, 35], [42, 43]]
    assert cropped(small, 2, (4, 4, 4)).shape == (4, 4, 3)
    assert psnr(image, image) == math.inf
    assert psnr(torch.zeros(2, 2, 3), torch.ones(2, 2, 3)) == pytest.approx(0)


def test_the_truth_is_the_mean_over_a_pixel() -> None:
    from splat.cameras import Camera
    from splat.gaussians import Gaussians
    from splat.rasterize import RenderSettings

    scene = Gaussians(  # far below a pixel at full size: its mass is all that is left of it
        means=torch.tensor([[0.0, 0.0, 4.0]]),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        log_scales=torch.full((1, 3), math.log(0.04)),
        logit_opacities=torch.tensor([0.0]),
        sh=torch.full((1, 1, 3), 0.5 / 0.28209479),
    )
    intrinsics = torch.tensor([[20.0, 0, 8.5], [0, 20.0, 6.5], [0, 0, 1]])
    camera = Camera(torch.eye(4), intrinsics, 16, 12)
    truth = supersampled(scene, camera, RenderSettings(antialias="mip"), 32, "reference")
    assert truth.shape == (12, 16, 3)
    assert float(truth[6, 8, 0]) == pytest.approx(0.5 * 2 * math.pi * 0.2**2, rel=0.03)
    assert float(truth[6, 8, 0] / truth[..., 0].sum()) > 0.95


def test_other_sizes_of_a_capture(tmp_path: Path) -> None:
    import json

    from PIL import Image

    def picture(folder: str, side: int) -> None:
        (tmp_path / folder).mkdir()
        rgba = np.full((side, side, 4), (200, 100, 50, 128), np.uint8)
        for name in ("a", "b"):
            Image.fromarray(rgba).save(tmp_path / folder / f"{name}.png")

    for folder, side in (("train", 32), ("test", 32), ("test_64", 64), ("test_16", 16), ("test_depth", 8)):
        picture(folder, side)
    for split in ("train", "test"):
        pose = np.eye(4)
        frames = []
        for index, name in enumerate("ab"):
            pose[0, 3] = index + (split == "test") * 0.5
            frames.append({"file_path": f"./{split}/{name}", "transform_matrix": pose.tolist()})
        document = {"camera_angle_x": 0.7, "frames": frames}
        (tmp_path / f"transforms_{split}.json").write_text(json.dumps(document))
    capture = open_capture(tmp_path, CaptureOptions(), progress=lambda _: None)
    captures = scaled_captures(tmp_path, capture)
    assert list(captures) == [64, 32, 16]
    half, full = captures[16].views[0], capture.views[capture.test[0]]
    assert half.name == full.name
    assert half.camera.focal[0] == pytest.approx(full.camera.focal[0] / 2)
    assert half.camera.principal_point == (8.0, 8.0)
    pixels = half.load()
    assert pixels.rgb.shape == (16, 16, 3) and pixels.alpha is not None
    assert (len(captures[16].test), captures[16].background) == (2, capture.background)


def test_a_run_of_other_photos_is_not_taken_for_this_one(tmp_path: Path) -> None:
    capture = synthetic_capture(views=6, size=16)
    options = FitOptions(iterations=3, budget=40, max_memory=4.0)
    one: dict[str, object] = {"source": "one"}
    other: dict[str, object] = {"source": "other"}
    first = trained(Opened(capture, one), tmp_path / "run", options)
    written = (tmp_path / "run" / "splat.ply").stat().st_mtime_ns
    again = trained(Opened(capture, one), tmp_path / "run", options)
    assert (tmp_path / "run" / "splat.ply").stat().st_mtime_ns == written
    assert again.metrics == first.metrics
    trained(Opened(capture, other), tmp_path / "run", options)
    assert (tmp_path / "run" / "splat.ply").stat().st_mtime_ns != written
