"""Morton order."""

from __future__ import annotations

import torch

from splat.morton import morton_order


def _interleaved(cell: list[int]) -> int:
    return sum((cell[axis] >> bit & 1) << 3 * bit + axis for bit in range(16) for axis in range(3))


def test_order_is_that_of_interleaved_bits() -> None:
    cells = torch.randint(0, 2**16, (40, 3), generator=torch.Generator().manual_seed(0))
    cells[0], cells[1] = 0, 2**16 - 1
    wanted = sorted(range(40), key=lambda row: _interleaved(cells[row].tolist()))
    assert morton_order(cells.double() + 0.5 * (cells < 2**16 - 1)).tolist() == wanted


def test_every_row_once_and_ties_in_order() -> None:
    points = torch.zeros(100, 3)
    assert morton_order(points).tolist() == list(range(100))
    points = torch.randn(1000, 3, generator=torch.Generator().manual_seed(1))
    points[::50] *= 1e6
    assert sorted(morton_order(points).tolist()) == list(range(1000))
    assert morton_order(points[:0]).tolist() == []


def test_neighbours_come_together() -> None:
    points = torch.rand(4000, 3, generator=torch.Generator().manual_seed(2))
    step = (points[1:] - points[:-1]).norm(dim=1).mean()
    ordered = points[morton_order(points)]
    assert (ordered[1:] - ordered[:-1]).norm(dim=1).mean() < 0.15 * step
