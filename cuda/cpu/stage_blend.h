// Stage 4: blend the tiles. Tiles in parallel; in a tile, batches of splats are sorted out to the
// 4x4 blocks they reach, then every block runs over its own list with its pixels in registers. What
// a splat's alpha is at a pixel is the kernel K's business (kernel_plain.h).
#pragma once

#include <cstring>

#include "../include/splat/geometry.h"
#include "image_lanes.h"
#include "kernels_all.h"
#include "pool.h"

SPLAT_BEGIN

constexpr int kGroup = W == 16 ? 4 : 2;  // splats whose alphas are worked out side by side

template <class K, bool G>
struct TileState {
    alignas(64) float transmittance[16][16];
    alignas(64) float red[16][16], green[16][16], blue[16][16];
    alignas(64) float depth[G ? 16 : 1][16], median[G ? 16 : 1][16];
    alignas(64) float nx[G ? 16 : 1][16], ny[G ? 16 : 1][16], nz[G ? 16 : 1][16];
    static constexpr int kBatch = K::kBatch;
    typename K::Local splats[kBatch + 1];
    typename K::Table tables[kBatch + 1];
    uint32_t ids[kBatch + 1];
    uint16_t list[16][kBatch + 16];
    int count[16];
    uint16_t reach[kBatch + 16], hit[kBatch + 1];
};

inline Whitening<vf> broadcast_whitening(const float* w) {
    return {{{{vf(w[0]), vf(w[1]), vf(w[2])}, {vf(w[3]), vf(w[4]), vf(w[5])}, {vf(w[6]), vf(w[7]), vf(w[8])}}},
            {vf(w[9]), vf(w[10]), vf(w[11])}};
}

// Block b's splats of this batch, front to back, from the masks reach[0 .. n); each list is filled
// up to a whole number of groups with splat n, which is nowhere.
template <class K, bool G>
inline void sort_out(TileState<K, G>& s, int n, uint32_t live) {
    std::memset(s.count, 0, sizeof(s.count));
#if defined(__AVX512F__)
    for (int i = 0; i < n; i += 16) {
        const __m512i masks = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)(s.reach + i)));
        const __mmask16 valid = n - i >= 16 ? 0xffff : __mmask16((1u << (n - i)) - 1u);
        const __m512i index = _mm512_add_epi32(_mm512_set1_epi32(i), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
                                                                                      10, 11, 12, 13, 14, 15));
        for (int b = 0; b < 16; ++b) {
            const __mmask16 k = _mm512_mask_test_epi32_mask(valid, masks, _mm512_set1_epi32(1 << b));
            const __m512i packed = _mm512_maskz_compress_epi32(k, index);
            _mm256_storeu_si256((__m256i*)(s.list[b] + s.count[b]), _mm512_cvtepi32_epi16(packed));
            s.count[b] += __builtin_popcount(k);
        }
    }
    (void)live;
#else
    for (int i = 0; i < n; ++i)
        for (uint32_t m = s.reach[i] & live; m; m &= m - 1) {
            const int b = __builtin_ctz(m);
            s.list[b][s.count[b]++] = uint16_t(i);
        }
#endif
    for (int b = 0; b < 16; ++b)
        for (int k = 0; k < kGroup - 1; ++k) s.list[b][s.count[b] + k] = uint16_t(n);
}

// Rays of the pixels of a block part: camera frame, z = 1.
struct Rays {
    vf x, y;
};

SPLAT_HD Rays rays(const FrameInput& in, const Centres& at, int b, int part, float middle_x, float middle_y) {
    return {(at.x[b][part] + vf(middle_x - in.cx)) / vf(in.fx), (at.y[b][part] + vf(middle_y - in.cy)) / vf(in.fy)};
}

// Part `part` of block b over its list. Returns false once every pixel is finished.
template <class K, bool G>
inline bool blend_block(TileState<K, G>& s, const Frame& frame, const Centres& at, int b, int part, Rays ray) {
    const int o = part * W;
    vf T = vf::load(s.transmittance[b] + o);
    vf R = vf::load(s.red[b] + o), Gr = vf::load(s.green[b] + o), B = vf::load(s.blue[b] + o);
    vf D, M, NX, NY, NZ;
    if constexpr (G) {
        D = vf::load(s.depth[b] + o), M = vf::load(s.median[b] + o);
        NX = vf::load(s.nx[b] + o), NY = vf::load(s.ny[b] + o), NZ = vf::load(s.nz[b] + o);
    }
    const vf finished(kTransmittanceMin), most(kAlphaMax);
    bool live = true;
    const uint16_t *k = s.list[b], *end = k + s.count[b];
    for (; k < end; k += kGroup) {
        if (!any(T >= finished)) {
            live = false;
            break;
        }
        const typename K::Local* splat[kGroup];
        for (int i = 0; i < kGroup; ++i) splat[i] = &s.splats[k[i]];
        vf alpha[kGroup];
        K::template alphas<kGroup>(splat, at, b, part, alpha);
        for (int i = 0; i < kGroup; ++i) alpha[i] = min_(alpha[i], most);
        for (int i = 0; i < kGroup; ++i) {
            const vf before = T, w = mul_keep(T >= finished, alpha[i], T);
            T -= w;
            R = fma_(w, vf(splat[i]->r), R), Gr = fma_(w, vf(splat[i]->g), Gr), B = fma_(w, vf(splat[i]->b), B);
            const bool hit = any(w > vf(0.f));
            s.hit[k[i]] |= uint16_t(uint32_t(hit) << b);
            if constexpr (G) {
                if (!hit) continue;
                const RayHit<vf> h =
                    intersect(broadcast_whitening(frame.whitening.get() + int64_t(s.ids[k[i]]) * 12), ray.x, ray.y);
                D = fma_(w, h.t, D);
                M = select((before >= vf(0.5f)) & (T < vf(0.5f)), h.t, M);
                NX = fma_(w, h.normal.x, NX), NY = fma_(w, h.normal.y, NY), NZ = fma_(w, h.normal.z, NZ);
            }
        }
    }
    T.store(s.transmittance[b] + o);
    R.store(s.red[b] + o), Gr.store(s.green[b] + o), B.store(s.blue[b] + o);
    if constexpr (G) {
        D.store(s.depth[b] + o), M.store(s.median[b] + o);
        NX.store(s.nx[b] + o), NY.store(s.ny[b] + o), NZ.store(s.nz[b] + o);
    }
    return live;
}

template <class K, bool G>
inline void write_tile(const TileState<K, G>& s, const FrameInput& in, const FrameOutput& out, const ImageLanes& lanes,
                       int x0, int y0) {
    for (int b = 0; b < 16; ++b) {
        const BlockAt at(in, x0, y0, b);
        if (!at.inside(in, 0)) continue;
        for (int part = 0; part < kParts; ++part) {
            const auto one = [&](float* image, vf v) { put_block(image + at.pixel, lanes.one, at, in, part, v); };
            const auto three = [&](float* image, int channel, vf v) {
                put_block(image + 3 * at.pixel + channel, lanes.three, at, in, part, v);
            };
            const auto of = [&](const float (*from)[16]) { return vf::load(from[b] + part * W); };
            const vf rest = of(s.transmittance);
            three(out.color, 0, fma_(rest, vf(in.background[0]), of(s.red)));
            three(out.color, 1, fma_(rest, vf(in.background[1]), of(s.green)));
            three(out.color, 2, fma_(rest, vf(in.background[2]), of(s.blue)));
            one(out.alpha, vf(1.f) - rest);
            if constexpr (G) {
                one(out.depth_sum, of(s.depth)), one(out.median_depth, of(s.median));
                three(out.normals, 0, of(s.nx)), three(out.normals, 1, of(s.ny)), three(out.normals, 2, of(s.nz));
            }
        }
    }
}

// Pixels outside the image start finished.
template <class K, bool G>
inline void clear_tile(TileState<K, G>& s, const FrameInput& in, int x0, int y0) {
    std::memset(&s, 0, sizeof(float) * 16 * (4 * 16 + 5 * (G ? 16 : 1)));
    for (int b = 0; b < 16; ++b) {
        const BlockAt at(in, x0, y0, b);
        for (int l = 0; l < 16; ++l) s.transmittance[b][l] = at.whole || at.inside(in, l) ? 1.f : 0.f;
    }
}

template <class K, bool G>
inline void blend_tile(Frame& frame, const FrameInput& in, const FrameOutput& out, const Centres& at,
                       const ImageLanes& lanes, int tile, TileState<K, G>& s) {
    const int x0 = tile % frame.tiles_x * kTile, y0 = tile / frame.tiles_x * kTile;
    const float middle_x = float(x0 + kTile / 2), middle_y = float(y0 + kTile / 2);
    clear_tile(s, in, x0, y0);
    const BlockTest reaches{float(x0), float(y0)};
    const uint32_t begin = frame.tile_begin[tile], end = frame.tile_begin[tile + 1];
    uint32_t *lists = frame.lists.get(), kept = begin, live = 0xffff;
    for (uint32_t first = begin; first < end && live; first += K::kBatch) {
        const int count = int(end - first < K::kBatch ? end - first : K::kBatch);
        int n = 0;
        for (int i = 0; i < count; ++i) {
            const uint32_t id = lists[first + i];
            if (i + 8 < count) __builtin_prefetch(&frame.rows[lists[first + i + 8]]);
            const Row& row = frame.rows[id];
            const uint32_t mask = reaches(row, row.p == 0.f ? K::kGrow : 0.f) & live;
            if (K::kCostly && !mask) continue;
            K::localise(frame, row, id, middle_x, middle_y, s.splats[n], s.tables[n]);
            s.ids[n] = id, s.reach[n] = uint16_t(mask), s.hit[n] = 0;
            n += mask != 0;
        }
        K::nothing(s.splats[n]);
        s.ids[n] = 0, s.hit[n] = 0;
        sort_out(s, n, live);
        for (int b = 0; b < 16; ++b) {
            if (!(live >> b & 1u)) continue;
            bool open = false;
            for (int part = 0; part < kParts; ++part)
                open |= blend_block(s, frame, at, b, part, G ? rays(in, at, b, part, middle_x, middle_y) : Rays{});
            if (!open) live &= ~(1u << b);
        }
        for (int i = 0; i < n; ++i) {
            lists[kept] = s.ids[i];
            frame.masks[kept] = s.hit[i];
            kept += s.hit[i] != 0;
        }
    }
    frame.tile_hits[tile] = kept - begin;
    write_tile(s, in, out, lanes, x0, y0);
}

template <class K, bool G>
inline void stage_blend(Frame& frame, const FrameInput& in, const FrameOutput& out) {
    const int64_t tiles = int64_t(frame.tiles_x) * frame.tiles_y;
    frame.masks.reserve(frame.intersections + 1);
    frame.tile_hits.reserve(tiles);
    const Centres at;
    const ImageLanes lanes(in.width);
    pool().parallel_for(tiles, [&](int64_t tile) {
        static thread_local Buffer<TileState<K, G>> scratch;
        blend_tile(frame, in, out, at, lanes, int(tile), *scratch.reserve(1));
    });
    frame.hits = 0;
    for (int64_t t = 0; t < tiles; ++t) frame.hits += frame.tile_hits[t];
}

SPLAT_END
