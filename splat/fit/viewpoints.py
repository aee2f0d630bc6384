"""In which order the photos are trained on."""

from __future__ import annotations

import torch
from torch import Tensor


class ViewOrder:
    """Random order without replacement: every view once before any view twice.

    Args:
        views: indices to draw from.
        seed: of the shuffles.
    """

    def __init__(self, views: list[int], seed: int) -> None:
        self._views = views
        self._generator = torch.Generator().manual_seed(seed)
        self._queue: list[int] = []

    def next(self) -> int:
        """The next view to train on."""
        self._fill(1)
        return self._queue.pop(0)

    def put_back(self, view: int) -> None:
        """Undo ``next``, which gave ``view``."""
        self._queue.insert(0, view)

    def upcoming(self, count: int) -> list[int]:
        """The next ``count`` views, without taking them (for prefetching)."""
        self._fill(count)
        return self._queue[:count]

    def state_dict(self) -> dict[str, Tensor]:
        """Generator state and what is left of the queue."""
        return {
            "generator": self._generator.get_state(),
            "queue": torch.tensor(self._queue, dtype=torch.int64),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take up a state that ``state_dict`` gave."""
        self._generator.set_state(state["generator"])
        self._queue = state["queue"].tolist()

    def _fill(self, count: int) -> None:
        while len(self._queue) < count:
            order = torch.randperm(len(self._views), generator=self._generator).tolist()
            self._queue.extend(self._views[i] for i in order)
