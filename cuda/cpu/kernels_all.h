// The kernels of the pixel loop, and which of them a render runs.
#pragma once

#include "kernel_analytic.h"
#include "kernel_plain.h"
#include "kernel_power.h"
#include "kernel_strip.h"

SPLAT_BEGIN

// Calls run(K{}) for the kernel K of this render.
template <class Run>
inline void with_kernel(const FrameInput& in, Run run) {
    if (in.filter == Filter::analytic) return run(AnalyticKernel{});
    if (in.filter == Filter::exact)
        return in.generalised ? run(StripKernel<PowerKernel>{}) : run(StripKernel<PlainKernel>{});
    if (in.generalised || in.filter == Filter::moment) return run(PowerKernel{});
    return run(PlainKernel{});
}

SPLAT_END
