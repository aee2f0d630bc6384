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

constexpr int kRadixBits = 12;  // of a pass, at most: 4096 counters stay in the nearest cache
constexpr int kPartBits = 11;
constexpr int kMostParts = 64;

// A stable radix sort of n keys by key - least, which lies below 2^bits; there is room for n at `other`.
// Returns where the result is.
inline const DepthKey* radix_sort(DepthKey* keys, DepthKey* other, int64_t n, uint32_t least, int bits) {
    alignas(64) uint32_t count[1 << kRadixBits];
    const int passes = (bits + kRadixBits - 1) / kRadixBits, width = passes ? (bits + passes - 1) / passes : 0;
    const uint32_t mask = (1u << width) - 1u;
    for (int pass = 0; pass < passes; ++pass) {
        const int shift = pass * width;
        std::memset(count, 0, (size_t(mask) + 1) * sizeof(uint32_t));
        for (int64_t i = 0; i < n; ++i) ++count[(keys[i].key - least) >> shift & mask];
        uint32_t total = 0;
        for (uint32_t b = 0; b <= mask; ++b) {
            const uint32_t here = count[b];
            count[b] = total;
            total += here;
        }
        for (int64_t i = 0; i < n; ++i) other[count[(keys[i].key - least) >> shift & mask]++] = keys[i];
        std::swap(keys, other);
    }
    return keys;
}

inline int bits_of(uint32_t range) { return range ? 32 - __builtin_clz(range) : 0; }

// The keys in frame.keys_other, cut into `parts` by depth, of about as many each: keys of part p in
// [begin[p], begin[p + 1]), in their old order, none below least[p]; least[parts]: above all.
struct DepthParts {
    int64_t begin[kMostParts + 1];
    uint32_t least[kMostParts + 1];
};

inline DepthParts part_by_depth(Frame& frame, int parts) {
    constexpr int kBins = 1 << kPartBits;
    const int64_t n = frame.visible;
    const uint32_t least = frame.least_key;
    const int bits = bits_of(frame.most_key - least), shift = bits > kPartBits ? bits - kPartBits : 0;
    uint32_t* counts = frame.histogram.reserve(int64_t(parts) * kBins);
    const auto bin = [&](int64_t i) { return (frame.keys[i].key - least) >> shift; };
    pool().parallel_for(parts, [&](int64_t s) {
        std::memset(counts + s * kBins, 0, kBins * sizeof(uint32_t));
        const Segment g = segment(n, parts, s);
        for (int64_t i = g.begin; i < g.end; ++i) ++counts[s * kBins + bin(i)];
    });
    DepthParts cut{};
    uint8_t part_of[kBins];
    int64_t to[kMostParts][kMostParts] = {}, total = 0;  // keys of part p in segment s
    int last = -1;
    for (int b = 0; b < kBins; ++b) {
        const int p = int(std::min<int64_t>(total * parts / n, parts - 1));
        for (; last < p; ++last) cut.least[last + 1] = least + (uint32_t(b) << shift);
        part_of[b] = uint8_t(p);
        for (int s = 0; s < parts; ++s) to[p][s] += counts[s * kBins + b], total += counts[s * kBins + b];
    }
    for (; last < parts; ++last) cut.least[last + 1] = frame.most_key + 1;
    for (int64_t p = 0, at = 0; p < parts; ++p) {
        for (int s = 0; s < parts; ++s) std::swap(at, to[p][s]), at += to[p][s];
        cut.begin[p + 1] = at;
    }
    pool().parallel_for(parts, [&](int64_t s) {
        int64_t next[kMostParts];
        for (int p = 0; p < parts; ++p) next[p] = to[p][s];
        const Segment g = segment(n, parts, s);
        for (int64_t i = g.begin; i < g.end; ++i) frame.keys_other[next[part_of[bin(i)]]++] = frame.keys[i];
    });
    return cut;
}

// frame.order = ids of visible Gaussians by ascending depth, ties by ascending id. Every thread takes a part of
// the depths for itself, so that none waits for what others have written.
inline void stage_sort(Frame& frame) {
    const int64_t n = frame.visible;
    const int parts = n > 4096 ? std::min(pool().size(), kMostParts) : 1;
    frame.keys_other.reserve(n);
    uint32_t* order = frame.order.reserve(n);
    if (parts == 1) {
        const DepthKey* sorted = radix_sort(frame.keys.get(), frame.keys_other.get(), n, frame.least_key,
                                            n ? bits_of(frame.most_key - frame.least_key) : 0);
        for (int64_t i = 0; i < n; ++i) order[i] = sorted[i].id;
        return;
    }
    const DepthParts cut = part_by_depth(frame, parts);
    pool().parallel_for(parts, [&](int64_t p) {
        const int64_t begin = cut.begin[p], count = cut.begin[p + 1] - begin;
        if (count == 0) return;
        const DepthKey* sorted = radix_sort(frame.keys_other.get() + begin, frame.keys.get() + begin, count, cut.least[p],
                                            bits_of(cut.least[p + 1] - 1 - cut.least[p]));
        for (int64_t i = 0; i < count; ++i) order[begin + i] = sorted[i].id;
    });
}

template <class Visit>
inline void each_tile(const Row& row, int tiles_x, Visit visit) {
    for (int y = row.tile_y; y < row.tile_y + row.tiles_y; ++y)
        for (int x = row.tile_x; x < row.tile_x + row.tiles_x; ++x) visit(y * tiles_x + x);
}

// What is added up over the tiles above and to the left gives 1 on the row's tiles and 0 elsewhere: four numbers,
// however many tiles there are. c: [tiles_y + 1, tiles_x + 1].
inline void mark_corners(const Row& row, int tiles_x, uint32_t* c) {
    const int stride = tiles_x + 1;
    uint32_t* top = c + row.tile_y * stride + row.tile_x;
    uint32_t* bottom = top + row.tiles_y * stride;
    ++top[0], --top[row.tiles_x], --bottom[0], ++bottom[row.tiles_x];
}

// From marked corners to how many rows touch each tile, [tiles_y, tiles_x], in place.
inline void count_from_corners(uint32_t* c, int tiles_x, int tiles_y) {
    const int stride = tiles_x + 1;
    for (int y = 0; y < tiles_y; ++y) {
        uint32_t along = 0;
        for (int x = 0; x < tiles_x; ++x) {
            along += c[y * stride + x];
            c[y * stride + x] = along + (y ? c[(y - 1) * stride + x] : 0u);
        }
    }
    for (int y = 1; y < tiles_y; ++y) std::memmove(c + y * tiles_x, c + y * stride, size_t(tiles_x) * sizeof(uint32_t));
}

// Every tile once, neighbours one after the other on a thread: they share most of their splats.
template <class Task>
inline void each_tile_of(const Frame& frame, Task task) {
    const int64_t tiles = int64_t(frame.tiles_x) * frame.tiles_y;
    const int64_t run = std::max<int64_t>(1, std::min<int64_t>(8, tiles / (16 * pool().size())));
    pool().parallel_for((tiles + run - 1) / run, [&](int64_t r) {
        for (int64_t tile = r * run; tile < std::min(tiles, (r + 1) * run); ++tile) task(tile);
    });
}

// frame.lists[tile_begin[t] .. tile_begin[t + 1]) = ids that may touch tile t, front to back.
inline void stage_bin(Frame& frame) {
    const int64_t n = frame.visible, tiles = int64_t(frame.tiles_x) * frame.tiles_y;
    const int64_t corners = int64_t(frame.tiles_x + 1) * (frame.tiles_y + 1);
    const int segments = pool().size();
    uint32_t* counts = frame.tile_count.reserve(segments * corners);
    pool().parallel_for(segments, [&](int64_t s) {
        uint32_t* c = counts + s * corners;
        std::memset(c, 0, size_t(corners) * sizeof(uint32_t));
        const Segment g = segment(n, segments, s);
        for (int64_t i = g.begin; i < g.end; ++i) {
            if (i + 16 < g.end) __builtin_prefetch(&frame.rows[frame.order[i + 16]].tile_x);
            mark_corners(frame.rows[frame.order[i]], frame.tiles_x, c);
        }
        count_from_corners(c, frame.tiles_x, frame.tiles_y);
    });
    uint32_t* begin = frame.tile_begin.reserve(tiles + 1);
    uint32_t total = 0;
    for (int64_t t = 0; t < tiles; ++t) {
        begin[t] = total;
        for (int s = 0; s < segments; ++s) {
            uint32_t& c = counts[s * corners + t];
            const uint32_t count = c;
            c = total;
            total += count;
        }
    }
    begin[tiles] = total;
    uint32_t* lists = frame.lists.reserve(int64_t(total) + 1);
    pool().parallel_for(segments, [&](int64_t s) {
        uint32_t* c = counts + s * corners;
        const Segment g = segment(n, segments, s);
        for (int64_t i = g.begin; i < g.end; ++i) {
            const uint32_t id = frame.order[i];
            if (i + 16 < g.end) __builtin_prefetch(&frame.rows[frame.order[i + 16]].tile_x);
            each_tile(frame.rows[id], frame.tiles_x, [&](int t) { lists[c[t]++] = id; });
        }
    });
}

SPLAT_END
