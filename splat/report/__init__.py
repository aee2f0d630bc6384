"""A run told as one self-contained HTML page."""

from __future__ import annotations

from splat.report.page import write_report

__all__ = ["write_report"]
