// Stage 1: every Gaussian to its row (footprint, colour, tiles). Chunks of Gaussians in parallel,
// W at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>

#include "../include/splat/geometry.h"
#include "../include/splat/sh.h"
#include "../footprints.h"
#include "../view.h"
#include "kernel_strip.h"
#include "pool.h"
#include "simd.h"

SPLAT_BEGIN

// t = 2 / beta of W splats and its slope in the raw shape; 1 and 0 for Gaussians.
inline Curve<vf> gather_shape(const FrameInput& in, int64_t base, const int32_t* index) {
    if (!in.generalised) return {vf(1.f), vf(0.f)};
    return shape_of_raw(vf::gather(in.shape + base, index));
}

// W Gaussians chosen by index (relative to `base`), gathered into lanes.
inline Splat3D<vf> gather_splats(const FrameInput& in, int64_t base, const int32_t* index) {
    alignas(64) int32_t i3[W], i4[W];
    for (int l = 0; l < W; ++l) i3[l] = index[l] * 3, i4[l] = index[l] * 4;
    const float *m = in.means + base * 3, *q = in.quats + base * 4, *s = in.log_scales + base * 3;
    return {{vf::gather(m, i3), vf::gather(m + 1, i3), vf::gather(m + 2, i3)},
            {vf::gather(q, i4), vf::gather(q + 1, i4), vf::gather(q + 2, i4), vf::gather(q + 3, i4)},
            {vf::gather(s, i3), vf::gather(s + 1, i3), vf::gather(s + 2, i3)},
            vf::gather(in.logit_opacities + base, index)};
}

struct ViewRay {
    Vec3<vf> direction;
    vf inverse_length;
};

inline ViewRay view_ray(const View<vf>& view, Vec3<vf> mean) {
    const Vec3<vf> d{mean.x - view.position.x, mean.y - view.position.y, mean.z - view.position.z};
    const vf inverse = vf(1.f) / sqrt_(max_(dot(d, d), vf(1e-24f)));
    return {d * inverse, inverse};
}

// The SH coefficients of W Gaussians: out[3 k + channel].
inline void load_sh(const FrameInput& in, int64_t base, const int32_t* index, vf* out,
                    const int32_t* next = nullptr) {
    const int64_t stride = int64_t(in.sh_stored) * 3;
    const float *rows[W], *ahead[W];
    for (int l = 0; l < W; ++l) {
        rows[l] = in.sh + (base + index[l]) * stride;
        if (next) ahead[l] = in.sh + (base + next[l]) * stride;
    }
    const float* const* later = next ? ahead : nullptr;
    switch (in.sh_degree) {
        case 0: return load_rows<3>(rows, out, later);
        case 1: return load_rows<12>(rows, out, later);
        case 2: return load_rows<27>(rows, out, later);
        default: return load_rows<48>(rows, out, later);
    }
}

// Colour of W Gaussians: max(0, 1/2 + sum_k basis_k sh_k); NaN counts as 0.
inline Vec3<vf> sh_color(const FrameInput& in, int64_t base, const int32_t* index, const int32_t* next,
                         Vec3<vf> direction) {
    Room<16> basis;
    Room<48> sh;
    sh_basis(in.sh_degree, direction, basis.v);
    load_sh(in, base, index, sh.v, next);
    Vec3<vf> c{vf(0.5f), vf(0.5f), vf(0.5f)};
    for (int k = 0; k < sh_count(in.sh_degree); ++k) {
        c.x = fma_(basis.v[k], sh.v[3 * k], c.x);
        c.y = fma_(basis.v[k], sh.v[3 * k + 1], c.y);
        c.z = fma_(basis.v[k], sh.v[3 * k + 2], c.z);
    }
    const vf zero(0.f), most(kColorMax);
    return {min_(max_(c.x, zero), most), min_(max_(c.y, zero), most), min_(max_(c.z, zero), most)};
}

// set_tiles of W splats, as the two words of a row that hold the rectangle.
struct Tiles {
    vf from, count;

    Tiles(const Footprint<vf>& f, int tiles_x, int tiles_y) {
        const auto tile = [](vf v, int high) {
            const vf at = min_(max_((v - vf(0.5f)) * vf(1.f / kTile), vf(0.f)), vf(float(high)));
            return at - fraction(at);
        };
        const vf x = tile(f.mean.x - f.extent.x, tiles_x - 1), y = tile(f.mean.y - f.extent.y, tiles_y - 1);
        const vf one(1.f);
        from = pack_whole(x, y);
        count = pack_whole(tile(f.mean.x + f.extent.x, tiles_x - 1) - x + one,
                           tile(f.mean.y + f.extent.y, tiles_y - 1) - y + one);
    }
};
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "two numbers in a word, the first in its low half");
static_assert(offsetof(Row, tile_x) == 48 && offsetof(Row, tiles_x) == 52 && offsetof(Row, limit) == 60,
              "rows are written as 16 words");

// Rows of the visible among W consecutive Gaussians; returns how many ids were written.
inline int project_lanes(const FrameInput& in, const View<vf>& view, Frame& frame, int64_t first, int lanes,
                         float* radii, uint32_t* ids, uint32_t* keys) {
    alignas(64) int32_t index[W];
    for (int l = 0; l < W; ++l) index[l] = l < lanes ? l : lanes - 1;
    const Splat3D<vf> s = gather_splats(in, first, index);
    const Projection<vf> p = project(view, s);
    const Seen<vf> footprints = make_footprint(in, view, p, gather_shape(in, first, index).value);
    const Footprint<vf>& f = footprints.f;
    const uint32_t seen = bits(footprints.visible) & (lanes < 32 ? (1u << lanes) - 1u : ~0u);
    const vf radius = select(mask_from_bits(seen), max_(f.extent.x, f.extent.y), vf(0.f));
    radius.store_n(radii + first, lanes);
    if (!seen) return 0;
    const vf zero(0.f);
    const Tiles tiles(f, frame.tiles_x, frame.tiles_y);
    vf words[16] = {f.mean.x, f.mean.y, f.l11, f.l21, f.l22,      f.log2_opacity, zero, zero,
                    zero,     f.kx,     f.ky,  f.p,   tiles.from, tiles.count,    zero, f.limit};
    Row hidden;
    float* to[W];
    for (int l = 0; l < W; ++l) to[l] = reinterpret_cast<float*>(seen >> l & 1u ? &frame.rows[first + l] : &hidden);
    store_rows<16>(to, words, W);
    alignas(64) float depths[W];
    f.depth.store(depths);
    int found = 0;
    for (uint32_t left = seen; left; left &= left - 1) {
        const int l = __builtin_ctz(left);
        std::memcpy(&keys[found], &depths[l], 4);  // positive floats order like their bits
        ids[found++] = uint32_t(first + l);
        if (in.filter != Filter::exact) continue;
        const Row& row = frame.rows[first + l];
        if (row.p == 0.f)
            store_strip(frame.strip.get() + (first + l) * 8,
                        strip_splat(row.l11, row.l21, row.l22, row.log2_opacity, {0.f, 0.f}, in.strips));
    }
    if (in.geometry) {
        const Whitening<vf> w = whitening(p);
        for (int k = 0; k < 9; ++k) store_strided_n(frame.whitening.get() + first * 12 + k, 12, w.m.m[k / 3][k % 3], lanes);
        store_strided_n(frame.whitening.get() + first * 12 + 9, 12, w.p.x, lanes);
        store_strided_n(frame.whitening.get() + first * 12 + 10, 12, w.p.y, lanes);
        store_strided_n(frame.whitening.get() + first * 12 + 11, 12, w.p.z, lanes);
    }
    return found;
}

// Colours of a chunk's visible Gaussians.
inline void color_chunk(const FrameInput& in, const View<vf>& view, Frame& frame, int64_t base,
                        const uint32_t* ids, int count) {
    alignas(64) int32_t index[2][W];  // of the group at hand and the next; its last is repeated
    const auto choose = [&](int g, int32_t* to) {
        for (int l = 0; l < W; ++l) to[l] = int32_t(int64_t(ids[std::min(g + l, count - 1)]) - base);
    };
    if (count > 0) choose(0, index[0]);
    for (int g = 0, turn = 0; g < count; g += W, turn ^= 1) {
        const int lanes = count - g < W ? count - g : W;
        const int32_t *now = index[turn], *next = g + W < count ? index[turn ^ 1] : nullptr;
        if (next) choose(g + W, index[turn ^ 1]);
        alignas(64) int32_t i3[W];
        for (int l = 0; l < W; ++l) i3[l] = now[l] * 3;
        const float* m = in.means + base * 3;
        const ViewRay ray = view_ray(view, {vf::gather(m, i3), vf::gather(m + 1, i3), vf::gather(m + 2, i3)});
        const Vec3<vf> c = sh_color(in, base, now, next, ray.direction);
        alignas(64) float rgb[3][W];
        c.x.store(rgb[0]), c.y.store(rgb[1]), c.z.store(rgb[2]);
        for (int l = 0; l < lanes; ++l) {
            Row& row = frame.rows[base + now[l]];
            row.r = rgb[0][l], row.g = rgb[1][l], row.b = rgb[2][l];
        }
    }
}

// Fills rows, ids (ascending), radii and the slots of every visible Gaussian.
inline void stage_project(Frame& frame, const FrameInput& in, float* radii) {
    const View<vf> view = make_view<vf>(in);
    const int64_t n = in.count, chunks = (n + kChunk - 1) / kChunk;
    frame.rows.reserve(n + W);
    if (in.geometry) frame.whitening.reserve((n + W) * 12);
    if (in.filter == Filter::exact) frame.strip.reserve((n + W) * 8);
    uint32_t* local = frame.found.reserve(n + kChunk);
    uint32_t* local_keys = frame.found_keys.reserve(n + kChunk);
    frame.chunk_count.reserve(chunks + 1);
    frame.chunk_slots.reserve(chunks + 1);
    frame.chunk_keys.reserve(2 * chunks);
    pool().parallel_for(chunks, [&](int64_t c) {
        const int64_t begin = c * kChunk, end = begin + kChunk < n ? begin + kChunk : n;
        int found = 0;
        for (int64_t i = begin; i < end; i += W)
            found += project_lanes(in, view, frame, i, int(end - i < W ? end - i : W), radii, local + begin + found,
                                   local_keys + begin + found);
        color_chunk(in, view, frame, begin, local + begin, found);
        int64_t slots = 0;
        uint32_t least = ~0u, most = 0;
        for (int k = 0; k < found; ++k) {
            Row& row = frame.rows[local[begin + k]];
            row.slot = uint32_t(slots);  // after the chunk's first
            slots += int64_t(row.tiles_x) * row.tiles_y;
            least = std::min(least, local_keys[begin + k]), most = std::max(most, local_keys[begin + k]);
        }
        frame.chunk_count[c] = found;
        frame.chunk_slots[c] = slots;
        frame.chunk_keys[2 * c] = least, frame.chunk_keys[2 * c + 1] = most;
    });
    int64_t visible = 0, slots = 0;
    frame.least_key = ~0u, frame.most_key = 0;
    for (int64_t c = 0; c < chunks; ++c) {
        frame.least_key = std::min(frame.least_key, frame.chunk_keys[2 * c]);
        frame.most_key = std::max(frame.most_key, frame.chunk_keys[2 * c + 1]);
        const int64_t count = frame.chunk_count[c], s = frame.chunk_slots[c];
        frame.chunk_count[c] = int32_t(visible);
        frame.chunk_slots[c] = slots;
        visible += count;
        slots += s;
    }
    frame.chunk_count[chunks] = int32_t(visible);
    frame.chunk_slots[chunks] = slots;
    if (slots > int64_t(kMostSlots))
        throw std::runtime_error("the splats cover too many tiles (" + std::to_string(slots) +
                                 " splat-tile pairs, at most " + std::to_string(kMostSlots) +
                                 "): their scales have run away, or the image is too large");
    frame.visible = visible;
    frame.slots = frame.intersections = slots;
    frame.ids.reserve(visible);
    frame.keys.reserve(visible);
    pool().parallel_for(chunks, [&](int64_t c) {
        const int64_t to = frame.chunk_count[c], count = frame.chunk_count[c + 1] - to;
        for (int64_t k = 0; k < count; ++k) {
            const uint32_t id = local[c * kChunk + k];
            frame.ids[to + k] = id;
            frame.keys[to + k] = {local_keys[c * kChunk + k], id};
        }
    });
}

SPLAT_END
