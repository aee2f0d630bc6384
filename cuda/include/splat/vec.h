// Small fixed vectors and matrices over a number type F.
#pragma once

#include "scalar.h"

SPLAT_BEGIN

template <class F>
struct Vec2 {
    F x, y;
};

template <class F>
struct Vec3 {
    F x, y, z;
};

template <class F>
struct Quat {
    F w, x, y, z;
};

// Row-major 3x3.
template <class F>
struct Mat3 {
    F m[3][3];
};

template <class F>
SPLAT_HD F dot(Vec3<F> a, Vec3<F> b) {
    return fma_(a.x, b.x, fma_(a.y, b.y, a.z * b.z));
}

template <class F>
SPLAT_HD Vec3<F> operator+(Vec3<F> a, Vec3<F> b) {
    return {a.x + b.x, a.y + b.y, a.z + b.z};
}

template <class F>
SPLAT_HD Vec3<F> operator*(Vec3<F> a, F s) {
    return {a.x * s, a.y * s, a.z * s};
}

template <class F>
SPLAT_HD Vec3<F> mul(const Mat3<F>& a, Vec3<F> v) {
    return {dot(Vec3<F>{a.m[0][0], a.m[0][1], a.m[0][2]}, v),
            dot(Vec3<F>{a.m[1][0], a.m[1][1], a.m[1][2]}, v),
            dot(Vec3<F>{a.m[2][0], a.m[2][1], a.m[2][2]}, v)};
}

template <class F>
SPLAT_HD Vec3<F> mul_transposed(const Mat3<F>& a, Vec3<F> v) {
    return {dot(Vec3<F>{a.m[0][0], a.m[1][0], a.m[2][0]}, v),
            dot(Vec3<F>{a.m[0][1], a.m[1][1], a.m[2][1]}, v),
            dot(Vec3<F>{a.m[0][2], a.m[1][2], a.m[2][2]}, v)};
}

// a b
template <class F>
SPLAT_HD Mat3<F> mul(const Mat3<F>& a, const Mat3<F>& b) {
    Mat3<F> r;
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j)
            r.m[i][j] = fma_(a.m[i][0], b.m[0][j], fma_(a.m[i][1], b.m[1][j], a.m[i][2] * b.m[2][j]));
    return r;
}

// a^T b
template <class F>
SPLAT_HD Mat3<F> mul_tn(const Mat3<F>& a, const Mat3<F>& b) {
    Mat3<F> r;
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j)
            r.m[i][j] = fma_(a.m[0][i], b.m[0][j], fma_(a.m[1][i], b.m[1][j], a.m[2][i] * b.m[2][j]));
    return r;
}

// a b^T
template <class F>
SPLAT_HD Mat3<F> mul_nt(const Mat3<F>& a, const Mat3<F>& b) {
    Mat3<F> r;
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j)
            r.m[i][j] = fma_(a.m[i][0], b.m[j][0], fma_(a.m[i][1], b.m[j][1], a.m[i][2] * b.m[j][2]));
    return r;
}

// Rotation of a unit quaternion.
template <class F>
SPLAT_HD Mat3<F> rotation(Quat<F> q) {
    const F one(1.f), two(2.f);
    return {{{one - two * (q.y * q.y + q.z * q.z), two * (q.x * q.y - q.w * q.z), two * (q.x * q.z + q.w * q.y)},
             {two * (q.x * q.y + q.w * q.z), one - two * (q.x * q.x + q.z * q.z), two * (q.y * q.z - q.w * q.x)},
             {two * (q.x * q.z - q.w * q.y), two * (q.y * q.z + q.w * q.x), one - two * (q.x * q.x + q.y * q.y)}}};
}

// Gradient of rotation() with respect to its quaternion.
template <class F>
SPLAT_HD Quat<F> rotation_backward(Quat<F> q, const Mat3<F>& g) {
    const F two(2.f);
    const auto& m = g.m;
    return {two * (q.x * (m[2][1] - m[1][2]) + q.y * (m[0][2] - m[2][0]) + q.z * (m[1][0] - m[0][1])),
            two * (q.y * (m[1][0] + m[0][1]) + q.z * (m[2][0] + m[0][2]) + q.w * (m[2][1] - m[1][2]) -
                   two * q.x * (m[1][1] + m[2][2])),
            two * (q.x * (m[1][0] + m[0][1]) + q.z * (m[2][1] + m[1][2]) + q.w * (m[0][2] - m[2][0]) -
                   two * q.y * (m[0][0] + m[2][2])),
            two * (q.x * (m[2][0] + m[0][2]) + q.y * (m[2][1] + m[1][2]) + q.w * (m[1][0] - m[0][1]) -
                   two * q.z * (m[0][0] + m[1][1]))};
}

SPLAT_END
