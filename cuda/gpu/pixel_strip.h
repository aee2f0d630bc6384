// The filter "exact" (filter_exact.h) for one thread: splats with row.p = 0 are integrated over the
// pixel by the strip rule (strip.h), the others sampled by the kernel Base.
#pragma once

#include "../include/splat/filter_window.h"
#include "../include/splat/strip_backward.h"
#include "pixel_power.h"

namespace splat::gpu {

template <class Base>
struct StripPixel {
    static constexpr float kGrow = kStripMargin;
    static constexpr int kSums = kSumPower + 1;

    // What Base needs of a sampled splat and the strip rule of an integrated one lie in the same
    // registers. peak < 0: sampled; delta < 0: columns.
    struct Splat : Base::Splat {
        float peak, delta;
    };

    SPLAT_HD static bool integrated(const Splat& s) { return s.peak >= 0.f; }

    SPLAT_HD static Splat load(const Row& row, float middle_x, float middle_y, int strips) {
        Splat s;
        static_cast<typename Base::Splat&>(s) = Base::load(row, middle_x, middle_y, strips);
        s.peak = -1.f, s.delta = 0.f;
        if (row.p != 0.f) return s;
        const StripSplat<float> strip = strip_splat(row.l11, row.l21, row.l22, row.log2_opacity,
                                                    Vec2<float>{row.mx - middle_x, row.my - middle_y}, strips);
        s.cu = strip.ms, s.cv = strip.mt, s.l21 = strip.inverse_sigma, s.l22 = strip.k, s.log2_opacity = strip.given;
        s.peak = strip.peak, s.delta = strip.columns ? -strip.delta : strip.delta;
        return s;
    }

    SPLAT_HD static StripSplat<float> strip_of(const Splat& s) {
        const float delta = abs_(s.delta), unread = 0.f;  // sigma; width
        return {s.cu, s.cv, unread, s.l21, s.l22, s.log2_opacity, s.peak, unread, delta, s.delta < 0.f, delta < 0.5f};
    }

    // The strips of the pixel at (x, y), one or two: run(splat, strip, where the pixel is along it).
    template <class Run>
    SPLAT_HD static void over_strips(const Splat& s, float x, float y, Run run) {
        const StripSplat<float> strip = strip_of(s);
        const float across = strip.columns ? x : y, along = strip.columns ? y : x;
        const int strips = strip.delta < 0.75f * strip.inverse_sigma ? 2 : 1;  // delta = width / sigma
        for (int k = 0; k < strips; ++k)  // one code for both: it is long
            run(strip, strip_row(strip, across + (strips == 1 ? 0.f : float(k) - 0.5f) * 0.5f), along);
    }

    using Term = typename Base::Term;

    SPLAT_HD static Term at(const Splat& s, float x, float y) {
        if (!integrated(s)) return Base::at(s, x, y);
        float alpha = 0.f;
        over_strips(s, x, y, [&](const StripSplat<float>&, const StripRow<float>& row, float along) {
            alpha = fma_(row.c, strip_pixel(row.a, row.b, along).p, alpha);
        });
        Term t{};
        t.alpha = alpha >= kAlphaMin ? alpha : 0.f;
        return t;
    }

    struct Sums : Base::Sums {
        SPLAT_HD void add(const Splat& s, const Term& t, float x, float y, float dh) {
            if (!integrated(s)) return Base::Sums::add(s, t, x, y, dh);
            const float dalpha = dh * rcp_(max_(t.alpha, kAlphaMin));
            float mean_x = 0.f, mean_y = 0.f;
            over_strips(s, x, y, [&](const StripSplat<float>& strip, const StripRow<float>& row, float along) {
                const auto pixel = strip_pixel(row.a, row.b, along);
                const float g = dalpha * row.c;
                const StripGradient<float> one = strip_row_backward(
                    strip, row, StripSums<float>{g * pixel.p, g * pixel.slope, g * pixel.spread});
                mean_x += one.mean.x, mean_y += one.mean.y;
                this->uu += one.a, this->uv += one.b, this->vv += one.c, this->h += one.log_opacity;
            });
            this->u += mean_x, this->v += mean_y;
            this->abs_x += abs_(mean_x), this->abs_y += abs_(mean_y);
        }

        SPLAT_HD void put(const Splat& s, float* to) const {
            Base::Sums::put(s, to);
            if (!integrated(s)) return;
            // in the units of the other kernels: see the end of stage_project_backward.h
            to[kSumAbsX] = this->abs_x * (kHalfLog2E / s.l11), to[kSumAbsY] = this->abs_y * kHalfLog2E;
        }
    };
};

}  // namespace splat::gpu
