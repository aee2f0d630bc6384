// The moment closure: a kernel of the family convolved with the pixel's unit box, replaced by the
// member of the family with the same mass, covariance and radial kurtosis. With V = S0 + I/12,
// G = V^-1, g = tr G, h = tr GG, Q = (g^2 + 2 h)/144 (the box has variance 1/12 and fourth moment
// 1/80 per axis):
//   kurt' = kurt(t) + (2 - kurt(t)) (g/12 - Q/8) - (G11^2 + G22^2)/480
//   S' = V,  t' = kurt^-1(kurt'),  o' = o rho(t)/rho(t') sqrt(det S0 / det V)
// This is E[(x^T G x)^2]/4 for the sum of the two, written without the parts that cancel.
#pragma once

#include "filter.h"
#include "profile.h"

SPLAT_BEGIN

template <class F>
struct BoxMoments {
    F g11, g12, g22;   // V^-1; at most 12
    F mix, corner;     // g/12 - Q/8 and (G11^2 + G22^2)/480
};

template <class F>
SPLAT_HD BoxMoments<F> box_moments(F a, F b, F c, F det) {
    BoxMoments<F> m;
    const F r = F(1.f) / det;
    m.g11 = c * r, m.g12 = F(0.f) - b * r, m.g22 = a * r;
    const F g = m.g11 + m.g22, g2 = m.g11 * m.g11 + m.g22 * m.g22, h = fma_(F(2.f) * m.g12, m.g12, g2);
    m.mix = g * F(1.f / 12.f) - fma_(g, g, F(2.f) * h) * F(1.f / 1152.f);
    m.corner = g2 * F(1.f / 480.f);
    return m;
}

// kurt' clamped to where its inverse holds; NaN stays NaN.
template <class F>
SPLAT_HD F filtered_kurtosis(F kurt, const BoxMoments<F>& m) {
    return fma_(F(2.f) - kurt, m.mix, kurt) - m.corner;
}

template <class F>
SPLAT_HD F clamp_kurtosis(F k) {
    return max_(F(kKurtosisMin), min_(F(kKurtosisMax), k));
}

template <class F>
SPLAT_HD Filtered<F> filter_moment(const Projection<F>& p, F t) {
    const F e(kPixelVariance);
    Filtered<F> s;
    s.a = p.a0 + e;
    s.b = p.b;
    s.c = p.c0 + e;
    s.det = p.det0 + e * (p.a0 + p.c0 + e);
    const BoxMoments<F> m = box_moments(s.a, s.b, s.c, s.det);
    s.t = shape_of_kurtosis(clamp_kurtosis(filtered_kurtosis(kurtosis(t).value, m))).value;
    const F mass = exp2_(log2_mass(t).value - log2_mass(s.t).value);
    s.opacity = p.sigmoid * mass * sqrt_(max_(p.det0 / s.det, F(kMipRatioMin)));
    return s;
}

template <class F>
SPLAT_HD FilteredGradient<F> filter_moment_backward(const Projection<F>& p, F t, const Filtered<F>& s,
                                                    FilteredGradient<F> g) {
    const F zero(0.f), two(2.f);
    const BoxMoments<F> m = box_moments(s.a, s.b, s.c, s.det);
    const Curve<F> kurt = kurtosis(t);
    const F raw = filtered_kurtosis(kurt.value, m);
    const auto free = (raw >= F(kKurtosisMin)) & (raw <= F(kKurtosisMax));
    const F slope = select(free, shape_of_kurtosis(clamp_kurtosis(raw)).slope, zero);
    const F log_mass = F(kLn2) * g.log_opacity;
    const F v_kurt = slope * (g.t - log_mass * log2_mass(s.t).slope);
    g.t = log_mass * log2_mass(t).slope + v_kurt * (F(1.f) - m.mix) * kurt.slope;
    // D = gradient with respect to V^-1 (both off-diagonal entries d12); dV: -G D G
    const F v_mix = v_kurt * (two - kurt.value);
    const F v_trace = v_mix * fma_(m.g11 + m.g22, F(-1.f / 576.f), F(1.f / 12.f));
    const F v_square = v_mix * F(-1.f / 288.f);  // times G
    const F v_corner = v_kurt * F(-1.f / 240.f);
    const F d11 = v_trace + (v_square + v_corner) * m.g11, d12 = v_square * m.g12;
    const F d22 = v_trace + (v_square + v_corner) * m.g22;
    const F x1 = d11 * m.g11 + d12 * m.g12, x2 = d12 * m.g11 + d22 * m.g12;  // D G, column 1
    const F y1 = d11 * m.g12 + d12 * m.g22, y2 = d12 * m.g12 + d22 * m.g22;  // column 2
    g.a -= m.g11 * x1 + m.g12 * x2;
    g.b -= two * (m.g11 * y1 + m.g12 * y2);
    g.c -= m.g12 * y1 + m.g22 * y2;
    det_ratio_backward(p, s, g.log_opacity, g);
    return g;
}

SPLAT_END
