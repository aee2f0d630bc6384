// A kernel of the pixel loop: what one splat's alpha is at the pixels of a block, and the sums from
// which its gradients come. A kernel K gives
//   K::Local, K::Table           a splat as the loop reads it, in coordinates of the tile, and what
//                                it keeps for itself beside
//   K::localise(frame, row, ...) makes one for the blocks it is told; K::nothing() one that is nowhere
//   K::alphas<N>(...)            N splats at one vector of pixels: unclamped alpha, 0 below 1/255
//   K::Held, K::hold(...)        the same going backwards: alpha and what its derivatives need, kept
//                                until the compositing's part of the gradient is known
//   K::Sums, add(...), put()     the sums of one (splat, tile) pair over its pixels
//
// This one: alpha = 2^(log2_opacity - u^2 - v^2), the Gaussian of footprint.h.
#pragma once

#include "block.h"
#include "../sums.h"

SPLAT_BEGIN

constexpr float kLog2Clamped = -0.0146f;  // a little below log2(kAlphaMax)

// u = l11 x + l21 y + cu, v = l22 y + cv relative to the tile's middle, so that cu, cv stay small.
struct PlainLocal {
    float l11, l21, l22, cu, cv, log2_opacity, r, g, b;
};

SPLAT_HD PlainLocal localise_row(const Row& row, float middle_x, float middle_y) {
    const float mx = row.mx - middle_x, my = row.my - middle_y;
    return {row.l11, row.l21, row.l22, -(row.l11 * mx + row.l21 * my), -row.l22 * my, row.log2_opacity,
            row.r,   row.g,   row.b};
}

template <class Local>
SPLAT_HD vf local_u(const Local& s, vf x, vf y) {
    return fma_(vf(s.l11), x, fma_(vf(s.l21), y, vf(s.cu)));
}

template <class Local>
SPLAT_HD vf local_v(const Local& s, vf y) {
    return fma_(vf(s.l22), y, vf(s.cv));
}

// 2^x of N vectors, relative error 2.7e-6, and 0 where x < log2(1/255). Stage by stage: the N
// chains stand side by side in program order, which a core's scheduler needs to overlap them.
template <int N>
SPLAT_HD void alphas_from_exponents(const vf* x, vf* out) {
    Split s[N];
    vf p[N];
    for (int i = 0; i < N; ++i) s[i] = split_whole(x[i]);
    for (int i = 0; i < N; ++i) p[i] = fma_(s[i].f, vf(kExp2Pixel[4]), vf(kExp2Pixel[3]));
    for (int k = 2; k >= 0; --k)
        for (int i = 0; i < N; ++i) p[i] = fma_(s[i].f, p[i], vf(kExp2Pixel[k]));
    for (int i = 0; i < N; ++i) out[i] = times_power_keep(x[i] >= vf(kLog2AlphaMin), p[i], s[i].n);
}

// The sums that every kernel has: colour, and the screen gradient's absolute values.
struct ColorSums {
    vf r, g, b, abs_x, abs_y;
    bool absolute = true;  // whether anybody wants the absolute values

    SPLAT_HD void add_color(vf w, vf g0, vf g1, vf g2) {
        r = fma_(w, g0, r), g = fma_(w, g1, g), b = fma_(w, g2, b);
    }
    SPLAT_HD void put(vf* to) const {
        to[kSumR] = r, to[kSumG] = g, to[kSumB] = b, to[kSumAbsX] = abs_x, to[kSumAbsY] = abs_y;
    }
};

struct NoTable {};

struct PlainKernel {
    static constexpr float kGrow = 0.f;  // pixels around a pixel's centre that matter to it
    static constexpr int kBatch = 256;    // splats sorted out to the blocks at a time
    static constexpr bool kCostly = false;  // localise() is
    static constexpr int kSums = kSumAbsY + 1;
    using Local = PlainLocal;
    using Table = NoTable;
    SPLAT_HD static void localise(const Frame&, const Row& row, uint32_t, float middle_x, float middle_y, uint32_t,
                                  Local& to, Table&) {
        to = localise_row(row, middle_x, middle_y);
    }
    static void nothing(Local& to) { to = {0, 0, 0, 0, 0, -1e4f, 0, 0, 0}; }

    // Its alpha may exceed kAlphaMax.
    static bool clamps(const PlainLocal& s) { return s.log2_opacity > kLog2Clamped; }

    SPLAT_HD static vf exponent(const Local& s, vf x, vf y) {
        const vf u = local_u(s, x, y), v = local_v(s, y);
        return fnma_(v, v, fnma_(u, u, vf(s.log2_opacity)));
    }

    template <int N>
    SPLAT_HD static void alphas(const Local* const* s, const Centres& at, int b, int part, vf* out) {
        vf e[N];
        for (int i = 0; i < N; ++i) e[i] = exponent(*s[i], at.x[b][part], at.y[b][part]);
        alphas_from_exponents<N>(e, out);
    }

    struct Held {
        alignas(64) float alpha[kVectors][W];
    };
    SPLAT_HD static void hold(const Local& s, const Centres& at, int b, int part, Held& held, int n) {
        const vf e = exponent(s, at.x[b][part], at.y[b][part]);
        vf alpha;
        alphas_from_exponents<1>(&e, &alpha);
        alpha.store(held.alpha[n]);
    }

    struct Sums : ColorSums {
        vf h, u, v, uu, uv, vv;

        SPLAT_HD void begin(const Frame&, const Local&, const Row&, uint32_t, float, float) {}
        SPLAT_HD void add(const Local& s, const Centres& at, int b, int part, const Held&, int, vf dh) {
            const vf pu = local_u(s, at.x[b][part], at.y[b][part]), pv = local_v(s, at.y[b][part]);
            h += dh;
            add_moments(s, pu, pv, dh);
        }
        SPLAT_HD void add_moments(const Local& s, vf pu, vf pv, vf weight) {
            const vf hu = weight * pu, hv = weight * pv;
            u += hu, v += hv;
            uu = fma_(hu, pu, uu), uv = fma_(hu, pv, uv), vv = fma_(hv, pv, vv);
            if (!this->absolute) return;
            abs_x += abs_(hu);
            abs_y += abs_(fma_(vf(s.l21), hu, vf(s.l22) * hv));
        }
        SPLAT_HD void put(vf* to, const PlainLocal&) const {
            to[kSumH] = h, to[kSumU] = u, to[kSumV] = v, to[kSumUU] = uu, to[kSumUV] = uv, to[kSumVV] = vv;
            ColorSums::put(to);
        }
    };
};

SPLAT_END
