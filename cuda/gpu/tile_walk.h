// The tiles that a warp's splats meet. A splat has anything from one tile to all of them, so a lane does
// not go over its own: the warp takes the tiles of all its rectangles as one list, splat by splat and row by
// row, 32 at a time, a tile a lane.
//
// It is done twice, to count (project.cu) and to list (bin.cu); tile_test.h sees to it that both find the
// same.
#pragma once

#include "../include/splat/tile_test.h"
#include "blend_kernels.h"
#include "frame.h"

namespace splat::gpu {

constexpr int64_t kMostTiles = int64_t(1) << 26;  // so that a warp's tiles are counted in 32 bits

// Pixels by which a centre's reach is larger than a point, in this render's pixel kernel.
inline float pixel_grow(const FrameInput& in) {
    float grow = 0;
    with_pixel_kernel(in, [&](auto kernel) { grow = decltype(kernel)::kGrow; });
    return grow;
}

// 32 tiles, one a lane.
struct TileStep {
    uint32_t met;               // lanes whose tile is met by its splat
    uint32_t mine;              // lanes whose tile is of this lane's own splat
    int owner;                  // lane whose splat this lane's tile is of
    uint32_t tile_x, tile_y;
};

// Sum over this lane and those before it.
__device__ inline uint32_t sum_to_here(uint32_t v) {
    const int lane = int(threadIdx.x) % kWarp;
    for (int by = 1; by < kWarp; by *= 2) {
        const uint32_t before = __shfl_up_sync(kAllLanes, v, by);
        if (lane >= by) v += before;
    }
    return v;
}

// Lane whose list holds place `at`; `end`: of each lane's.
__device__ inline int owner_of(uint32_t at, uint32_t end) {
    int owner = 0;
    for (int half = kWarp / 2; half > 0; half /= 2)
        if (__shfl_sync(kAllLanes, end, owner + half - 1) <= at) owner += half;
    return owner;
}

__device__ inline uint32_t lanes_below(uint32_t n) { return n >= 32u ? ~0u : (1u << n) - 1u; }

// Of the 32 places from `base`, those in begin .. end.
__device__ inline uint32_t part_of_step(uint32_t base, uint32_t begin, uint32_t end) {
    if (end <= base || begin >= base + kWarp) return 0;
    return lanes_below(end - base) & ~lanes_below(begin > base ? begin - base : 0u);
}

// Calls step(TileStep) until every tile of the warp's splats has had its turn. Every lane calls it; one
// without a splat says so. `grow`: the pixel kernel's kGrow.
template <class Step>
__device__ __forceinline__ void over_tiles(const Row& row, bool splat, float grow, Step step) {
    const int lane = int(threadIdx.x) % kWarp;
    const uint32_t tiles = splat ? uint32_t(row.tiles_x) * row.tiles_y : 0u;
    const uint32_t end = sum_to_here(tiles), begin = end - tiles, all = __shfl_sync(kAllLanes, end, kWarp - 1);
    const uint32_t corner = row.tile_x | uint32_t(row.tile_y) << 16;
    const uint32_t wide = row.tiles_x | uint32_t(row.p == 0.f) << 16;
    for (uint32_t base = 0; base < all; base += kWarp) {
        const uint32_t at = base + uint32_t(lane);
        const int owner = owner_of(at, end);
        const auto of = [&](auto v) { return __shfl_sync(kAllLanes, v, owner); };
        const uint32_t place = at - of(begin), first = of(corner), shape = of(wide), width = max(shape & 0xffffu, 1u);
        const Reach reach{of(row.mx),  of(row.my), of(row.l11), of(row.l21),
                          of(row.l22), of(row.kx), of(row.ky),  of(row.limit)};
        const uint32_t down = place / width, x = (first & 0xffffu) + (place - down * width), y = (first >> 16) + down;
        const bool met = at < all && reaches(reach, float(x * kTile) + 0.5f, float(y * kTile) + 0.5f, float(kTile - 1),
                                             float(kTile - 1), shape >> 16 ? grow : 0.f);
        step(TileStep{__ballot_sync(kAllLanes, met), part_of_step(base, begin, end), owner, x, y});
    }
}

}  // namespace splat::gpu
