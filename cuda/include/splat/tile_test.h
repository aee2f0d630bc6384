// The exact tile test: whether a splat's alpha can reach 1/255 at a pixel centre of a rectangle, a tile
// or a part of one. It is the smallest u^2 + v^2 (footprint.h) over the rectangle that counts, and that lies
// on one of the two edges that face the splat (StopThePop, Radl et al. 2024; exact for a convex quadratic).
#pragma once

#include "scalar.h"

SPLAT_BEGIN

// One rounding each, whatever product or sum stands beside them: a test that is asked in two kernels has to
// give one answer, so no compiler may contract it in its own way.
SPLAT_HD float multiplied(float a, float b) {
#ifdef __CUDA_ARCH__
    return __fmul_rn(a, b);
#else
    return a * b;
#endif
}

SPLAT_HD float multiplied_added(float a, float b, float c) {
#ifdef __CUDA_ARCH__
    return __fmaf_rn(a, b, c);
#else
    return a * b + c;
#endif
}

// What the test needs of a splat's footprint.
struct Reach {
    float mx, my, l11, l21, l22, kx, ky, limit;
};

// (x, y): the rectangle's first pixel centre; width and height: from there to its last one. grow: pixels by
// which a centre's reach is larger than the point (a kernel that integrates). NaN reaches nothing.
SPLAT_HD bool reaches(const Reach& s, float x, float y, float width, float height, float grow) {
    const float left = x - s.mx - grow, right = left + (width + 2.f * grow);
    const float top = y - s.my - grow, bottom = top + (height + 2.f * grow);
    const float near_x = min_(max_(0.f, left), right), near_y = min_(max_(0.f, top), bottom);
    const float at_y = min_(max_(multiplied(s.ky, near_x), top), bottom);
    const float at_x = min_(max_(multiplied(s.kx, near_y), left), right);
    const float u1 = multiplied_added(s.l11, near_x, multiplied(s.l21, at_y)), v1 = multiplied(s.l22, at_y);
    const float u2 = multiplied_added(s.l11, at_x, multiplied(s.l21, near_y)), v2 = multiplied(s.l22, near_y);
    const float q1 = multiplied_added(u1, u1, multiplied(v1, v1));
    const float q2 = multiplied_added(u2, u2, multiplied(v2, v2));
    return min_(q1, q2) <= s.limit;
}

SPLAT_END
