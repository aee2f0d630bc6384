// Stages 2 and 3: sort the visible Gaussians by depth (stable), then list them per tile, front to
// back. The list is cut into segments for the threads; the result does not depend on the cut.
#pragma once

#include <algorithm>
#include <cstring>

#include "frame.h"
#include "pool.h"

SPLAT_BEGIN

struct Segment {
    int64_t begin, end;
};

inline Segment segment(int64_t n, int64_t count, int64_t s) { return {n * s / count, n * (s + 1) / count}; }

// One pass of a stable radix sort on bits [shift, shift + 11).
inline void radix_pass(Frame& frame, int64_t n, int segments, int shift, const uint32_t* keys, const uint32_t* values,
                       uint32_t* keys_out, uint32_t* values_out) {
    constexpr int kBins = 2048;
    uint32_t* histogram = frame.histogram.reserve(int64_t(segments) * kBins);
    pool().parallel_for(segments, [&](int64_t s) {
        uint32_t* h = histogram + s * kBins;
        std::memset(h, 0, kBins * sizeof(uint32_t));
        const Segment g = segment(n, segments, s);
        for (int64_t i = g.begin; i < g.end; ++i) ++h[keys[i] >> shift & (kBins - 1)];
    });
    uint32_t total = 0;
    for (int b = 0; b < kBins; ++b)
        for (int s = 0; s < segments; ++s) {
            uint32_t& h = histogram[s * kBins + b];
            const uint32_t count = h;
            h = total;
            total += count;
        }
    pool().parallel_for(segments, [&](int64_t s) {
        uint32_t* h = histogram + s * kBins;
        const Segment g = segment(n, segments, s);
        for (int64_t i = g.begin; i < g.end; ++i) {
            const uint32_t to = h[keys[i] >> shift & (kBins - 1)]++;
            keys_out[to] = keys[i];
            values_out[to] = values[i];
        }
    });
}

// frame.order = ids of visible Gaussians by ascending depth, ties by ascending id.
inline void stage_sort(Frame& frame) {
    const int64_t n = frame.visible;
    const int segments = n > 8192 ? pool().size() : 1;
    frame.keys_other.reserve(n);
    frame.order.reserve(n);
    frame.order_other.reserve(n);
    radix_pass(frame, n, segments, 0, frame.keys.get(), frame.ids.get(), frame.keys_other.get(), frame.order.get());
    radix_pass(frame, n, segments, 11, frame.keys_other.get(), frame.order.get(), frame.keys.get(),
               frame.order_other.get());
    radix_pass(frame, n, segments, 22, frame.keys.get(), frame.order_other.get(), frame.keys_other.get(),
               frame.order.get());
}

template <class Visit>
inline void each_tile(const Row& row, int tiles_x, Visit visit) {
    for (int y = row.tile_y; y < row.tile_y + row.tiles_y; ++y)
        for (int x = row.tile_x; x < row.tile_x + row.tiles_x; ++x) visit(y * tiles_x + x);
}

// frame.lists[tile_begin[t] .. tile_begin[t + 1]) = ids that may touch tile t, front to back.
inline void stage_bin(Frame& frame) {
    const int64_t n = frame.visible, tiles = int64_t(frame.tiles_x) * frame.tiles_y;
    const int segments = pool().size();
    uint32_t* counts = frame.tile_count.reserve(segments * tiles);
    pool().parallel_for(segments, [&](int64_t s) {
        uint32_t* c = counts + s * tiles;
        std::memset(c, 0, size_t(tiles) * sizeof(uint32_t));
        const Segment g = segment(n, segments, s);
        for (int64_t i = g.begin; i < g.end; ++i) {
            if (i + 16 < g.end) __builtin_prefetch(&frame.rows[frame.order[i + 16]].tile_x);
            each_tile(frame.rows[frame.order[i]], frame.tiles_x, [&](int t) { ++c[t]; });
        }
    });
    uint32_t* begin = frame.tile_begin.reserve(tiles + 1);
    uint32_t total = 0;
    for (int64_t t = 0; t < tiles; ++t) {
        begin[t] = total;
        for (int s = 0; s < segments; ++s) {
            uint32_t& c = counts[s * tiles + t];
            const uint32_t count = c;
            c = total;
            total += count;
        }
    }
    begin[tiles] = total;
    uint32_t* lists = frame.lists.reserve(int64_t(total) + 1);
    pool().parallel_for(segments, [&](int64_t s) {
        uint32_t* c = counts + s * tiles;
        const Segment g = segment(n, segments, s);
        for (int64_t i = g.begin; i < g.end; ++i) {
            const uint32_t id = frame.order[i];
            if (i + 16 < g.end) __builtin_prefetch(&frame.rows[frame.order[i + 16]].tile_x);
            each_tile(frame.rows[id], frame.tiles_x, [&](int t) { lists[c[t]++] = id; });
        }
    });
}

SPLAT_END
