// Structural similarity of one window (Wang et al. 2004) and its derivatives.
//
// With X the render, Y the photo and G the window (11 x 11 Gaussian, sigma 1.5),
//     p = G*(X^2 + Y^2), q = G*(XY), mx = G*X, my = G*Y
//     a1 = 2 mx my + C1, a2 = 2 (q - mx my) + C2, b1 = mx^2 + my^2 + C1, b2 = p - mx^2 - my^2 + C2
//     S = a1 a2 / (b1 b2)
// needs four filtered maps, because SSIM takes the two variances only as a sum. Its gradient is
//     dS/dX = G*(dS/dmx) + 2 X G*(dS/dp) + Y G*(dS/dq)
//     dS/dmx = 2 D (my (a2 - a1) - S mx (b2 - b1)), dS/dp = -S b1 D, dS/dq = 2 a1 D, D = 1 / (b1 b2).
// The filters have a centre tap of 1, so a filtered map is 1 / kSsimScale of the true one; the constants
// below and the last step of the gradient take that up.
#pragma once

#include "scalar.h"

SPLAT_BEGIN

constexpr int kSsimHalf = 5;  // taps to either side of the centre
constexpr float kSsimScale = 0.0707622377639470f;  // the centre tap of the window, squared
constexpr float kSsimC1 = 0.0001f / (kSsimScale * kSsimScale), kSsimC2 = 0.0009f / (kSsimScale * kSsimScale);

// exp(-j^2 / (2 1.5^2)), 0 <= j <= kSsimHalf
SPLAT_HD constexpr float ssim_tap(int j) {
    return j == 0 ? 1.f : j == 1 ? 0.800737403f : j == 2 ? 0.411112291f :
           j == 3 ? 0.135335283f : j == 4 ? 0.0285655003f : 0.00386592014f;
}

template <class F>
struct Similarity {
    F value;                  // S
    F mean, square, product;  // dS/dmx / 2, -dS/dp, dS/dq / 2, times kSsimScale or kSsimScale^2
};

// From the filtered maps; all of it times `kept`.
template <class F>
SPLAT_HD Similarity<F> similarity_of(F mx, F my, F p, F q, F kept) {
    const F both = mx * my, squares = fma_(mx, mx, my * my);
    const F a1 = fma_(F(2.f), both, F(kSsimC1));
    const F a2 = fma_(F(2.f), fma_(q, F(1.f / kSsimScale), -both), F(kSsimC2));
    const F b1 = squares + F(kSsimC1), b2 = fma_(p, F(1.f / kSsimScale), F(kSsimC2)) - squares;
    const F d = rcp_(b1 * b2), weight = d * kept;
    const F a = a1 * a2, s = a * d;
    return {a * weight, weight * fnma_(s * mx, b2 - b1, my * (a2 - a1)), weight * (s * b1), weight * a1};
}

// `rest` and dS/dX times `scale`, from the filtered derivative maps.
template <class F>
SPLAT_HD F similarity_gradient(F mean, F square, F product, F x, F y, float scale, F rest) {
    return fma_(mean, F(2.f * scale), fma_(fnma_(x, square, y * product), F(2.f / kSsimScale * scale), rest));
}

SPLAT_END
