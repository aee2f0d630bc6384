// Stage 1: every Gaussian to its row (footprint, colour, tiles), a thread each.
//
// What limits it is memory: 44 bytes a splat for its geometry, and of those that are seen 192 for degree 3's
// colours and 64 for the row. So nothing is read of SH where a splat is not seen, a warp that lies in front of
// `near` or behind `far` reads nothing but positions, and colours and rows pass through shared memory, so
// that neighbouring lanes read and write neighbouring 16 bytes.
#include <cstring>

#include "../footprints.h"
#include "../include/splat/geometry.h"
#include "../include/splat/sh.h"
#include "../view.h"
#include "stages.h"
#include "tile_walk.h"

namespace splat::gpu {

namespace {

constexpr int kThreads = 128;
constexpr int blocks_at_a_time(bool filters) { return filters ? 5 : 6; }  // 96 registers, or 80: nothing spills
constexpr int kQuads = 6;          // float4s of a lane's row that pass through shared memory at a time
constexpr int kPitch = kQuads + 1;  // odd: no bank conflicts
using Staging = float4[kWarp * kPitch];

struct ProjectArguments {
    FrameInput in;
    View<float> view;
    Row* rows;
    float* whitening;
    float* radii;
    uint32_t *tile_counts, *depth_keys, *order;
    unsigned long long* totals;
    int tiles_x, tiles_y;
    float grow;
    bool quads;  // rows of SH are whole float4s
};

__device__ inline Splat3D<float> load_splat(const FrameInput& in, int64_t i, Vec3<float> mean) {
    const float *q = in.quats + 4 * i, *s = in.log_scales + 3 * i;
    return {mean, {q[0], q[1], q[2], q[3]}, {s[0], s[1], s[2]}, in.logit_opacities[i]};
}

__device__ inline Vec3<float> direction_to(const View<float>& view, Vec3<float> mean) {
    const Vec3<float> d{mean.x - view.position.x, mean.y - view.position.y, mean.z - view.position.z};
    return d * (1.f / sqrt_(max_(dot(d, d), 1e-24f)));
}

// Each lane's `Count` float4s to `to`, those of lane l at to[Count l]; only of the lanes in `lanes`.
template <int Count>
__device__ inline void store_quads(float4* to, unsigned lanes, const float4 (&own)[Count], Staging& staging) {
    constexpr int pitch = Count | 1;
    static_assert(pitch <= kPitch, "rows fit in their staging");
    const int lane = int(threadIdx.x) % kWarp;
    __syncwarp();
#pragma unroll
    for (int k = 0; k < Count; ++k) staging[lane * pitch + k] = own[k];
    __syncwarp();
#pragma unroll
    for (int k = 0; k < Count; ++k) {
        const int at = k * kWarp + lane, owner = at / Count;
        if (lanes >> owner & 1u) to[at] = staging[owner * pitch + at % Count];
    }
}

// Lane l's `Count` float4s from from[pitch l]; only of the lanes in `lanes`.
template <int Count>
__device__ inline void load_quads(const float4* from, int64_t pitch, unsigned lanes, float4 (&own)[Count],
                                  Staging& staging) {
    const int lane = int(threadIdx.x) % kWarp;
    float4 moved[Count];
#pragma unroll
    for (int k = 0; k < Count; ++k) {
        const int at = k * kWarp + lane, owner = at / Count;
        moved[k] = lanes >> owner & 1u ? __ldg(from + owner * pitch + at % Count) : make_float4(0.f, 0.f, 0.f, 0.f);
    }
    __syncwarp();
#pragma unroll
    for (int k = 0; k < Count; ++k) {
        const int at = k * kWarp + lane;
        staging[at / Count * kPitch + at % Count] = moved[k];
    }
    __syncwarp();
#pragma unroll
    for (int k = 0; k < Count; ++k) own[k] = staging[lane * kPitch + k];
}

// Adds coefficient `at` (3 k + channel) to the colour.
__device__ __forceinline__ void add_coefficient(Vec3<float>& c, const float* basis, int at, float value) {
    float& channel = at % 3 == 0 ? c.x : at % 3 == 1 ? c.y : c.z;
    channel = fma_(basis[at / 3], value, channel);
}

// The part of the colour whose coefficients begin at float4 Begin, `All` in all.
template <int All, int Begin>
__device__ __forceinline__ void add_quads(Vec3<float>& c, const float* basis, int used, const float4* from,
                                          int64_t pitch, unsigned seen, Staging& staging) {
    constexpr int count = All - Begin < kQuads ? All - Begin : kQuads;
    float4 own[count];
    load_quads(from + Begin, pitch, seen, own, staging);
#pragma unroll
    for (int k = 0; k < count; ++k) {
        const float values[] = {own[k].x, own[k].y, own[k].z, own[k].w};
#pragma unroll
        for (int j = 0; j < 4; ++j)
            if (4 * (Begin + k) + j < used) add_coefficient(c, basis, 4 * (Begin + k) + j, values[j]);
    }
    if constexpr (Begin + count < All) add_quads<All, Begin + count>(c, basis, used, from, pitch, seen, staging);
}

// Colours of the warp's splats, the first of which is `first`: max(0, 1/2 + sum_k basis_k sh_k); NaN counts as 0.
template <int Degree>
__device__ __forceinline__ Vec3<float> sh_color(const ProjectArguments& a, int64_t first, unsigned seen,
                                                Vec3<float> direction, Staging& staging) {
    constexpr int used = 3 * (Degree + 1) * (Degree + 1);
    const int64_t columns = 3 * int64_t(a.in.sh_stored);
    const int lane = int(threadIdx.x) % kWarp;
    float basis[16];
    sh_basis(Degree, direction, basis);
    Vec3<float> c{0.5f, 0.5f, 0.5f};
    if (a.quads) {
        const float4* const from = reinterpret_cast<const float4*>(a.in.sh) + first * (columns / 4);
        add_quads<(used + 3) / 4, 0>(c, basis, used, from, columns / 4, seen, staging);
    } else if (seen >> lane & 1u) {
        const float* const from = a.in.sh + (first + lane) * columns;
#pragma unroll
        for (int k = 0; k < used; ++k) add_coefficient(c, basis, k, __ldg(from + k));
    }
    return {min_(max_(c.x, 0.f), kColorMax), min_(max_(c.y, 0.f), kColorMax), min_(max_(c.z, 0.f), kColorMax)};
}

__device__ inline Vec3<float> color_of(const ProjectArguments& a, int64_t first, unsigned seen, Vec3<float> direction,
                                       Staging& staging) {
    switch (a.in.sh_degree) {
        case 0: return sh_color<0>(a, first, seen, direction, staging);
        case 1: return sh_color<1>(a, first, seen, direction, staging);
        case 2: return sh_color<2>(a, first, seen, direction, staging);
        default: return sh_color<3>(a, first, seen, direction, staging);
    }
}

__device__ inline Row row_of(const Footprint<float>& f, int tiles_x, int tiles_y) {
    Row row;
    row.mx = f.mean.x, row.my = f.mean.y;
    row.l11 = f.l11, row.l21 = f.l21, row.l22 = f.l22;
    row.log2_opacity = f.log2_opacity;
    row.r = row.g = row.b = 0.f;
    row.kx = f.kx, row.ky = f.ky;
    row.p = f.p, row.limit = f.limit;
    row.slot = 0;
    set_tiles(row, f.extent.x, f.extent.y, tiles_x, tiles_y);
    return row;
}

__device__ inline void store_whitening(float* to, unsigned seen, const Projection<float>& p, Staging& staging) {
    const Whitening<float> w = whitening(p);
    const auto& m = w.m.m;
    const float4 quads[3] = {make_float4(m[0][0], m[0][1], m[0][2], m[1][0]),
                             make_float4(m[1][1], m[1][2], m[2][0], m[2][1]),
                             make_float4(m[2][2], w.p.x, w.p.y, w.p.z)};
    store_quads(reinterpret_cast<float4*>(to), seen, quads, staging);
}

// What a warp found.
struct Found {
    uint32_t pairs, visible;
};

// The splats first .. first + 32. kFilters: whether the filter and the profile are read from `in`; else the
// splats are Gaussians that are sampled after a dilation.
template <bool kFilters>
__device__ inline Found project_warp(const ProjectArguments& a, int64_t first, Staging& staging) {
    const int lane = int(threadIdx.x) % kWarp;
    const bool there = first + lane < a.in.count;
    const int64_t i = there ? first + lane : a.in.count - 1;
    const Vec3<float> mean{a.in.means[3 * i], a.in.means[3 * i + 1], a.in.means[3 * i + 2]};
    const float depth = (mul(a.view.rotation, mean) + a.view.translation).z;
    uint32_t tiles = 0, key = ~0u;
    float radius = 0.f;
    Found found{0, 0};
    if (__any_sync(kAllLanes, depth > a.view.near && depth < a.view.far)) {
        const Projection<float> p = project(a.view, load_splat(a.in, i, mean));
        Seen<float> s;
        if constexpr (kFilters)
            s = make_footprint(a.in, a.view, p, a.in.generalised ? shape_of_raw(a.in.shape[i]).value : 1.f);
        else {
            s = sampled(a.view, p, filter_dilate(a.view, p, 1.f), false);
            s.f.limit = fma_(s.f.limit, kLimitFactor, kLimitMargin);
        }
        const bool visible = there && s.visible;
        const unsigned seen = __ballot_sync(kAllLanes, visible);
        if (seen) {
            if (a.in.geometry) store_whitening(a.whitening + 12 * first, seen, p, staging);
            Row row = row_of(s.f, a.tiles_x, a.tiles_y);
            if (visible) radius = max_(s.f.extent.x, s.f.extent.y), key = __float_as_uint(s.f.depth);
            const Vec3<float> c = color_of(a, first, seen, direction_to(a.view, mean), staging);
            row.r = c.x, row.g = c.y, row.b = c.z;
            float4 quads[4];
            static_assert(sizeof(quads) == sizeof(row), "a row is four float4s");
            std::memcpy(quads, &row, sizeof(row));
            store_quads(reinterpret_cast<float4*>(a.rows + first), seen, quads, staging);
            over_tiles(row, visible, a.grow, [&](const TileStep& step) {
                tiles += __popc(step.met & step.mine);
                found.pairs += __popc(step.met);
            });
            found.visible = __popc(seen);
        }
    }
    if (!there) return found;
    a.radii[i] = radius, a.tile_counts[i] = tiles, a.depth_keys[i] = key, a.order[i] = uint32_t(i);
    return found;
}

template <bool kFilters>
__global__ void __launch_bounds__(kThreads, blocks_at_a_time(kFilters)) project_splats(ProjectArguments a) {
    __shared__ Staging staging[kThreads / kWarp];
    __shared__ unsigned long long pairs;
    __shared__ uint32_t visible;
    const int warp = int(threadIdx.x) / kWarp;
    const int64_t first = (int64_t(blockIdx.x) * (kThreads / kWarp) + warp) * kWarp;
    if (threadIdx.x == 0) pairs = 0, visible = 0;
    __syncthreads();
    if (first < a.in.count) {
        const Found found = project_warp<kFilters>(a, first, staging[warp]);
        if (threadIdx.x % kWarp == 0 && found.visible) {
            atomicAdd(&pairs, (unsigned long long)(found.pairs));
            atomicAdd(&visible, found.visible);
        }
    }
    __syncthreads();
    if (threadIdx.x == 0 && visible) {
        atomicAdd(&a.totals[0], pairs);
        atomicAdd(&a.totals[1], (unsigned long long)(visible));
    }
}

}  // namespace

void stage_project(Frame& frame, const FrameInput& in, float* radii, cudaStream_t stream) {
    const int64_t n = in.count;
    if (frame.tiles() > kMostTiles) throw CudaError("the picture has more than 2^26 tiles of 16 x 16 pixels");
    ProjectArguments a;
    a.in = in, a.view = make_view<float>(in);
    a.rows = frame.rows.reserve(frame.memory, n);
    a.whitening = in.geometry ? frame.whitening.reserve(frame.memory, 12 * n) : nullptr;
    a.radii = radii;
    a.tile_counts = frame.tile_counts.reserve(frame.memory, n);
    a.depth_keys = frame.depth_keys[0].reserve(frame.memory, n);
    a.order = frame.order[0].reserve(frame.memory, n);
    a.totals = frame.totals.reserve(frame.memory, 2);
    a.tiles_x = frame.tiles_x, a.tiles_y = frame.tiles_y;
    a.grow = pixel_grow(in);
    a.quads = in.sh_stored % 4 == 0 && reinterpret_cast<uintptr_t>(in.sh) % sizeof(float4) == 0;
    check(cudaMemsetAsync(a.totals, 0, 2 * sizeof(*a.totals), stream), "clearing the pair count");
    const bool dilated = !in.generalised && (in.filter == Filter::none || in.filter == Filter::mip);
    launch(dilated ? project_splats<false> : project_splats<true>, blocks_for(n, kThreads), kThreads, stream, a);
}

}  // namespace splat::gpu
