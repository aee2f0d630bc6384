"""The parts that a trainer is made of, as it sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from splat.cameras import Camera
from splat.fit.losses import Loss
from splat.fit.scene import TrainedScene
from splat.rasterize.rendered import Rendered

__all__ = ["Change", "Loss", "Schedule", "State", "Stateful", "Strategy"]

State = dict[str, Any]
"""Nested dict of tensors, numbers, strings and lists: what a checkpoint can hold."""


@dataclass(frozen=True)
class Change:
    """Counts of one densification.

    Attributes:
        added: new Gaussians.
        removed: Gaussians taken away.
        moved: Gaussians put somewhere else.
    """

    added: int = 0
    removed: int = 0
    moved: int = 0


class Stateful(Protocol):
    """Something that a checkpoint holds."""

    def state_dict(self) -> State:
        """Everything needed to go on bit for bit."""
        ...

    def load_state_dict(self, state: State) -> None:
        """Take up a state that ``state_dict`` gave."""
        ...


class Schedule(Protocol):
    """What changes with the iteration and with nothing else."""

    def rates(self, iteration: int) -> dict[str, float]:
        """Learning rate by optimiser group."""
        ...

    def sh_degree(self, iteration: int) -> int:
        """Highest spherical-harmonics degree trained."""
        ...

    def downscale(self, iteration: int) -> int:
        """Whole factor by which photos are shrunk."""
        ...


class Strategy(Stateful, Protocol):
    """Adds and removes Gaussians, never more than its budget."""

    def reads_screen(self, iteration: int) -> bool:
        """Whether ``before_step`` looks at the screen gradients of this step."""
        ...

    def before_step(self, scene: TrainedScene, rendered: Rendered, camera: Camera, iteration: int) -> None:
        """Gradients are there: gather statistics, add the gradients of regularisers."""
        ...

    def after_step(self, scene: TrainedScene, rates: dict[str, float], iteration: int) -> Change | None:
        """Parameters are updated: add noise, densify. Returns what was changed, or None."""
        ...

    def limit(self, budget: int) -> None:
        """No more than ``budget`` Gaussians from now on."""
        ...
