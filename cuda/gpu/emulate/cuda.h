// CUDA for a compiler that knows nothing of it: the kernels of cuda/gpu compile as C++ and run on the
// processor, so that they are tested without a GPU. For the dialect of ../cuda.h only.
//
// The threads of a block are fibers that run in shuffled order between the points where they wait for
// each other (block.h), so a barrier that is missing shows as numbers that differ from run to run, and
// one that not everybody reaches as an error. Shared memory is poisoned before every block (shared.h),
// device memory and CUB's scratch where they are handed out. Slow, and nothing about speed follows from it.
#pragma once

#if !defined(__GNUC__)
#error "the CUDA emulator needs g++ or clang++"
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
// In thread-local memory, where shared.h finds all of it; a constructor does not compile.
#define __shared__ static __thread
#define __constant__ static const

#include "block.h"
#include "cub.h"
#include "intrinsics.h"
#include "runtime.h"
#include "types.h"
#include "warp.h"
