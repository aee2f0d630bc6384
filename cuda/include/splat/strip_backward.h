// Gradient of strip.h: from a strip's three sums over its pixels to the splat.
//
// From ln alpha = ln C + ln p, dp = -A slope dM - A^2/2 spread dV, and g = C dL/dalpha:
//   dL/dlnC = sum g p,   dL/dM = -A sum g slope,   dL/dV = -A^2/2 sum g spread
// then through (Z, mean, w) of the strip to m_s, m_t, Vs, b, Vt.
#pragma once

#include "filter.h"
#include "strip.h"

SPLAT_BEGIN

template <class F>
struct StripSums {
    F h, m, v;
};

// Gradient with respect to what strip.h takes from one splat, without the factor sqrt(det S0): to
// be summed over strips and tiles.
template <class F>
struct StripGradient {
    Vec2<F> mean;
    F a, b, c;      // S0
    F log_opacity;  // sum of h
};

// Change of m_s per unit of each of the three per-pixel parts: the pixel's own gradient is
//   dL/dm_s = g (p by.h + slope by.m + spread by.v),  dL/dm_t = -g A slope.
template <class F>
SPLAT_HD StripSums<F> strip_mean_parts(const StripSplat<F>& s, const StripRow<F>& row) {
    const F ak = row.a * s.k, one(1.f);
    return {s.inverse_sigma * row.m.mean, s.inverse_sigma * ak * (one - row.m.variance),
            F(-0.5f) * s.inverse_sigma * ak * ak * row.m.third};
}

template <class F>
SPLAT_HD StripGradient<F> strip_row_backward(const StripSplat<F>& s, const StripRow<F>& row,
                                             const StripSums<F>& sums) {
    const F one(1.f), zero(0.f), two(2.f);
    const StripMoments<F>& m = row.m;
    const F v_m = zero - row.a * sums.m, v_v = F(-0.5f) * row.a * row.a * sums.v;
    const F kk = s.k * s.k, v_mean = v_m * s.k, v_w = v_v * kk;
    const F v_tau = v_mean * (one - m.variance) - sums.h * m.mean - v_w * m.third;
    const F v_delta = sums.h * m.z_d + v_mean * m.mean_d + v_w * m.variance_d;  // of ln delta
    const F v_k = v_m * m.mean - two * s.k * (one - m.variance) * v_v;
    const F v_s = zero - v_tau * s.inverse_sigma;
    // 2 sigma^2 dL/dVs = -(v_tau tau + v_delta + v_k k)
    const F v_vs = F(-0.5f) * s.inverse_sigma * s.inverse_sigma * (v_tau * row.tau + v_delta + v_k * s.k);
    const F v_b = v_k * s.inverse_sigma;
    if (s.columns) return {{v_s, v_m}, v_vs, v_b, v_v, sums.h};
    return {{v_m, v_s}, v_v, v_b, v_vs, sums.h};
}

// The whole gradient with respect to S0: adds what sqrt(det S0) gives.
template <class F>
SPLAT_HD FilteredGradient<F> strip_backward(const Projection<F>& p, const StripGradient<F>& g) {
    const F half = F(0.5f) * g.log_opacity / max_(p.det0, F(1e-30f));
    return {g.mean, fma_(half, p.c0, g.a), fnma_(F(2.f) * half, p.b, g.b), fma_(half, p.a0, g.c), g.log_opacity,
            F(0.f)};
}

SPLAT_END
