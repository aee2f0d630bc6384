"""Photos that had to be left out, counted by reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from splat.capture.photos import counted, listed


@dataclass
class Skips:
    """Collects left-out photos and says so in sentences.

    Attributes:
        reasons: names of photos, by the reason they are left out for.
    """

    reasons: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, reason: str) -> None:
        """Leave out a photo; ``reason`` completes "3 photos skipped: ..."."""
        self.reasons.setdefault(reason, []).append(name)

    def sentences(self) -> list[str]:
        """One for each reason, with the count and the first names."""
        return [
            f"{counted(len(names), 'photo')} skipped ({reason}): {listed(names)}."
            for reason, names in self.reasons.items()
        ]

    def __len__(self) -> int:
        return sum(len(names) for names in self.reasons.values())
