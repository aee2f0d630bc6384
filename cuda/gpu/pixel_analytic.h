// The filter "analytic" (analytic.h) for one thread: the integral over a unit window turned into the
// splat's axes.
#pragma once

#include "../include/splat/analytic.h"
#include "../include/splat/filter_window.h"
#include "pixel_plain.h"

namespace splat::gpu {

struct AnalyticPixel {
    static constexpr float kGrow = kAnalyticMargin;
    static constexpr int kSums = kSumAbsY + 1;

    struct Splat {
        float mx, my;  // relative to the tile's middle
        float cosine, sine, inverse1, inverse2, peak, l11, r, g, b;
    };

    SPLAT_HD static Splat load(const Row& row, float middle_x, float middle_y, int) {
        const AnalyticSplat<float> s = analytic_splat(row.l11, row.l21, row.l22, row.log2_opacity);
        return {row.mx - middle_x, row.my - middle_y, s.cosine, s.sine, s.inverse1, s.inverse2, s.peak, row.l11,
                row.r,             row.g,             row.b};
    }

    // As analytic_splat() makes it; the lengths are for its own use.
    SPLAT_HD static AnalyticSplat<float> axes(const Splat& s) {
        const float h1 = 0.5f * s.inverse1, h2 = 0.5f * s.inverse2;
        return {s.cosine,
                s.sine,
                s.inverse1,
                s.inverse2,
                max_(h1, kHalfWindowMin),
                max_(h2, kHalfWindowMin),
                h1 >= kHalfWindowMin ? 1.f : 0.f,
                h2 >= kHalfWindowMin ? 1.f : 0.f,
                s.peak,
                0.f,
                0.f};
    }

    struct Term {
        float alpha;
        splat::AnalyticPixel<float> pixel;
    };

    SPLAT_HD static Term at(const Splat& s, float x, float y) {
        Term t;
        t.pixel = analytic_pixel(axes(s), x - s.mx, y - s.my);
        const float alpha = s.peak * t.pixel.w1.p * t.pixel.w2.p;
        t.alpha = alpha >= kAlphaMin ? alpha : 0.f;
        return t;
    }

    struct Sums {
        float h = 0.f, u = 0.f, v = 0.f, s1 = 0.f, s2 = 0.f, rotation = 0.f, abs_x = 0.f, abs_y = 0.f;

        SPLAT_HD void add(const Splat& s, const Term& t, float, float, float dh) {
            const AnalyticSplat<float> a = axes(s);
            const float g = s.peak * dh * rcp_(max_(t.alpha, kAlphaMin));
            const AnalyticSums<float> one = analytic_terms(a, t.pixel, g);
            h += dh, u += one.u, v += one.v, s1 += one.s1, s2 += one.s2, rotation += one.rotation;
            const Vec2<float> mean = analytic_mean(a, one.u, one.v);
            abs_x += abs_(mean.x), abs_y += abs_(mean.y);
        }
        SPLAT_HD void put(const Splat& s, float* to) const {
            to[kSumH] = h, to[kSumU] = u, to[kSumV] = v, to[kSumUU] = s1, to[kSumUV] = s2, to[kSumVV] = rotation;
            // in the units of the other kernels: see the end of stage_project_backward.h
            to[kSumAbsX] = abs_x * (kHalfLog2E / s.l11), to[kSumAbsY] = abs_y * kHalfLog2E;
        }
    };
};

}  // namespace splat::gpu
