// How the blend reads splats: rows of 64 bytes, and which sub-tiles each of them meets.
#pragma once

#include <cstring>

#include "../include/splat/geometry.h"
#include "../include/splat/tile_test.h"
#include "blend.h"

namespace splat::gpu {

// Rows of a warp on their way from global memory to its lanes.
using Staging = float4[4 * (kWarp + 2)];

// Row `id` of every lane. Four lanes fetch a row together, so that a request touches 8 rows and not 32;
// they change hands in shared memory, where the padding keeps quarters off each other's banks.
// Every lane of the warp calls it; lanes without a row pass any valid id.
__device__ inline Row load_row(const Row* __restrict__ rows, uint32_t id, Staging& staging) {
    const int lane = int(threadIdx.x) % kWarp, quarter = lane % 4;
    const float4* const from = reinterpret_cast<const float4*>(rows);
    __syncwarp();
    for (int k = 0; k < 4; ++k) {
        const int owner = k * 8 + lane / 4;
        const uint32_t row = __shfl_sync(kAllLanes, id, owner);
        staging[quarter * (kWarp + 2) + owner] = __ldg(from + int64_t(row) * 4 + quarter);
    }
    __syncwarp();
    float4 parts[4];
    for (int k = 0; k < 4; ++k) parts[k] = staging[k * (kWarp + 2) + lane];
    Row row;
    static_assert(sizeof(row) == sizeof(parts), "a row is four quarters");
    std::memcpy(&row, parts, sizeof(row));
    return row;
}

// A row that counts nowhere, for places that no splat has.
SPLAT_HD Row nowhere() {
    Row row{};
    row.l11 = row.l22 = 1.f;
    row.log2_opacity = -1e4f;
    row.p = 1.f;
    row.limit = -1.f;
    return row;
}

// Bit s: sub-tile s of the tile at (x0, y0) holds a pixel centre where the splat's alpha can reach 1/255.
SPLAT_HD uint32_t sub_tiles_met(const Row& row, float x0, float y0, float grow) {
    const Reach reach{row.mx, row.my, row.l11, row.l21, row.l22, row.kx, row.ky, row.limit};
    uint32_t met = 0;
    for (int s = 0; s < kSubTiles; ++s) {
        const float x = x0 + (float(s % 2 * kSubWidth) + 0.5f), y = y0 + (float(s / 2 * kSubHeight) + 0.5f);
        met |= uint32_t(reaches(reach, x, y, float(kSubWidth - 1), float(kSubHeight - 1), grow)) << s;
    }
    return met;
}

SPLAT_HD Whitening<float> load_whitening(const float* from, uint32_t id) {
    const float4* const w = reinterpret_cast<const float4*>(from) + int64_t(id) * 3;
    const float4 a = w[0], b = w[1], c = w[2];
    return {{{{a.x, a.y, a.z}, {a.w, b.x, b.y}, {b.z, b.w, c.x}}}, {c.y, c.z, c.w}};
}

}  // namespace splat::gpu
