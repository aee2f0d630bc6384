"""The Gaussians under training together with their optimiser: rows come and go in both at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from splat.fit.engine import Engine
from splat.gaussians import Antialias, Gaussians, Kernel
from splat.rasterize import GradientTarget


class TrainedScene:
    """Trained tensors (leaves that gather gradients) and Adam's moments for them.

    Args:
        start: the first parameters; copied.
        rates: learning rate by optimiser group (see ``splat.fit.schedules``).
        engine: makes the optimiser.
    """

    def __init__(self, start: Gaussians, rates: dict[str, float], engine: Engine) -> None:
        self.gaussians = _leaves(
            {k: v.detach().clone() for k, v in start.parameters().items()}, start.antialias
        )
        self.adam = engine.adam(self.gaussians.parameters(), rates)
        self._fused = engine.name == "native"
        self._buffers: dict[str, Tensor] = {}

    def __len__(self) -> int:
        return len(self.gaussians)

    def gradient_target(self, rates: dict[str, float]) -> GradientTarget | None:
        """Where a backward pass through the native rasteriser may put this scene's gradients.

        It takes the optimiser's step on "sh" with it; ``adopt`` the target afterwards. None where the
        native core is not in use.
        """
        if not self._fused:
            return None
        self.adam.rates.update(rates)
        for name, value in self.gaussians.parameters().items():
            if name != "sh" and (name not in self._buffers or self._buffers[name].shape != value.shape):
                self._buffers[name] = torch.empty_like(value.detach())
        return GradientTarget(self._buffers, self.adam.sh_step())

    def adopt(self, target: GradientTarget | None) -> None:
        """Take the gradients that a backward pass put into ``target``; None: autograd set them."""
        if target is None:
            return
        self.adam.sh_stepped()
        for name, value in self.gaussians.parameters().items():
            value.grad = target.buffers.get(name)

    def clear_gradients(self) -> None:
        """Forget the gradients of the last step."""
        for value in self.gaussians.parameters().values():
            value.grad = None

    def step(self, rates: dict[str, float]) -> None:
        """One optimiser step with the gathered gradients."""
        self.adam.rates.update(rates)
        self.adam.step({name: value.grad for name, value in self.gaussians.parameters().items()})

    def keep(self, rows: Tensor) -> None:
        """Keep only ``rows`` (int64 row numbers, in their new order)."""
        kept = {
            name: value.detach()[rows].contiguous() for name, value in self.gaussians.parameters().items()
        }
        self.adam.keep(rows)
        self._replace(kept)

    def append(self, rows: dict[str, Tensor]) -> None:
        """Add new Gaussians at the end, with zero moments.

        Args:
            rows: every trained tensor by name, [M, ...].
        """
        old = self.gaussians.parameters()
        joined = {name: torch.cat([value.detach(), rows[name]]) for name, value in old.items()}
        self.adam.append(rows["means"].shape[0])
        self._replace(joined)

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
        """Name of a trained tensor that holds NaN or infinity, or None."""
        for name, value in self.gaussians.parameters().items():
            if not torch.isfinite(value.detach().sum()) and not torch.isfinite(value.detach()).all():
                return name
        return None

    def state_dict(self) -> dict[str, Any]:
        """Parameters and moments (not copied)."""
        parameters = {name: value.detach() for name, value in self.gaussians.parameters().items()}
        return {"parameters": parameters, "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that ``state_dict`` gave, of any number of Gaussians."""
        parameters = {name: state["parameters"][name].clone() for name in self.gaussians.parameters()}
        self.adam.keep(torch.zeros(0, dtype=torch.int64))
        self.adam.append(parameters["means"].shape[0])
        self._replace(parameters)
        self.adam.load_state_dict(state["adam"])

    def _replace(self, parameters: dict[str, Tensor]) -> None:
        self.gaussians = _leaves(parameters, self.gaussians.antialias)
        self.adam.bind(self.gaussians.parameters())


def _leaves(parameters: dict[str, Tensor], antialias: Antialias) -> Gaussians:
    for value in parameters.values():
        value.requires_grad_(True)
    return from_parameters(parameters, antialias)


def from_parameters(parameters: dict[str, Tensor], antialias: Antialias) -> Gaussians:
    """Gaussians of these very tensors, by name as in ``Gaussians.parameters``: kernel "gef" with a shape."""
    kernel: Kernel = "gef" if "shape" in parameters else "gaussian"
    return Gaussians(**parameters, kernel=kernel, antialias=antialias)
