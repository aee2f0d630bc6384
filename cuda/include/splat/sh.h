// Real spherical harmonics to degree 3 in the 3DGS basis (Condon-Shortley phase; Kerbl et al.
// 2023 use the polynomials of Sloan, "Efficient Spherical Harmonic Evaluation", 2013), and their
// derivatives with respect to a unit direction taken as three free coordinates.
#pragma once

#include "vec.h"

SPLAT_BEGIN

// Colours stop here: an infinite one times a weight of 0 would put NaN into pixels that the splat
// does not touch.
constexpr float kColorMax = 1e30f;

constexpr int sh_count(int degree) { return (degree + 1) * (degree + 1); }

// basis[0 .. sh_count(degree))
template <class F>
SPLAT_HD void sh_basis(int degree, Vec3<F> d, F* basis) {
    basis[0] = F(0.28209479177387814f);
    if (degree < 1) return;
    const F x = d.x, y = d.y, z = d.z, c1(0.4886025119029199f);
    basis[1] = F(0.f) - c1 * y;
    basis[2] = c1 * z;
    basis[3] = F(0.f) - c1 * x;
    if (degree < 2) return;
    const F xx = x * x, yy = y * y, zz = z * z, xy = x * y, yz = y * z, xz = x * z;
    basis[4] = F(1.0925484305920792f) * xy;
    basis[5] = F(-1.0925484305920792f) * yz;
    basis[6] = F(0.31539156525252005f) * (F(2.f) * zz - xx - yy);
    basis[7] = F(-1.0925484305920792f) * xz;
    basis[8] = F(0.5462742152960396f) * (xx - yy);
    if (degree < 3) return;
    basis[9] = F(-0.5900435899266435f) * y * (F(3.f) * xx - yy);
    basis[10] = F(2.890611442640554f) * xy * z;
    basis[11] = F(-0.4570457994644658f) * y * (F(4.f) * zz - xx - yy);
    basis[12] = F(0.3731763325901154f) * z * (F(2.f) * zz - F(3.f) * xx - F(3.f) * yy);
    basis[13] = F(-0.4570457994644658f) * x * (F(4.f) * zz - xx - yy);
    basis[14] = F(1.445305721320277f) * z * (xx - yy);
    basis[15] = F(-0.5900435899266435f) * x * (xx - F(3.f) * yy);
}

// sum_k g[k] * d basis[k] / d direction
template <class F>
SPLAT_HD Vec3<F> sh_basis_backward(int degree, Vec3<F> d, const F* g) {
    Vec3<F> v{F(0.f), F(0.f), F(0.f)};
    if (degree < 1) return v;
    const F x = d.x, y = d.y, z = d.z, two(2.f), three(3.f), six(6.f);
    v.x = F(-0.4886025119029199f) * g[3];
    v.y = F(-0.4886025119029199f) * g[1];
    v.z = F(0.4886025119029199f) * g[2];
    if (degree < 2) return v;
    const F a = F(1.0925484305920792f) * g[4], b = F(-1.0925484305920792f) * g[5],
            c = F(0.31539156525252005f) * g[6], e = F(-1.0925484305920792f) * g[7],
            f = F(0.5462742152960396f) * g[8];
    v.x += a * y - two * c * x + e * z + two * f * x;
    v.y += a * x + b * z - two * c * y - two * f * y;
    v.z += b * y + F(4.f) * c * z + e * x;
    if (degree < 3) return v;
    const F xx = x * x, yy = y * y, zz = z * z;
    const F p = F(-0.5900435899266435f) * g[9], q = F(2.890611442640554f) * g[10],
            r = F(-0.4570457994644658f) * g[11], s = F(0.3731763325901154f) * g[12],
            t = F(-0.4570457994644658f) * g[13], u = F(1.445305721320277f) * g[14],
            w = F(-0.5900435899266435f) * g[15];
    v.x += p * six * x * y + q * y * z - r * two * x * y - s * six * x * z +
           t * (F(4.f) * zz - three * xx - yy) + u * two * x * z + w * (three * xx - three * yy);
    v.y += p * (three * xx - three * yy) + q * x * z + r * (F(4.f) * zz - xx - three * yy) -
           s * six * y * z - t * two * x * y - u * two * y * z - w * six * x * y;
    v.z += q * x * y + r * F(8.f) * y * z + s * (six * zz - three * xx - three * yy) +
           t * F(8.f) * x * z + u * (xx - yy);
    return v;
}

// Gradient through d = v / |v|; d is the unit vector, inverse_length 1/|v|.
template <class F>
SPLAT_HD Vec3<F> normalise_backward(Vec3<F> d, F inverse_length, Vec3<F> g) {
    const F along = dot(d, g);
    return {(g.x - d.x * along) * inverse_length, (g.y - d.y * along) * inverse_length,
            (g.z - d.z * along) * inverse_length};
}

SPLAT_END
