// Gradient of project(): from the projected splat (its filter undone) to the parameters and the
// camera.
#pragma once

#include "filter.h"

SPLAT_BEGIN

// Gradient with respect to the whitening transform of geometry.h (zero when it is not used).
template <class F>
struct WhiteningGradient {
    Mat3<F> axes;      // with respect to G = R_w Q
    Vec3<F> log_scale;
    Vec3<F> t;         // centre, camera frame
};

template <class F>
struct SplatGradient {
    Vec3<F> mean;
    Quat<F> quat;
    Vec3<F> log_scale;
    F logit_opacity;
    Vec2<F> mean2d;      // pixels
    Vec3<F> t;           // centre in the camera frame: also the gradient of the translation
    Mat3<F> axes;        // with respect to G; the rotation gets axes Q^T + t mean^T
};

template <class F>
SPLAT_HD SplatGradient<F> project_backward(const View<F>& view, const Projection<F>& p,
                                           const FilteredGradient<F>& image, const WhiteningGradient<F>* extra) {
    SplatGradient<F> g;
    const F zero(0.f), two(2.f), va = image.a, vb = image.b, vc = image.c;
    g.mean2d = image.mean2d;
    g.logit_opacity = image.log_opacity * (F(1.f) - p.sigmoid);
    const Vec3<F> vt0 = p.t0 * (two * va) + p.t1 * vb;
    const Vec3<F> vt1 = p.t1 * (two * vc) + p.t0 * vb;
    g.log_scale = {vt0.x * p.t0.x + vt1.x * p.t1.x, vt0.y * p.t0.y + vt1.y * p.t1.y,
                   vt0.z * p.t0.z + vt1.z * p.t1.z};
    const F jx = view.fx * p.inverse_z, jy = view.fy * p.inverse_z;
    const Vec3<F> wx{jx * vt0.x * p.scale.x, jx * vt0.y * p.scale.y, jx * vt0.z * p.scale.z};
    const Vec3<F> wy{jy * vt1.x * p.scale.x, jy * vt1.y * p.scale.y, jy * vt1.z * p.scale.z};
    const Vec3<F> wz{zero - (p.u * wx.x + p.v * wy.x), zero - (p.u * wx.y + p.v * wy.y),
                     zero - (p.u * wx.z + p.v * wy.z)};
    g.axes = {{{wx.x, wx.y, wx.z}, {wy.x, wy.y, wy.z}, {wz.x, wz.y, wz.z}}};
    const Vec3<F> g2{p.axes.m[2][0], p.axes.m[2][1], p.axes.m[2][2]};
    const F x_z = p.t.x * p.inverse_z, y_z = p.t.y * p.inverse_z;
    const F vu = select((x_z >= view.u_low) & (x_z <= view.u_high), zero - dot(wx, g2), zero);
    const F vv = select((y_z >= view.v_low) & (y_z <= view.v_high), zero - dot(wy, g2), zero);
    const F gx = (view.fx * g.mean2d.x + vu) * p.inverse_z, gy = (view.fy * g.mean2d.y + vv) * p.inverse_z;
    const F gz = zero - (x_z * gx + y_z * gy) - (dot(vt0, p.t0) + dot(vt1, p.t1)) * p.inverse_z;
    g.t = {gx, gy, gz};
    if (extra) {
        for (int i = 0; i < 3; ++i)
            for (int j = 0; j < 3; ++j) g.axes.m[i][j] += extra->axes.m[i][j];
        g.log_scale = g.log_scale + extra->log_scale;
        g.t = g.t + extra->t;
    }
    g.mean = mul_transposed(view.rotation, g.t);
    const Quat<F> v = rotation_backward(p.q, mul_tn(view.rotation, g.axes));
    const F along = v.w * p.q.w + v.x * p.q.x + v.y * p.q.y + v.z * p.q.z;
    g.quat = {(v.w - p.q.w * along) * p.inverse_norm, (v.x - p.q.x * along) * p.inverse_norm,
              (v.y - p.q.y * along) * p.inverse_norm, (v.z - p.q.z * along) * p.inverse_norm};
    return g;
}

SPLAT_END
