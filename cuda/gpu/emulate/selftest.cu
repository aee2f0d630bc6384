// Kernels that show what the emulator does: right ones, and for each mistake that it reports a wrong one.
// tests/cuda/test_emulator.py runs them through the submodule `emulator` of the emulated module.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include "../cuda.h"

namespace nb = nanobind;
using namespace nb::literals;
using namespace splat::gpu;

namespace {

constexpr int kThreads = 256;

template <class T>
using Flat = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// ---- right ones

__global__ void __launch_bounds__(kThreads) block_sum(const float* in, float* out, int count) {
    __shared__ float part[kThreads];
    const int i = blockIdx.x * kThreads + threadIdx.x;
    part[threadIdx.x] = i < count ? in[i] : 0.f;
    __syncthreads();
    for (unsigned half = kThreads / 2; half; half /= 2) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x == 0) out[blockIdx.x] = part[0];
}

__global__ void warp_prefix(const int* in, int* out, int width) {
    const int lane = threadIdx.x % kWarp;
    int sum = in[threadIdx.x];
    for (int step = 1; step < width; step *= 2) {
        const int below = __shfl_up_sync(kAllLanes, sum, step, width);
        if (lane % width >= step) sum += below;
    }
    out[threadIdx.x] = sum;
}

// out [threads, 8]: what each other call of a warp gives
__global__ void warp_calls(const int* in, int* out) {
    const int v = in[threadIdx.x], lane = threadIdx.x % kWarp;
    int* to = out + 8 * threadIdx.x;
    to[0] = __shfl_sync(kAllLanes, v, 3);
    to[1] = __shfl_sync(kAllLanes, v, lane + 1, 8);
    to[2] = __shfl_down_sync(kAllLanes, v, 5);
    to[3] = __shfl_xor_sync(kAllLanes, v, 16);
    to[4] = int(__ballot_sync(kAllLanes, v > 0));
    to[5] = __any_sync(kAllLanes, v > 90);
    to[6] = __all_sync(kAllLanes, v > 0);
    const unsigned mine = lane < 10 ? 0x3ffu : ~0x3ffu;  // two groups that never meet
    if (lane < 10) to[7] = int(__ballot_sync(mine, v > 0));
    else to[7] = __popc(__ballot_sync(mine, v > 0));
}

// out [threads, 3]: the votes of a block; threads from `count` on have returned
__global__ void block_votes(const int* in, int* out, int count) {
    if (int(threadIdx.x) >= count) return;
    int* to = out + 3 * threadIdx.x;
    to[0] = __syncthreads_count(in[threadIdx.x] > 0);
    to[1] = __syncthreads_and(in[threadIdx.x] > 0);
    to[2] = __syncthreads_or(in[threadIdx.x] > 0);
}

__global__ void histogram(const int* in, int* counts, float* sum, int* most, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    atomicAdd(&counts[in[i]], 1);
    atomicAdd(sum, 0.1f * float(in[i]));
    atomicMax(most, in[i]);
}

__global__ void indices(int* out) {
    const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    atomicAdd(&out[block * int(blockDim.x * blockDim.y * blockDim.z) + thread], 1 + thread + 1000 * block);
}

// ---- wrong ones

// Each thread takes what the next one wrote, without waiting for it.
__global__ void shift_without_barrier(const float* in, float* out) {
    __shared__ float row[kThreads];
    row[threadIdx.x] = in[threadIdx.x];
    out[threadIdx.x] = row[(threadIdx.x + 1) % kThreads];
}

__global__ void reads_unwritten(float* out, int skip) {
    __shared__ float row[kThreads];
    if (int(threadIdx.x) != skip) row[threadIdx.x] = 1.f;
    __syncthreads();
    out[blockIdx.x * kThreads + threadIdx.x] = row[threadIdx.x];
}

__global__ void different_barriers() {
    if (threadIdx.x < 40) __syncthreads();
    else
        __syncthreads();
}

__global__ void barrier_for_some() {
    if (threadIdx.x < 40) __syncthreads();
    else __syncwarp();
}

__global__ void lane_outside_its_mask() { __ballot_sync(0x0000ffffu, 1); }

__global__ void lane_has_returned() {
    if (threadIdx.x == 5) return;
    __syncwarp();
}

__global__ void different_calls(int* out) {
    if (threadIdx.x < 16) out[threadIdx.x] = __any_sync(kAllLanes, 1);
    else out[threadIdx.x] = __all_sync(kAllLanes, 1);
}

__global__ void reads_outside_the_mask(int* out) {
    if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0x0000ffffu, 7, 20);
}

__global__ void index_outside(int* out, int by) {
    __shared__ int row[32];
    row[threadIdx.x + by] = 1;
    out[threadIdx.x] = row[0];
}

__global__ void misaligned(const float* in, float* out) {
    const float4 v = *reinterpret_cast<const float4*>(in + 1);
    out[threadIdx.x] = v.x;
}

void broken(const std::string& kernel) {
    static float floats[1 + kThreads];
    static int ints[kThreads];
    if (kernel == "different_barriers") launch(different_barriers, 1, 64, nullptr);
    else if (kernel == "barrier_for_some") launch(barrier_for_some, 1, 64, nullptr);
    else if (kernel == "lane_outside_its_mask") launch(lane_outside_its_mask, 1, 32, nullptr);
    else if (kernel == "lane_has_returned") launch(lane_has_returned, 1, 32, nullptr);
    else if (kernel == "lane_does_not_exist") launch(different_calls, 1, 16, nullptr, ints);
    else if (kernel == "different_calls") launch(different_calls, 1, 32, nullptr, ints);
    else if (kernel == "reads_outside_the_mask") launch(reads_outside_the_mask, 1, 32, nullptr, ints);
    else if (kernel == "index_outside") launch(index_outside, 1, 32, nullptr, ints, 1);
    else if (kernel == "misaligned") launch(misaligned, 1, 1, nullptr, floats, floats);
    else if (kernel == "too_many_threads") launch(indices, 1, 1025, nullptr, ints);
    else throw nb::value_error("no such kernel");
}

bool sort_pairs(Flat<uint32_t> keys, Flat<uint32_t> values, int begin, int end, bool double_buffer, bool to_current) {
    const int64_t n = int64_t(keys.size());
    std::vector<uint32_t> other_keys(keys.size()), other_values(keys.size());
    cub::DoubleBuffer<uint32_t> k(keys.data(), other_keys.data()), v(values.data(), other_values.data());
    const auto sort = [&](void* scratch, size_t& bytes) {
        if (double_buffer) return cub::DeviceRadixSort::SortPairs(scratch, bytes, k, v, n, begin, end, nullptr);
        return cub::DeviceRadixSort::SortPairs(scratch, bytes, keys.data(), other_keys.data(), values.data(),
                                               other_values.data(), n, begin, end, nullptr);
    };
    size_t bytes = 0;
    check(sort(nullptr, bytes), "sorting");
    void* scratch = nullptr;
    check(cudaMalloc(&scratch, bytes), "scratch");
    check(sort(scratch, bytes), "sorting");
    check(cudaFree(scratch), "scratch");
    const uint32_t* k_from = double_buffer ? (to_current ? k.Current() : k.Alternate()) : other_keys.data();
    const uint32_t* v_from = double_buffer ? (to_current ? v.Current() : v.Alternate()) : other_values.data();
    if (k_from != keys.data()) std::copy(k_from, k_from + n, keys.data());
    if (v_from != values.data()) std::copy(v_from, v_from + n, values.data());
    return double_buffer && k.selector;
}

void scan(Flat<const uint32_t> in, Flat<uint32_t> out, bool inclusive, size_t scratch_short_by) {
    const int64_t n = int64_t(in.size());
    const auto call = [&](void* scratch, size_t& bytes) {
        return inclusive ? cub::DeviceScan::InclusiveSum(scratch, bytes, in.data(), out.data(), n)
                         : cub::DeviceScan::ExclusiveSum(scratch, bytes, in.data(), out.data(), n);
    };
    size_t bytes = 0;
    check(call(nullptr, bytes), "scanning");
    void* scratch = nullptr;
    check(cudaMalloc(&scratch, bytes), "scratch");
    bytes -= scratch_short_by;
    try {
        check(call(scratch, bytes), "scanning");
    } catch (...) {
        cudaFree(scratch);
        throw;
    }
    cudaFree(scratch);
}

// What the host reads before and after it waits for a copy.
nb::tuple pinned_copy(int value, bool by_event) {
    int* host = nullptr;
    cudaEvent_t event = nullptr;
    check(cudaMallocHost(&host, sizeof(int)), "pinned memory");
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "event");
    check(cudaMemcpyAsync(host, &value, sizeof(int), cudaMemcpyDeviceToHost, nullptr), "copy");
    check(cudaEventRecord(event, nullptr), "event");
    const int before = *host;
    check(by_event ? cudaEventSynchronize(event) : cudaStreamSynchronize(nullptr), "wait");
    const int after = *host;
    cudaEventDestroy(event);
    cudaFreeHost(host);
    return nb::make_tuple(before, after);
}

}  // namespace

void bind_emulator(nb::module_& parent) {
    nb::module_ m = parent.def_submodule("emulator", "The emulator itself.");
    m.def("set_schedule", [](const std::string& order, uint64_t seed, bool strict) {
        splat::emulate::machine.schedule.set(order, seed);
        splat::emulate::machine.strict = strict;
    }, "order"_a = "shuffled", "seed"_a = 0, "strict"_a = false,
       "Order of threads and blocks from now on: shuffled, forward or reverse. strict: a thread that has returned "
       "does not count as arrived at a barrier.");
    m.def("block_sum", [](Flat<const float> in, Flat<float> out) {
        launch(block_sum, unsigned(out.size()), kThreads, nullptr, in.data(), out.data(), int(in.size()));
    });
    m.def("warp_prefix", [](Flat<const int> in, Flat<int> out, int width) {
        launch(warp_prefix, 1, unsigned(in.size()), nullptr, in.data(), out.data(), width);
    });
    m.def("warp_calls", [](Flat<const int> in, Flat<int> out) {
        launch(warp_calls, 1, unsigned(in.size()), nullptr, in.data(), out.data());
    });
    m.def("block_votes", [](Flat<const int> in, Flat<int> out, int count) {
        launch(block_votes, 1, unsigned(in.size()), nullptr, in.data(), out.data(), count);
    });
    m.def("histogram", [](Flat<const int> in, Flat<int> counts, Flat<float> sum, Flat<int> most) {
        const int n = int(in.size());
        launch(histogram, blocks_for(n, 64), 64, nullptr, in.data(), counts.data(), sum.data(), most.data(), n);
    });
    m.def("indices", [](Flat<int> out) { launch(indices, dim3(2, 3, 4), dim3(5, 4, 3), nullptr, out.data()); });
    m.def("shift_without_barrier", [](Flat<const float> in, Flat<float> out) {
        launch(shift_without_barrier, 1, kThreads, nullptr, in.data(), out.data());
    });
    m.def("reads_unwritten", [](Flat<float> out, int skip) {
        launch(reads_unwritten, unsigned(out.size()) / kThreads, kThreads, nullptr, out.data(), skip);
    });
    m.def("broken", &broken);
    m.def("sort_pairs", &sort_pairs);
    m.def("scan", &scan);
    m.def("pinned_copy", &pinned_copy);
}
