// The CUDA that the driver is written in: a launch function instead of the chevrons, errors as
// exceptions. With SPLAT_EMULATED the same sources compile as C++ and run on the processor
// (emulate/cuda.h), which is how they are tested without a GPU. For that they keep to: no dynamic shared
// memory, no inline PTX, no cooperative groups, nothing of CUB but DeviceRadixSort and DeviceScan.
#pragma once

#include <stdexcept>
#include <string>

#ifdef SPLAT_EMULATED
#include "emulate/cuda.h"
#elif defined(__CUDACC__)
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_scan.cuh>
#include <cuda_runtime.h>
#else  // bindings, which launch nothing
#include <cuda_runtime_api.h>
#endif

namespace splat::gpu {

// A CUDA call failed. Not out of memory: memory comes from the caller (Memory, frame.h).
struct CudaError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void check(cudaError_t error, const char* what) {
    if (error != cudaSuccess) throw CudaError(std::string(what) + ": " + cudaGetErrorString(error));
}

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

inline unsigned blocks_for(int64_t n, int threads) { return unsigned((n + threads - 1) / threads); }

#if defined(SPLAT_EMULATED) || defined(__CUDACC__)
// Runs kernel(arguments...) in `blocks` blocks of `threads` threads; nothing where blocks is 0.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 blocks, dim3 threads, cudaStream_t stream, Arguments... arguments) {
    if (blocks.x == 0 || blocks.y == 0 || blocks.z == 0) return;
#ifdef SPLAT_EMULATED
    emulate::launch(blocks, threads, [&] { kernel(Parameters(arguments)...); });
    (void)stream;
#else
    kernel<<<blocks, threads, 0, stream>>>(Parameters(arguments)...);
    check(cudaGetLastError(), "launching a CUDA kernel");
#endif
}
#endif

}  // namespace splat::gpu
