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
    // registers; strips = 0 says that the splat is sampled.
    struct Splat : Base::Splat {
        float peak, delta;
        int strips;
        bool columns;
    };

    SPLAT_HD static Splat load(const Row& row, float middle_x, float middle_y, int strips) {
        Splat s;
        static_cast<typename Base::Splat&>(s) = Base::load(row, middle_x, middle_y, strips);
        s.peak = s.delta = 0.f, s.strips = 0, s.columns = false;
        if (row.p != 0.f) return s;
        const StripSplat<float> strip = strip_splat(row.l11, row.l21, row.l22, row.log2_opacity,
                                                    Vec2<float>{row.mx - middle_x, row.my - middle_y}, strips);
        s.cu = strip.ms, s.cv = strip.mt, s.l21 = strip.inverse_sigma, s.l22 = strip.k, s.log2_opacity = strip.given;
        s.peak = strip.peak, s.delta = strip.delta, s.strips = strips, s.columns = strip.columns;
        return s;
    }

    // sigma and width are for strip_splat's own use
    SPLAT_HD static StripSplat<float> strip_of(const Splat& s) {
        return {s.cu,    s.cv,      0.f,       s.l21, s.l22, s.log2_opacity, s.peak, 0.f,
                s.delta, s.columns, s.delta < 0.5f};
    }

    // The strips of the pixel at (x, y): run(strip, where the pixel is along it), each `strips`-th of a
    // pixel wide.
    template <class Run>
    SPLAT_HD static void over_strips(const Splat& s, float x, float y, Run run) {
        const StripSplat<float> strip = strip_of(s);
        const float across = s.columns ? x : y, along = s.columns ? y : x;
        const float first = s.strips == 1 ? across : across - 0.25f;
        run(strip, strip_row(strip, first), along);
        if (s.strips > 1) run(strip, strip_row(strip, across + 0.25f), along);
    }

    using Term = typename Base::Term;

    SPLAT_HD static Term at(const Splat& s, float x, float y) {
        if (s.strips == 0) return Base::at(s, x, y);
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
            if (s.strips == 0) return Base::Sums::add(s, t, x, y, dh);
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
            if (s.strips == 0) return;
            // in the units of the other kernels: see the end of stage_project_backward.h
            to[kSumAbsX] = this->abs_x * (kHalfLog2E / s.l11), to[kSumAbsY] = this->abs_y * kHalfLog2E;
        }
    };
};

}  // namespace splat::gpu
