"""The answer of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail"]
"""ok: as it should be; warn: something is missing or slower than it could be; fail: fitting cannot run."""


@dataclass(frozen=True)
class Check:
    """What was looked at, what was found, and what to do about it.

    Attributes:
        name: what was looked at, e.g. "torch".
        status: ok, warn or fail.
        found: what is there, e.g. a version, in a few words.
        advice: one sentence on what to do; empty exactly when the status is ok.
    """

    name: str
    status: Status
    found: str
    advice: str = ""
