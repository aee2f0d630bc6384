// Gradient of footprint(): from the pixel loop's sums to the filtered splat.
//
// With h = alpha dL/dalpha (= dL/d ln alpha), r = u^2 + v^2 and w = h p r^(p-1) (plain: w = h), the
// pixel loop hands over sums of h, w (u, v), w (uu, uv, vv) and h r^p log2 r. From
// ln alpha = ln o' - ln2 r^p, L L^T = k S'^-1 and H the matrix of second moments:
//   dL/d mean = 2 ln2 L (sum w u, sum w v)          dL/dS' = ln2/k L H L^T
//   dL/dt     = -ln2 (dlnk/dt sum w r - p^2 sum h r^p ln r)
// which is S'^-1 (sum w d d^T) S'^-1 without its cancellations.
#pragma once

#include "footprint.h"

SPLAT_BEGIN

template <class F>
struct Moments {
    F h, hu, hv, huu, huv, hvv;  // all but the first weighted by w
    F power;                     // sum h r^p log2 r; not read for PlainProfile
};

template <class Profile, class F>
SPLAT_HD FilteredGradient<F> footprint_backward(F l11, F l21, F l22, F t, const Moments<F>& m) {
    FilteredGradient<F> g;
    const F two(2.f), inverse_k(2.f * kLn2);
    g.mean2d = {inverse_k * l11 * m.hu, inverse_k * (l21 * m.hu + l22 * m.hv)};
    F scale(0.5f * 2.f * kLn2 * 2.f * kLn2);  // ln2 / k for k = log2(e)/2
    g.t = F(0.f);
    if constexpr (Profile::kPower) {
        const Curve<F> log2_k = log2_factor(t);
        scale = F(kLn2) * exp2_(F(0.f) - log2_k.value);
        const F p = F(1.f) / t;
        g.t = F(kLn2 * kLn2) * (p * p * m.power - log2_k.slope * (m.huu + m.hvv));
    }
    const F row_u = l21 * m.huu + l22 * m.huv;  // row 2 of L H
    const F row_v = l21 * m.huv + l22 * m.hvv;
    g.a = scale * l11 * l11 * m.huu;
    g.b = two * scale * l11 * row_u;
    g.c = scale * (l21 * row_u + l22 * row_v);
    g.log_opacity = m.h;
    return g;
}

SPLAT_END
