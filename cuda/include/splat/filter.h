// Pixel filters: a projected splat (S0, det S0, opacity, shape t) to the splat that is sampled at
// pixel centres (S', o', t'), and the gradient back. This page: the interface and the two filters
// that add a variance e = view.dilation (S' = S0 + e I, t' = t):
//   none  o' = o                             (3D Gaussian Splatting)
//   mip   o' = o sqrt(det S0 / det S')       (keeps the mass; Mip-Splatting, Yu et al. 2024)
#pragma once

#include "project.h"

SPLAT_BEGIN

template <class F>
struct Filtered {
    F a, b, c, det;   // S' = [[a, b], [b, c]], px^2
    F opacity;
    F t;              // 2 / beta'
};

// Gradient with respect to a splat on the image; before or after its filter.
template <class F>
struct FilteredGradient {
    Vec2<F> mean2d;   // pixels
    F a, b, c;        // b counted once: it moves both off-diagonal entries
    F log_opacity;
    F t;
};

// Adds the gradient of half ln(det S0 / det S') to (a, b, c), for S' = S0 + e I. The ratio counts
// as at least kMipRatioMin.
template <class F>
SPLAT_HD void det_ratio_backward(const Projection<F>& p, const Filtered<F>& s, F v, FilteredGradient<F>& g) {
    const F zero(0.f), two(2.f);
    const auto free = p.det0 > F(kMipRatioMin) * s.det;
    const F half = select(free, v * F(0.5f), zero);
    const F r0 = F(1.f) / max_(p.det0, F(1e-30f)), r = F(1.f) / s.det;
    g.a += half * (p.c0 * r0 - s.c * r);
    g.b += half * two * p.b * (r - r0);
    g.c += half * (p.a0 * r0 - s.a * r);
}

template <class F>
SPLAT_HD Filtered<F> filter_dilate(const View<F>& view, const Projection<F>& p, F t) {
    Filtered<F> s;
    s.a = p.a0 + view.dilation;
    s.b = p.b;
    s.c = p.c0 + view.dilation;
    s.det = p.det0 + view.dilation * (p.a0 + p.c0 + view.dilation);
    s.opacity = p.sigmoid;
    if (view.mip) s.opacity = s.opacity * sqrt_(max_(p.det0 / s.det, F(kMipRatioMin)));
    s.t = t;
    return s;
}

template <class F>
SPLAT_HD FilteredGradient<F> filter_dilate_backward(const View<F>& view, const Projection<F>& p,
                                                    const Filtered<F>& s, FilteredGradient<F> g) {
    if (view.mip) det_ratio_backward(p, s, g.log_opacity, g);
    return g;
}

SPLAT_END
