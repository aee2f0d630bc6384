"""What is installed and how it was built, with one sentence of advice for each thing that is off."""

from __future__ import annotations

from splat.doctor.check import Check, Status
from splat.doctor.checks import can_fit, run_checks

__all__ = ["Check", "Status", "can_fit", "run_checks"]
