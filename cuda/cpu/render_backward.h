// The backward pass: blend, then gather and project.
#pragma once

#include "render.h"
#include "stage_blend_backward.h"
#include "stage_project_backward.h"

SPLAT_BEGIN

inline void render_backward(Frame& frame, const FrameInput& in, const FrameOutput& out, const FrameGradients& g) {
    timed(frame.seconds[4], [&] {
        with_kernel(in, [&](auto kernel) {
            if (in.geometry)
                stage_blend_backward<decltype(kernel), true>(frame, in, out, g);
            else
                stage_blend_backward<decltype(kernel), false>(frame, in, out, g);
        });
    });
    timed(frame.seconds[5], [&] { stage_project_backward(frame, in, g); });
}

SPLAT_END
