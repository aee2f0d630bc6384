// A pixel kernel of the device: what one splat's alpha is at one pixel, and the sums from which its
// gradients come; one thread, one splat, one pixel (the processor's counterpart: cpu/kernel_plain.h).
// A kernel K gives
//   K::kGrow, K::kSums           pixels around a centre that matter to it where it integrates; sums that
//                                it and the loop fill, the first ones of sums.h
//   K::Splat, K::load(row, ...)  a splat as the loop reads it, in coordinates of the tile, with r, g, b
//   K::Term, K::at(splat, x, y)  unclamped alpha, 0 below 1/255; what else `add` needs
//   K::Sums, add(...), put(...)  the sums of one (splat, tile) pair over its pixels; put fills to[0 .. kSums)
//                                except the colours', which are the loop's own
// A row that is nowhere (log2_opacity -1e4, p 1) gives alpha 0.
//
// This one: alpha = 2^(log2_opacity - u^2 - v^2), the Gaussian of footprint.h.
#pragma once

#include "../include/splat/constants.h"
#include "../include/splat/scalar.h"
#include "../sums.h"

namespace splat::gpu {

// u = l11 x + l21 y + cu, v = l22 y + cv relative to the tile's middle, so that cu, cv stay small.
struct PlainSplat {
    float l11, l21, l22, cu, cv, log2_opacity, r, g, b;
};

SPLAT_HD PlainSplat plain_splat(const Row& row, float middle_x, float middle_y) {
    const float mx = row.mx - middle_x, my = row.my - middle_y;
    return {row.l11, row.l21, row.l22, -(row.l11 * mx + row.l21 * my), -row.l22 * my, row.log2_opacity,
            row.r,   row.g,   row.b};
}

SPLAT_HD float pixel_u(const PlainSplat& s, float x, float y) { return fma_(s.l11, x, fma_(s.l21, y, s.cu)); }
SPLAT_HD float pixel_v(const PlainSplat& s, float y) { return fma_(s.l22, y, s.cv); }

// 2^x, and 0 where x < log2(1/255).
SPLAT_HD float alpha_from_exponent(float x) { return x >= kLog2AlphaMin ? exp2_(x) : 0.f; }

struct PlainPixel {
    static constexpr float kGrow = 0.f;
    static constexpr int kSums = kSumAbsY + 1;
    using Splat = PlainSplat;
    struct Term {
        float alpha, u, v;
    };

    SPLAT_HD static Splat load(const Row& row, float middle_x, float middle_y, int /*strips*/) {
        return plain_splat(row, middle_x, middle_y);
    }
    SPLAT_HD static Term at(const Splat& s, float x, float y) {
        const float u = pixel_u(s, x, y), v = pixel_v(s, y);
        return {alpha_from_exponent(fnma_(v, v, fnma_(u, u, s.log2_opacity))), u, v};
    }

    struct Sums {
        float h = 0, u = 0, v = 0, uu = 0, uv = 0, vv = 0, abs_x = 0, abs_y = 0;

        SPLAT_HD void add(const PlainSplat& s, const Term& t, float, float, float dh) {
            h += dh;
            add_moments(s, t.u, t.v, dh);
        }
        SPLAT_HD void add_moments(const PlainSplat& s, float pu, float pv, float weight) {
            const float hu = weight * pu, hv = weight * pv;
            u += hu, v += hv;
            uu = fma_(hu, pu, uu), uv = fma_(hu, pv, uv), vv = fma_(hv, pv, vv);
            abs_x += ::fabsf(hu);  // costs nothing on a device, which abs_ does
            abs_y += ::fabsf(fma_(s.l21, hu, s.l22 * hv));
        }
        SPLAT_HD void put(const PlainSplat&, float* to) const {
            to[kSumH] = h, to[kSumU] = u, to[kSumV] = v, to[kSumUU] = uu, to[kSumUV] = uv, to[kSumVV] = vv;
            to[kSumAbsX] = abs_x, to[kSumAbsY] = abs_y;
        }
    };
};

}  // namespace splat::gpu
