"""When a GPU has no memory left: make room and go on, or stop with what there is.

Photos on the GPU give way first, then Gaussians. A step that runs out of memory leaves everything as it
was before the step or as it is after it (see ``Optimisation.step``), so training goes on from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol, TypeVar

import torch

from splat.errors import SplatError
from splat.fit.machine import GIB

OutOfMemory = torch.cuda.OutOfMemoryError
"""What torch raises, also inside the native core, which has its memory from torch."""

SHRINK = 0.8
"""Part of the Gaussians that stays."""
TRIES = 5
"""Times that memory may run out, each within ``SETTLED`` iterations of the one before."""
SETTLED = 300
ENOUGH = 0.25 * GIB
"""Photos that give back so many bytes are worth a try without fewer Gaussians."""
FEWEST = 100

Result = TypeVar("Result")


class NoRoom(SplatError):
    """Room was made as often as it makes sense.

    Attributes:
        intact: the scene is whole and can be kept.
    """

    intact = True


class Trainee(Protocol):
    """A training that can be made smaller."""

    @property
    def iteration(self) -> int:
        """Steps done."""
        ...

    @property
    def count(self) -> int:
        """Gaussians now."""
        ...

    def step(self) -> None:
        """One step; if it raises ``OutOfMemory``, it was not done or it was done in full."""
        ...

    def release(self) -> int:
        """Give back all memory that is only kept for speed; returns the bytes that were of photos."""
        ...

    def shrink(self, budget: int) -> None:
        """At most ``budget`` Gaussians from now on; the faintest beyond it go."""
        ...


class MemoryGuard:
    """Takes the steps of a training, and makes room when memory runs out.

    Args:
        trainee: the training.
        note: receives a sentence for a person each time that something gives way.
    """

    def __init__(self, trainee: Trainee, note: Callable[[str], None]) -> None:
        self._trainee, self._note = trainee, note
        self._tries = 0
        self._last = 0

    def step(self) -> bool:
        """One step; whether it was done.

        Raises:
            NoRoom: memory ran out again and again.
        """
        before = self._trainee.iteration
        try:
            self._trainee.step()
            return True
        except OutOfMemory as error:
            said = first_line(error)
        # Not inside "except": the error keeps the step's tensors.
        self._make_room(said)
        return self._trainee.iteration > before

    def _make_room(self, said: str) -> None:
        trainee = self._trainee
        where = f"GPU memory ran out at iteration {trainee.iteration} with {trainee.count} Gaussians"
        self._tries = self._tries + 1 if trainee.iteration - self._last <= SETTLED else 1
        self._last = trainee.iteration
        freed = trainee.release()
        if self._tries > TRIES or trainee.count <= FEWEST:
            raise no_room(f"{where}, {self._tries} time(s) in a row ({said})")
        if freed >= ENOUGH:
            self._note(f"{where}: photos are uploaded at every step from now on")
            return
        budget = max(FEWEST, int(SHRINK * trainee.count))
        try:
            trainee.shrink(budget)
        except OutOfMemory as error:
            said = first_line(error)
        else:
            self._note(f"{where}: the faintest went, and the budget is {budget} from now on")
            return
        failed = no_room(f"{where}, and there is no room even for {budget} ({said})")
        failed.intact = False
        raise failed


def with_room(work: Callable[[], Result], release: Callable[[], object]) -> Result:
    """The result of ``work``, which is tried once more after ``release`` if memory runs out."""
    try:
        return work()
    except OutOfMemory:
        pass
    release()
    return work()


def no_room(problem: str) -> NoRoom:
    """The error for a GPU that is too small for what was asked."""
    return NoRoom(
        problem,
        expected="more free GPU memory, or a smaller scene",
        advice="Close other programs that use the GPU and go on with --resume, or train again with a smaller "
        "--budget, --max-size or --max-memory",
    )


def first_line(error: Exception) -> str:
    """How much was asked for, as far as torch says; else the beginning of what it says."""
    asked = re.search(r"[Tt]ried to allocate ([\d.]+ \w+)", str(error))
    if asked:
        return f"{asked[1]} more were asked for"
    return (str(error).splitlines() or ["no more is known"])[0]
