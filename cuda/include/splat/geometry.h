// Depth and normal of a Gaussian along a pixel's ray r = ((px - cx)/fx, (py - cy)/fy, 1), camera
// frame. With the whitening M = diag(1/s) G^T and p = M t, r_g = M r:
//   depth of the largest density on the ray   t* = (p . r_g) / (r_g . r_g)
//   unit normal that faces the camera         n = -normalise(M^T r_g)
// (the maximum of the Gaussian along the ray, as in Gaussian Opacity Fields and RaDe-GS). M and p
// are stored times the smallest scale, which cancels in both.
#pragma once

#include "project_backward.h"

SPLAT_BEGIN

template <class F>
struct Whitening {
    Mat3<F> m;
    Vec3<F> p;
};

template <class F>
SPLAT_HD Vec3<F> whitening_rows(const Projection<F>& p) {
    const F smallest = min_(p.scale.x, min_(p.scale.y, p.scale.z));
    return {smallest / p.scale.x, smallest / p.scale.y, smallest / p.scale.z};
}

template <class F>
SPLAT_HD Whitening<F> whitening(const Projection<F>& p) {
    const Vec3<F> k = whitening_rows(p);
    const auto& g = p.axes.m;
    Whitening<F> w;
    w.m = {{{g[0][0] * k.x, g[1][0] * k.x, g[2][0] * k.x},
            {g[0][1] * k.y, g[1][1] * k.y, g[2][1] * k.y},
            {g[0][2] * k.z, g[1][2] * k.z, g[2][2] * k.z}}};
    w.p = mul(w.m, p.t);
    return w;
}

template <class F>
struct RayHit {
    Vec3<F> rg;
    F inverse_d2;       // 1 / (r_g . r_g)
    F t;                // t*
    Vec3<F> normal;     // camera frame
    F inverse_length;   // 1 / |M^T r_g|
};

template <class F>
SPLAT_HD RayHit<F> intersect(const Whitening<F>& w, F rx, F ry) {
    RayHit<F> h;
    h.rg = {fma_(w.m.m[0][0], rx, fma_(w.m.m[0][1], ry, w.m.m[0][2])),
            fma_(w.m.m[1][0], rx, fma_(w.m.m[1][1], ry, w.m.m[1][2])),
            fma_(w.m.m[2][0], rx, fma_(w.m.m[2][1], ry, w.m.m[2][2]))};
    h.inverse_d2 = F(1.f) / max_(dot(h.rg, h.rg), F(1e-30f));
    h.t = dot(w.p, h.rg) * h.inverse_d2;
    const Vec3<F> m = mul_transposed(w.m, h.rg);
    h.inverse_length = F(1.f) / sqrt_(max_(dot(m, m), F(1e-30f)));
    h.normal = m * (F(0.f) - h.inverse_length);
    return h;
}

// Adds the gradient of t* (vt) and of the normal (vn) at one pixel to (vm, vp).
template <class F>
SPLAT_HD void intersect_backward(const Whitening<F>& w, F rx, F ry, const RayHit<F>& h, F vt, Vec3<F> vn,
                                 Mat3<F>& vm, Vec3<F>& vp) {
    const F scaled = vt * h.inverse_d2;
    vp = vp + h.rg * scaled;
    const F along = dot(h.normal, vn);
    const Vec3<F> v_m = {(h.normal.x * along - vn.x) * h.inverse_length,
                         (h.normal.y * along - vn.y) * h.inverse_length,
                         (h.normal.z * along - vn.z) * h.inverse_length};
    const F two_t = F(2.f) * h.t;
    const Vec3<F> v_rg = Vec3<F>{scaled * (w.p.x - two_t * h.rg.x), scaled * (w.p.y - two_t * h.rg.y),
                                 scaled * (w.p.z - two_t * h.rg.z)} +
                         mul(w.m, v_m);
    const F rg[3] = {h.rg.x, h.rg.y, h.rg.z}, v[3] = {v_rg.x, v_rg.y, v_rg.z};
    for (int k = 0; k < 3; ++k) {
        vm.m[k][0] += fma_(rg[k], v_m.x, v[k] * rx);
        vm.m[k][1] += fma_(rg[k], v_m.y, v[k] * ry);
        vm.m[k][2] += fma_(rg[k], v_m.z, v[k]);
    }
}

// From gradients of the stored (scaled) M and p to those of G, log scales and t. The common factor
// cancels in t* and n, so it is a constant here.
template <class F>
SPLAT_HD WhiteningGradient<F> whitening_backward(const Projection<F>& p, const Whitening<F>& w, Mat3<F> vm,
                                                 Vec3<F> vp) {
    WhiteningGradient<F> g;
    const F tp[3] = {p.t.x, p.t.y, p.t.z}, v[3] = {vp.x, vp.y, vp.z};
    const Vec3<F> rows = whitening_rows(p);
    const F k[3] = {rows.x, rows.y, rows.z};
    F ls[3];
    g.t = mul_transposed(w.m, vp);
    for (int i = 0; i < 3; ++i) {
        ls[i] = F(0.f);
        for (int j = 0; j < 3; ++j) {
            const F total = vm.m[i][j] + v[i] * tp[j];
            ls[i] -= total * w.m.m[i][j];
            g.axes.m[j][i] = total * k[i];
        }
    }
    g.log_scale = {ls[0], ls[1], ls[2]};
    return g;
}

SPLAT_END
