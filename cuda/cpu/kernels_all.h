// The kernels of the pixel loop, and which of them a render runs.
#pragma once

#include "kernel_plain.h"
#include "kernel_power.h"

SPLAT_BEGIN

// Calls run.template operator()<K>() for the kernel of this render.
template <class Run>
inline void with_kernel(const FrameInput& in, Run run) {
    if (in.generalised || in.filter == Filter::moment) return run(PowerKernel{});
    return run(PlainKernel{});
}

SPLAT_END
