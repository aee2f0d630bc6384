// The camera of a render as the formulas take it.
#pragma once

#include "frame_io.h"
#include "include/splat/project.h"

SPLAT_BEGIN

template <class F>
inline View<F> make_view(const FrameInput& in) {
    View<F> v;
    const float* m = in.world_to_camera;
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) v.rotation.m[i][j] = F(m[4 * i + j]);
    v.translation = {F(m[3]), F(m[7]), F(m[11])};
    float p[3];
    for (int j = 0; j < 3; ++j) p[j] = -(m[j] * m[3] + m[4 + j] * m[7] + m[8 + j] * m[11]);
    v.position = {F(p[0]), F(p[1]), F(p[2])};
    v.fx = F(in.fx), v.fy = F(in.fy), v.cx = F(in.cx), v.cy = F(in.cy);
    const float w = float(in.width), h = float(in.height);
    v.width = F(w), v.height = F(h);
    v.u_low = F((-kFrustumMargin * w - in.cx) / in.fx);
    v.u_high = F(((1 + kFrustumMargin) * w - in.cx) / in.fx);
    v.v_low = F((-kFrustumMargin * h - in.cy) / in.fy);
    v.v_high = F(((1 + kFrustumMargin) * h - in.cy) / in.fy);
    v.near = F(in.near), v.far = F(in.far);
    v.mip = in.filter == Filter::mip;
    v.dilation = F(in.dilation);
    return v;
}

SPLAT_END
