"""The Gaussians under training together with their optimiser: rows come and go in both at once.

Whatever changes the number of rows makes all new tensors first and then takes them over together, so that
running out of memory on the way leaves the scene as it was.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from splat.fit.engine import Engine
from splat.gaussians import Antialias, Gaussians, Kernel
from splat.rasterize import GradientTarget


class TrainedScene:
    """Trained tensors (leaves that gather gradients) and Adam's moments for them.

    Args:
        start: the first parameters; copied to the engine's device.
        rates: learning rate by optimiser group (see ``splat.fit.schedules``).
        engine: makes the optimiser.
        sh_every: steps between those on "sh", whose gradients add up meanwhile.

    Attributes:
        gaussians: the trained tensors.
        adam: the optimiser.
        device: where they are.
    """

    def __init__(self, start: Gaussians, rates: dict[str, float], engine: Engine, sh_every: int = 1) -> None:
        self.device = engine.device
        self.gaussians = _leaves(
            {k: v.detach().to(self.device, copy=True) for k, v in start.parameters().items()}, start.antialias
        )
        self.adam = engine.adam(self.gaussians.parameters(), rates, sh_every)
        self._buffers: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return len(self.gaussians)

    def gradient_target(self, rates: dict[str, float], screen: bool = True) -> GradientTarget:
        """Where a backward pass through the native rasteriser may put this scene's gradients.

        It takes the optimiser's step on "sh" with it; ``adopt`` the target afterwards.

        Args:
            rates: learning rate by optimiser group.
            screen: whether the screen gradients of the render are wanted.
        """
        self.adam.rates.update(rates)
        for name, value in self.gaussians.parameters().items():
            if name != "sh" and (name not in self._buffers or self._buffers[name].shape != value.shape):
                self._buffers[name] = torch.empty_like(value.detach())
        return GradientTarget(self._buffers, self.adam.sh_step(), screen)

    def adopt(self, target: GradientTarget) -> None:
        """Take the gradients that a backward pass put into ``target``."""
        self.adam.sh_stepped()
        for name, value in self.gaussians.parameters().items():
            value.grad = target.buffers.get(name)

    def clear_gradients(self) -> None:
        """Forget the gradients of the last step."""
        for value in self.gaussians.parameters().values():
            value.grad = None

    def forget_gradients(self) -> None:
        """As ``clear_gradients``, and give back the memory kept for the next."""
        self.clear_gradients()
        self._buffers = {}

    def step(self, rates: dict[str, float]) -> None:
        """One optimiser step with the gathered gradients."""
        self.adam.rates.update(rates)
        self.adam.step({name: value.grad for name, value in self.gaussians.parameters().items()})

    def keep(self, rows: Tensor | None, new: dict[str, Tensor] | None = None) -> None:
        """Keep only ``rows`` and add ``new`` Gaussians after them, with zero moments; all of it or nothing.

        Args:
            rows: int64 row numbers, in their new order; None for all as they are.
            new: every trained tensor by name, [M, ...], or None for no new ones.
        """
        self.forget_gradients()
        old = self.gaussians.parameters()
        parameters = {
            name: _picked(value.detach(), rows, None if new is None else new[name])
            for name, value in old.items()
        }
        count = 0 if new is None else new["means"].shape[0]
        moments = {
            name: replace(
                state,
                exp_avg=_picked(state.exp_avg, rows, count),
                exp_avg_sq=_picked(state.exp_avg_sq, rows, count),
                waiting=None if state.waiting is None else _picked(state.waiting, rows, count),
            )
            for name, state in self.adam.moments.items()
        }
        self.adam.moments = moments
        self._replace(parameters)

    def append(self, rows: dict[str, Tensor]) -> None:
        """Add new Gaussians at the end, with zero moments.

        Args:
            rows: every trained tensor by name, [M, ...].
        """
        self.keep(None, rows)

    def keep_by_way_of_host(self, rows: Tensor) -> None:
        """As ``keep``, for a device that is full: nothing is taken there before as much was given back.

        Args:
            rows: int64 row numbers on the processor, in their new order.
        """
        state = self.state_dict()
        parameters = {name: value.cpu()[rows] for name, value in state["parameters"].items()}
        adam = {
            name: value.cpu()[rows] if isinstance(value, Tensor) else value
            for name, value in state["adam"].items()
        }
        self.load_state_dict({"parameters": parameters, "adam": adam})

    def overwrite(
        self, rows: Tensor, values: dict[str, Tensor], names: tuple[str, ...] | None = None
    ) -> None:
        """Set some rows of some tensors and zero their moments.

        Args:
            rows: [M] int64, no row twice.
            values: new values by tensor name, [M, ...].
            names: tensors whose moments are zeroed; None for all.
        """
        parameters = self.gaussians.parameters()
        for name, value in values.items():
            parameters[name].detach()[rows] = value
        self.adam.zero_rows(rows, names)

    def rows(self, index: Tensor) -> dict[str, Tensor]:
        """Copies of some rows of every trained tensor."""
        return {name: value.detach()[index] for name, value in self.gaussians.parameters().items()}

    def first_bad_tensor(self) -> str | None:
        """Name of a trained tensor that holds NaN or infinity, or None; waits for the device once."""
        tensors = {name: value.detach() for name, value in self.gaussians.parameters().items()}
        if bool(torch.isfinite(torch.stack([value.sum() for value in tensors.values()])).all()):
            return None  # a sum is finite only if every term is; it may overflow, so look again
        return next((name for name, value in tensors.items() if not torch.isfinite(value).all()), None)

    def state_dict(self) -> dict[str, Any]:
        """Parameters and moments (not copied)."""
        parameters = {name: value.detach() for name, value in self.gaussians.parameters().items()}
        return {"parameters": parameters, "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that ``state_dict`` gave, of any number of Gaussians and from any device.

        What there was is given back before anything is taken.
        """
        self.keep(torch.zeros(0, dtype=torch.int64, device=self.device))
        parameters = {
            name: state["parameters"][name].to(self.device, copy=True) for name in self.gaussians.parameters()
        }
        self.adam.append(parameters["means"].shape[0])
        self._replace(parameters)
        adam = {k: v.to(self.device) if isinstance(v, Tensor) else v for k, v in state["adam"].items()}
        self.adam.load_state_dict(adam)

    def _replace(self, parameters: dict[str, Tensor]) -> None:
        self.gaussians = _leaves(parameters, self.gaussians.antialias)
        self.adam.bind(self.gaussians.parameters())


def _picked(values: Tensor, rows: Tensor | None, new: Tensor | int | None) -> Tensor:
    """Some rows of ``values`` in this order (None: all), then ``new`` rows, or that many of zeros."""
    kept = values if rows is None else values[rows]
    if isinstance(new, int):
        new = kept.new_zeros((new, *kept.shape[1:])) if new else None
    return kept.contiguous() if new is None else torch.cat([kept, new])


def _leaves(parameters: dict[str, Tensor], antialias: Antialias) -> Gaussians:
    for value in parameters.values():
        value.requires_grad_(True)
    return from_parameters(parameters, antialias)


def from_parameters(parameters: dict[str, Tensor], antialias: Antialias) -> Gaussians:
    """Gaussians of these very tensors, by name as in ``Gaussians.parameters``: kernel "gef" with a shape."""
    kernel: Kernel = "gef" if "shape" in parameters else "gaussian"
    return Gaussians(**parameters, kernel=kernel, antialias=antialias)
