"""The compiled core, ``splat._native``: loading it, and what it was built with."""

from __future__ import annotations

import importlib
import weakref
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from splat.errors import SplatError

if TYPE_CHECKING:
    from torch import Tensor


@lru_cache(maxsize=1)
def load() -> ModuleType:
    """The compiled module.

    Raises:
        SplatError: it is not built, or does not load on this machine.
    """
    try:
        return importlib.import_module("splat._native")
    except ImportError as error:
        raise SplatError(
            f"the native core (splat._native) cannot be loaded: {error}",
            expected="the module that `pip install .` compiles",
            advice="run `pip install .` (or `pip install -e .`) in the repository and look at `splat doctor`",
        ) from error


def available() -> bool:
    """Whether the compiled module loads."""
    try:
        load()
    except SplatError:
        return False
    return True


def set_threads(threads: int) -> None:
    """CPU threads used by every native call from now on; results do not depend on it."""
    load().set_threads(threads)


def build_info() -> dict[str, Any]:
    """What was built and what is in use.

    Keys: version, isa (in use), isas (built), supported_isas, threads, cuda_compiled, cuda_device,
    cuda_reason (why no device is used, or empty).
    """
    return load().build_info()


class Arrays:
    """Tensors on the processor as numpy arrays of the same memory, which the core takes ten times faster.

    An iteration hands over some fifty arrays; through torch's own protocol each costs 20 microseconds, and
    making the numpy array 3. So it is made once and kept as long as its tensor lives.
    """

    def __init__(self) -> None:
        self._kept: dict[int, tuple[weakref.ref[Tensor], Any, Any]] = {}

    def of(self, tensor: Tensor | None) -> Any:
        """The array of a tensor, cut from autograd; None stays."""
        if tensor is None:
            return None
        key = id(tensor)
        about = (tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())  # may change in place
        kept = self._kept.get(key)
        if kept is not None and kept[0]() is tensor and kept[1] == about:
            return kept[2]
        array = tensor.detach().numpy()
        gone = weakref.ref(tensor, lambda _: self._kept.pop(key, None))
        self._kept[key] = (gone, about, array)
        return array

    def __len__(self) -> int:
        return len(self._kept)
