"""The CUDA emulator itself: what it computes, and that it reports what a GPU would not survive."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from tests.cuda.emulated import EmulatedCore

ORDERS = [("shuffled", 0), ("shuffled", 1), ("forward", 0), ("reverse", 0)]


@pytest.fixture(params=ORDERS, ids=str)
def emulator(request: pytest.FixtureRequest, emulated: ModuleType) -> ModuleType:
    emulated.emulator.set_schedule(*request.param)
    return emulated.emulator


def test_block_reduction(emulator: ModuleType) -> None:
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    sums = np.full(4, np.nan, np.float32)
    emulator.block_sum(values, sums)
    expected = [values[i : i + 256].sum(dtype=np.float64) for i in range(0, 1000, 256)]
    np.testing.assert_allclose(sums, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("width", [32, 8])
def test_prefix_sum_of_a_warp(emulator: ModuleType, width: int) -> None:
    values = np.random.default_rng(1).integers(-50, 50, 96).astype(np.int32)
    sums = np.zeros_like(values)
    emulator.warp_prefix(values, sums, width)
    np.testing.assert_array_equal(sums, values.reshape(-1, width).cumsum(axis=1).ravel())


def test_calls_of_a_warp(emulator: ModuleType) -> None:
    values = np.random.default_rng(2).integers(-100, 100, 64).astype(np.int32)
    values[:32] = np.abs(values[:32]) + 1
    out = np.zeros(64 * 8, np.int32)
    emulator.warp_calls(values, out)
    for warp, got in zip(values.reshape(2, 32), out.reshape(2, 32, 8), strict=True):
        lane = np.arange(32)
        positive = (warp > 0).astype(np.uint32)
        bits = np.bitwise_or.reduce(positive << lane.astype(np.uint32)).astype(np.uint32)
        np.testing.assert_array_equal(got[:, 0], warp[3])
        np.testing.assert_array_equal(got[:, 1], warp[lane // 8 * 8 + (lane + 1) % 8])
        np.testing.assert_array_equal(got[:, 2], np.where(lane + 5 < 32, np.roll(warp, -5), warp))
        np.testing.assert_array_equal(got[:, 3], warp[lane ^ 16])
        np.testing.assert_array_equal(got[:, 4].view(np.uint32), bits)
        np.testing.assert_array_equal(got[:, 5], int((warp > 90).any()))
        np.testing.assert_array_equal(got[:, 6], int((warp > 0).all()))
        np.testing.assert_array_equal(got[:10, 7], int(bits) & 0x3FF)
        np.testing.assert_array_equal(got[10:, 7], positive[10:].sum())


@pytest.mark.parametrize("count", [100, 70])
def test_votes_of_a_block(emulator: ModuleType, count: int) -> None:
    values = np.where(np.arange(100) < 80, 1, 0).astype(np.int32)
    out = np.full(300, -1, np.int32)
    emulator.block_votes(values, out, count)
    positive = int((values[:count] > 0).sum())
    expected = np.full((100, 3), -1)
    expected[:count] = [positive, positive == count, positive > 0]
    np.testing.assert_array_equal(out.reshape(100, 3), expected)


def test_atomics(emulator: ModuleType) -> None:
    values = np.random.default_rng(3).integers(0, 20, 1000).astype(np.int32)
    counts, total, most = np.zeros(20, np.int32), np.zeros(1, np.float32), np.full(1, -1, np.int32)
    emulator.histogram(values, counts, total, most)
    np.testing.assert_array_equal(counts, np.bincount(values, minlength=20))
    np.testing.assert_allclose(total[0], 0.1 * values.sum(), rtol=1e-5)
    assert most[0] == values.max()


def test_every_thread_of_every_block_runs_once(emulator: ModuleType) -> None:
    out = np.zeros(24 * 60, np.int32)
    emulator.indices(out)
    expected = 1 + np.arange(60)[None] + 1000 * np.arange(24)[:, None]
    np.testing.assert_array_equal(out.reshape(24, 60), expected)


def test_order_of_atomics_differs_by_seed_and_repeats_with_it(emulated: ModuleType) -> None:
    values = np.random.default_rng(4).integers(0, 1000, 2000).astype(np.int32)

    def total(seed: int) -> float:
        emulated.emulator.set_schedule("shuffled", seed)
        counts, out, most = np.zeros(1000, np.int32), np.zeros(1, np.float32), np.zeros(1, np.int32)
        emulated.emulator.histogram(values, counts, out, most)
        return float(out[0])

    assert total(7) == total(7)
    assert len({total(seed) for seed in range(8)}) > 1


def test_a_missing_barrier_shows(emulated: ModuleType) -> None:
    values = np.arange(256, dtype=np.float32)
    results = []
    for order, seed in ORDERS:
        emulated.emulator.set_schedule(order, seed)
        out = np.zeros(256, np.float32)
        emulated.emulator.shift_without_barrier(values, out)
        results.append(out)
    for i, one in enumerate(results):
        assert not np.array_equal(one, np.roll(values, -1))
        assert all(not np.array_equal(one, other, equal_nan=True) for other in results[:i])


def test_shared_memory_that_nobody_wrote_is_nan_in_every_block(emulator: ModuleType) -> None:
    out = np.zeros(3 * 256, np.float32)
    emulator.reads_unwritten(out, 9)
    np.testing.assert_array_equal(np.isnan(out), np.arange(3 * 256) % 256 == 9)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        ("different_barriers", r"wait at different barriers .*threads 0-39: __syncthreads at .*selftest\.cu"),
        (
            "barrier_for_some",
            r"wait for others .*0-39: __syncthreads .*40-63: __syncwarp with mask 0xffffffff",
        ),
        ("lane_outside_its_mask", r"lane (1[6-9]|2\d|3[01]) is not in the mask"),
        ("lane_has_returned", r"wait for others .*threads 5: returned"),
        ("lane_does_not_exist", r"wait for others .*threads 0-15: __any_sync"),
        ("different_calls", r"0-15: __any_sync .*16-31: __all_sync"),
        ("reads_outside_the_mask", r"reads lane 20, which is not in the mask"),
        ("index_outside", r"index 32 is outside 'int ?\[32\]' at .*selftest\.cu"),
        ("misaligned", r"not aligned to the 16 bytes of .*float4"),
        ("too_many_threads", r"invalid launch: 1 x 1 x 1 blocks of 1025"),
    ],
)
def test_what_a_gpu_would_not_survive_is_an_error(emulator: ModuleType, kernel: str, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        emulator.broken(kernel)
    test_block_reduction(emulator)  # and the next launch is as if nothing had been


def test_returned_threads_count_as_arrived_unless_strict(emulated: ModuleType) -> None:
    values, out = np.ones(64, np.int32), np.zeros(192, np.int32)
    emulated.emulator.block_votes(values, out, 40)
    emulated.emulator.set_schedule(strict=True)
    emulated.emulator.block_votes(values, out, 64)
    with pytest.raises(RuntimeError, match="waits for threads that have returned .*40-63: returned"):
        emulated.emulator.block_votes(values, out, 40)


def test_an_unknown_order_is_refused(emulated: ModuleType) -> None:
    with pytest.raises(ValueError, match="sideways"):
        emulated.emulator.set_schedule("sideways")


@pytest.mark.parametrize("double_buffer", [False, True])
@pytest.mark.parametrize(("begin", "end"), [(0, 32), (4, 9), (0, 1), (0, 0)])
@pytest.mark.parametrize("count", [0, 1, 777])
def test_sort(emulator: ModuleType, count: int, begin: int, end: int, double_buffer: bool) -> None:
    keys = np.random.default_rng(5).integers(0, 2**32, count, dtype=np.uint32)
    values = np.arange(count, dtype=np.uint32)
    by = (keys.astype(np.uint64) >> np.uint64(begin)) & np.uint64((1 << (end - begin)) - 1)
    order = np.argsort(by, kind="stable")
    sorted_keys, sorted_values = keys.copy(), values.copy()
    emulator.sort_pairs(sorted_keys, sorted_values, begin, end, double_buffer, True)
    np.testing.assert_array_equal(sorted_keys, keys[order])
    np.testing.assert_array_equal(sorted_values, values[order])


def test_the_buffer_that_a_sort_leaves_is_garbage(emulated: ModuleType) -> None:
    places = set()
    for seed in range(16):
        emulated.emulator.set_schedule("shuffled", seed)
        keys, values = np.array([3, 1, 2], np.uint32), np.array([0, 1, 2], np.uint32)
        places.add(emulated.emulator.sort_pairs(keys, values, 0, 32, True, False))
        np.testing.assert_array_equal(keys, 0xFFFFFFFF)
        np.testing.assert_array_equal(values, 0xFFFFFFFF)
    assert places == {False, True}


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("count", [0, 1, 500])
def test_scan(emulated: ModuleType, count: int, inclusive: bool) -> None:
    values = np.random.default_rng(6).integers(0, 100, count, dtype=np.uint32)
    out = np.zeros_like(values)
    emulated.emulator.scan(values, out, inclusive, 0)
    sums = values.cumsum(dtype=np.uint32)
    np.testing.assert_array_equal(out, sums if inclusive else sums - values)


def test_scratch_memory_has_to_be_enough(emulated: ModuleType) -> None:
    with pytest.raises(RuntimeError, match="less scratch memory"):
        emulated.emulator.scan(np.zeros(4, np.uint32), np.zeros(4, np.uint32), False, 1)


@pytest.mark.parametrize("by_event", [False, True])
def test_a_copy_arrives_when_the_host_waits(emulated: ModuleType, by_event: bool) -> None:
    assert emulated.emulator.pinned_copy(42, by_event) == (-1, 42)


def test_memory_is_poisoned_aligned_and_guarded(emulated: ModuleType) -> None:
    core = EmulatedCore(emulated)
    memory = np.from_dlpack(_Capsule(core._allocate(1000)))
    assert memory.shape == (1000,) and (memory == 0xFF).all()
    assert memory.__array_interface__["data"][0] % 256 == 0
    core.check_memory()
    core.blocks[0][0][core.blocks[0][1] + 1000] = 0
    with pytest.raises(AssertionError, match="wrote 1 bytes after a buffer of 1000"):
        core.check_memory()
    core.close()


class _Capsule:
    def __init__(self, capsule: object) -> None:
        self.capsule = capsule

    def __dlpack__(self, **_: object) -> object:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)
