// The strip rule: the integral of a Gaussian splat over a pixel, exact along one pixel axis and, in
// the other, with the Gaussian that has the conditional's exact mean and variance. Exact where the
// splat is aligned with the pixels; no eigenvectors, so no degenerate case.
//
// s is the pixel axis of the larger variance (y: strips are rows; x: columns), t the other. With
// S0 = [[Vt, b], [b, Vs]], sigma = sqrt(Vs), k = b/sigma, and a strip of `width` w_s around y_s:
//   tau = (y_s - m_s)/sigma, delta = w_s/sigma      the strip in standard units
//   Z, mean, w                                      mass, mean, variance of N(0,1) on it
//   M = m_t + k mean,  V = det S0/Vs + k^2 w        of t, given the strip
//   alpha(x) = C (Phi(A (x + 1/2) + B) - Phi(A (x - 1/2) + B)),
//   A = 1/sqrt(V),  B = -M A,  C = o 2 pi sqrt(det S0) Z
// One strip per pixel row, or two halves of it whose alphas add. A, B, C belong to (splat, row):
// a pixel costs two Phi.
#pragma once

#include "cdf.h"
#include "vec.h"

SPLAT_BEGIN

constexpr float kVarianceMin = 1e-8f;  // px^2; splats thinner than this cannot reach alpha 1/255

// The covariance that footprint<PlainProfile> stored as L.
template <class F>
struct Covariance {
    F a, b, c, det;
};

template <class F>
SPLAT_HD Covariance<F> covariance_of(F l11, F l21, F l22) {
    const F rx = F(kSqrtHalfLog2E) / l11, ry = F(kSqrtHalfLog2E) / l22;
    const F c = ry * ry, slope = (F(0.f) - l21) / l11, given = rx * rx;  // slope b/c, given det/c
    return {fma_(slope * slope, c, given), slope * c, c, given * c};
}

// A splat as its strips need it.
template <class F>
struct StripSplat {
    F ms, mt;                 // mean
    F sigma, inverse_sigma;
    F k;                      // b / sigma
    F given;                  // det S0 / Vs: variance of t at one s
    F peak;                   // o 2 pi sqrt(det S0)
    F width, delta;           // of a strip: pixels, standard units
    bool columns;             // s is x
    bool narrow;              // delta < 1/2: moments by quadrature instead of differences of Phi
};

// For one splat (F is float or double, not a vector). The mean may be relative to any origin; rows
// and pixels are then too.
template <class F>
SPLAT_HD StripSplat<F> strip_splat(F l11, F l21, F l22, F log2_opacity, Vec2<F> mean, int strips) {
    const Covariance<F> v = covariance_of(l11, l21, l22);
    StripSplat<F> s;
    s.columns = v.a > v.c;
    const F vs = s.columns ? v.a : v.c;
    s.ms = s.columns ? mean.x : mean.y;
    s.mt = s.columns ? mean.y : mean.x;
    s.sigma = sqrt_(vs);
    s.inverse_sigma = F(1.f) / s.sigma;
    s.k = v.b * s.inverse_sigma;
    s.given = v.det / vs;
    s.peak = exp2_(log2_opacity) * F(kTwoPi) * sqrt_(v.det);
    s.width = F(1.f) / F(float(strips));
    s.delta = s.width * s.inverse_sigma;
    s.narrow = s.delta < F(0.5f);
    return s;
}

template <class To, class F>
SPLAT_HD StripSplat<To> broadcast(const StripSplat<F>& s) {
    return {To(s.ms),    To(s.mt),   To(s.sigma), To(s.inverse_sigma), To(s.k), To(s.given),
            To(s.peak),  To(s.width), To(s.delta), s.columns,          s.narrow};
}

// Mass, mean and variance of N(0,1) on [tau - delta/2, tau + delta/2], and their derivatives in tau
// (_c; dlnZ = -mean, dmean = 1 - variance) and in ln delta (_d). third = -dvariance/dtau.
template <class F>
struct StripMoments {
    F z, mean, variance, third;
    F z_d, mean_d, variance_d;  // of ln Z, mean, variance
};

// Beyond this many standard deviations a strip holds nothing that counts; keeps all finite.
constexpr float kStripReach = 12.f;

// delta < 1/2: three Gauss-Legendre nodes, at -root 0, root with weights 5, 8, 5 (of 18). Nothing
// cancels. Relative error 2e-8 at delta = 1/2.
template <class F>
SPLAT_HD StripMoments<F> narrow_moments(F tau, F delta) {
    const F one(1.f), two(2.f);
    const F at = max_(min_(tau, F(kStripReach)), F(-kStripReach));
    const F root = F(0.387298335f) * delta, tilt = at * root;  // sqrt(3/5) / 2
    const F fall = root * root * F(-kHalfLog2E);
    const F up = F(5.f) * exp2_(fma_(tilt, F(-kLog2E), fall)), down = F(5.f) * exp2_(fma_(tilt, F(kLog2E), fall));
    const F total = up + down + F(8.f), r = one / total;
    const F s = (up + down) * r, d = (up - down) * r;  // E[e^2], E[e] of e = (t - tau)/root
    const F root2 = root * root, spread = s - d * d, rest = one - s;
    StripMoments<F> m;
    m.z = delta * F(kDensityAt0 / 18.f) * normal_falloff(at) * total;
    m.mean = fma_(root, d, at);
    m.variance = root2 * spread;
    m.third = root2 * root * d * (one - F(3.f) * s + two * d * d);
    m.z_d = one - tilt * d - root2 * s;
    m.mean_d = root * d - at * m.variance - root2 * root * d * rest;
    m.variance_d = two * m.variance - at * m.third - root2 * root2 * rest * (s - two * d * d);
    return m;
}

// delta >= 1/2: from Phi and phi at the ends, on the side where Phi is small.
template <class F>
SPLAT_HD StripMoments<F> wide_moments(F tau, F delta) {
    const F one(1.f), zero(0.f), half_width = F(0.5f) * delta;
    const auto negative = tau < zero;
    const F at = min_(abs_(tau), F(kStripReach) + half_width);
    const F t0 = at - half_width, t1 = at + half_width;
    const auto outside = t0 >= zero;  // the mean is not in the strip
    const F p0 = F(kDensityAt0) * normal_falloff(t0), p1 = F(kDensityAt0) * normal_falloff(t1);
    const F q0 = mills_ratio(abs_(t0)), q1 = mills_ratio(t1);
    // phi(t1)/phi(t0), which does not underflow where phi(t0) does
    const F e = exp2_(max_(at * delta * F(-kLog2E), F(-126.f)));
    const F n0 = select(outside, one, p0), n1 = select(outside, e, p1);
    const F mass = select(outside, q0 - e * q1, one - p0 * q0 - p1 * q1);
    const F r = one / mass, r0 = n0 * r, r1 = n1 * r;  // phi/Z at the ends
    StripMoments<F> m;
    m.z = select(outside, p0 * mass, mass);
    const F mean = r0 - r1, d0 = t0 - mean, d1 = t1 - mean;
    m.variance = min_(max_(one + r0 * d0 - r1 * d1, zero), one);
    const F f0 = r0 * (d0 * d0 - m.variance), f1 = r1 * (d1 * d1 - m.variance);
    m.z_d = half_width * (r1 + r0);
    m.variance_d = half_width * (f1 + f0);
    const F mean_d = half_width * (r1 * d1 + r0 * d0), third = f0 - f1;
    m.mean = select(negative, zero - mean, mean);
    m.mean_d = select(negative, zero - mean_d, mean_d);
    m.third = select(negative, zero - third, third);
    return m;
}

// One splat on one strip, centred at y (same origin as the mean).
template <class F>
struct StripRow {
    F a, b, c;          // A, B, C above
    F tau;
    StripMoments<F> m;
};

template <class F>
SPLAT_HD StripRow<F> strip_row(const StripSplat<F>& s, F y) {
    StripRow<F> row;
    row.tau = (y - s.ms) * s.inverse_sigma;
    row.m = s.narrow ? narrow_moments(row.tau, s.delta) : wide_moments(row.tau, s.delta);
    const F v = max_(fma_(s.k * s.k, row.m.variance, s.given), F(kVarianceMin));
    row.a = F(1.f) / sqrt_(v);
    row.b = (F(0.f) - fma_(s.k, row.m.mean, s.mt)) * row.a;
    row.c = s.peak * row.m.z;
    return row;
}

// One strip at the pixel centre x: alpha = C p. With g = C dL/dalpha the pixel loop adds to its
// strip's sums:  h += g p,  m += g slope,  v += g spread.
template <class F>
struct StripPixel {
    F p;        // Phi(z1) - Phi(z0),  z = A (x +- 1/2) + B
    F slope;    // Phi'(z1) - Phi'(z0)
    F spread;   // z1 Phi'(z1) - z0 Phi'(z0)
};

template <class F>
SPLAT_HD StripPixel<F> strip_pixel(F a, F b, F x) {
    const F middle = fma_(a, x, b), half = F(0.5f) * a;
    const Window<F> w = window(normal_odds(middle + half), normal_odds(middle - half));
    return {w.p, w.slope, fma_(middle, w.slope, half * w.level)};
}

SPLAT_END
