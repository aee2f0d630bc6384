"""Where a command renders."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from splat.devices import choose_device

if TYPE_CHECKING:
    import torch


def device_for(asked: str) -> torch.device:
    """The device that ``--device`` means; why an idle GPU is not used is said on stderr.

    Raises:
        SplatError: it cannot be used, or there is no such device.
    """
    choice = choose_device(asked)
    if choice.note:
        print(f"Note: {choice.note}.", file=sys.stderr)
    return choice.device
