// Stage 4 backwards. With (cpu/stage_blend_backward.h)
//   f_i = dL/dC . c_i + dL/dalpha + dL/dD t_i + dL/dN . n_i     (value of one unit of weight)
//   R_i = sum_{j > i} w_j f_j + T_end dL/dC . background        (what lies behind)
// the gradient is dL/dalpha_i = T_i f_i - R_i / (1 - alpha_i). All outputs are linear in the weights, so
// of what the forward pass gathered the one number R is enough, and at the start of a bucket it is the
// outputs' gradients times (outputs - state).
//
// A warp has a bucket, kSplatsPerLane consecutive entries of a tile's list a lane, and the tile's pixels
// pass through the lanes: each pixel's (T, R) goes from a lane to the next by shuffle, a lane being
// one pixel behind the lane before it. So a splat's sums stay in the registers of one lane, and each
// pair costs one write of its sums; with a pixel a lane, every splat would need eleven sums over a warp
// (or as many atomics). The price: a splat is evaluated at pixels that it does not meet. Sub-tiles whose
// pixels are finished, or that no splat of the bucket meets, are left out of the stream. What belongs to
// a pixel and does not change (its gradients, its place) lies in shared memory, the sub-tile that comes in
// and the one before: a lane reads its own pixel there, 32 neighbours at a time.
#pragma once

#include "blend_kernels.h"
#include "blend_load.h"

namespace splat::gpu {

struct BackwardArguments {
    const Row* rows;
    const uint32_t *list, *pair_splat, *tile_begin, *bucket_begin, *bucket_tile;
    const float* whitening;
    const float4* states;
    const uint32_t *ends, *reached;
    FrameOutput out;
    FrameGradients gradients;
    float *sums, *geometry_sums;
    RayGrid rays;
    int width, height, tiles_x, tiles, strips;
    bool deterministic;
};

constexpr int kBackwardWarps = 4;  // buckets of a block; they know nothing of each other
constexpr int kWindow = 2 * kWarp;

// What a warp shares: the pixels on their way through its lanes, those of the sub-tile that comes in
// behind those of the one before.
template <bool G>
struct Window {
    float4 color[kWindow];             // gradients of R, G, B, alpha
    float4 geometry[G ? kWindow : 1];  // of depth, nx, ny, nz
    float median[G ? kWindow : 1];
    float2 at[kWindow];                // centre relative to the tile's middle
    float2 start[kWarp];               // (T, R) of the pixels that come in
    Staging staging;
};

// A pixel as it is at the start of a bucket.
template <bool G>
struct Arriving {
    float4 color, geometry;
    float median, T, R;
};

// Pixel of the image number `at`, whose state (if it has one) is `state`.
template <bool G>
__device__ inline Arriving<G> arriving(const BackwardArguments& a, int64_t at, const float4* state) {
    const float4 before = state ? state[0] : make_float4(1.f, 0.f, 0.f, 0.f);
    Arriving<G> p{};
    p.T = before.x;
    if (const float* g = a.gradients.color) {
        const float *c = a.out.color + 3 * at, *v = g + 3 * at;
        p.color.x = v[0], p.color.y = v[1], p.color.z = v[2];
        p.R = v[0] * (c[0] - before.y) + v[1] * (c[1] - before.z) + v[2] * (c[2] - before.w);
    }
    if (const float* g = a.gradients.alpha) {
        p.color.w = g[at];
        p.R = fma_(g[at], a.out.alpha[at] - (1.f - before.x), p.R);
    }
    if constexpr (G) {
        const float4 more = state ? state[kTilePixels] : make_float4(0.f, 0.f, 0.f, 0.f);
        if (const float* g = a.gradients.depth_sum) {
            p.geometry.x = g[at];
            p.R = fma_(g[at], a.out.depth_sum[at] - more.x, p.R);
        }
        if (const float* g = a.gradients.normals) {
            const float *n = a.out.normals + 3 * at, *v = g + 3 * at;
            p.geometry.y = v[0], p.geometry.z = v[1], p.geometry.w = v[2];
            p.R += v[0] * (n[0] - more.y) + v[1] * (n[1] - more.z) + v[2] * (n[2] - more.w);
        }
        if (const float* g = a.gradients.median_depth) p.median = g[at];
    }
    return p;
}

// A pixel at a lane.
template <bool G>
struct Passing {
    float4 color, geometry;
    float median, x, y, ray_x, ray_y;
};

// What a lane holds of an entry beside its splat and the sums of its kernel.
template <bool G>
struct Held {
    float r = 0, g = 0, b = 0;
};
template <>
struct Held<true> {
    float r = 0, g = 0, b = 0;
    Whitening<float> white;
    Mat3<float> m{};
    Vec3<float> p{};
};

// One splat at one pixel: updates T and R, adds to the sums.
template <class K, bool G>
__device__ inline void pass_splat(const typename K::Splat& splat, Held<G>& held, typename K::Sums& sums,
                                  const Passing<G>& pixel, float& T, float& R) {
    const auto term = K::at(splat, pixel.x, pixel.y);
    const float alpha = T >= kTransmittanceMin ? min_(term.alpha, kAlphaMax) : 0.f;
    const float w = alpha * T, before = T;
    float f = fma_(pixel.color.x, splat.r, fma_(pixel.color.y, splat.g, fma_(pixel.color.z, splat.b, pixel.color.w)));
    T = before - w;
    if constexpr (G) {
        if (w > 0.f) {
            const RayHit<float> hit = intersect(held.white, pixel.ray_x, pixel.ray_y);
            const Vec3<float> gn{pixel.geometry.y, pixel.geometry.z, pixel.geometry.w};
            f += pixel.geometry.x * hit.t + dot(gn, hit.normal);
            const bool median = before >= 0.5f && T < 0.5f;
            const float vt = fma_(w, pixel.geometry.x, median ? pixel.median : 0.f);
            intersect_backward(held.white, pixel.ray_x, pixel.ray_y, hit, vt, gn * w, held.m, held.p);
        }
    }
    const float wf = w * f;
    R -= wf;
    held.r = fma_(w, pixel.color.x, held.r), held.g = fma_(w, pixel.color.y, held.g);
    held.b = fma_(w, pixel.color.z, held.b);
    const float h = fnma_(R * alpha, rcp_(1.f - alpha), wf);
    sums.add(splat, term, pixel.x, pixel.y, term.alpha < kAlphaMax ? h : 0.f);  // no gradient through the clamp
}

// The sums of an entry to where they belong: its pair's slot, or added to its splat's.
template <int N>
__device__ inline void put_sums(float* to, const float (&from)[N], int64_t slot, bool own) {
    if (own) {
        float4* const slots = reinterpret_cast<float4*>(to + slot * N);
        SPLAT_UNROLL(N / 4)
        for (int k = 0; k < N / 4; ++k)
            slots[k] = make_float4(from[4 * k], from[4 * k + 1], from[4 * k + 2], from[4 * k + 3]);
    } else {
        SPLAT_UNROLL(N)
        for (int k = 0; k < N; ++k)
            if (from[k] != 0.f) atomicAdd(to + slot * N + k, from[k]);
    }
}

// The bucket of a warp.
struct Bucket {
    uint32_t first, end;  // entries
    uint32_t number;      // in its tile
    int tile, x0, y0;
};

__device__ inline Bucket bucket_at(const BackwardArguments& a, uint32_t bucket) {
    const int tile = int(a.bucket_tile[bucket]);
    const uint32_t number = bucket - a.bucket_begin[tile], first = a.tile_begin[tile] + number * kBucket;
    return {first, min(a.tile_begin[tile + 1], first + kBucket), number, tile, tile % a.tiles_x * kTile,
            tile / a.tiles_x * kTile};
}

// Slots of a bucket that no pixel reached.
template <bool G>
__device__ inline void put_nothing(const BackwardArguments& a, const Bucket& bucket) {
    if (!a.deterministic) return;
    const float nothing[kSums] = {};
    for (uint32_t i = bucket.first + threadIdx.x % kWarp; i < bucket.end; i += kWarp) {
        put_sums(a.sums, nothing, a.list[i], true);
        if (G) put_sums(a.geometry_sums, nothing, a.list[i], true);
    }
}
static_assert(kGeometrySums == kSums, "put_nothing serves both");

// Pixels at which nothing counts.
template <bool G>
__device__ inline void clear(Window<G>& window) {
    for (int slot = int(threadIdx.x) % kWarp; slot < kWindow; slot += kWarp) {
        window.color[slot] = make_float4(0.f, 0.f, 0.f, 0.f), window.at[slot] = make_float2(0.f, 0.f);
        if constexpr (G) window.geometry[slot] = make_float4(0.f, 0.f, 0.f, 0.f), window.median[slot] = 0.f;
    }
}

// Moves the window on to one pixel more for each lane.
template <bool G>
__device__ inline void push(Window<G>& window, const Arriving<G>& pixel, float2 at) {
    const int old = int(threadIdx.x) % kWarp, slot = old + kWarp;
    __syncwarp();  // everybody has read what goes
    window.color[old] = window.color[slot], window.color[slot] = pixel.color;
    window.at[old] = window.at[slot], window.at[slot] = at;
    if constexpr (G) {
        window.geometry[old] = window.geometry[slot], window.geometry[slot] = pixel.geometry;
        window.median[old] = window.median[slot], window.median[slot] = pixel.median;
    }
    window.start[old] = make_float2(pixel.T, pixel.R);
    __syncwarp();
}

// Fetches the pixels of sub-tile s. False where none of them goes on.
template <bool G>
__device__ inline bool fetch(const BackwardArguments& a, const Bucket& bucket, int s, Window<G>& window) {
    const int pixel = s * kWarp + int(threadIdx.x) % kWarp;
    const bool open = a.ends[int64_t(bucket.tile) * kTilePixels + pixel] > bucket.number;
    if (!__any_sync(kAllLanes, open)) return false;
    Arriving<G> p{};
    if (open) {
        const uint32_t begin = bucket.first - bucket.number * kBucket;
        const float4* const state =
            bucket.number ? a.states + state_place(begin, bucket.number, 0, planes(G), pixel) : nullptr;
        p = arriving<G>(a, int64_t(bucket.y0 + pixel_row(pixel)) * a.width + bucket.x0 + pixel_column(pixel), state);
    }
    push(window, p, make_float2(centre(pixel_column(pixel)), centre(pixel_row(pixel))));
    return true;
}

template <bool G>
__device__ inline Passing<G> passing(const BackwardArguments& a, const Bucket& bucket, const Window<G>& window, int slot) {
    Passing<G> p;
    p.color = window.color[slot];
    p.x = window.at[slot].x, p.y = window.at[slot].y;
    if constexpr (G) {
        p.geometry = window.geometry[slot], p.median = window.median[slot];
        p.ray_x = a.rays.x(p.x + float(bucket.x0 + kTile / 2)), p.ray_y = a.rays.y(p.y + float(bucket.y0 + kTile / 2));
    }
    return p;
}

template <class K, bool G>
__global__ void __launch_bounds__(kBackwardWarps* kWarp) blend_backward(BackwardArguments a) {
    __shared__ Window<G> windows[kBackwardWarps];
    const int warp = int(threadIdx.x) / kWarp, lane = int(threadIdx.x) % kWarp;
    const uint32_t number = blockIdx.x * kBackwardWarps + uint32_t(warp);
    if (number >= a.bucket_begin[a.tiles]) return;
    const Bucket bucket = bucket_at(a, number);
    if (bucket.number >= a.reached[bucket.tile]) return put_nothing<G>(a, bucket);
    Window<G>& window = windows[warp];

    typename K::Splat splats[kSplatsPerLane];
    typename K::Sums sums[kSplatsPerLane];
    Held<G> held[kSplatsPerLane];
    const uint32_t entry = bucket.first + uint32_t(lane * kSplatsPerLane);
    uint32_t met = 0;
    SPLAT_UNROLL(kSplatsPerLane)
    for (int k = 0; k < kSplatsPerLane; ++k) {
        const bool there = entry + k < bucket.end;
        const uint32_t id = there ? a.pair_splat[a.list[entry + k]] : 0;
        Row row = load_row(a.rows, id, window.staging);
        if (!there) row = nowhere();
        met |= sub_tiles_met(row, float(bucket.x0), float(bucket.y0), row.p == 0.f ? K::kGrow : 0.f);
        splats[k] = K::load(row, float(bucket.x0 + kTile / 2), float(bucket.y0 + kTile / 2), a.strips);
        if constexpr (G) held[k].white = load_whitening(a.whitening, id);
    }
    clear(window);

    float T = 0.f, R = 0.f;
    for (int s = 0; s <= kSubTiles; ++s) {
        int steps = kWarp;
        if (s < kSubTiles) {
            if (!__any_sync(kAllLanes, met >> s & 1u) || !fetch(a, bucket, s, window)) continue;
        } else {  // the last pixels leave
            push(window, Arriving<G>{}, make_float2(0.f, 0.f));
            steps = int(bucket.end - bucket.first - 1) / kSplatsPerLane;
        }
        for (int i = 0; i < steps; ++i) {
            T = __shfl_up_sync(kAllLanes, T, 1), R = __shfl_up_sync(kAllLanes, R, 1);
            if (lane == 0) T = window.start[i].x, R = window.start[i].y;
            const Passing<G> pixel = passing(a, bucket, window, kWarp + i - lane);
            SPLAT_UNROLL(kSplatsPerLane)
            for (int k = 0; k < kSplatsPerLane; ++k) pass_splat<K, G>(splats[k], held[k], sums[k], pixel, T, R);
        }
    }

    SPLAT_UNROLL(kSplatsPerLane)
    for (int k = 0; k < kSplatsPerLane; ++k) {
        if (entry + k >= bucket.end) continue;
        const uint32_t pair = a.list[entry + k];
        const int64_t slot = a.deterministic ? pair : a.pair_splat[pair];
        float all[kSums] = {};
        sums[k].put(splats[k], all);
        all[kSumR] = held[k].r, all[kSumG] = held[k].g, all[kSumB] = held[k].b;
        put_sums(a.sums, all, slot, a.deterministic);
        if constexpr (G) {
            const auto& m = held[k].m.m;
            const float geometry[kGeometrySums] = {m[0][0], m[0][1], m[0][2], m[1][0],     m[1][1],     m[1][2],
                                                   m[2][0], m[2][1], m[2][2], held[k].p.x, held[k].p.y, held[k].p.z};
            put_sums(a.geometry_sums, geometry, slot, a.deterministic);
        }
    }
}

// blend_backward_geometry.cu: a unit of its own, for the compiler's sake
void blend_backward_geometry(const BackwardArguments&, const FrameInput&, int64_t buckets, cudaStream_t);

}  // namespace splat::gpu
