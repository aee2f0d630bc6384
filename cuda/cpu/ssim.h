// Fused L1 + SSIM loss with its gradient (Wang et al. 2004; 11 x 11 Gaussian, sigma 1.5, zero padding).
// include/splat/ssim.h has the formulas.
//
// Layout. An image row is a flat array of 3 * width floats, horizontal taps 3 apart. It is cut into W
// strips of `strip` floats, and vector i holds number i of every strip (ssim_rows.h): a horizontal
// neighbour lies in another vector, at the same lane, so that both filters use aligned loads and
// share them between outputs. Only the 15 vectors before the first and after the last (the halo) are
// made from the other end of the row, moved by a lane.
//
// A task is a band of rows by a tile of columns. It walks down its band R rows at a time: new image
// rows enter a ring, a vertical and a horizontal filter and the formula make R rows of the three
// derivative maps, these are filtered horizontally into a second ring, and a vertical filter of that
// ends as R rows of gradient. Filters reach 5 + 5 rows and columns over the edges of the task.
//
// A row's result does not depend on the band it is in, and sums are kept per (row, tile) and added in
// order at the end: the same bits for any number of threads.
#pragma once

#include "pool.h"
#include "scratch.h"
#include "simd.h"
#include "ssim_rows.h"
#include "../training.h"

SPLAT_BEGIN

namespace ssim_detail {

constexpr int64_t kWhole = 2048;   // a row of at most so many floats is one tile
constexpr int64_t kTile = 1536;    // columns (floats) of a tile of a longer row, at most: rings fit L2
constexpr int64_t kBandRows = 32;  // rows of a band, at least

struct Task {
    const SsimInput* in;
    int64_t row0, row1;      // rows whose gradient and sums this task makes
    Tile tile;
    float scale_l1, scale_ssim;  // (1 - w) / (3 kept), w / (3 kept)
    double *l1, *ssim;       // sums per row, `tiles` apart
    int64_t tiles;
    Ring images;             // X, Y, and 1 where a column counts if there is a mask
    Ring derivatives;        // with respect to mx, p, q, filtered horizontally
    Rows filtered;           // [R][4] rows with halo after the vertical filter; then gradients
    Rows similar;            // [3] derivative maps of one row, with halo
    float *inside, *own;     // 1 in the columns of the image; of this tile alone
    float* line;             // a row of the tile, then one of the image, in the image's order
    const float* kept(int64_t r) const { return in->mask ? images.row(r, 2) : inside; }
};

// Takes a row of X, Y and the mask into the ring, zeros beyond the image.
inline void load_row(const Task& t, int64_t r) {
    const SsimInput& in = *t.in;
    const int64_t width = 3 * in.width;
    to_strips(t.tile, in.image + r * width, width, t.line, t.images.row(r, 0));
    float* whole = t.line + t.tile.floats();
    if (in.target_bytes) {
        const uint8_t* bytes = in.target_bytes + r * width;
        for (int64_t c = 0; c < width; ++c) whole[c] = float(bytes[c]) * (1.f / 255.f);
    }
    to_strips(t.tile, in.target_bytes ? whole : in.target + r * width, width, t.line, t.images.row(r, 1));
    if (!in.mask) return;
    const uint8_t* mask = in.mask + r * in.width;
    for (int64_t c = 0; c < width; ++c) whole[c] = mask[c / 3] ? 1.f : 0.f;
    to_strips(t.tile, whole, width, t.line, t.images.row(r, 2));
}

// Rows [r, r + R) of X and Y, which will be asked for next and are brought near meanwhile.
struct Ahead {
    const float* x[R];
    const char* y[R];
    int64_t size;  // bytes of a number of Y

    Ahead(const Task& t, int64_t r) : size(t.in->target_bytes ? 1 : 4) {
        const void* target = t.in->target_bytes ? static_cast<const void*>(t.in->target_bytes) : t.in->target;
        for (int k = 0; k < R; ++k) {
            const int64_t at = least(r + k, t.in->height - 1) * 3 * t.in->width + most(0, t.tile.start);
            x[k] = t.in->image + at;
            y[k] = static_cast<const char*>(target) + at * size;
        }
    }
    void fetch(int64_t c) const {
        for (int k = 0; k < R; ++k) {
            __builtin_prefetch(x[k] + c, 0, 2);
            __builtin_prefetch(y[k] + c * size, 0, 2);
        }
    }
};

// Vertical filter of X, Y, X^2 + Y^2 and XY into filtered[row][map]; halos.
inline void filter_images(const Task& t, const float* const window[kRing], const Ahead& ahead) {
    const int64_t step = t.images.stride, size = t.tile.floats();
    const float *x[kRing], *y[kRing];
    for (int i = 0; i < kRing; ++i) x[i] = window[i], y[i] = window[i] + step;
    for (int64_t c = 0; c < size; c += W) {
        ahead.fetch(c);
        const auto store = [&](int map, const vf v[kRing]) {
            vf out[R];
            filter<R>(v, out);
            for (int k = 0; k < R; ++k) out[k].store(t.filtered.row(4 * k + map) + c);
        };
        vf v[kRing];
        for (int i = 0; i < kRing; ++i) v[i] = vf::load(x[i] + c);
        store(0, v);
        for (int i = 0; i < kRing; ++i) v[i] = vf::load(y[i] + c);
        store(1, v);
        for (int i = 0; i < kRing; ++i) {
            const vf a = vf::load(x[i] + c), b = vf::load(y[i] + c);
            v[i] = fma_(a, a, b * b);
        }
        store(2, v);
        for (int i = 0; i < kRing; ++i) v[i] = vf::load(x[i] + c) * vf::load(y[i] + c);
        store(3, v);
    }
    for (int k = 0; k < 4 * R; ++k) fill_halo(t.tile, t.filtered.row(k));
}

// What one row's SSIM is made from (filtered maps with halo), and where its derivative maps go.
struct SimilarRow {
    const float *mx, *my, *p, *q, *kept, *own;
    float* out[3];
};

// SSIM and its derivative maps at N vectors of a row, 3 apart; adds to the SSIM sum.
template <int N>
SPLAT_HD void similarity(const SimilarRow& row, int64_t c, vf& total) {
    vf mx[N], my[N], p[N], q[N];
    filter_across<N>(row.mx + c, mx);
    filter_across<N>(row.my + c, my);
    filter_across<N>(row.p + c, p);
    filter_across<N>(row.q + c, q);
    for (int n = 0; n < N; ++n) {
        const int64_t at = c + 3 * W * n;
        const Similarity<vf> s = similarity_of(mx[n], my[n], p[n], q[n], vf::load(row.kept + at));
        s.mean.store(row.out[0] + at);
        s.square.store(row.out[1] + at);
        s.product.store(row.out[2] + at);
        total = fma_(s.value, vf::load(row.own + at), total);
    }
}

// Horizontal filter of a row with halo.
inline void filter_row(const Tile& t, const float* from, float* to) {
    int64_t c = 0;
    const int64_t size = t.floats(), block = 3 * kBlock * W;
    for (; c + block <= size; c += block)
        for (int64_t i = c; i < c + 3 * W; i += W) {
            vf out[kBlock];
            filter_across<kBlock>(from + i, out);
            for (int k = 0; k < kBlock; ++k) out[k].store(to + i + 3 * W * k);
        }
    for (; c < size; c += W) {
        vf out;
        filter_across<1>(from + c, &out);
        out.store(to + c);
    }
}

// One row of the derivative maps, filtered horizontally, into the ring; the row's SSIM.
inline float similarity_row(const Task& t, int k, int64_t r) {
    const SimilarRow row{t.filtered.row(4 * k),     t.filtered.row(4 * k + 1), t.filtered.row(4 * k + 2),
                         t.filtered.row(4 * k + 3), t.kept(r),                 t.own,
                         {t.similar.row(0), t.similar.row(1), t.similar.row(2)}};
    vf total(0.f);
    int64_t c = 0;
    const int64_t size = t.tile.floats();
    for (; c + 12 * W <= size; c += 12 * W)
        for (int64_t i = c; i < c + 3 * W; i += W) similarity<4>(row, i, total);
    for (; c < size; c += W) similarity<1>(row, c, total);
    for (int m = 0; m < 3; ++m) {
        fill_halo(t.tile, row.out[m]);
        filter_row(t.tile, row.out[m], t.derivatives.row(r, m));
    }
    return sum(total);
}

// Derivative maps of rows [r, r + R), as far as they lie in [first, last).
inline void make_derivatives(Task& t, int64_t r, int64_t first, int64_t last) {
    const float* rows[kRing];
    t.images.window(r, most(0, first - kHalf), least(t.in->height, last + kHalf), rows);
    filter_images(t, rows, Ahead(t, r + R + kHalf));
    for (int k = 0; k < R && r + k < last; ++k) {
        const float s = similarity_row(t, k, r + k);
        if (r + k >= t.row0 && r + k < t.row1) t.ssim[(r + k) * t.tiles] = double(s);
    }
}

// Rows [r, r + R): X, Y, what counts, and where the gradient goes; nothing for those of other tasks.
struct GradientRows {
    const float *x[R], *y[R], *kept[R];
    float* out[R];          // in strips
    const float* ahead[R];  // where it will be copied to
};

// Gradient of R rows, in strips, and their L1 sums.
inline void gradient_rows(const Task& t, const float* const rows[kRing], const GradientRows& g, vf total[R]) {
    const int64_t step = t.derivatives.stride, size = t.tile.floats();
    const vf scale_l1(t.scale_l1), zero(0.f);
    for (int64_t c = 0; c < size; c += W) {
        vf v[kRing], m[R], p[R], q[R];
        for (int i = 0; i < kRing; ++i) v[i] = vf::load(rows[i] + c);
        filter<R>(v, m);
        for (int i = 0; i < kRing; ++i) v[i] = vf::load(rows[i] + step + c);
        filter<R>(v, p);
        for (int i = 0; i < kRing; ++i) v[i] = vf::load(rows[i] + 2 * step + c);
        filter<R>(v, q);
        const vf own = vf::load(t.own + c);
        for (int k = 0; k < R; ++k) {
            __builtin_prefetch(g.ahead[k] + c, 1, 2);
            const vf x = vf::load(g.x[k] + c), y = vf::load(g.y[k] + c), difference = x - y;
            const vf kept = vf::load(g.kept[k] + c) * own;
            total[k] = fma_(abs_(difference), kept, total[k]);
            const vf sign = select(difference > zero, scale_l1, select(difference < zero, -scale_l1, zero));
            similarity_gradient(m[k], p[k], q[k], x, y, -t.scale_ssim, sign * kept).store(g.out[k] + c);
        }
    }
}

// L1 sums alone.
inline void difference_rows(const Task& t, const GradientRows& g, vf total[R]) {
    for (int k = 0; k < R; ++k)
        for (int64_t c = 0; c < t.tile.floats(); c += W) {
            const vf kept = vf::load(g.kept[k] + c) * vf::load(t.own + c);
            total[k] = fma_(abs_(vf::load(g.x[k] + c) - vf::load(g.y[k] + c)), kept, total[k]);
        }
}

// Gradient and L1 of rows [r, r + R), as far as they are this task's.
inline void make_gradient(Task& t, int64_t r, int64_t first, int64_t last) {
    const float* rows[kRing];
    t.derivatives.window(r, first, last, rows);
    GradientRows g;
    const auto mine = [&](int k) { return r + k >= t.row0 && r + k < t.row1; };
    for (int k = 0; k < R; ++k) {
        g.x[k] = mine(k) ? t.images.row(r + k, 0) : t.images.zeros;
        g.y[k] = mine(k) ? t.images.row(r + k, 1) : t.images.zeros;
        g.kept[k] = mine(k) ? t.kept(r + k) : t.images.zeros;
        g.out[k] = t.filtered.row(k);
        const bool written = mine(k) && t.in->gradient;
        const int64_t at = (r + k) * 3 * t.in->width + most(0, t.tile.start);
        g.ahead[k] = written ? t.in->gradient + at : t.images.zeros;
    }
    vf sums[R];
    if (t.in->gradient) gradient_rows(t, rows, g, sums);
    else difference_rows(t, g, sums);
    const int64_t width = 3 * t.in->width;
    for (int k = 0; k < R; ++k) {
        if (!mine(k)) continue;
        t.l1[(r + k) * t.tiles] = double(sum(sums[k]));
        if (t.in->gradient) from_strips(t.tile, g.out[k], t.line, t.in->gradient + (r + k) * width);
    }
}

// Cuts memory into parts that begin at a given cache line of a page. With strides of whole pages and a
// line (Tile), the streams of one loop lie on different lines: no load waits for a store to its number.
struct Parts {
    float* memory;
    float* take(int64_t floats, int64_t line) {
        float* at = reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(memory) + 4095) & ~uintptr_t(4095));
        memory = at + 16 * line + floats;
        return at + 16 * line;
    }
};

inline void place_buffers(Task& t) {
    static thread_local Scratch scratch;
    const int64_t stride = paged(t.tile.floats()), wide = paged(t.tile.floats() + 2 * kHalo * W);
    const int64_t line = t.tile.floats() + 3 * t.in->width, parts = 8 * (1024 + 16 * 64);
    const int maps = t.in->mask ? 3 : 2;
    Parts p{scratch.get(stride * (kRing * (maps + 3) + 3 + 2) + wide * (4 * R + 3) + line + parts)};
    float* zeros = p.take(3 * stride, 60);
    std::memset(zeros, 0, size_t(3 * stride) * sizeof(float));
    t.images = {p.take(stride * kRing * maps, 0), zeros, stride, maps};
    t.derivatives = {p.take(stride * kRing * 3, 48), zeros, stride, 3};
    t.filtered = {p.take(wide * 4 * R, 17), wide};
    t.similar = {p.take(wide * 3, 57), wide};
    t.inside = p.take(stride, 28);
    t.own = p.take(stride, 29);
    t.line = p.take(line, 0);
    set_columns(t.tile, -t.tile.start, 3 * t.in->width - t.tile.start, t.inside);
    set_columns(t.tile, t.tile.apron, t.tile.apron + t.tile.columns, t.own);
}

inline void run(Task& t) {
    place_buffers(t);
    const int64_t height = t.in->height;
    const int64_t first = most(0, t.row0 - kHalf), last = least(height, t.row1 + kHalf);
    int64_t loaded = most(0, first - kHalf);
    for (int64_t r = first; r - kHalf < t.row1; r += R) {
        if (r < last) {
            for (const int64_t stop = least(least(height, last + kHalf), r + R + kHalf); loaded < stop; ++loaded)
                load_row(t, loaded);
            make_derivatives(t, r, first, last);
        }
        if (r - kHalf + R > t.row0) make_gradient(t, r - kHalf, first, last);
    }
}

inline int64_t kept_pixels(const SsimInput& in) {
    const int64_t pixels = in.height * in.width;
    if (!in.mask) return pixels;
    int64_t kept = 0;
    for (int64_t i = 0; i < pixels; ++i) kept += in.mask[i] != 0;
    return kept;
}

inline int64_t divisor(int64_t a, int64_t b) {
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

}  // namespace ssim_detail

// Loss, its two parts, and its gradient with respect to the image. A mask that keeps nothing: loss 0.
inline SsimResult l1_ssim(const SsimInput& in) {
    using namespace ssim_detail;
    const int64_t width = 3 * in.width, kept = 3 * kept_pixels(in);
    const float inverse = kept ? 1.f / float(kept) : 0.f;
    const int64_t tiles = width <= kWhole ? 1 : (width + kTile - 1) / kTile;
    const int64_t columns = round_up((width + tiles - 1) / tiles, 48);
    const int64_t threads = pool().size();
    const int64_t bands = most(1, least(threads / divisor(threads, tiles), in.height / kBandRows));
    double* sums = static_cast<double*>(std::calloc(size_t(2 * in.height * tiles), sizeof(double)));
    if (!sums) throw std::bad_alloc();
    pool().parallel_for(bands * tiles, [&](int64_t i) {
        const int64_t band = i / tiles, column = i % tiles;
        Task t{};
        t.in = &in;
        t.row0 = in.height * band / bands;
        t.row1 = in.height * (band + 1) / bands;
        t.tile = tile_of(column * columns, least(columns, width - column * columns), tiles > 1);
        t.scale_l1 = (1.f - in.ssim_weight) * inverse;
        t.scale_ssim = in.ssim_weight * inverse;
        t.tiles = tiles;
        t.l1 = sums + column;
        t.ssim = sums + in.height * tiles + column;
        if (t.tile.columns > 0) run(t);
    });
    double l1 = 0, ssim = 0;
    for (int64_t i = 0; i < in.height * tiles; ++i) {
        l1 += sums[i];
        ssim += sums[in.height * tiles + i];
    }
    std::free(sums);
    l1 = kept ? l1 / double(kept) : 0.0;
    ssim = kept ? ssim / double(kept) : 1.0;
    return {(1.0 - in.ssim_weight) * l1 + in.ssim_weight * (1.0 - ssim), l1, ssim};
}

SPLAT_END
