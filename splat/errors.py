"""The one exception that a person is meant to read."""

from __future__ import annotations


class SplatError(Exception):
    """An error that a person can act on; the command line prints it without a traceback.

    The message is one sentence or two: what was found (with the file or option named), what was
    expected, and what to do about it.

    Args:
        problem: what was found, naming the file or option.
        expected: what was expected instead, or empty.
        advice: what to do, or empty.
    """

    def __init__(self, problem: str, *, expected: str = "", advice: str = "") -> None:
        self.problem = problem
        self.expected = expected
        self.advice = advice
        super().__init__(problem, expected, advice)

    def __str__(self) -> str:
        parts = [self.problem.rstrip(".") + "."]
        if self.expected:
            parts.append(f"Expected {self.expected.rstrip('.')}.")
        if self.advice:
            parts.append(self.advice.rstrip(".") + ".")
        return " ".join(parts)
