// How much of the pixel loop's work was useful: for benchmarks.
#pragma once

#include "kernels_all.h"
#include "pool.h"

SPLAT_BEGIN

template <class K>
inline int64_t count_tile(const Frame& frame, const FrameInput& in, const Centres& at, int tile) {
    const float x0 = float(tile % frame.tiles_x * kTile), y0 = float(tile / frame.tiles_x * kTile);
    alignas(64) float transmittance[16][16];
    for (int b = 0; b < 16; ++b)
        for (int l = 0; l < 16; ++l) {
            const float x = x0 + float((b & 3) * 4 + (l & 3)), y = y0 + float((b >> 2) * 4 + (l >> 2));
            transmittance[b][l] = x < float(in.width) && y < float(in.height) ? 1.f : 0.f;
        }
    int64_t count = 0;
    const uint32_t begin = frame.tile_begin[tile];
    for (uint32_t i = begin; i < begin + frame.tile_hits[tile]; ++i) {
        const uint32_t id = frame.lists[i];
        typename K::Local splat;
        typename K::Table table;
        const typename K::Local* only = &splat;
        K::localise(frame, frame.rows[id], id, x0 + kTile / 2, y0 + kTile / 2, 0xffffu, splat, table);
        each_vector(hits_of(frame)[i], [&](int b, int part) {
            float* to = transmittance[b] + part * W;
            const vf t = vf::load(to);
            vf alpha;
            K::template alphas<1>(&only, at, b, part, &alpha);
            alpha = min_keep(t >= vf(kTransmittanceMin), alpha, vf(kAlphaMax));
            count += __builtin_popcount(bits(alpha > vf(0.f)));
            fnma_(alpha, t, t).store(to);
        });
    }
    return count;
}

// (splat, pixel) pairs of the last render with alpha >= 1/255 at a pixel that was not finished.
inline int64_t count_useful(Frame& frame, const FrameInput& in) {
    std::atomic<int64_t> total{0};
    const Centres at;
    with_kernel(in, [&](auto kernel) {
        pool().parallel_for(int64_t(frame.tiles_x) * frame.tiles_y,
                            [&](int64_t tile) { total += count_tile<decltype(kernel)>(frame, in, at, int(tile)); });
    });
    return total;
}

SPLAT_END
