"""``report.html``: one file that can be read anywhere and asks the network for nothing."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Protocol

from splat.errors import SplatError
from splat.report import sections, views
from splat.report.run_data import RunData, read_run
from splat.report.text import escape


class ReportedRun(Protocol):
    """What the report needs of a run folder: where it is."""

    @property
    def path(self) -> Path:
        """The run folder."""
        ...


def write_report(run: ReportedRun) -> Path:
    """Write ``report.html`` into the run folder from the files there, and return its path.

    Files that are missing or broken make their section say so.

    Raises:
        SplatError: the report cannot be written.
    """
    target = run.path / "report.html"
    partial = target.with_name("report.html.partial")
    try:
        partial.write_text(page(read_run(run.path)), encoding="utf-8")
        os.replace(partial, target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise SplatError(
            f"The report {target} cannot be written: {error.strerror or error}",
            advice="Check that the folder is writable and the disk has room",
        ) from error
    return target


def page(run: RunData) -> str:
    """The whole page as HTML."""
    name = run.path.resolve().name
    version = run.metrics.get("version")
    return _template("page.html").substitute(
        style=_asset("page.css"),
        script=_asset("page.js"),
        title=escape(name),
        made_with=escape(f"splat {version}" if version else "splat"),
        problems=_problems(run),
        headline=sections.headline(run),
        comparisons=views.comparisons(run),
        curves=sections.curves(run),
        cameras=sections.cameras(run),
        table=views.table(run),
        settings=sections.settings(run),
    )


def _problems(run: RunData) -> str:
    if not run.missing:
        return ""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in run.missing.values())
    return f'<aside class="problems"><p>Parts of this report are missing:</p><ul>{items}</ul></aside>'


def _asset(name: str) -> str:
    return files("splat.report").joinpath(name).read_text(encoding="utf-8")


def _template(name: str) -> Template:
    return Template(_asset(name))
