// The pixel kernels, and which of them a render runs.
#pragma once

#include "pixel_analytic.h"
#include "pixel_plain.h"
#include "pixel_power.h"
#include "pixel_strip.h"

namespace splat::gpu {

// Calls run(K{}) for the pixel kernel K of this render.
template <class Run>
void with_pixel_kernel(const FrameInput& in, Run run) {
    if (in.filter == Filter::analytic) return run(AnalyticPixel{});
    if (in.filter == Filter::exact) {
        if (in.generalised) return run(StripPixel<PowerPixel>{});
        return run(StripPixel<PlainPixel>{});
    }
    if (in.generalised || in.filter == Filter::moment) return run(PowerPixel{});
    return run(PlainPixel{});
}

// Goes backwards with a pixel a lane (blend_backward_pixels.h), not a splat: its evaluation is long.
template <class K>
constexpr bool kPixelALane = false;
template <>
constexpr bool kPixelALane<AnalyticPixel> = true;
template <class Base>
constexpr bool kPixelALane<StripPixel<Base>> = true;

}  // namespace splat::gpu
