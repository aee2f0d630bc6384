// From a projected splat to what the pixel loop reads, and back: the filter and profile of this
// render (filter.h, footprint.h), W splats at a time.
#pragma once

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

inline bool is_plain(const FrameInput& in) { return !in.generalised && in.filter != Filter::moment; }

inline Filtered<vf> filter(const FrameInput& in, const View<vf>& view, const Projection<vf>& p, vf t) {
    return in.filter == Filter::moment ? filter_moment(p, t) : filter_dilate(view, p, t);
}

// Margins on the block test for the rounding of the exponent.
constexpr float kLimitMargin = 1e-3f, kLimitFactor = 1.002f;

inline Footprint<vf> make_footprint(const FrameInput& in, const View<vf>& view, const Projection<vf>& p, vf t) {
    const Filtered<vf> s = filter(in, view, p, t);
    Footprint<vf> f;
    if (is_plain(in)) {
        f = footprint<PlainProfile>(view, p, s);
        f.limit += vf(kLimitMargin);
    } else {
        f = footprint<PowerProfile>(view, p, s);
        f.limit = fma_(f.limit, vf(kLimitFactor), vf(kLimitMargin));
    }
    return f;
}

// The footprint of W rows and the sums of their pixels: what goes back.
struct RowSums {
    vf l11, l21, l22;
    alignas(64) float sums[kSums][W];

    vf total(int k) const { return vf::load(sums[k]); }
    Moments<vf> moments(bool power) const {
        return {total(kSumH),  total(kSumU),  total(kSumV), total(kSumUU),
                total(kSumUV), total(kSumVV), power ? total(kSumPower) : vf(0.f)};
    }
};

// Gradient with respect to the projected splat, before its filter.
inline FilteredGradient<vf> footprint_gradient(const FrameInput& in, const View<vf>& view, const Projection<vf>& p,
                                               vf t, const RowSums& r) {
    const Filtered<vf> s = filter(in, view, p, t);
    if (is_plain(in))
        return filter_dilate_backward(
            view, p, s, footprint_backward<PlainProfile>(r.l11, r.l21, r.l22, s.t, r.moments(false)));
    const FilteredGradient<vf> g = footprint_backward<PowerProfile>(r.l11, r.l21, r.l22, s.t, r.moments(true));
    return in.filter == Filter::moment ? filter_moment_backward(p, t, s, g) : filter_dilate_backward(view, p, s, g);
}

SPLAT_END
