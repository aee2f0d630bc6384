// Adding up what the backward pass of the blend left for each (splat, tile) pair, and small means of a
// warp to read and write rows.
#pragma once

#include "stages.h"

namespace splat::gpu {

constexpr uint32_t kAlone = 32;  // pairs that a thread adds up by itself; of more, its whole warp

// A row of sums, read in quarters.
template <int Sums>
__device__ __forceinline__ void add_row(const float* from, float (&total)[Sums]) {
    static_assert(Sums % 4 == 0, "rows are read as float4");
#pragma unroll
    for (int k = 0; k < Sums; k += 4) {
        const float4 part = *reinterpret_cast<const float4*>(from + k);
        total[k] += part.x, total[k + 1] += part.y, total[k + 2] += part.z, total[k + 3] += part.w;
    }
}

// The sum of rows [first, first + count) for every lane; all lanes of the warp call it. The order of
// the additions depends on `count` alone: up to kAlone rows one after the other, of more every 32nd by
// each lane, then lanes in pairs.
template <int Sums>
__device__ __forceinline__ void add_slots(const float* sums, uint32_t first, uint32_t count, float (&total)[Sums]) {
#pragma unroll
    for (int k = 0; k < Sums; ++k) total[k] = 0.f;
    const uint32_t alone = count <= kAlone ? count : 0;
#pragma unroll 2
    for (uint32_t s = 0; s < alone; ++s) add_row(sums + (int64_t(first) + s) * Sums, total);
    const int lane = int(threadIdx.x % kWarp);
    for (unsigned many = __ballot_sync(kAllLanes, count > kAlone); many; many &= many - 1) {
        const int owner = __ffs(int(many)) - 1;
        const uint32_t begin = __shfl_sync(kAllLanes, first, owner), rows = __shfl_sync(kAllLanes, count, owner);
        float part[Sums] = {};
#pragma unroll 4
        for (uint32_t s = uint32_t(lane); s < rows; s += kWarp) add_row(sums + (int64_t(begin) + s) * Sums, part);
#pragma unroll
        for (int k = 0; k < Sums; ++k) {
#pragma unroll
            for (int d = kWarp / 2; d > 0; d /= 2) part[k] += __shfl_xor_sync(kAllLanes, part[k], d);
            if (lane == owner) total[k] = part[k];
        }
    }
}

// Writes row v of every lane, N numbers each, to consecutive rows; the warp's addresses are consecutive.
// stage: N * 32 floats of shared memory of this warp. All lanes of the warp call it.
template <int N>
__device__ __forceinline__ void store_rows(float* stage, float* to, int rows, const float (&v)[N]) {
    const int lane = int(threadIdx.x % kWarp);
    __syncwarp();
#pragma unroll
    for (int k = 0; k < N; ++k) stage[lane * N + k] = v[k];
    __syncwarp();
#pragma unroll
    for (int k = 0; k < N; ++k) {
        const int at = k * kWarp + lane;
        if (at < rows * N) to[at] = stage[at];
    }
}

// Sum over the warp, in every lane.
__device__ __forceinline__ float warp_sum(float v) {
#pragma unroll
    for (int d = kWarp / 2; d > 0; d /= 2) v += __shfl_xor_sync(kAllLanes, v, d);
    return v;
}

}  // namespace splat::gpu
