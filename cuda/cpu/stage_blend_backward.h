// Stage 4 backwards: per tile, front to back again over the splats that changed it. With
//   f_i = dL/dC . c_i + dL/dalpha + dL/dD t_i + dL/dN . n_i     (value of one unit of weight)
//   R_i = sum_{j > i} w_j f_j + T_end dL/dC . background        (what lies behind)
// the gradient is dL/dalpha_i = T_i f_i - R_i / (1 - alpha_i), and R starts as the whole sum,
// known from the outputs: no stored transmittances, no division chain.
//
// Each (splat, tile) pair writes its sums to its own slot; stage_gather adds a splat's slots in
// order, so the result does not depend on the threads.
#pragma once

#include <cstring>

#include "../include/splat/geometry.h"
#include "block.h"
#include "pool.h"
#include "stage_blend.h"

SPLAT_BEGIN

template <bool G>
struct TileGradient {
    alignas(64) float transmittance[16][16], rest[16][16];
    alignas(64) float red[16][16], green[16][16], blue[16][16], alpha[16][16];
    alignas(64) float depth[G ? 16 : 1][16], median[G ? 16 : 1][16];
    alignas(64) float nx[G ? 16 : 1][16], ny[G ? 16 : 1][16], nz[G ? 16 : 1][16];
};

#if defined(__AVX512F__)
// Lane l of the result is the sum of the lanes of a[l]: four rounds of swap-and-add.
SPLAT_HD vf sum_each(const vf* a) {
    __m512 s[8];
    for (int k = 0; k < 8; ++k) {
        const __m512 x = a[k].v, y = a[k + 8].v;
        s[k] = _mm512_add_ps(_mm512_mask_blend_ps(0xff00, x, y), _mm512_shuffle_f32x4(x, y, 0x4e));
    }
    for (int k = 0; k < 4; ++k) {
        const __m512 x = s[k], y = s[k + 4], swapped = _mm512_mask_blend_ps(0xf0f0, y, x);
        s[k] = _mm512_add_ps(_mm512_mask_blend_ps(0xf0f0, x, y), _mm512_shuffle_f32x4(swapped, swapped, 0xb1));
    }
    for (int k = 0; k < 2; ++k) {
        const __m512 x = s[k], y = s[k + 2], swapped = _mm512_mask_blend_ps(0xcccc, y, x);
        s[k] = _mm512_add_ps(_mm512_mask_blend_ps(0xcccc, x, y), _mm512_permute_ps(swapped, 0x4e));
    }
    const __m512 x = s[0], y = s[1], swapped = _mm512_mask_blend_ps(0xaaaa, y, x);
    return _mm512_add_ps(_mm512_mask_blend_ps(0xaaaa, x, y), _mm512_permute_ps(swapped, 0xb1));
}
SPLAT_HD void write_sums(const vf* a, float* out, int n) { sum_each(a).store_n(out, n); }
#elif defined(__AVX2__)
// The same for eight.
SPLAT_HD vf sum_each(const vf* a) {
    __m256 s[4];
    for (int k = 0; k < 4; ++k) {
        const __m256 x = a[k].v, y = a[k + 4].v;
        s[k] = _mm256_add_ps(_mm256_blend_ps(x, y, 0xf0), _mm256_permute2f128_ps(x, y, 0x21));
    }
    for (int k = 0; k < 2; ++k)
        s[k] = _mm256_add_ps(_mm256_blend_ps(s[k], s[k + 2], 0xcc), _mm256_shuffle_ps(s[k], s[k + 2], 0x4e));
    const __m256 swapped = _mm256_blend_ps(s[1], s[0], 0xaa);
    return _mm256_add_ps(_mm256_blend_ps(s[0], s[1], 0xaa), _mm256_permute_ps(swapped, 0xb1));
}
SPLAT_HD void write_sums(const vf* a, float* out, int n) {
    sum_each(a).store(out);
    sum_each(a + 8).store_n(out + 8, n - 8);
}
#else
SPLAT_HD void write_sums(const vf* a, float* out, int n) {
    for (int k = 0; k < n; ++k) out[k] = sum(a[k]);
}
#endif

template <bool G>
inline void load_tile_gradient(TileGradient<G>& s, const FrameInput& in, const FrameOutput& out,
                               const FrameGradients& g, const ImageLanes& lanes, int x0, int y0) {
    std::memset(&s, 0, sizeof(s));
    for (int b = 0; b < 16; ++b) {
        const BlockAt at(in, x0, y0, b);
        if (!at.inside(in, 0)) continue;
        for (int part = 0; part < kParts; ++part) {
            vf rest(0.f);
            // an output's gradient into the tile; adds output times gradient to `rest`
            const auto take = [&](float (*to)[16], const float* gradient, const float* image, int channels, int channel) {
                if (!gradient) return;
                const int32_t* lane = channels == 1 ? lanes.one : lanes.three;
                const int64_t first = at.pixel * channels + channel;
                const vf v = get_block(gradient + first, lane, at, in, part);
                v.store(to[b] + part * W);
                if (image) rest = fma_(v, get_block(image + first, lane, at, in, part), rest);
            };
            take(s.red, g.color, out.color, 3, 0);
            take(s.green, g.color, out.color, 3, 1);
            take(s.blue, g.color, out.color, 3, 2);
            take(s.alpha, g.alpha, out.alpha, 1, 0);
            if constexpr (G) {
                take(s.depth, g.depth_sum, out.depth_sum, 1, 0);
                take(s.median, g.median_depth, nullptr, 1, 0);
                take(s.nx, g.normals, out.normals, 3, 0);
                take(s.ny, g.normals, out.normals, 3, 1);
                take(s.nz, g.normals, out.normals, 3, 2);
            }
            rest.store(s.rest[b] + part * W);
        }
        for (int l = 0; l < 16; ++l) s.transmittance[b][l] = at.whole || at.inside(in, l) ? 1.f : 0.f;
    }
}

// The rest of a splat's gradient at one vector of pixels, its alpha known: updates the pixels, gives
// h = alpha dL/dalpha. With Clamp the splat's alpha can exceed kAlphaMax.
template <bool Clamp, bool G, class Sums>
SPLAT_HD vf backward_pixels(TileGradient<G>& s, const PlainLocal& splat, const Whitening<vf>& white, int b, int o,
                            vf raw, Rays ray, Sums& sums, Mat3<vf>& grad_m, Vec3<vf>& grad_p) {
    const vf T = vf::load(s.transmittance[b] + o), most(kAlphaMax);
    const vf g0 = vf::load(s.red[b] + o), g1 = vf::load(s.green[b] + o), g2 = vf::load(s.blue[b] + o);
    vf f = fma_(g0, vf(splat.r), fma_(g1, vf(splat.g), fma_(g2, vf(splat.b), vf::load(s.alpha[b] + o))));
    const vm open = T >= vf(kTransmittanceMin);
    const vf alpha = Clamp ? min_keep(open, raw, most) : keep(open, raw);
    const vf w = alpha * T, after = T - w;
    if constexpr (G) {
        const RayHit<vf> hit = intersect(white, ray.x, ray.y);
        const Vec3<vf> gn{vf::load(s.nx[b] + o), vf::load(s.ny[b] + o), vf::load(s.nz[b] + o)};
        const vf gd = vf::load(s.depth[b] + o);
        f = f + gd * hit.t + dot(gn, hit.normal);
        const vm median = (T >= vf(0.5f)) & (after < vf(0.5f));
        const vf vt = w * gd + keep(median, vf::load(s.median[b] + o));
        intersect_backward(white, ray.x, ray.y, hit, vt, gn * w, grad_m, grad_p);
    }
    const vf wf = w * f, rest = vf::load(s.rest[b] + o) - wf;
    rest.store(s.rest[b] + o);
    after.store(s.transmittance[b] + o);
    sums.add_color(w, g0, g1, g2);
    const vf h = fnma_(rest * alpha, rcp_rough(vf(1.f) - alpha), wf);
    return Clamp ? keep(raw < most, h) : h;
}

template <class K>
struct TileWork {
    const FrameInput& in;
    const Centres& at;
    float middle_x, middle_y;
};

// One splat over the blocks of `mask`: first its alphas everywhere, which depend on nothing, then the
// compositing, then what the kernel makes of it; that way the long chains of the first overlap, and no
// pass has more sums than there are registers.
template <class K, bool Clamp, bool G>
SPLAT_HD void backward_splat(TileGradient<G>& s, const TileWork<K>& tile, const typename K::Local& splat,
                             const Whitening<vf>& white, Hits mask, typename K::Sums& sums, Mat3<vf>& grad_m,
                             Vec3<vf>& grad_p) {
    typename K::Held held;
    alignas(64) float weights[kVectors][W];
    int n = 0;
    each_vector(mask, [&](int b, int part) { K::hold(splat, tile.at, b, part, held, n++); });
    n = 0;
    each_vector(mask, [&](int b, int part) {
        const Rays ray = G ? rays(tile.in, tile.at, b, part, tile.middle_x, tile.middle_y) : Rays{};
        backward_pixels<Clamp>(s, splat, white, b, part * W, vf::load(held.alpha[n]), ray, sums, grad_m, grad_p)
            .store(weights[n]);
        ++n;
    });
    n = 0;
    each_vector(mask, [&](int b, int part) {
        sums.add(splat, tile.at, b, part, held, n, vf::load(weights[n]));
        ++n;
    });
}

template <class K, bool G>
inline void backward_tile(Frame& frame, const FrameInput& in, const FrameOutput& out, const FrameGradients& g,
                          const Centres& at, const ImageLanes& lanes, int tile, TileGradient<G>& s) {
    const int tile_x = tile % frame.tiles_x, tile_y = tile / frame.tiles_x, x0 = tile_x * kTile, y0 = tile_y * kTile;
    const float middle_x = float(x0 + kTile / 2), middle_y = float(y0 + kTile / 2);
    load_tile_gradient(s, in, out, g, lanes, x0, y0);
    const TileWork<K> work{in, at, middle_x, middle_y};
    const uint32_t begin = frame.tile_begin[tile], hits = frame.tile_hits[tile];
    const uint32_t* ids = frame.lists.get() + begin;
    const Hits* masks = hits_of(frame) + begin;
    const Row* const rows = frame.rows.get();
    float* const all_sums = frame.sums.get();
    uint8_t* const touched = frame.touched.get();
    const auto slot_of = [&](uint32_t id, const Row& row) {
        return frame.slot_of(id, row) + (tile_y - row.tile_y) * row.tiles_x + (tile_x - row.tile_x);
    };
    for (uint32_t i = 0; i < hits; ++i) {
        if (i + 8 < hits) __builtin_prefetch(rows + ids[i + 8]);
        if (i + 4 < hits) __builtin_prefetch(all_sums + slot_of(ids[i + 4], rows[ids[i + 4]]) * kSums, 1);
        const Row& row = rows[ids[i]];
        typename K::Local splat;
        typename K::Table table;
        K::localise(frame, row, ids[i], middle_x, middle_y, blocks_of(masks[i]), splat, table);
        typename K::Sums sums{};
        sums.absolute = g.screen != nullptr;
        sums.begin(frame, splat, row, ids[i], middle_x, middle_y);
        Mat3<vf> grad_m{};
        Vec3<vf> grad_p{};
        Whitening<vf> white{};
        if constexpr (G) white = broadcast_whitening(frame.whitening.get() + int64_t(ids[i]) * 12);
        if (K::clamps(splat))
            backward_splat<K, true>(s, work, splat, white, masks[i], sums, grad_m, grad_p);
        else
            backward_splat<K, false>(s, work, splat, white, masks[i], sums, grad_m, grad_p);
        const int64_t slot = slot_of(ids[i], row);
        touched[slot] = 1;
        vf totals[16];
        sums.put(totals, splat);
        write_sums(totals, all_sums + slot * kSums, K::kSums);
        if constexpr (G) {
            const vf geometry[16] = {grad_m.m[0][0], grad_m.m[0][1], grad_m.m[0][2], grad_m.m[1][0], grad_m.m[1][1], grad_m.m[1][2],
                                     grad_m.m[2][0], grad_m.m[2][1], grad_m.m[2][2], grad_p.x, grad_p.y, grad_p.z};
            write_sums(geometry, frame.geometry_sums.get() + slot * kGeometrySums, 12);
        }
    }
}

template <class K, bool G>
inline void stage_blend_backward(Frame& frame, const FrameInput& in, const FrameOutput& out,
                                 const FrameGradients& g) {
    frame.sums.reserve(frame.slots * kSums);
    if (G) frame.geometry_sums.reserve(frame.slots * kGeometrySums);
    std::memset(frame.touched.reserve(frame.slots + 1), 0, size_t(frame.slots));
    const Centres at;
    const ImageLanes lanes(in.width);
    each_tile_of(frame, [&](int64_t tile) {
        static thread_local Buffer<TileGradient<G>> scratch;
        backward_tile<K>(frame, in, out, g, at, lanes, int(tile), *scratch.reserve(1));
    });
}

SPLAT_END
