"""The parts that a trainer is made of, as it sees them."""

from __future__ import annotations

from typing import Any, Protocol

from splat.cameras import Camera
from splat.fit.scene import TrainedScene
from splat.rasterize.rendered import Rendered

State = dict[str, Any]
"""Nested dict of tensors, numbers, strings and lists: what a checkpoint can hold."""


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

    def before_step(self, scene: TrainedScene, rendered: Rendered, camera: Camera, iteration: int) -> None:
        """Gradients are there: gather statistics, add the gradients of regularisers."""
        ...

    def after_step(self, scene: TrainedScene, rates: dict[str, float], iteration: int) -> str | None:
        """Parameters are updated: add noise, densify. Returns what was changed, or None."""
        ...
