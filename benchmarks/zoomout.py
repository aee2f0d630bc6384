"""What happens to one scene when the camera steps back, filter by filter, as one picture.

    python benchmarks/zoomout.py runs/lego --out docs/images/zoom-out.png

Each row is a pixel filter, each column a size: full, 1/2, 1/4, 1/8 of the photo's, pixels enlarged to
the same area. The last row is the truth: the scene drawn at ``--finest`` times the full size, averaged
over each pixel. A table of the PSNR of every cell against it is printed.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from measured_fits import Pair
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from results_file import markdown, put_table
from torch import Tensor

from splat import native_core
from splat.cameras import Camera
from splat.cli.scene_source import near_limit, read_scene, read_views, trained_background
from splat.errors import SplatError
from splat.gaussians import Gaussians
from splat.rasterize import Backend, RenderSettings, rasterize

FILTERS = ("none", "mip", "analytic", "moment", "exact", "exact+strips2", "exact+sub2")
REDUCTIONS = (1, 2, 4, 8)
MARGIN, HEAD = 118, 18
TRUTH = "truth"


def draw(scene: Gaussians, camera: Camera, settings: RenderSettings, backend: Backend) -> Tensor:
    """[H, W, 3] colours, 0 to 1."""
    with torch.no_grad():
        return rasterize(scene, camera, settings, backend).color.clamp(0, 1)


def supersampled(
    scene: Gaussians, camera: Camera, settings: RenderSettings, finest: int, backend: Backend
) -> Tensor:
    """[H, W, 3] means over pixels of the scene drawn ``finest`` times as fine.

    In one piece: parts of an image would clamp the projection of splats elsewhere. The filter matters
    little: most splats are much larger than a fine pixel.
    """
    fine = camera.resized(camera.width * finest, camera.height * finest)
    return shrunk(draw(scene, fine, settings, backend), finest)


def shrunk(image: Tensor, factor: int) -> Tensor:
    """Mean over blocks of ``factor`` x ``factor`` pixels."""
    planes = image.permute(2, 0, 1)[None]
    return torch.nn.functional.avg_pool2d(planes, factor)[0].permute(1, 2, 0)


def psnr(image: Tensor, truth: Tensor) -> float:
    """dB, after rounding both to 8 bits."""
    error = float(((image * 255).round() - (truth * 255).round()).div(255).double().square().mean())
    return math.inf if error == 0 else -10 * math.log10(error)


def cropped(image: Tensor, reduction: int, box: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The square ``box`` (left, top, side, in full pixels) of a reduced image, enlarged by repetition."""
    left, top, side = (value // reduction for value in box)
    cut = (image[top : top + side, left : left + side] * 255).round().to(torch.uint8).numpy()
    return cut.repeat(reduction, axis=0).repeat(reduction, axis=1)


def sheet(rows: list[tuple[str, list[tuple[NDArray[np.uint8], str]]]], heads: list[str]) -> Image.Image:
    """Rows of pictures with a name at the left and words below each."""
    side, gap = rows[0][1][0][0].shape[0], 4
    width = MARGIN + len(heads) * (side + gap)
    page = Image.new("RGB", (width, HEAD + len(rows) * (side + HEAD)), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    for column, head in enumerate(heads):
        pen.text((MARGIN + column * (side + gap), 2), head, "black", font)
    for index, (name, cells) in enumerate(rows):
        top = HEAD + index * (side + HEAD)
        pen.text((4, top + side // 2 - 8), name, "black", font)
        for column, (picture, words) in enumerate(cells):
            left = MARGIN + column * (side + gap)
            page.paste(Image.fromarray(picture), (left, top))
            pen.text((left, top + side), words, "#555", font)
    return page


def filter_settings(text: str, base: RenderSettings) -> RenderSettings:
    """From FILTER, FILTER+strips2 or FILTER+sub2."""
    pair = Pair.parse(f"gaussian+{text}")
    return replace(base, antialias=pair.antialias, strips=pair.strips, subpixel=pair.subpixel)


def main() -> None:
    """Parse the options, draw, write."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--out", type=Path, default=Path("zoom-out.png"))
    parser.add_argument("--view", help="name of a photo; default: the first held-out one")
    parser.add_argument("--box", type=int, nargs=3, metavar=("LEFT", "TOP", "SIDE"), help="shown part")
    parser.add_argument("--filters", nargs="+", default=list(FILTERS))
    parser.add_argument("--finest", type=int, default=8, help="samples a full-size pixel and axis, truth")
    parser.add_argument("--backend", choices=("auto", "native", "reference"), default="auto")
    parser.add_argument("--page", type=Path, help="put the table into this page of the documentation")
    parser.add_argument("--table", default="zoom-out", help="the table's name in that page")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    native_core.load()

    scene, known = read_scene(asked.run), read_views(asked.run / "cameras.json")
    held_out = [view for view in known.views if view.split == "test"] or known.views
    view = next((v for v in known.views if v.name == asked.view), held_out[0])
    usable = [v - v % REDUCTIONS[-1] for v in (view.camera.width, view.camera.height)]
    camera = replace(view.camera, width=usable[0], height=usable[1])
    side = min(usable) // 2 // 8 * 8
    box = tuple(asked.box or ((usable[0] - side) // 16 * 8, (usable[1] - side) // 16 * 8, side))
    near = max(near_limit(scene), RenderSettings.near / known.scale)
    base = RenderSettings(background=trained_background(asked.run), near=near)
    fine = filter_settings("moment" if "moment" in asked.filters else "mip", base)
    full = supersampled(scene, camera, fine, asked.finest, asked.backend)
    truths = [shrunk(full, reduction) for reduction in REDUCTIONS]

    rows, lines = [], []
    for name in asked.filters:
        cells, figures = [], []
        try:
            for reduction, truth in zip(REDUCTIONS, truths, strict=True):
                small = camera.resized(camera.width // reduction, camera.height // reduction)
                image = draw(scene, small, filter_settings(name, base), asked.backend)
                figures.append(f"{psnr(image, truth):.1f}")
                cells.append((cropped(image, reduction, box), f"{figures[-1]} dB"))
        except SplatError as error:
            print(f"{name} is left out: {error}")
            continue
        rows.append((name, cells))
        lines.append([name, *figures])
    rows.append((TRUTH, [(cropped(t, r, box), "") for r, t in zip(REDUCTIONS, truths, strict=True)]))
    heads = [f"{camera.width // r} x {camera.height // r}" for r in REDUCTIONS]
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    sheet(rows, heads).save(asked.out, optimize=True)
    table = markdown(["filter, PSNR against the truth in dB", *heads], lines)
    print(f"{asked.out}\n{table}")
    if asked.page:
        put_table(asked.page, asked.table, table)


if __name__ == "__main__":
    main()
