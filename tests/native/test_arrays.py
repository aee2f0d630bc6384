"""Tensors as numpy arrays that are kept."""

from __future__ import annotations

import gc
import weakref

import torch

from splat.native_core import Arrays


def test_an_array_is_made_once_and_shows_what_the_tensor_holds() -> None:
    arrays = Arrays()
    tensor = torch.arange(6.0, requires_grad=True)
    array = arrays.of(tensor)
    assert arrays.of(tensor) is array and arrays.of(None) is None
    with torch.no_grad():
        tensor[2] = 9
    assert array.tolist() == [0, 1, 9, 3, 4, 5]


def test_nothing_is_kept_for_longer_than_the_tensor() -> None:
    arrays = Arrays()
    tensors = [torch.zeros(1000) for _ in range(5)]
    held = [weakref.ref(arrays.of(tensor)) for tensor in tensors]
    assert len(arrays) == 5
    tensors.clear()
    gc.collect()
    assert len(arrays) == 0 and all(array() is None for array in held)


def test_a_tensor_that_moved_gets_a_new_array() -> None:
    arrays = Arrays()
    tensor = torch.zeros(4)
    arrays.of(tensor)
    tensor.set_(torch.ones(4))
    assert arrays.of(tensor).tolist() == [1, 1, 1, 1]
    arrays.of(tensor)
    tensor.resize_(2)
    assert arrays.of(tensor).shape == (2,)
    assert len(arrays) == 1


def test_a_tensor_turned_or_read_otherwise_in_place_gets_a_new_array() -> None:
    arrays = Arrays()
    tensor = torch.arange(4.0).view(2, 2)
    arrays.of(tensor)
    tensor.t_()
    assert arrays.of(tensor).tolist() == [[0, 2], [1, 3]]
    tensor.data = tensor.view(torch.int32)
    assert arrays.of(tensor).dtype.name == "int32"
