// The forward pass: project, sort, bin, blend.
#pragma once

#include "stage_bin.h"
#include "stage_blend.h"
#include "stage_project.h"

SPLAT_BEGIN

template <class Stage>
inline void timed(double& seconds, Stage stage) {
    const StageTimer timer(seconds);
    stage();
}

inline void render(Frame& frame, const FrameInput& in, const FrameOutput& out) {
    frame.strips = in.strips;
    frame.tiles_x = (in.width + kTile - 1) / kTile;
    frame.tiles_y = (in.height + kTile - 1) / kTile;
    timed(frame.seconds[0], [&] { stage_project(frame, in, out.radii); });
    timed(frame.seconds[1], [&] { stage_sort(frame); });
    timed(frame.seconds[2], [&] { stage_bin(frame); });
    timed(frame.seconds[3], [&] {
        with_kernel(in, [&](auto kernel) {
            if (in.geometry)
                stage_blend<decltype(kernel), true>(frame, in, out);
            else
                stage_blend<decltype(kernel), false>(frame, in, out);
        });
    });
}

SPLAT_END
