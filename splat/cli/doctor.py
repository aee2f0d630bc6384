"""``splat doctor``: what is installed, what is off, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Doctor:
    """Check this installation: Python, torch, the compiled core, packages, memory.

    Ends with exit code 0 if `splat fit` can run here, and 1 if something must be mended first.
    """

    json: bool = False
    """Print the checks as JSON instead of a table."""

    def run(self) -> int:
        """Run every check and print it; returns the exit code."""
        from splat.doctor import can_fit, run_checks

        checks = run_checks()
        if self.json:
            from splat.doctor.show import as_json

            print(as_json(checks))
        else:
            from rich.console import Console

            from splat.doctor.show import show

            show(checks, Console())
        return 0 if can_fit(checks) else 1
