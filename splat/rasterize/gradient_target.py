"""Where a training loop wants the gradients of its scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class GradientTarget:
    """Where ``backward`` puts the gradients of a scene's tensors, instead of making new ones.

    For training loops: nothing is allocated, autograd does not see the gradients (the tensors' ``.grad``
    stays as it is), and the largest of them need not be written at all.

    Attributes:
        buffers: by tensor name, of its shape; float32, contiguous. What they held is replaced.
        sh_step: the core's ``ShStep``: Adam on ``sh`` and its moments, taken in place during
            ``backward``; or None, then ``buffers`` has "sh" too.
        screen: whether ``Rendered.screen`` is wanted; its sums of absolute values cost time.
    """

    buffers: dict[str, Tensor]
    sh_step: Any = None
    screen: bool = True
