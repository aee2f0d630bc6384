// A 3D splat to its covariance on the image (EWA splatting, Zwicker et al. 2001, as in 3D Gaussian
// Splatting, Kerbl et al. 2023). The steps after this one: a pixel filter (filter.h,
// filter_moment.h), then the footprint that the pixel loop reads (footprint.h).
//
// With G = R_w Q (camera frame axes), N = G diag(s), J the Jacobian of the projection at the
// (clamped) centre and T = J N (2x3), the projected covariance is S0 = T T^T.
// det S0 = |T_0 x T_1|^2 is used instead of ac - b^2, which cancels for needles.
#pragma once

#include "constants.h"
#include "vec.h"

SPLAT_BEGIN

// The camera as the projection and the filter need it; the same for every splat.
template <class F>
struct View {
    Mat3<F> rotation;       // world to camera
    Vec3<F> translation;
    Vec3<F> position;       // camera centre in the world
    F fx, fy, cx, cy, width, height;
    F u_low, u_high, v_low, v_high;  // clamp of x/z and y/z in the Jacobian
    F near, far;
    F dilation;             // variance added, px^2
    bool mip;               // keep the splat's mass: opacity *= sqrt(det S0 / det S)
};

template <class F>
struct Splat3D {
    Vec3<F> mean;
    Quat<F> quat;           // any length
    Vec3<F> log_scale;
    F logit_opacity;
};

// Everything that both directions need.
template <class F>
struct Projection {
    Vec3<F> t;              // centre, camera frame
    F inverse_z, u, v;      // 1/z; clamped x/z, y/z
    F inverse_norm;         // 1/|quat|
    Quat<F> q;
    Mat3<F> q_rotation, axes;  // Q and G = R_w Q
    Vec3<F> scale;
    Vec3<F> t0, t1;         // rows of T
    F a0, b, c0, det0;      // S0
    F sigmoid;              // of the opacity logit
};

template <class F>
SPLAT_HD F sigmoid_(F x) {
    return F(1.f) / (F(1.f) + exp2_(max_(min_(x * F(-kLog2E), F(126.f)), F(-126.f))));
}

template <class F>
SPLAT_HD Projection<F> project(const View<F>& view, const Splat3D<F>& s) {
    Projection<F> p;
    p.t = mul(view.rotation, s.mean) + view.translation;
    p.inverse_z = F(1.f) / p.t.z;
    p.u = max_(min_(p.t.x * p.inverse_z, view.u_high), view.u_low);
    p.v = max_(min_(p.t.y * p.inverse_z, view.v_high), view.v_low);
    const F norm2 = s.quat.w * s.quat.w + s.quat.x * s.quat.x + s.quat.y * s.quat.y + s.quat.z * s.quat.z;
    p.inverse_norm = F(1.f) / sqrt_(max_(norm2, F(1e-24f)));
    p.q = {s.quat.w * p.inverse_norm, s.quat.x * p.inverse_norm, s.quat.y * p.inverse_norm,
           s.quat.z * p.inverse_norm};
    p.q_rotation = rotation(p.q);
    p.axes = mul(view.rotation, p.q_rotation);
    // min_ and max_ give their second argument where one is NaN: a NaN scale stays NaN, and the
    // splat is left out, instead of becoming a needle through the whole image.
    const F most(60.f), least(-60.f);
    p.scale = {exp2_(max_(least, min_(most, s.log_scale.x * F(kLog2E)))),
               exp2_(max_(least, min_(most, s.log_scale.y * F(kLog2E)))),
               exp2_(max_(least, min_(most, s.log_scale.z * F(kLog2E))))};
    const F jx = view.fx * p.inverse_z, jy = view.fy * p.inverse_z;
    const auto& g = p.axes.m;
    p.t0 = {jx * (g[0][0] - p.u * g[2][0]) * p.scale.x, jx * (g[0][1] - p.u * g[2][1]) * p.scale.y,
            jx * (g[0][2] - p.u * g[2][2]) * p.scale.z};
    p.t1 = {jy * (g[1][0] - p.v * g[2][0]) * p.scale.x, jy * (g[1][1] - p.v * g[2][1]) * p.scale.y,
            jy * (g[1][2] - p.v * g[2][2]) * p.scale.z};
    p.a0 = dot(p.t0, p.t0);
    p.b = dot(p.t0, p.t1);
    p.c0 = dot(p.t1, p.t1);
    const Vec3<F> cross{p.t0.y * p.t1.z - p.t0.z * p.t1.y, p.t0.z * p.t1.x - p.t0.x * p.t1.z,
                        p.t0.x * p.t1.y - p.t0.y * p.t1.x};
    p.det0 = dot(cross, cross);
    p.sigmoid = sigmoid_(s.logit_opacity);
    return p;
}

SPLAT_END
