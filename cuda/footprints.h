// From a projected splat to what the pixel loop reads, and back: the filter and profile of this
// render (filter.h, footprint.h). Both drivers use it; F is a float or a vector of splats.
#pragma once

#include "include/splat/analytic.h"
#include "include/splat/filter_exact.h"
#include "include/splat/filter_moment.h"
#include "include/splat/footprint_backward.h"
#include "frame_io.h"
#include "sums.h"

SPLAT_BEGIN

// Margins on the block test for the rounding of the exponent.
constexpr float kLimitMargin = 1e-3f, kLimitFactor = 1.002f;

// What a row of the frame is filled from, and which splats take part in the image. A splat whose
// pixels are integrated has p = 0.
template <class F>
struct Seen {
    Footprint<F> f;
    decltype((F() < F()) & (F() < F())) visible;
};

template <class F>
SPLAT_HD Seen<F> sampled(const View<F>& view, const Projection<F>& p, const Filtered<F>& s, bool power) {
    Footprint<F> f = power ? footprint<PowerProfile>(view, p, s) : footprint<PlainProfile>(view, p, s);
    return {f, reaches_image(view, f)};
}

template <class F>
SPLAT_HD Seen<F> analytic_footprint(const View<F>& view, const Projection<F>& p) {
    const Filtered<F> s = filter_window(p);
    Footprint<F> f = footprint<PlainProfile>(view, p, s);
    f.extent = {f.extent.x + F(kAnalyticMargin), f.extent.y + F(kAnalyticMargin)};
    f.p = F(0.f);
    return {f, reaches_image(view, f) & (s.opacity * window_bound(s) >= F(kAlphaMin))};
}

template <class Profile, class F>
SPLAT_HD Seen<F> exact_footprint(const FrameInput& in, const View<F>& view, const Projection<F>& p, F t) {
    const auto strips = takes_strips<Profile>(p, t, in.strips);
    const Filtered<F> s = filter_exact<Profile>(p, t, strips);
    Footprint<F> f = footprint<Profile>(view, p, s);
    const auto visible = exact_reaches_image(view, s, f, strips);
    f.p = select(strips, F(0.f), f.p);
    return {f, visible};
}

template <class F>
SPLAT_HD Seen<F> make_footprint(const FrameInput& in, const View<F>& view, const Projection<F>& p, F t) {
    Seen<F> seen;
    switch (in.filter) {
        case Filter::analytic: seen = analytic_footprint(view, p); break;
        case Filter::exact:
            seen = in.generalised ? exact_footprint<PowerProfile>(in, view, p, t)
                                  : exact_footprint<PlainProfile>(in, view, p, t);
            break;
        case Filter::moment: seen = sampled(view, p, filter_moment(p, t), true); break;
        default: seen = sampled(view, p, filter_dilate(view, p, t), in.generalised);
    }
    seen.f.limit = fma_(seen.f.limit, F(kLimitFactor), F(kLimitMargin));
    return seen;
}

SPLAT_HD int clamp_tile(float v, int high) { return v <= 0.f ? 0 : v >= float(high) ? high : int(v); }

// The row's rectangle: the tiles whose pixel centres [16 i + 0.5, 16 i + 15.5] are within `ex` and `ey`
// of its mean.
SPLAT_HD void set_tiles(Row& row, float ex, float ey, int tiles_x, int tiles_y) {
    constexpr float tile = 1.f / kTile;
    const int x0 = clamp_tile((row.mx - ex - 0.5f) * tile, tiles_x - 1);
    const int y0 = clamp_tile((row.my - ey - 0.5f) * tile, tiles_y - 1);
    const int x1 = clamp_tile((row.mx + ex - 0.5f) * tile, tiles_x - 1);
    const int y1 = clamp_tile((row.my + ey - 0.5f) * tile, tiles_y - 1);
    row.tile_x = uint16_t(x0), row.tile_y = uint16_t(y0);
    row.tiles_x = uint16_t(x1 - x0 + 1), row.tiles_y = uint16_t(y1 - y0 + 1);
}

// A splat's footprint and the sums of its pixels: what goes back.
template <class F>
struct RowSums {
    F l11, l21, l22, log2_opacity;
    F sums[kSums];

    SPLAT_HD F total(int k) const { return sums[k]; }
    SPLAT_HD Moments<F> moments(bool power) const {
        return {sums[kSumH],  sums[kSumU],  sums[kSumV], sums[kSumUU],
                sums[kSumUV], sums[kSumVV], power ? sums[kSumPower] : F(0.f)};
    }
};

template <class Profile, class F>
SPLAT_HD FilteredGradient<F> exact_gradient(const FrameInput& in, const Projection<F>& p, F t, const RowSums<F>& r) {
    const auto strips = takes_strips<Profile>(p, t, in.strips);
    const Filtered<F> s = filter_exact<Profile>(p, t, strips);
    const StripGradient<F> strip{{r.total(kSumU), r.total(kSumV)}, r.total(kSumUU), r.total(kSumUV),
                                  r.total(kSumVV), r.total(kSumH)};
    return filter_exact_backward<Profile>(
        p, t, s, strips, footprint_backward<Profile>(r.l11, r.l21, r.l22, s.t, r.moments(Profile::kPower)), strip);
}

// Gradient with respect to the projected splat, before its filter.
template <class F>
SPLAT_HD FilteredGradient<F> footprint_gradient(const FrameInput& in, const View<F>& view, const Projection<F>& p,
                                               F t, const RowSums<F>& r) {
    switch (in.filter) {
        case Filter::analytic:
            return analytic_backward(analytic_splat(r.l11, r.l21, r.l22, r.log2_opacity),
                                     AnalyticSums<F>{r.total(kSumH), r.total(kSumU), r.total(kSumV),
                                                      r.total(kSumUU), r.total(kSumUV), r.total(kSumVV)});
        case Filter::exact:
            return in.generalised ? exact_gradient<PowerProfile>(in, p, t, r)
                                  : exact_gradient<PlainProfile>(in, p, t, r);
        case Filter::moment: {
            const Filtered<F> s = filter_moment(p, t);
            return filter_moment_backward(
                p, t, s, footprint_backward<PowerProfile>(r.l11, r.l21, r.l22, s.t, r.moments(true)));
        }
        default: break;
    }
    const Filtered<F> s = filter_dilate(view, p, t);
    return filter_dilate_backward(
        view, p, s,
        in.generalised ? footprint_backward<PowerProfile>(r.l11, r.l21, r.l22, s.t, r.moments(true))
                       : footprint_backward<PlainProfile>(r.l11, r.l21, r.l22, s.t, r.moments(false)));
}

SPLAT_END
