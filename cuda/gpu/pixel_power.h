// alpha = 2^(log2_opacity - (u^2 + v^2)^p): the generalised exponential of footprint.h.
#pragma once

#include "../include/splat/profile.h"
#include "pixel_plain.h"

namespace splat::gpu {

// log2 by the special function unit: 2^-22 absolute, which p <= 4 turns into a relative 1e-5 of alpha at most.
SPLAT_HD float log2_of_radius2(float r) {
#if defined(__CUDA_ARCH__)
    return __log2f(r);
#else
    return log2_(r);
#endif
}

struct PowerPixel {
    static constexpr float kGrow = 0.f;
    static constexpr int kSums = kSumPower + 1;
    struct Splat : PlainSplat {
        float p;
    };
    struct Term {
        float alpha, u, v, slope, log_term;  // d r^p / dr, r^p log2 r
    };

    SPLAT_HD static Splat load(const Row& row, float middle_x, float middle_y, int /*strips*/) {
        Splat s;
        static_cast<PlainSplat&>(s) = plain_splat(row, middle_x, middle_y);
        s.p = row.p;
        return s;
    }
    SPLAT_HD static Term at(const Splat& s, float x, float y) {
        const float u = pixel_u(s, x, y), v = pixel_v(s, y);
        const float r = max_(fma_(u, u, v * v), kRadius2Min), log_r = log2_of_radius2(r);
        const float power = exp2_(min_(s.p * log_r, 126.f));
        return {alpha_from_exponent(s.log2_opacity - power), u, v, s.p * power * rcp_(r), power * log_r};
    }

    struct Sums : PlainPixel::Sums {
        float power = 0;

        SPLAT_HD void add(const Splat& s, const Term& t, float, float, float dh) {
            h += dh;
            power = fma_(dh, t.log_term, power);
            add_moments(s, t.u, t.v, dh * t.slope);
        }
        SPLAT_HD void put(const Splat& s, float* to) const {
            PlainPixel::Sums::put(s, to);
            to[kSumPower] = power;
        }
    };
};

}  // namespace splat::gpu
