// The filter "analytic" (analytic.h): the integral over a unit window turned into the splat's axes.
#pragma once

#include "../include/splat/analytic.h"
#include "../include/splat/filter_window.h"
#include "kernel_plain.h"

SPLAT_BEGIN

template <class To, class F>
SPLAT_HD AnalyticSplat<To> broadcast(const AnalyticSplat<F>& s) {
    return {To(s.cosine), To(s.sine), To(s.inverse1), To(s.inverse2), To(s.half1),   To(s.half2),
            To(s.own1),   To(s.own2), To(s.peak),     To(s.lambda1),  To(s.lambda2)};
}

struct AnalyticKernel {
    static constexpr float kGrow = kAnalyticMargin;
    static constexpr int kBatch = 256;
    static constexpr bool kCostly = true;
    static constexpr int kSums = kSumAbsY + 1;

    using Table = NoTable;
    struct Local : PlainLocal {
        float mx, my;  // relative to the tile's middle
        AnalyticSplat<float> axes;
    };
    static void localise(const Frame&, const Row& row, uint32_t, float middle_x, float middle_y, uint32_t, Local& to,
                         Table&) {
        to = {localise_row(row, middle_x, middle_y), row.mx - middle_x, row.my - middle_y,
              analytic_splat(row.l11, row.l21, row.l22, row.log2_opacity)};
    }
    static void nothing(Local& to) {
        PlainKernel::nothing(to);
        to.mx = to.my = 1e6f;
        to.axes = analytic_splat(1.f, 0.f, 1.f, -100.f);
    }
    static bool clamps(const Local&) { return true; }

    SPLAT_HD static AnalyticPixel<vf> pixel(const Local& s, const AnalyticSplat<vf>& axes, const Centres& at, int b,
                                            int part) {
        return analytic_pixel(axes, at.x[b][part] - vf(s.mx), at.y[b][part] - vf(s.my));
    }
    SPLAT_HD static vf alpha_of(const AnalyticSplat<vf>& axes, const AnalyticPixel<vf>& x) {
        const vf alpha = axes.peak * x.w1.p * x.w2.p;
        return keep(alpha >= vf(kAlphaMin), alpha);
    }

    template <int N>
    SPLAT_HD static void alphas(const Local* const* s, const Centres& at, int b, int part, vf* out) {
        for (int i = 0; i < N; ++i) {
            const AnalyticSplat<vf> axes = broadcast<vf>(s[i]->axes);
            out[i] = alpha_of(axes, pixel(*s[i], axes, at, b, part));
        }
    }

    // Terms of the sums for g = 1.
    struct Held {
        alignas(64) float alpha[kVectors][W], u[kVectors][W], v[kVectors][W], s1[kVectors][W], s2[kVectors][W],
            rotation[kVectors][W];
    };
    static void hold(const Local& s, const Centres& at, int b, int part, Held& held, int n) {
        const AnalyticSplat<vf> axes = broadcast<vf>(s.axes);
        const AnalyticPixel<vf> x = pixel(s, axes, at, b, part);
        const AnalyticSums<vf> t = analytic_terms(axes, x, vf(1.f));
        alpha_of(axes, x).store(held.alpha[n]);
        t.u.store(held.u[n]), t.v.store(held.v[n]), t.s1.store(held.s1[n]), t.s2.store(held.s2[n]);
        t.rotation.store(held.rotation[n]);
    }

    struct Sums : ColorSums {
        vf h, u, v, s1, s2, rotation;

        SPLAT_HD void begin(const Frame&, const Local&, const Row&, uint32_t, float, float) {}
        void add(const Local& s, const Centres&, int, int, const Held& held, int n, vf dh) {
            const vf g = vf(s.axes.peak) * dh * rcp_rough(max_(vf::load(held.alpha[n]), vf(kAlphaMin)));
            const vf du = g * vf::load(held.u[n]), dv = g * vf::load(held.v[n]);
            h += dh, u += du, v += dv;
            s1 = fma_(g, vf::load(held.s1[n]), s1), s2 = fma_(g, vf::load(held.s2[n]), s2);
            rotation = fma_(g, vf::load(held.rotation[n]), rotation);
            if (!this->absolute) return;
            const Vec2<vf> mean = analytic_mean(broadcast<vf>(s.axes), du, dv);
            abs_x += abs_(mean.x), abs_y += abs_(mean.y);
        }
        SPLAT_HD void put(vf* to, const Local& s) const {
            ColorSums::put(to);
            to[kSumH] = h, to[kSumU] = u, to[kSumV] = v, to[kSumUU] = s1, to[kSumUV] = s2, to[kSumVV] = rotation;
            // in the units of the other kernels: see the end of stage_project_backward.h
            to[kSumAbsX] = abs_x * vf(kHalfLog2E / s.l11), to[kSumAbsY] = abs_y * vf(kHalfLog2E);
        }
    };
};

SPLAT_END
