"""The page: whole, honest about what is missing, safe with hostile text, alone on the network."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from splat.errors import SplatError
from splat.fit.run import RunFolder
from splat.report import write_report

NAMES = ["0001.jpg", "dir/0009.jpg", "0017.jpg", "0025.jpg", "0033.jpg"]


class Page(HTMLParser):
    """Tags, their attributes, and the text outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "input", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in {"script", "style"}:
            self.text += data

    def having(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(run: RunFolder) -> Page:
    path = write_report(run)
    assert path == run.report
    return Page(path.read_text(encoding="utf-8"))


def test_figures_of_the_run_are_told(make_run: Callable[..., RunFolder]) -> None:
    page = read(make_run(*NAMES, width=480, height=270))
    for figure in ("48,213", "4,000", "3 min 08 s", "1 min 14 s", "1.37 GiB", "480 × 270", "0.9312"):
        assert figure in page.text
    assert "not computed" in page.text and "no network weights are shipped" in page.text
    assert "49 of 50 photos got a camera (98 %)." in page.text
    assert "0.61 px" in page.text
    assert "0031.jpg was left out: too few matches with its neighbours." in page.text
    assert "The budget of 50,000 Gaussians was not reached." in page.text
    assert "mean of 5 held-out photos" in page.text
    assert "fit.strategy" in page.text and "capture.max_size" in page.text


def test_worst_median_and_best_view_are_compared(make_run: Callable[..., RunFolder]) -> None:
    page = read(make_run(*NAMES))
    headings = re.findall(r"(Worst|Median|Best) view (\S+?\.jpg)", page.text)
    assert headings == [("Worst", "0033.jpg"), ("Median", "0017.jpg"), ("Best", "0001.jpg")]
    assert len(page.having("img")) == 9
    assert len([i for i in page.having("input") if i["type"] == "range" and i.get("aria-label")]) == 3


def test_one_view_is_shown_once(make_run: Callable[..., RunFolder]) -> None:
    page = read(make_run("only.jpg"))
    assert "Worst and median and best view" in page.text
    assert len(page.having("img")) == 3


def test_table_is_sorted_by_psnr(make_run: Callable[..., RunFolder]) -> None:
    run = make_run(*NAMES)
    scores = json.loads(run.per_view.read_text())
    table = run.report
    read(run)
    html = table.read_text(encoding="utf-8")
    rows = re.findall(r'<th scope="row">([^<]*\.jpg)</th>', html)
    assert rows == sorted(NAMES, key=lambda name: scores[name]["psnr"])


def test_nothing_is_asked_of_the_network(make_run: Callable[..., RunFolder]) -> None:
    run = make_run(*NAMES)
    page = read(run)
    html = run.report.read_text(encoding="utf-8")
    assert not re.search(r"(https?:)?//[a-z0-9]", re.sub(r"base64,[^\"]*", "", html), re.IGNORECASE)
    assert "@import" not in html and "url(" not in html
    for _, attributes in page.tags:
        assert not (attributes.get("href") or "#").strip("#").startswith(("http", "//", "file"))
        assert (attributes.get("src") or "data:").startswith("data:")
    policy = next(m for m in page.having("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in (policy["content"] or "")


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "$title&amp;'"]
)
def test_hostile_text_is_shown_not_run(make_run: Callable[..., RunFolder], hostile: str) -> None:
    run = make_run("a.jpg", "b.jpg", folder="run <b>bold<")
    per_view = json.loads(run.per_view.read_text())
    run.per_view.write_text(json.dumps({hostile: per_view["a.jpg"], "b.jpg": per_view["b.jpg"]}))
    metrics = json.loads(run.metrics.read_text())
    run.metrics.write_text(
        json.dumps({**metrics, "lpips_reason": hostile, "notes": [hostile], "kernel": hostile})
    )
    run.config.write_text(json.dumps({hostile: hostile, "nested": {hostile: [hostile]}}))
    page = read(run)
    assert page.text.count(hostile) >= 7
    assert len(page.having("script")) == 1
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "run <b>bold<" in page.text and not page.having("b")


@pytest.mark.parametrize(
    "name", ["config.json", "metrics.json", "per_view.json", "cameras.json", "log.jsonl"]
)
@pytest.mark.parametrize("content", [None, "{ broken", "[1, 2]"])
def test_a_missing_or_broken_file_is_told(
    make_run: Callable[..., RunFolder], name: str, content: str | None
) -> None:
    run = make_run("a.jpg", "b.jpg")
    if content is None:
        (run.path / name).unlink()
    else:
        (run.path / name).write_text(content)
    page = read(run)
    assert "Parts of this report are missing" in page.text
    assert name in page.text
    assert "Held-out views" in page.text and "Training" in page.text


def test_an_empty_folder_still_gives_a_page(tmp_path: Path) -> None:
    page = read(RunFolder(tmp_path))
    assert page.text.count("is not in the run folder") >= 5


def test_missing_and_broken_images_are_told(make_run: Callable[..., RunFolder]) -> None:
    run = make_run("a.jpg")
    (run.renders / "a.jpg.render.png").unlink()
    (run.renders / "a.jpg.error.png").write_bytes(b"not an image")
    page = read(run)
    assert "Not in renders/: render, error." in page.text
    assert len(page.having("img")) == 1


def test_strange_numbers_do_no_harm(make_run: Callable[..., RunFolder]) -> None:
    run = make_run("a.jpg", "b.jpg", "c.jpg")
    run.per_view.write_text(
        '{"a.jpg": {"psnr": Infinity, "ssim": NaN}, "b.jpg": {"psnr": null}, "c.jpg": {"psnr": 20.5}}'
    )
    run.log.write_text('{"event":"train","loss":NaN,"seconds":1}\n{"event":"train","seconds":"x","loss":1}\n')
    run.metrics.write_text('{"psnr": NaN, "gaussians": "many", "photos": 0, "registered": 0, "width": null}')
    page = read(run)
    assert "∞ dB PSNR" in page.text and "20.50 dB PSNR" in page.text
    assert "Nothing was logged." in page.text


def test_noisy_large_images_stay_within_bounds(make_run: Callable[..., RunFolder]) -> None:
    import numpy as np
    from PIL import Image

    run = make_run("a.jpg", width=64, height=48)
    noise = np.random.default_rng(0).integers(0, 256, (900, 1400, 3), dtype=np.uint8)
    for role in ("photo", "render", "error"):
        Image.fromarray(noise).save(run.renders / f"a.{role}.png", compress_level=1)
    write_report(run)
    assert run.report.stat().st_size < 1_800_000


def test_many_iterations_stay_small(make_run: Callable[..., RunFolder]) -> None:
    run = make_run("a.jpg", width=32, height=24)
    line = '{"event":"train","iteration":%d,"loss":%f,"gaussians":1000,"it_per_second":30,"seconds":%f}'
    run.log.write_text("\n".join(line % (i, 0.1 + 1 / (i + 1), i / 30) for i in range(30000)))
    write_report(run)
    assert run.report.stat().st_size < 150_000


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(SplatError, match=r"report\.html cannot be written"):
        write_report(RunFolder(tmp_path / "absent"))
