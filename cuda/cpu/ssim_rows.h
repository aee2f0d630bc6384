// Rows of the loss (ssim.h): their order in memory, the ring that keeps the last ones, the filter.
//
// A tile's row of n floats is cut into W strips of `strip` floats; vector i of the row holds number i of
// each strip. So what lies k floats to the right is k vectors further on, at the same lane; after the
// last vector of a lane comes the first of the next lane.
#pragma once

#include "scratch.h"
#include "simd.h"
#include "../include/splat/ssim.h"

SPLAT_BEGIN

namespace ssim_detail {

constexpr int kHalf = kSsimHalf;
constexpr int R = 4;               // rows made at a time
constexpr int kRing = R + 2 * kHalf;
constexpr int kHalo = 3 * kHalf;   // vectors that a horizontal filter reaches to either side
constexpr int kBlock = 4;          // outputs of a horizontal filter that share their loads
constexpr float kTaps[kHalf + 1] = {ssim_tap(0), ssim_tap(1), ssim_tap(2), ssim_tap(3), ssim_tap(4), ssim_tap(5)};

SPLAT_HD int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
SPLAT_HD int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
SPLAT_HD int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
// At least n floats: whole pages and a cache line.
SPLAT_HD int64_t paged(int64_t n) { return round_up(n - 16, 1024) + 16; }

// Columns (floats of a row) of one task, and the order they are in.
struct Tile {
    int64_t start;    // first column taken: apron before the first of its own; may lie outside the image
    int64_t columns;  // its own
    int64_t apron;    // taken from either neighbour
    int64_t strip;    // vectors of a row, a multiple of 3
    int64_t floats() const { return strip * W; }
};

// `apron`: the tile has neighbours.
SPLAT_HD Tile tile_of(int64_t first, int64_t columns, bool apron) {
    const int64_t reach = apron ? 2 * kHalo : 0;
    const int64_t strip = round_up((columns + 2 * reach + W - 1) / W, 3);
    return {first - reach, columns, reach, most(strip, round_up(most(W, kHalo), 3))};
}

// Rows with room for the halo before and after; row() is where vector 0 lies.
struct Rows {
    float* memory;
    int64_t stride;
    float* row(int64_t i) const { return memory + i * stride + kHalo * W; }
};

// The last kRing rows of some maps.
struct Ring {
    float* memory;
    const float* zeros;
    int64_t stride;  // floats from one map's row to the next
    int maps;
    float* row(int64_t r, int map) const { return memory + ((r % kRing) * maps + map) * stride; }

    // The rows [r - 5, r + R + 5), zeros for those outside [first, last).
    void window(int64_t r, int64_t first, int64_t last, const float* rows[kRing]) const {
        for (int i = 0; i < kRing; ++i) {
            const int64_t at = r + i - kHalf;
            rows[i] = at >= first && at < last ? row(at, 0) : zeros;
        }
    }
};

// W rows of `strip` floats each <-> the vectors of a row.
inline void interleave(const float* const lanes[W], int64_t strip, float* out) {
    for (int64_t i = 0;; i = least(i + W, strip - W)) {
        vf v[W];
        for (int l = 0; l < W; ++l) v[l] = vf::load(lanes[l] + i);
        transpose(v);
        for (int l = 0; l < W; ++l) v[l].store(out + (i + l) * W);
        if (i == strip - W) return;
    }
}
inline void separate(const float* in, int64_t strip, float* const lanes[W]) {
    for (int64_t i = 0;; i = least(i + W, strip - W)) {
        vf v[W];
        for (int l = 0; l < W; ++l) v[l] = vf::load(in + (i + l) * W);
        transpose(v);
        for (int l = 0; l < W; ++l) v[l].store(lanes[l] + i);
        if (i == strip - W) return;
    }
}

// A row of an image of `width` floats into strips, zeros outside; `line` has room for the tile's row.
inline void to_strips(const Tile& t, const float* row, int64_t width, float* line, float* out) {
    const float* lanes[W];
    const int64_t begin = most(0, -t.start), end = least(t.floats(), width - t.start);
    for (int l = 0; l < W; ++l) {
        const int64_t from = l * t.strip, to = from + t.strip;
        lanes[l] = row + t.start + from;
        if (from >= begin && to <= end) continue;
        lanes[l] = line + from;
        std::memset(line + from, 0, size_t(t.strip) * sizeof(float));
        const int64_t a = most(from, begin), b = least(to, end);
        if (a < b) std::memcpy(line + a, row + t.start + a, size_t(b - a) * sizeof(float));
    }
    interleave(lanes, t.strip, out);
}

// The tile's own columns of a row in strips, to where they lie in a row of the image.
inline void from_strips(const Tile& t, const float* strips, float* line, float* row) {
    float* lanes[W];
    const int64_t begin = t.apron, end = t.apron + t.columns;
    const auto whole = [&](int l) { return l * t.strip >= begin && (l + 1) * t.strip <= end; };
    for (int l = 0; l < W; ++l) lanes[l] = (whole(l) ? row + t.start : line) + l * t.strip;
    separate(strips, t.strip, lanes);
    for (int l = 0; l < W; ++l) {
        const int64_t a = most(l * t.strip, begin), b = least((l + 1) * t.strip, end);
        if (!whole(l) && a < b) std::memcpy(row + t.start + a, line + a, size_t(b - a) * sizeof(float));
    }
}

// 1 in columns [from, to), counted from the tile's start, else 0.
inline void set_columns(const Tile& t, int64_t from, int64_t to, float* out) {
    for (int64_t i = 0; i < t.strip; ++i)
        for (int l = 0; l < W; ++l) {
            const int64_t c = l * t.strip + i;
            out[i * W + l] = c >= from && c < to ? 1.f : 0.f;
        }
}

// The halo of a row: the other end, one lane on; zeros beyond the tile.
inline void fill_halo(const Tile& t, float* row) {
    float *before = row - kHalo * W, *after = row + t.floats();
    for (int i = 0; i < kHalo; ++i, before += W, after += W) {
        vf::load(after - kHalo * W - 1).store(before);
        before[0] = 0.f;
        vf::load(row + i * W + 1).store(after);
        after[W - 1] = 0.f;
    }
}

// N outputs of the 11 taps from N + 10 inputs.
template <int N>
SPLAT_HD void filter(const vf* v, vf* out) {
    for (int k = 0; k < N; ++k) out[k] = v[k + kHalf];
    for (int j = 1; j <= kHalf; ++j)
        for (int k = 0; k < N; ++k) out[k] = fma_(vf(kTaps[j]), v[k + kHalf - j] + v[k + kHalf + j], out[k]);
}

// The same along a row: outputs at `row` and every third vector after it.
template <int N>
SPLAT_HD void filter_across(const float* row, vf* out) {
    vf v[N + 2 * kHalf];
    for (int i = 0; i < N + 2 * kHalf; ++i) v[i] = vf::load(row + 3 * (i - kHalf) * W);
    filter<N>(v, out);
}

template <int N>
struct Count {
    static constexpr int value = N;
};

// Calls run(Count<N>, c) so that the floats c, c + 3 W, ... (N each) are all vectors of a row, once each.
template <class Run>
inline void each_block(const Tile& t, Run run) {
    int64_t i = 0;
    for (; i + 3 * kBlock <= t.strip; i += 3 * kBlock)
        for (int phase = 0; phase < 3; ++phase) run(Count<kBlock>{}, (i + phase) * W);
    for (; i < t.strip; ++i) run(Count<1>{}, i * W);
}

}  // namespace ssim_detail

SPLAT_END
