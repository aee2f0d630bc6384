// The integral of a Gaussian splat over a unit window turned into the splat's axes, by a logistic
// approximation of Phi (Analytic-Splatting, Liang et al. 2024; from its formulas):
//   alpha = o 2 pi sigma1 sigma2 (F((u + 1/2)/sigma1) - F((u - 1/2)/sigma1)) (the same of v, sigma2)
// with u, v the offset along the eigenvectors v1 = (cos, sin), v2 = (-sin, cos) of S0. Two changes:
// an isotropic splat has the axes of the image, and the window grows to sigma/64 where that is more
// than a pixel (alpha changes by 1e-4 of itself), because differences of F lose all digits there.
#pragma once

#include "filter.h"
#include "strip.h"

SPLAT_BEGIN

constexpr float kHalfWindowMin = 1.f / 128.f;  // half a window in standard units
constexpr float kIsotropic = 1e-6f;            // (l1 - l2)/(l1 + l2) below which the axes are the image's
constexpr float kEigenGapMin2 = 1e-6f;         // its square is at least this in the rotation's gradient

template <class F>
struct AnalyticSplat {
    F cosine, sine;          // v1
    F inverse1, inverse2;    // 1/sigma
    F half1, half2;          // half windows, standard units
    F own1, own2;            // 1 where the window is a pixel, 0 where it grew
    F peak;                  // o 2 pi sigma1 sigma2 / window area
    F lambda1, lambda2;
};

// From what footprint<PlainProfile> stored for S0.
template <class F>
SPLAT_HD AnalyticSplat<F> analytic_splat(F l11, F l21, F l22, F log2_opacity) {
    const F zero(0.f), one(1.f), half(0.5f);
    const Covariance<F> c = covariance_of(l11, l21, l22);
    const F middle = half * (c.a + c.c), scale = one / middle;
    const F d = half * (c.a - c.c) * scale, e = c.b * scale, r = sqrt_(fma_(d, d, e * e));
    const auto turned = r > F(kIsotropic);
    const auto wide = d >= zero;
    const F x = select(turned, select(wide, r + d, e), one), y = select(turned, select(wide, e, r - d), zero);
    const F length = one / sqrt_(fma_(x, x, y * y));
    AnalyticSplat<F> s;
    s.cosine = x * length, s.sine = y * length;
    s.lambda1 = fma_(middle, r, middle);
    s.lambda2 = c.det / s.lambda1;
    s.inverse1 = one / sqrt_(s.lambda1), s.inverse2 = one / sqrt_(s.lambda2);
    const F h1 = half * s.inverse1, h2 = half * s.inverse2, least(kHalfWindowMin);
    s.half1 = max_(h1, least), s.half2 = max_(h2, least);
    s.own1 = select(h1 >= least, one, zero), s.own2 = select(h2 >= least, one, zero);
    s.peak = exp2_(log2_opacity) * F(0.25f * kTwoPi) / (s.half1 * s.half2);
    return s;
}

// One pixel at (dx, dy) from the mean: alpha = peak p1 p2.
template <class F>
struct AnalyticPixel {
    F u, v, z1, z2;       // u/sigma1, v/sigma2
    Window<F> w1, w2;
};

template <class F>
SPLAT_HD AnalyticPixel<F> analytic_pixel(const AnalyticSplat<F>& s, F dx, F dy) {
    AnalyticPixel<F> x;
    x.u = fma_(s.cosine, dx, s.sine * dy);
    x.v = fma_(s.cosine, dy, F(0.f) - s.sine * dx);
    x.z1 = x.u * s.inverse1, x.z2 = x.v * s.inverse2;
    x.w1 = window(analytic_odds(x.z1 + s.half1), analytic_odds(x.z1 - s.half1));
    x.w2 = window(analytic_odds(x.z2 + s.half2), analytic_odds(x.z2 - s.half2));
    return x;
}

// Sums over a splat's pixels (all of its tiles), with g = peak dL/dalpha.
template <class F>
struct AnalyticSums {
    F h;          // g p1 p2: dL/d ln o
    F u, v;       // g p2 slope1 and g p1 slope2: sigma1 dL/du, sigma2 dL/dv
    F s1, s2;     // what the axes' lengths move besides the peak
    F rotation;   // dL/d angle
};

template <class F>
SPLAT_HD AnalyticSums<F> analytic_terms(const AnalyticSplat<F>& s, const AnalyticPixel<F>& x, F g) {
    AnalyticSums<F> t;
    const F g1 = g * x.w2.p, g2 = g * x.w1.p;
    t.h = g1 * x.w1.p;
    t.u = g1 * x.w1.slope, t.v = g2 * x.w2.slope;
    t.s1 = fma_(x.z1, t.u, s.own1 * s.half1 * (g1 * x.w1.level));
    t.s2 = fma_(x.z2, t.v, s.own2 * s.half2 * (g2 * x.w2.level));
    t.rotation = t.u * s.inverse1 * x.v - t.v * s.inverse2 * x.u;
    return t;
}

// dL/d mean of one pixel's terms (their absolute values make the screen gradient), or of the sums.
template <class F>
SPLAT_HD Vec2<F> analytic_mean(const AnalyticSplat<F>& s, F sum_u, F sum_v) {
    const F gu = sum_u * s.inverse1, gv = sum_v * s.inverse2;
    return {s.sine * gv - s.cosine * gu, F(0.f) - fma_(s.sine, gu, s.cosine * gv)};
}

// With respect to S0 and ln o.
template <class F>
SPLAT_HD FilteredGradient<F> analytic_backward(const AnalyticSplat<F>& s, const AnalyticSums<F>& t) {
    const F half(0.5f), c = s.cosine, n = s.sine, cn = c * n;
    const F g1 = half * fma_(s.own1, t.h, F(0.f) - t.s1) / s.lambda1;
    const F g2 = half * fma_(s.own2, t.h, F(0.f) - t.s2) / s.lambda2;
    // d angle = v1^T dS v2 / (lambda1 - lambda2); 0 for an isotropic splat
    const F scale = F(1.f) / (s.lambda1 + s.lambda2), gap = (s.lambda1 - s.lambda2) * scale;
    const F turn = t.rotation * scale * gap / max_(gap * gap, F(kEigenGapMin2));
    FilteredGradient<F> g;
    g.mean2d = analytic_mean(s, t.u, t.v);
    g.a = g1 * c * c + g2 * n * n - turn * cn;
    g.b = F(2.f) * cn * (g1 - g2) + turn * (c * c - n * n);
    g.c = g1 * n * n + g2 * c * c + turn * cn;
    g.log_opacity = t.h;
    g.t = F(0.f);
    return g;
}

SPLAT_END
