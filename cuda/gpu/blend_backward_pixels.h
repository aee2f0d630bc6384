// The backward pass of the blend with a pixel a lane, for pixel kernels whose evaluation costs more than
// sums over a warp (blend_backward.h has a splat a lane, which evaluates every splat of a bucket
// at every pixel of the tile).
//
// A block has a bucket and a warp one of the tile's eight sub-tiles, of which a splat meets about
// three. What the warp's 32 pixels give a splat is added up by shuffles, in thirteen steps for twelve
// sums, and kept in shared memory; in the end the block adds up the sub-tiles in their order.
#pragma once

#include "blend_backward.h"

namespace splat::gpu {

static_assert(kSums == 12 && kGeometrySums == 12, "what add_over_warp adds up");

// Totals over the warp of twelve numbers a lane: every second lane gets the one that total_of_lane names.
// Halves of the warp swap halves of their numbers, so that each step leaves half as many.
__device__ inline float add_over_warp(const float (&v)[12]) {
    const int lane = int(threadIdx.x) % kWarp;
    const auto swap = [&](int step, float low, float high) {
        const bool upper = lane & step;
        return (upper ? high : low) + __shfl_xor_sync(kAllLanes, upper ? low : high, step);
    };
    float six[6], three[3];
    SPLAT_UNROLL(6)
    for (int k = 0; k < 6; ++k) six[k] = swap(16, v[k], v[k + 6]);
    SPLAT_UNROLL(3)
    for (int k = 0; k < 3; ++k) three[k] = swap(8, six[k], six[k + 3]);
    const float first = swap(4, three[0], three[2]), second = swap(4, three[1], 0.f);
    const float one = swap(2, first, second);
    return one + __shfl_xor_sync(kAllLanes, one, 1);
}

// -1: none
__device__ inline int total_of_lane(int lane) {
    if ((lane & 1) || (lane & 6) == 6) return -1;
    return (lane >> 4 & 1) * 6 + (lane >> 3 & 1) * 3 + (lane >> 1 & 3);
}

// The bucket's splats, and what each sub-tile gives them, kRound entries at a time.
template <class K, bool G>
struct Shared {
    static constexpr int kRound = G ? kWarp : kBucket, kRounds = kBucket / kRound, kRoundWords = kRound / kWarp;
    static constexpr int kTotals = G ? kSums + kGeometrySums : kSums;
    struct alignas(16) Entry {
        typename K::Splat splat;
    };
    Entry splats[kBucket];
    uint32_t ids[kBucket];
    uint32_t met_by[kSubTiles][kBucket / kWarp], hit_by[kSubTiles][kBucket / kWarp];
    union {
        Staging staging[kBucket / kWarp];
        float totals[kSubTiles][kRound][kTotals];
    };
};

// Brings the bucket's splats; as many threads as entries, in whole warps.
template <class K, bool G>
__device__ inline void fetch_splats(const BackwardArguments& a, const Bucket& bucket, Shared<K, G>& shared) {
    const int entry = int(threadIdx.x), word = entry / kWarp, lane = entry % kWarp;
    const bool there = bucket.first + entry < bucket.end;
    const uint32_t id = there ? a.pair_splat[a.list[bucket.first + entry]] : 0;
    const Row row = load_row(a.rows, id, shared.staging[word]);
    uint32_t met = 0;
    if (there) met = sub_tiles_met(row, float(bucket.x0), float(bucket.y0), row.p == 0.f ? K::kGrow : 0.f);
    for (int s = 0; s < kSubTiles; ++s) {
        const uint32_t bits = __ballot_sync(kAllLanes, met >> s & 1u);
        if (lane == s) shared.met_by[s][word] = bits;
    }
    if (met)
        shared.splats[entry].splat =
            K::load(row, float(bucket.x0 + kTile / 2), float(bucket.y0 + kTile / 2), a.strips);
    shared.ids[entry] = id;
}

// A thread's pixel at the start of the bucket. False where it is finished.
template <bool G>
__device__ inline bool fetch_pixel(const BackwardArguments& a, const Bucket& bucket, Passing<G>& pixel, float& T,
                                   float& R) {
    const int n = int(threadIdx.x);
    pixel.x = centre(pixel_column(n)), pixel.y = centre(pixel_row(n));
    if constexpr (G) {
        pixel.ray_x = a.rays.x(pixel.x + float(bucket.x0 + kTile / 2));
        pixel.ray_y = a.rays.y(pixel.y + float(bucket.y0 + kTile / 2));
    }
    Arriving<G> p{};
    const bool open = a.ends[int64_t(bucket.tile) * kTilePixels + n] > bucket.number;
    if (open) {
        const uint32_t begin = bucket.first - bucket.number * kBucket;
        const float4* const state =
            bucket.number ? a.states + state_place(begin, bucket.number, 0, planes(G), n) : nullptr;
        p = arriving<G>(a, int64_t(bucket.y0 + pixel_row(n)) * a.width + bucket.x0 + pixel_column(n), state);
    }
    pixel.color = p.color, pixel.geometry = p.geometry, pixel.median = p.median;
    T = p.T, R = p.R;
    return open;
}

// A sub-tile's pixels over the entries of `word`: their totals, and which entries counted.
template <class K, bool G>
__device__ inline uint32_t walk_word(const BackwardArguments& a, int word, Shared<K, G>& shared,
                                     const Passing<G>& pixel, float& T, float& R) {
    const int warp = int(threadIdx.x) / kWarp, mine = total_of_lane(int(threadIdx.x) % kWarp);
    uint32_t hits = 0;
    for (uint32_t bits = shared.met_by[warp][word]; bits; bits &= bits - 1) {
        if (!__any_sync(kAllLanes, T >= kTransmittanceMin)) break;
        const int bit = __ffs(int(bits)) - 1, entry = word * kWarp + bit;
        const typename K::Splat splat = shared.splats[entry].splat;
        typename K::Sums sums;
        Held<G> held;
        if constexpr (G) held.white = load_whitening(a.whitening, shared.ids[entry]);
        const float before = T;
        pass_splat<K, G>(splat, held, sums, pixel, T, R);
        if (!__any_sync(kAllLanes, T != before)) continue;
        hits |= 1u << bit;
        float all[kSums] = {};
        sums.put(splat, all);
        all[kSumR] = held.r, all[kSumG] = held.g, all[kSumB] = held.b;
        float* const totals = shared.totals[warp][entry % Shared<K, G>::kRound];
        const float total = add_over_warp(all);
        if (mine >= 0) totals[mine] = total;
        if constexpr (G) {
            const auto& m = held.m.m;
            const float geometry[kGeometrySums] = {m[0][0], m[0][1], m[0][2], m[1][0],  m[1][1],  m[1][2],
                                                   m[2][0], m[2][1], m[2][2], held.p.x, held.p.y, held.p.z};
            const float more = add_over_warp(geometry);
            if (mine >= 0) totals[kSums + mine] = more;
        }
    }
    return hits;
}

// Adds up the sub-tiles of a round's entries, sums [offset, offset + 12) of each.
template <class K, bool G>
__device__ inline void put_round(const BackwardArguments& a, const Bucket& bucket, const Shared<K, G>& shared, int round,
                                 int offset, float* to) {
    constexpr int kRound = Shared<K, G>::kRound;
    for (int k = int(threadIdx.x); k < kRound * kSums; k += kTilePixels) {
        const int in_round = k / kSums, sum = k % kSums, entry = round * kRound + in_round;
        if (bucket.first + entry >= bucket.end) break;
        float total = 0.f;
        for (int s = 0; s < kSubTiles; ++s)
            if (shared.hit_by[s][entry / kWarp] >> (entry % kWarp) & 1u)
                total += shared.totals[s][in_round][offset + sum];
        if (a.deterministic) to[int64_t(a.list[bucket.first + entry]) * kSums + sum] = total;
        else if (total != 0.f) atomicAdd(to + int64_t(shared.ids[entry]) * kSums + sum, total);
    }
}

template <class K, bool G>
__global__ void __launch_bounds__(kTilePixels) blend_backward_pixels(BackwardArguments a) {
    using S = Shared<K, G>;
    __shared__ S shared;
    const int warp = int(threadIdx.x) / kWarp, lane = int(threadIdx.x) % kWarp;
    if (blockIdx.x >= a.bucket_begin[a.tiles]) return;
    const Bucket bucket = bucket_at(a, blockIdx.x);
    if (bucket.number >= a.reached[bucket.tile]) {
        if (warp == 0) put_nothing<G>(a, bucket);
        return;
    }
    if (threadIdx.x < kBucket) fetch_splats(a, bucket, shared);
    Passing<G> pixel;
    float T, R;
    const bool live = __any_sync(kAllLanes, fetch_pixel(a, bucket, pixel, T, R));
    __syncthreads();
    for (int round = 0; round < S::kRounds; ++round) {
        for (int word = round * S::kRoundWords; word < (round + 1) * S::kRoundWords; ++word) {
            const uint32_t hits = live ? walk_word(a, word, shared, pixel, T, R) : 0;
            if (lane == 0) shared.hit_by[warp][word] = hits;
        }
        __syncthreads();
        put_round(a, bucket, shared, round, 0, a.sums);
        if constexpr (G) put_round(a, bucket, shared, round, kSums, a.geometry_sums);
        if (round + 1 < S::kRounds) __syncthreads();
    }
}

// The backward pass of K; `buckets`: at least as many as there are.
template <class K, bool G>
void launch_blend_backward(const BackwardArguments& a, int64_t buckets, cudaStream_t stream) {
    if constexpr (kPixelALane<K>)
        launch(blend_backward_pixels<K, G>, dim3(unsigned(buckets)), dim3(kTilePixels), stream, a);
    else
        launch(blend_backward<K, G>, dim3(blocks_for(buckets, kBackwardWarps)), dim3(kBackwardWarps * kWarp), stream, a);
}

}  // namespace splat::gpu
