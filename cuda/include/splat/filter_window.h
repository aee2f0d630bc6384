// The filter of kernels whose pixel loop integrates over the pixel (strip.h, analytic.h): the splat
// stays as it is (S' = S0, o' = o, t' = 1), with floors that keep the thinnest splats, which reach
// no alpha of 1/255, finite; its footprint grows by the half-width of the window.
#pragma once

#include "footprint.h"
#include "strip.h"

SPLAT_BEGIN

constexpr float kStripMargin = 0.5f;           // px
constexpr float kAnalyticMargin = 0.707106781f;  // the analytic window is turned

template <class F>
SPLAT_HD Filtered<F> filter_window(const Projection<F>& p) {
    const F least(kVarianceMin);
    Filtered<F> s;
    s.a = max_(least, p.a0);
    s.b = p.b;
    s.c = max_(least, p.c0);
    s.det = max_(least * max_(s.a, s.c), p.det0);
    s.opacity = p.sigmoid;
    s.t = F(1.f);
    return s;
}

// No pixel's alpha / o' is larger: a pixel holds no more than the splat's mass. A splat with
// o' window_bound < 1/255 is left out.
template <class F>
SPLAT_HD F window_bound(const Filtered<F>& s) {
    return min_(F(kTwoPi) * sqrt_(s.det), F(1.f));
}

SPLAT_END
