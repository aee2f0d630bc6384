// Fused L1 + SSIM loss with its gradient (Wang et al. 2004; 11 x 11 Gaussian, sigma 1.5, zero padding).
//
// An image row is taken as a flat array of 3 * width floats whose horizontal taps lie 3 apart, so
// interleaved RGB needs no conversion. With X the render, Y the photo and G the window,
//     p = G*(X^2 + Y^2), q = G*(XY), mx = G*X, my = G*Y
//     a1 = 2 mx my + C1, a2 = 2 (q - mx my) + C2, b1 = mx^2 + my^2 + C1, b2 = p - mx^2 - my^2 + C2
//     S = a1 a2 / (b1 b2)
// needs four filtered maps, because SSIM takes the two variances only as a sum. Its gradient is
//     dS/dX = G*(dS/dmx) + 2 X G*(dS/dp) + Y G*(dS/dq)
//     dS/dmx = 2 D (my (a2 - a1) - S mx (b2 - b1)), dS/dp = -S b1 D, dS/dq = 2 a1 D, D = 1 / (b1 b2).
//
// A task is a band of rows by a tile of columns. It walks down its band R rows at a time: new image
// rows enter a ring, a vertical then a horizontal filter and the formula above make R rows of the
// three derivative maps, these enter a second ring, and the same two filters end as R rows of
// gradient. Filters reach 5 + 5 rows and columns over the edges of the task.
//
// A row's result does not depend on the band it is in, and sums are kept per (row, tile) and added in
// order at the end: the same bits for any number of threads.
#pragma once

#include "pool.h"
#include "scratch.h"
#include "simd.h"
#include "training.h"

SPLAT_BEGIN

namespace ssim_detail {

constexpr int kHalf = 5;
constexpr int R = 4;               // rows made at a time
constexpr int kRing = R + 2 * kHalf;
constexpr int kPad = 48;           // floats left of a tile's first column in every buffer
constexpr int kChunk = 256;        // columns filtered vertically, then horizontally, while in L1
constexpr int64_t kTile = 1536;    // columns (floats) of a tile, at most: keeps the rings in L2
constexpr int64_t kBandRows = 32;  // rows of a band, at least
constexpr float kC1 = 0.0001f, kC2 = 0.0009f;
constexpr float kTaps[kHalf + 1] = {0.2660117248617943f,  0.21300553771125366f,  0.1093606895097f,
                                    0.03600077212843082f, 0.007598758135239184f, 0.0010283800844791099f};

SPLAT_HD int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
SPLAT_HD int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
SPLAT_HD int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

// Rows of M maps, the last kRing of them, and a row of zeros for what lies outside the image.
template <int M>
struct Ring {
    float* memory;
    const float* zeros;
    int64_t stride;  // floats from one map's row to the next
    float* row(int64_t r, int map) const { return memory + ((r % kRing) * M + map) * stride; }
};

struct Task {
    const SsimInput* in;
    int64_t row0, row1;      // rows whose gradient and sums this task makes
    int64_t col0, columns;   // flat columns, of 3 * width
    int64_t padded;          // columns rounded up to 16
    float scale_l1, scale_ssim;  // (1 - w) / (3 kept), w / (3 kept)
    double *l1, *ssim;       // sums per row, `tiles` apart
    int64_t tiles;
    Ring<2> images;          // X, Y
    Ring<3> derivatives;     // with respect to mx, p, q
    float* filtered;         // [R][4][stride] rows after the vertical filter
    float* weights;          // [R][stride] 1 where a column counts, else 0; one row if there is no mask
    int64_t stride;
    const float* weights_of(int k) const { return in->mask ? weights + k * stride : weights; }
};

// Copies columns [col0 - 32, ...) of an image row into the ring, zeros beyond the image.
inline void load_row(const Task& t, int64_t r) {
    const int64_t width = 3 * t.in->width;
    const int64_t begin = most(0, t.col0 - 32), end = least(width, t.col0 + t.padded + 32);
    const int64_t from = kPad + begin - t.col0, to = kPad + end - t.col0;
    for (int m = 0; m < 2; ++m) {
        const float* source = (m == 0 ? t.in->image : t.in->target) + r * width + begin;
        float* row = t.images.row(r, m);
        std::memset(row + kPad - 32, 0, size_t(from - kPad + 32) * sizeof(float));
        std::memcpy(row + from, source, size_t(to - from) * sizeof(float));
        std::memset(row + to, 0, size_t(kPad + t.padded + 32 - to) * sizeof(float));
    }
}

// The rows [r - 5, r + R + 5) of a ring, zeros for those outside [first, last).
template <int M>
inline void window(const Ring<M>& ring, int64_t r, int64_t first, int64_t last, const float* rows[kRing]) {
    for (int i = 0; i < kRing; ++i) {
        const int64_t at = r + i - kHalf;
        rows[i] = at >= first && at < last ? ring.row(at, 0) : ring.zeros;
    }
}

// Vertical filter of kRing vectors into R, `step` floats apart.
SPLAT_HD void filter_column(const vf v[kRing], float* out, int64_t step) {
    for (int k = 0; k < R; ++k) {
        vf s = vf(kTaps[0]) * v[k + kHalf];
        for (int j = 1; j <= kHalf; ++j) s = fma_(vf(kTaps[j]), v[k + kHalf - j] + v[k + kHalf + j], s);
        s.store(out + k * step);
    }
}

// Vertical filter of X, Y, X^2 + Y^2 and XY, columns [from, to), into filtered[row][map].
inline void filter_images(const Task& t, const float* const rows[kRing], int64_t from, int64_t to) {
    const int64_t step = 4 * t.stride;
    for (int64_t c = from; c < to; c += W) {
        float* out = t.filtered + c;
        vf v[kRing];
        for (int i = 0; i < kRing; ++i) v[i] = vf::load(rows[i] + c);
        filter_column(v, out, step);
        for (int i = 0; i < kRing; ++i) v[i] = vf::load(rows[i] + t.stride + c);
        filter_column(v, out + t.stride, step);
        for (int i = 0; i < kRing; ++i) {
            const vf x = vf::load(rows[i] + c), y = vf::load(rows[i] + t.stride + c);
            v[i] = fma_(x, x, y * y);
        }
        filter_column(v, out + 2 * t.stride, step);
        for (int i = 0; i < kRing; ++i) v[i] = vf::load(rows[i] + c) * vf::load(rows[i] + t.stride + c);
        filter_column(v, out + 3 * t.stride, step);
    }
}

// Vertical filter of the three derivative maps, columns [from, to), into filtered[row][map].
inline void filter_derivatives(const Task& t, const float* const rows[kRing], int64_t from, int64_t to) {
    for (int m = 0; m < 3; ++m)
        for (int64_t c = from; c < to; c += W) {
            vf v[kRing];
            for (int i = 0; i < kRing; ++i) v[i] = vf::load(rows[i] + m * t.stride + c);
            filter_column(v, t.filtered + m * t.stride + c, 4 * t.stride);
        }
}

// Horizontal filter of one row of one map at columns [c, c + W).
SPLAT_HD vf filter_across(const float* row, int64_t c) {
    vf s = vf(kTaps[0]) * vf::load(row + c);
    for (int j = 1; j <= kHalf; ++j)
        s = fma_(vf(kTaps[j]), vf::load(row + c - 3 * j) + vf::load(row + c + 3 * j), s);
    return s;
}

// Which columns of row r count: inside the image, and kept by the mask.
inline void set_weights(const Task& t, int64_t r, float* weights) {
    const int64_t width = 3 * t.in->width;
    const int64_t begin = t.col0 - 16, end = t.col0 + t.padded + 16;
    const uint8_t* mask = t.in->mask ? t.in->mask + r * t.in->width : nullptr;
    for (int64_t c = begin; c < end; ++c) {
        const bool counts = c >= 0 && c < width && (!mask || mask[c / 3]);
        weights[kPad + c - t.col0] = counts ? 1.f : 0.f;
    }
}

// Masked weights of rows [r, r + R), those inside the image.
inline void set_mask_weights(const Task& t, int64_t r) {
    for (int k = 0; t.in->mask && k < R; ++k)
        if (r + k >= 0 && r + k < t.in->height) set_weights(t, r + k, t.weights + k * t.stride);
}

// One row of SSIM and its derivative maps from the vertically filtered maps, columns [from, to); SSIM sum.
inline vf similarity_row(const Task& t, const float* maps, const float* weights, float* const out[3],
                         int64_t from, int64_t to) {
    vf total(0.f);
    for (int64_t c = from; c < to; c += W) {
        const vf mx = filter_across(maps, c), my = filter_across(maps + t.stride, c);
        const vf p = filter_across(maps + 2 * t.stride, c), q = filter_across(maps + 3 * t.stride, c);
        const vf product = mx * my, squares = fma_(mx, mx, my * my);
        const vf a1 = fma_(vf(2.f), product, vf(kC1)), a2 = fma_(vf(2.f), q - product, vf(kC2));
        const vf b1 = squares + vf(kC1), b2 = (p - squares) + vf(kC2);
        const vf d = rcp_(b1 * b2), dw = d * vf::load(weights + c);
        const vf s = a1 * a2 * d;
        (dw * fnma_(s * mx, b2 - b1, my * (a2 - a1))).store(out[0] + c);
        (dw * fnma_(s, b1, vf(0.f))).store(out[1] + c);
        (dw * a1).store(out[2] + c);
        const bool inside = c >= kPad && c < kPad + t.padded;
        if (inside) total += a1 * a2 * dw;
    }
    return total;
}

// Derivative maps of rows [r, r + R), as far as they lie in [first, last).
inline void make_derivatives(Task& t, int64_t r, int64_t first, int64_t last) {
    const int64_t begin = kPad - 32, end = kPad + t.padded + 32;
    const float* rows[kRing];
    window(t.images, r, most(0, first - kHalf), least(t.in->height, last + kHalf), rows);
    set_mask_weights(t, r);
    vf sums[R];
    int64_t made = kPad - 16;
    const int64_t all = kPad + t.padded + 16;
    for (int64_t c = begin; c < end; c += kChunk) {
        const int64_t stop = least(end, c + kChunk);
        filter_images(t, rows, c, stop);
        const int64_t ready = stop == end ? all : stop - 16;
        for (int k = 0; k < R && r + k < last; ++k) {
            float* row = t.derivatives.row(r + k, 0);
            float* out[3] = {row, row + t.stride, row + 2 * t.stride};
            sums[k] += similarity_row(t, t.filtered + k * 4 * t.stride, t.weights_of(k), out, made, ready);
        }
        made = most(made, ready);
    }
    for (int k = 0; k < R && r + k < last; ++k)
        if (r + k >= t.row0 && r + k < t.row1) t.ssim[(r + k) * t.tiles] = double(sum(sums[k]));
}

// Gradient of one row from the vertically filtered derivative maps, columns [from, to); L1 sum.
inline vf gradient_row(const Task& t, int64_t r, const float* maps, const float* weights, int64_t from,
                       int64_t to) {
    const float *x = t.images.row(r, 0), *y = t.images.row(r, 1);
    float* gradient = t.in->gradient ? t.in->gradient + r * 3 * t.in->width + t.col0 - kPad : nullptr;
    const vf scale_l1(t.scale_l1), scale_ssim(-2.f * t.scale_ssim), zero(0.f);
    vf total(0.f);
    for (int64_t c = from; c < to; c += W) {
        const vf vx = vf::load(x + c), vy = vf::load(y + c);
        const vf weight = vf::load(weights + c), difference = vx - vy;
        total = fma_(abs_(difference), weight, total);
        if (!gradient) continue;
        const vf sign = select(difference > zero, scale_l1, select(difference < zero, -scale_l1, zero));
        vf g = filter_across(maps, c);
        g = fma_(vx, filter_across(maps + t.stride, c), g);
        g = fma_(vy, filter_across(maps + 2 * t.stride, c), g);
        g = fma_(g, scale_ssim, sign * weight);
        const int64_t n = kPad + t.columns - c;
        if (n >= W) g.store(gradient + c);
        else if (n > 0) g.store_n(gradient + c, int(n));
    }
    return total;
}

// Gradient and L1 of rows [r, r + R), as far as they are this task's.
inline void make_gradient(Task& t, int64_t r, int64_t first, int64_t last) {
    const int64_t begin = kPad - 16, end = kPad + t.padded + 16;
    const float* rows[kRing];
    window(t.derivatives, r, first, last, rows);
    set_mask_weights(t, r);
    vf sums[R];
    int64_t made = kPad;
    for (int64_t c = begin; c < end; c += kChunk) {
        const int64_t stop = least(end, c + kChunk);
        if (t.in->gradient) filter_derivatives(t, rows, c, stop);
        const int64_t ready = stop == end ? kPad + t.padded : stop - 16;
        for (int k = 0; k < R; ++k) {
            if (r + k < t.row0 || r + k >= t.row1) continue;
            sums[k] += gradient_row(t, r + k, t.filtered + k * 4 * t.stride, t.weights_of(k), made, ready);
        }
        made = most(made, ready);
    }
    for (int k = 0; k < R; ++k)
        if (r + k >= t.row0 && r + k < t.row1) t.l1[(r + k) * t.tiles] = double(sum(sums[k]));
}

inline void place_buffers(Task& t) {
    static thread_local Scratch scratch;
    t.padded = round_up(t.columns, 16);
    t.stride = t.padded + 2 * kPad;
    if (t.stride / 16 % 2 == 0) t.stride += 16;  // an odd number of cache lines: rows share no cache set
    float* memory = scratch.get(t.stride * (kRing * 5 + R * 5 + 3));
    t.images.memory = memory;
    t.derivatives.memory = memory + t.stride * kRing * 2;
    t.filtered = memory + t.stride * kRing * 5;
    t.weights = t.filtered + t.stride * R * 4;
    float* zeros = t.weights + t.stride * R;
    std::memset(zeros, 0, size_t(t.stride) * 3 * sizeof(float));
    t.images.zeros = t.derivatives.zeros = zeros;
    t.images.stride = t.derivatives.stride = t.stride;
}

inline void run(Task& t) {
    place_buffers(t);
    if (!t.in->mask) set_weights(t, t.row0, t.weights);
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
    const int64_t tiles = (width + kTile - 1) / kTile;
    const int64_t tile = round_up((width + tiles - 1) / tiles, 48);
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
        t.col0 = column * tile;
        t.columns = least(tile, width - t.col0);
        t.scale_l1 = (1.f - in.ssim_weight) * inverse;
        t.scale_ssim = in.ssim_weight * inverse;
        t.tiles = tiles;
        t.l1 = sums + column;
        t.ssim = sums + in.height * tiles + column;
        if (t.columns > 0) run(t);
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
