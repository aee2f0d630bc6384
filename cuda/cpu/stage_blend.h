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
    uint16_t reach[kBatch + 16];
    LaneBits hit[kBatch + 1][kVectors];  // pixels that a splat changed
};

inline Whitening<vf> broadcast_whitening(const float* w) {
    return {{{{vf(w[0]), vf(w[1]), vf(w[2])}, {vf(w[3]), vf(w[4]), vf(w[5])}, {vf(w[6]), vf(w[7]), vf(w[8])}}},
            {vf(w[9]), vf(w[10]), vf(w[11])}};
}

#if defined(__AVX2__) && !defined(__AVX512F__)
// For each set of eight 16-bit numbers, the byte shuffle that moves its members to the front.
struct PackOrder {
    alignas(64) uint8_t bytes[256][16];

    PackOrder() {
        for (int set = 0; set < 256; ++set) {
            int n = 0;
            for (int i = 0; i < 8; ++i)
                if (set >> i & 1) bytes[set][n++] = uint8_t(2 * i), bytes[set][n++] = uint8_t(2 * i + 1);
            while (n < 16) bytes[set][n++] = 0x80;
        }
    }
};
#endif

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
#elif defined(__AVX2__)
    static const PackOrder order;
    std::memset(s.reach + n, 0, 8 * sizeof(s.reach[0]));
    for (int i = 0; i < n; i += 8) {
        const __m128i masks = _mm_loadu_si128((const __m128i*)(s.reach + i)), low = _mm_set1_epi16(0xff);
        const __m128i index = _mm_add_epi16(_mm_set1_epi16(short(i)), _mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7));
        // a byte's top bit: the splat reaches block b (eight splats), block b + 8 (eight splats)
        __m128i bytes = _mm_packus_epi16(_mm_and_si128(masks, low), _mm_srli_epi16(masks, 8));
        for (int b = 7; b >= 0; --b, bytes = _mm_add_epi8(bytes, bytes)) {
            const uint32_t both = uint32_t(_mm_movemask_epi8(bytes));
            for (int half = 0; half < 2; ++half) {
                const int block = b + 8 * half;
                const uint32_t k = both >> 8 * half & 0xff;
                const __m128i packed = _mm_shuffle_epi8(index, _mm_load_si128((const __m128i*)order.bytes[k]));
                _mm_storeu_si128((__m128i*)(s.list[block] + s.count[block]), packed);
                s.count[block] += __builtin_popcount(k);
            }
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

// The picture of a block, in registers while its list is gone through.
template <bool G>
struct BlockPixels {
    vf T[kParts], r[kParts], g[kParts], b[kParts];
    vf depth[G ? kParts : 1], median[G ? kParts : 1];
    vf nx[G ? kParts : 1], ny[G ? kParts : 1], nz[G ? kParts : 1];

    template <class State, class Each>
    SPLAT_HD void each(State& s, int block, Each take) {
        for (int part = 0; part < kParts; ++part) {
            const int o = part * W;
            take(T[part], s.transmittance[block] + o);
            take(r[part], s.red[block] + o), take(g[part], s.green[block] + o), take(b[part], s.blue[block] + o);
            if constexpr (G) {
                take(depth[part], s.depth[block] + o), take(median[part], s.median[block] + o);
                take(nx[part], s.nx[block] + o), take(ny[part], s.ny[block] + o), take(nz[part], s.nz[block] + o);
            }
        }
    }
    SPLAT_HD bool open() const {
        vf most = T[0];
        for (int part = 1; part < kParts; ++part) most = max_(most, T[part]);
        return any(most >= vf(kTransmittanceMin));
    }
    // One splat more; says which lanes it changed.
    SPLAT_HD void add(const PlainLocal& splat, const vf* alpha, const float* white, const Rays* ray, LaneBits* hit) {
        vf w[kParts], before[kParts];
        for (int part = 0; part < kParts; ++part) {
            before[part] = T[part];
            w[part] = mul_keep(T[part] >= vf(kTransmittanceMin), alpha[part], T[part]);
            T[part] -= w[part];
        }
        for (int part = 0; part < kParts; ++part) r[part] = fma_(w[part], vf(splat.r), r[part]);
        for (int part = 0; part < kParts; ++part) g[part] = fma_(w[part], vf(splat.g), g[part]);
        for (int part = 0; part < kParts; ++part) b[part] = fma_(w[part], vf(splat.b), b[part]);
        for (int part = 0; part < kParts; ++part) hit[part] = LaneBits(bits(w[part] > vf(0.f)));
        if constexpr (G) {
            for (int part = 0; part < kParts; ++part)
                if (hit[part]) add_geometry(white, ray[part], part, w[part], before[part]);
        }
    }
    SPLAT_HD void add_geometry(const float* white, Rays ray, int part, vf w, vf before) {
        const RayHit<vf> h = intersect(broadcast_whitening(white), ray.x, ray.y);
        depth[part] = fma_(w, h.t, depth[part]);
        median[part] = select((before >= vf(0.5f)) & (T[part] < vf(0.5f)), h.t, median[part]);
        nx[part] = fma_(w, h.normal.x, nx[part]), ny[part] = fma_(w, h.normal.y, ny[part]);
        nz[part] = fma_(w, h.normal.z, nz[part]);
    }
};

// Block b over its list. Returns false once every pixel is finished.
template <class K, bool G>
inline bool blend_block(TileState<K, G>& s, const Frame& frame, const Centres& at, int b, const Rays* ray) {
    BlockPixels<G> pixels;
    pixels.each(s, b, [](vf& v, float* from) { v = vf::load(from); });
    const vf most(kAlphaMax);
    bool live = true;
    const uint16_t *k = s.list[b], *end = k + s.count[b];
    for (; k < end; k += kGroup) {
        if (!pixels.open()) {
            live = false;
            break;
        }
        const typename K::Local* splat[kGroup];
        for (int i = 0; i < kGroup; ++i) splat[i] = &s.splats[k[i]];
        vf alpha[kParts][kGroup];
        for (int part = 0; part < kParts; ++part) {
            K::template alphas<kGroup>(splat, at, b, part, alpha[part]);
            for (int i = 0; i < kGroup; ++i) alpha[part][i] = min_(alpha[part][i], most);
        }
        for (int i = 0; i < kGroup; ++i) {
            vf mine[kParts];
            for (int part = 0; part < kParts; ++part) mine[part] = alpha[part][i];
            const float* white = G ? frame.whitening.get() + int64_t(s.ids[k[i]]) * 12 : nullptr;
            pixels.add(*splat[i], mine, white, ray, s.hit[k[i]] + b * kParts);
        }
    }
    pixels.each(s, b, [](vf& v, float* to) { v.store(to); });
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
    Hits* const hits = hits_of(frame);
    for (uint32_t first = begin; first < end && live; first += K::kBatch) {
        const int count = int(end - first < K::kBatch ? end - first : K::kBatch);
        int n = 0;
        for (int i = 0; i < count; ++i) {
            const uint32_t id = lists[first + i];
            if (i + 8 < count) __builtin_prefetch(&frame.rows[lists[first + i + 8]]);
            const Row& row = frame.rows[id];
            const uint32_t mask = reaches(row, row.p == 0.f ? K::kGrow : 0.f) & live;
            if (K::kCostly && !mask) continue;
            K::localise(frame, row, id, middle_x, middle_y, mask, s.splats[n], s.tables[n]);
            s.ids[n] = id, s.reach[n] = uint16_t(mask);
            n += mask != 0;
        }
        K::nothing(s.splats[n]);
        s.ids[n] = 0;
        std::memset(s.hit, 0, size_t(n) * sizeof(s.hit[0]));
        sort_out(s, n, live);
        for (int b = 0; b < 16; ++b) {
            if (!(live >> b & 1u)) continue;
            Rays ray[kParts] = {};
            if constexpr (G)
                for (int part = 0; part < kParts; ++part) ray[part] = rays(in, at, b, part, middle_x, middle_y);
            const bool open = blend_block(s, frame, at, b, ray);
            if (!open) live &= ~(1u << b);
        }
        for (int i = 0; i < n; ++i) {
            lists[kept] = s.ids[i];
            hits[kept] = any_of_each(s.hit[i]);
            kept += hits[kept] != 0;
        }
    }
    frame.tile_hits[tile] = kept - begin;
    write_tile(s, in, out, lanes, x0, y0);
}

template <class K, bool G>
inline void stage_blend(Frame& frame, const FrameInput& in, const FrameOutput& out) {
    const int64_t tiles = int64_t(frame.tiles_x) * frame.tiles_y;
    frame.masks.reserve((frame.intersections + 1) * int64_t(sizeof(Hits)));
    frame.tile_hits.reserve(tiles);
    const Centres at;
    const ImageLanes lanes(in.width);
    each_tile_of(frame, [&](int64_t tile) {
        static thread_local Buffer<TileState<K, G>> scratch;
        blend_tile(frame, in, out, at, lanes, int(tile), *scratch.reserve(1));
    });
    frame.hits = 0;
    for (int64_t t = 0; t < tiles; ++t) frame.hits += frame.tile_hits[t];
}

SPLAT_END
