// From a projected splat to what the pixel loop reads, and back: the filter and profile of this
// render (filter.h, footprint.h), W splats at a time.
#pragma once

#include "../include/splat/analytic.h"
#include "../include/splat/filter_exact.h"
#include "../include/splat/filter_moment.h"
#include "../include/splat/footprint_backward.h"
#include "frame.h"
#include "simd.h"
#include "sums.h"

SPLAT_BEGIN

// t = 2 / beta of W splats and its slope in the raw shape; 1 and 0 for Gaussians.
inline Curve<vf> gather_shape(const FrameInput& in, int64_t base, const int32_t* index) {
    if (!in.generalised) return {vf(1.f), vf(0.f)};
    return shape_of_raw(vf::gather(in.shape + base, index));
}

// Margins on the block test for the rounding of the exponent.
constexpr float kLimitMargin = 1e-3f, kLimitFactor = 1.002f;

// What a row of the frame is filled from, and which splats take part in the image. A splat whose
// pixels are integrated has p = 0.
struct Seen {
    Footprint<vf> f;
    vm visible;
};

inline Seen sampled(const View<vf>& view, const Projection<vf>& p, const Filtered<vf>& s, bool power) {
    Footprint<vf> f = power ? footprint<PowerProfile>(view, p, s) : footprint<PlainProfile>(view, p, s);
    return {f, reaches_image(view, f)};
}

inline Seen analytic_footprint(const View<vf>& view, const Projection<vf>& p) {
    const Filtered<vf> s = filter_window(p);
    Footprint<vf> f = footprint<PlainProfile>(view, p, s);
    f.extent = {f.extent.x + vf(kAnalyticMargin), f.extent.y + vf(kAnalyticMargin)};
    f.p = vf(0.f);
    return {f, reaches_image(view, f) & (s.opacity * window_bound(s) >= vf(kAlphaMin))};
}

template <class Profile>
inline Seen exact_footprint(const FrameInput& in, const View<vf>& view, const Projection<vf>& p, vf t) {
    const vm strips = takes_strips<Profile>(p, t, in.strips);
    const Filtered<vf> s = filter_exact<Profile>(p, t, strips);
    Footprint<vf> f = footprint<Profile>(view, p, s);
    const vm visible = exact_reaches_image(view, s, f, strips);
    f.p = select(strips, vf(0.f), f.p);
    return {f, visible};
}

inline Seen make_footprint(const FrameInput& in, const View<vf>& view, const Projection<vf>& p, vf t) {
    Seen seen;
    switch (in.filter) {
        case Filter::analytic: seen = analytic_footprint(view, p); break;
        case Filter::exact:
            seen = in.generalised ? exact_footprint<PowerProfile>(in, view, p, t)
                                  : exact_footprint<PlainProfile>(in, view, p, t);
            break;
        case Filter::moment: seen = sampled(view, p, filter_moment(p, t), true); break;
        default: seen = sampled(view, p, filter_dilate(view, p, t), in.generalised);
    }
    seen.f.limit = fma_(seen.f.limit, vf(kLimitFactor), vf(kLimitMargin));
    return seen;
}

// The footprint of W rows and the sums of their pixels: what goes back.
struct RowSums {
    vf l11, l21, l22, log2_opacity;
    alignas(64) float sums[kSums][W];

    vf total(int k) const { return vf::load(sums[k]); }
    Moments<vf> moments(bool power) const {
        return {total(kSumH),  total(kSumU),  total(kSumV), total(kSumUU),
                total(kSumUV), total(kSumVV), power ? total(kSumPower) : vf(0.f)};
    }
};

template <class Profile>
inline FilteredGradient<vf> exact_gradient(const FrameInput& in, const Projection<vf>& p, vf t, const RowSums& r) {
    const vm strips = takes_strips<Profile>(p, t, in.strips);
    const Filtered<vf> s = filter_exact<Profile>(p, t, strips);
    const StripGradient<vf> strip{{r.total(kSumU), r.total(kSumV)}, r.total(kSumUU), r.total(kSumUV),
                                  r.total(kSumVV), r.total(kSumH)};
    return filter_exact_backward<Profile>(
        p, t, s, strips, footprint_backward<Profile>(r.l11, r.l21, r.l22, s.t, r.moments(Profile::kPower)), strip);
}

// Gradient with respect to the projected splat, before its filter.
inline FilteredGradient<vf> footprint_gradient(const FrameInput& in, const View<vf>& view, const Projection<vf>& p,
                                               vf t, const RowSums& r) {
    switch (in.filter) {
        case Filter::analytic:
            return analytic_backward(analytic_splat(r.l11, r.l21, r.l22, r.log2_opacity),
                                     AnalyticSums<vf>{r.total(kSumH), r.total(kSumU), r.total(kSumV),
                                                      r.total(kSumUU), r.total(kSumUV), r.total(kSumVV)});
        case Filter::exact:
            return in.generalised ? exact_gradient<PowerProfile>(in, p, t, r)
                                  : exact_gradient<PlainProfile>(in, p, t, r);
        case Filter::moment: {
            const Filtered<vf> s = filter_moment(p, t);
            return filter_moment_backward(
                p, t, s, footprint_backward<PowerProfile>(r.l11, r.l21, r.l22, s.t, r.moments(true)));
        }
        default: break;
    }
    const Filtered<vf> s = filter_dilate(view, p, t);
    return filter_dilate_backward(
        view, p, s,
        in.generalised ? footprint_backward<PowerProfile>(r.l11, r.l21, r.l22, s.t, r.moments(true))
                       : footprint_backward<PlainProfile>(r.l11, r.l21, r.l22, s.t, r.moments(false)));
}

SPLAT_END
