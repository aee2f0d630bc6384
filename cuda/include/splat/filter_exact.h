// The filter "exact": a splat whose smaller variance is below a limit is integrated by the strip
// rule (strip.h), a larger one is sampled at pixel centres after the filter that is best for large
// splats: I/12 added with the mass kept (Gaussian), the moment closure (other kernels). A small
// splat of another kernel, up to a largest beta, counts as the Gaussian of its covariance and mass.
// The choice is the splat's, so there is no seam inside one.
#pragma once

#include "filter_moment.h"
#include "filter_window.h"
#include "strip_backward.h"

SPLAT_BEGIN

// The smaller eigenvalue of S0 is below `limit`.
template <class F>
SPLAT_HD auto thinner(const Projection<F>& p, F limit) {
    const F half(0.5f), d = half * (p.a0 - p.c0), largest = half * (p.a0 + p.c0) + sqrt_(fma_(d, d, p.b * p.b));
    return p.det0 < limit * largest;
}

// Below which a splat is integrated. A sample is off by opacity times an error that falls with the size, so a
// faint splat may be sampled when it is smaller: the limit keeps the product where it is for opacity 1.
template <class Profile, class F>
SPLAT_HD F strip_limit(F opacity, int strips) {
    if constexpr (Profile::kPower) return F(kExactSwitchPower);
    const F doublings = log2_(max_(opacity, F(1e-30f)));
    return strips == 1 ? fma_(F(kExactSlope), doublings, F(kExactSwitch))
                       : fma_(F(kExactSlopeTwo), doublings, F(kExactSwitchTwo));
}

// Small enough for the kernel and the number of strips, and near enough to a Gaussian.
template <class Profile, class F>
SPLAT_HD auto takes_strips(const Projection<F>& p, F t, int strips) {
    return thinner(p, strip_limit<Profile>(p.sigmoid, strips)) & (t >= F(Profile::kPower ? 2.f / kExactBetaMost : 0.f));
}

// I/12 added, mass kept
template <class F>
SPLAT_HD Filtered<F> filter_box(const Projection<F>& p) {
    const F e(kPixelVariance), det = p.det0 + e * (p.a0 + p.c0 + e);
    return {p.a0 + e, p.b, p.c0 + e, det, p.sigmoid * sqrt_(max_(p.det0 / det, F(kMipRatioMin))), F(1.f)};
}

template <class M, class F>
SPLAT_HD Filtered<F> select_filtered(M m, const Filtered<F>& x, const Filtered<F>& y) {
    return {select(m, x.a, y.a),     select(m, x.b, y.b),             select(m, x.c, y.c),
            select(m, x.det, y.det), select(m, x.opacity, y.opacity), select(m, x.t, y.t)};
}

// S' is S0 where the splat takes strips: footprint<Profile> then gives what strip_splat needs.
template <class Profile, class M, class F>
SPLAT_HD Filtered<F> filter_exact(const Projection<F>& p, F t, M strips) {
    Filtered<F> small = filter_window(p);
    if constexpr (Profile::kPower) {
        small.opacity = small.opacity * exp2_(log2_mass(t).value);
        return select_filtered(strips, small, filter_moment(p, t));
    } else {
        return select_filtered(strips, small, filter_box(p));
    }
}

// What reaches_image() says, with the strips' margin added to the extents.
template <class M, class F>
SPLAT_HD auto exact_reaches_image(const View<F>& view, const Filtered<F>& s, Footprint<F>& f, M strips) {
    const F margin = select(strips, F(kStripMargin), F(0.f));
    f.extent = {f.extent.x + margin, f.extent.y + margin};
    const F peak = select(strips, s.opacity * window_bound(s), s.opacity);
    return reaches_image(view, f) & (peak >= F(kAlphaMin));
}

// `point` comes from footprint_backward, `strip` from the strips' sums; each splat uses its own.
template <class Profile, class M, class F>
SPLAT_HD FilteredGradient<F> filter_exact_backward(const Projection<F>& p, F t, const Filtered<F>& s, M strips,
                                                   FilteredGradient<F> point, const StripGradient<F>& strip) {
    FilteredGradient<F> small = strip_backward(p, strip);
    if constexpr (Profile::kPower) {
        small.t = F(kLn2) * strip.log_opacity * log2_mass(t).slope;
        point = filter_moment_backward(p, t, s, point);
    } else {
        det_ratio_backward(p, s, point.log_opacity, point);
    }
    return {{select(strips, small.mean2d.x, point.mean2d.x), select(strips, small.mean2d.y, point.mean2d.y)},
            select(strips, small.a, point.a),
            select(strips, small.b, point.b),
            select(strips, small.c, point.c),
            select(strips, small.log_opacity, point.log_opacity),
            select(strips, small.t, point.t)};
}

SPLAT_END
