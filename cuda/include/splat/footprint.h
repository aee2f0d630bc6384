// The footprint that the pixel loop reads: a filtered covariance S', opacity o' and shape to
//   alpha(d) = 2^(log2_opacity - (u^2 + v^2)^p),   u = l11 dx + l21 dy,  v = l22 dy,
// with p = beta'/2 = 1/t and [[l11, 0], [l21, l22]] the Cholesky factor L (L L^T) of k S'^-1,
//   k = (log2(e)/2)^t m2(t).
// No cancellation between large terms, and the gradients are plain moments of (u, v). A Gaussian
// (PlainProfile: p = 1, k = log2(e)/2) never sees p.
#pragma once

#include "filter.h"
#include "profile.h"

SPLAT_BEGIN

struct PlainProfile {
    static constexpr bool kPower = false;
};

struct PowerProfile {
    static constexpr bool kPower = true;
};

template <class F>
struct Footprint {
    F depth;                // camera z
    Vec2<F> mean;           // pixels
    F l11, l21, l22;        // u = l11 dx + l21 dy, v = l22 dy
    F log2_opacity;         // of the peak, compensation included
    F kx, ky;               // b/c and b/a: where a row (column) meets the ellipse's axis
    Vec2<F> extent;         // half extents of the region with alpha >= 1/255, pixels
    F limit;                // alpha >= 1/255 where u^2 + v^2 <= limit
    F p;                    // 1/t; 1 for PlainProfile
};

// log2 k and its slope in t
template <class F>
SPLAT_HD Curve<F> log2_factor(F t) {
    const Curve<F> m2 = log2_variance(t);
    return {fma_(t, F(kLog2HalfLog2E), m2.value), m2.slope + F(kLog2HalfLog2E)};
}

template <class Profile, class F>
SPLAT_HD Footprint<F> footprint(const View<F>& view, const Projection<F>& p, const Filtered<F>& s) {
    Footprint<F> f;
    f.depth = p.t.z;
    f.mean = {view.fx * p.t.x * p.inverse_z + view.cx, view.fy * p.t.y * p.inverse_z + view.cy};
    F root_k(kSqrtHalfLog2E);
    if constexpr (Profile::kPower) root_k = exp2_(F(0.5f) * log2_factor(s.t).value);
    const F inverse_c = F(1.f) / s.c, root = sqrt_(s.c / s.det);
    f.l11 = root_k * root;
    f.l21 = (F(0.f) - root_k) * s.b * inverse_c * root;
    f.l22 = root_k * sqrt_(inverse_c);
    f.log2_opacity = log2_(max_(s.opacity, F(1e-30f)));
    f.kx = s.b * inverse_c;
    f.ky = s.b / s.a;
    f.p = F(1.f);
    f.limit = max_(f.log2_opacity - F(kLog2AlphaMin), F(0.f));
    // alpha >= 1/255 inside d^T S'^-1 d <= tau
    F tau = max_((f.log2_opacity - F(kLog2AlphaMin)) * F(2.f * kLn2), F(0.f));
    if constexpr (Profile::kPower) {
        f.p = F(1.f) / s.t;
        f.limit = exp2_(s.t * log2_(max_(f.limit, F(1e-30f))));
        tau = f.limit / (root_k * root_k);
    }
    const F largest(1e37f);  // keeps the extent of the largest splats finite
    f.extent = {sqrt_(min_(tau * s.a, largest)), sqrt_(min_(tau * s.c, largest))};
    return f;
}

// The splat takes part in the image at all.
template <class F>
SPLAT_HD auto reaches_image(const View<F>& view, const Footprint<F>& f) {
    return (f.depth > view.near) & (f.depth < view.far) & (f.log2_opacity >= F(kLog2AlphaMin)) &
           (f.mean.x + f.extent.x > F(0.f)) & (f.mean.x - f.extent.x < view.width) &
           (f.mean.y + f.extent.y > F(0.f)) & (f.mean.y - f.extent.y < view.height) &
           (f.l11 > F(0.f)) & (f.l11 < F(1e18f));
}

SPLAT_END
