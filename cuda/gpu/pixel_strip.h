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

    // Strip k of the pixel at (x, y), and the pixel on it.
    struct Strip {
        StripRow<float> row;
        splat::StripPixel<float> pixel;
    };

    SPLAT_HD static Strip strip_at(const StripSplat<float>& strip, int strips, int k, float x, float y) {
        const float across = strip.columns ? x : y, along = strip.columns ? y : x;
        Strip s;
        s.row = strip_row(strip, across + (strips == 1 ? 0.f : float(k) - 0.5f) * 0.5f);
        s.pixel = strip_pixel(s.row.a, s.row.b, along);
        return s;
    }
    SPLAT_HD static int strips_of(const StripSplat<float>& strip) {
        return strip.delta < 0.75f * strip.inverse_sigma ? 2 : 1;  // delta = width / sigma
    }

    struct Term : Base::Term {
        Strip last;  // strip of the pixel; add() works the others out again
    };

    SPLAT_HD static Term at(const Splat& s, float x, float y) {
        Term t{};
        if (!integrated(s)) {
            static_cast<typename Base::Term&>(t) = Base::at(s, x, y);
            return t;
        }
        const StripSplat<float> strip = strip_of(s);
        const int strips = strips_of(strip);
        float alpha = 0.f;
        for (int k = 0; k < strips; ++k) {  // one code for both: it is long
            t.last = strip_at(strip, strips, k, x, y);
            alpha = fma_(t.last.row.c, t.last.pixel.p, alpha);
        }
        t.alpha = alpha >= kAlphaMin ? alpha : 0.f;
        return t;
    }

    struct Sums : Base::Sums {
        SPLAT_HD void add(const Splat& s, const Term& t, float x, float y, float dh) {
            if (dh == 0.f) return;
            if (!integrated(s)) return Base::Sums::add(s, t, x, y, dh);
            const StripSplat<float> strip = strip_of(s);
            const int strips = strips_of(strip);
            const float dalpha = dh * rcp_(max_(t.alpha, kAlphaMin));
            Vec2<float> mean{0.f, 0.f};
            Strip one = t.last;
            for (int k = strips - 1;; --k) {
                const float g = dalpha * one.row.c;
                const StripGradient<float> v = strip_row_backward(
                    strip, one.row, StripSums<float>{g * one.pixel.p, g * one.pixel.slope, g * one.pixel.spread});
                mean.x += v.mean.x, mean.y += v.mean.y;
                this->uu += v.a, this->uv += v.b, this->vv += v.c, this->h += v.log_opacity;
                if (k == 0) break;
                one = strip_at(strip, strips, k - 1, x, y);
            }
            this->u += mean.x, this->v += mean.y;
            this->abs_x += abs_(mean.x), this->abs_y += abs_(mean.y);
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
