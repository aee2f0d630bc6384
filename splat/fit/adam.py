"""Adam over the scene's tensors, with the row operations that densification needs.

Kingma and Ba, "Adam: a method for stochastic optimization" (2015), as torch.optim.Adam: bias-corrected
moments, eps added to the corrected root. The step itself runs in the native core, in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splat.device_core import AdamStep, ShPart, core_for
from splat.errors import SplatError

BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-15


@dataclass
class Moments:
    """Adam's state of one tensor.

    Attributes:
        exp_avg: running mean of the gradient, shaped as the parameter.
        exp_avg_sq: running mean of its square.
        step: steps taken.
        waiting: sum of the gradients since the last step, where not every gradient makes one; else None.
        waited: how many there are in it.
    """

    exp_avg: Tensor
    exp_avg_sq: Tensor
    step: int = 0
    waiting: Tensor | None = None
    waited: int = 0


class Adam:
    """Adam over named float32 tensors whose first dimension is the Gaussian.

    Args:
        parameters: tensors updated in place (contiguous). "sh" [N, K, 3] has two rates.
        rates: learning rate by tensor name; for "sh" the names "sh0" (coefficient 0) and "sh_rest".
        betas: decay of the two moments.
        eps: added to the root.
        sh_every: "sh" takes a step with every so many gradients, added up in between: Adam does not mind
            their scale, and the coefficients are most of the memory that a step goes over (as Taming 3DGS,
            Mallick et al. 2024).

    A backward pass that takes the step on "sh" itself (``sh_step``) leaves rows without a gradient, of splats
    that the photo does not show, and their moments as they are (also from Taming 3DGS), unless gradients are
    added up: it goes over what a photo shows. Held-out PSNR is the same or better so
    (benchmarks/results/2026-11-cpu.md). ``step`` goes over all rows of what it is given.

    Attributes:
        parameters: what is being optimised; after the rows of a scene changed, hand the new tensors to
            ``bind``.
        rates: may be changed at any time (schedules).
        moments: state by tensor name.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        rates: Mapping[str, float],
        betas: tuple[float, float] = (BETA1, BETA2),
        eps: float = EPSILON,
        sh_every: int = 1,
    ) -> None:
        self.rates = dict(rates)
        self.betas = betas
        self.eps = eps
        self.sh_every = sh_every
        self.parameters = dict(parameters)
        self.moments = {
            name: Moments(torch.zeros_like(value.detach()), torch.zeros_like(value.detach()))
            for name, value in parameters.items()
        }
        if sh_every > 1 and "sh" in self.moments:
            self.moments["sh"].waiting = torch.zeros_like(self.moments["sh"].exp_avg)
        self.bind(parameters)
        for name in self.parameters:
            self._rate_names(name)

    def bind(self, parameters: Mapping[str, Tensor]) -> None:
        """Optimise these tensors from now on; the shapes must be those of the moments."""
        for name, value in parameters.items():
            shape = self.moments[name].exp_avg.shape
            if value.shape != shape or value.dtype != torch.float32 or not value.is_contiguous():
                raise SplatError(
                    f"parameter {name!r} has shape {tuple(value.shape)}, type {value.dtype}"
                    f"{'' if value.is_contiguous() else ', not contiguous'}",
                    expected=f"contiguous torch.float32 of shape {tuple(shape)}",
                )
        self.parameters = dict(parameters)

    def step(self, grads: Mapping[str, Tensor | None]) -> None:
        """One step for each tensor that has a gradient; the others, and their moments, stay as they are."""
        steps: list[AdamStep] = []
        for name, grad in grads.items():
            if grad is None:
                continue
            value, state = self.parameters[name], self.moments[name]
            if grad.shape != value.shape:
                raise SplatError(
                    f"the gradient of {name!r} has shape {tuple(grad.shape)}",
                    expected=str(tuple(value.shape)),
                )
            due = self._gathered(state, grad if grad.is_contiguous() else grad.contiguous())
            if due is not None:
                state.step += 1
                tensors = (value, due, state.exp_avg, state.exp_avg_sq)
                steps.append(AdamStep(tensors, self.rates_of(name, value), state.step))
        if steps:
            self.take(steps)
            if (waiting := self.moments["sh"].waiting if "sh" in self.moments else None) is not None:
                if self.moments["sh"].waited == 0:
                    waiting.zero_()

    def take(self, steps: list[AdamStep]) -> None:
        """The steps, in place, by the native core."""
        core_for(steps[0].tensors[0].device).adam(steps, (*self.betas, self.eps))

    def _gathered(self, state: Moments, grad: Tensor) -> Tensor | None:
        """The gradient to step with now, or None while more are to be added up."""
        if state.waiting is None:
            return grad
        state.waiting += grad
        state.waited = (state.waited + 1) % self.sh_every
        return state.waiting if state.waited == 0 else None

    def sh_step(self) -> Any:
        """The next step on "sh", for a backward pass that takes it itself (native core).

        Call ``sh_stepped`` once it was taken.
        """
        value, state = self.parameters["sh"], self.moments["sh"]
        tensors = (value, state.exp_avg, state.exp_avg_sq)
        rates = self.column_rates(value.shape[1])
        part = ShPart(tensors, rates, state.step + 1, state.waiting, self._sh_due())
        return core_for(value.device).sh_step(part, (*self.betas, self.eps))

    def sh_stepped(self) -> None:
        """The step that ``sh_step`` gave was taken."""
        state = self.moments["sh"]
        state.step += self._sh_due()
        state.waited = (state.waited + 1) % self.sh_every

    def _sh_due(self) -> bool:
        return self.moments["sh"].waited + 1 >= self.sh_every

    def rates_of(self, name: str, value: Tensor) -> list[float]:
        """The learning rate of a tensor, or those of its columns."""
        return self.column_rates(value.shape[1]) if name == "sh" else [float(self.rates[name])]

    def column_rates(self, coefficients: int) -> list[float]:
        """Learning rate of each column of "sh" as [N, K * 3]."""
        return [float(self.rates["sh0"])] * 3 + [float(self.rates["sh_rest"])] * (3 * coefficients - 3)

    def keep(self, index: Tensor) -> None:
        """Keep the rows of ``index`` (bool mask [N], or int64 row numbers in their new order)."""
        for state in self.moments.values():
            state.exp_avg = state.exp_avg[index].contiguous()
            state.exp_avg_sq = state.exp_avg_sq[index].contiguous()
            state.waiting = None if state.waiting is None else state.waiting[index].contiguous()

    def append(self, rows: int) -> None:
        """Add ``rows`` new rows at the end, with zero moments."""
        for state in self.moments.values():
            zeros = state.exp_avg.new_zeros((rows, *state.exp_avg.shape[1:]))
            state.exp_avg = torch.cat([state.exp_avg, zeros])
            state.exp_avg_sq = torch.cat([state.exp_avg_sq, zeros])
            state.waiting = None if state.waiting is None else torch.cat([state.waiting, zeros])

    def zero_rows(self, index: Tensor, names: tuple[str, ...] | None = None) -> None:
        """Zero the moments of some rows (bool mask or row numbers), of all tensors or of ``names``."""
        for name in self.moments if names is None else names:
            self.moments[name].exp_avg[index] = 0.0
            self.moments[name].exp_avg_sq[index] = 0.0
            if (waiting := self.moments[name].waiting) is not None:
                waiting[index] = 0.0

    def state_dict(self) -> dict[str, Tensor | float]:
        """Flat: tensors ``<name>.exp_avg``, ``<name>.exp_avg_sq``; numbers ``<name>.step``, ``rate.*``."""
        state: dict[str, Tensor | float] = {f"rate.{name}": rate for name, rate in self.rates.items()}
        for name, moments in self.moments.items():
            state[f"{name}.exp_avg"] = moments.exp_avg
            state[f"{name}.exp_avg_sq"] = moments.exp_avg_sq
            state[f"{name}.step"] = moments.step
            if moments.waiting is not None:
                state[f"{name}.waiting"] = moments.waiting
                state[f"{name}.waited"] = moments.waited
        return state

    def load_state_dict(self, state: Mapping[str, Tensor | float]) -> None:
        """Take over the state of ``state_dict``; the parameters are bound separately, before.

        Raises:
            SplatError: an entry is missing, or a tensor's shape is not that of its parameter.
        """
        loaded = {name: self._moments_from(state, name) for name in self.moments}
        self.rates = {name: float(_entry(state, f"rate.{name}")) for name in self.rates}
        self.moments = loaded

    def _moments_from(self, state: Mapping[str, Tensor | float], name: str) -> Moments:
        """One tensor's moments, copied out of ``state`` and checked."""
        waiting = self.moments[name].waiting is not None
        keys = [f"{name}.exp_avg", f"{name}.exp_avg_sq", *([f"{name}.waiting"] if waiting else [])]
        tensors = []
        for key in keys:
            value, shape = _entry(state, key), tuple(self.parameters[name].shape)
            if not isinstance(value, Tensor) or tuple(value.shape) != shape or value.dtype != torch.float32:
                found = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else repr(value)
                raise SplatError(f"optimiser state {key!r} is {found}", expected=f"{shape} torch.float32")
            tensors.append(value.clone().contiguous())
        moments = Moments(tensors[0], tensors[1], int(_entry(state, f"{name}.step")))
        if waiting:
            moments.waiting, moments.waited = tensors[2], int(_entry(state, f"{name}.waited"))
        return moments

    def _rate_names(self, name: str) -> tuple[str, ...]:
        """The rates that tensor ``name`` uses; raises SplatError when one is missing."""
        names = ("sh0", "sh_rest") if name == "sh" else (name,)
        missing = [rate for rate in names if rate not in self.rates]
        if missing:
            raise SplatError(f"no learning rate {missing} for tensor {name!r}")
        return names


def adam_reference(
    value: Tensor,
    grad: Tensor,
    state: Moments,
    rates: float | Tensor,
    betas: tuple[float, float] = (BETA1, BETA2),
    eps: float = EPSILON,
) -> None:
    """One Adam step in plain PyTorch, in place: defines what the native step computes; any float type.

    Args:
        value: parameter, updated.
        grad: its gradient.
        state: its moments, updated.
        rates: learning rate, or a tensor of rates that broadcasts to ``value``.
        betas: decay of the two moments.
        eps: added to the root.
    """
    state.step += 1
    state.exp_avg.mul_(betas[0]).add_(grad, alpha=1 - betas[0])
    state.exp_avg_sq.mul_(betas[1]).addcmul_(grad, grad, value=1 - betas[1])
    mean = state.exp_avg / (1 - betas[0] ** state.step)
    root = (state.exp_avg_sq / (1 - betas[1] ** state.step)).sqrt()
    value -= rates * mean / (root + eps)


def _entry(state: Mapping[str, Tensor | float], key: str) -> Tensor | float:
    """An entry of a state dict, or a SplatError that names it."""
    if key not in state:
        raise SplatError(
            f"the optimiser state has no {key!r}", advice="The checkpoint is from another version or damaged"
        )
    return state[key]
