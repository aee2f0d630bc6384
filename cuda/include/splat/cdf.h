// Approximations of the normal distribution function.
#pragma once

#include "constants.h"
#include "profile.h"
#include "scalar.h"

SPLAT_BEGIN

// 1 / (1 + exp(-x (c[0] + c[1] x^2 + ...))) and its slope, with |x| cut at `most`. One 2^x, one 1/x.
template <class F, int N>
SPLAT_HD Curve<F> logistic_polynomial(F x, const float (&c)[N], float most) {
    const F at = max_(min_(x, F(most)), F(-most)), s = at * at;
    F p(c[N - 1]), rate(float(2 * N - 1) * c[N - 1]);
    for (int k = N - 2; k >= 0; --k) {
        p = fma_(p, s, F(c[k]));
        rate = fma_(rate, s, F(float(2 * k + 1) * c[k]));
    }
    const F e = exp2_pixel(at * p * F(-kLog2E)), value = rcp_(F(1.f) + e);
    return {value, rate * value * (e * value)};
}

// Phi: absolute error 1.5e-6 (2.2e-6 with exp2_pixel in float32), of the slope 9e-6. Monotone. Fitted
// to the logit of Phi, weighted by its slope, by reweighted least squares; 1 - Phi(5.4) is 3e-8.
template <class F>
SPLAT_HD Curve<F> normal_cdf(F x) {
    const float c[] = {1.59573942f, 0.0727845726f, -1.75653241e-4f, -7.33868614e-5f, 2.85000961e-6f};
    return logistic_polynomial(x, c, 5.4f);
}

// Phi as in Analytic-Splatting (Liang et al. 2024): absolute error 3.9e-4.
template <class F>
SPLAT_HD Curve<F> analytic_cdf(F x) {
    const float c[] = {1.6f, 0.07f};
    return logistic_polynomial(x, c, 8.7f);
}

// A distribution function over [middle - half, middle + half], and what its derivatives need.
template <class F>
struct Window {
    F p;        // F(z1) - F(z0),  z = middle +- half
    F slope;    // F'(z1) - F'(z0)
    F level;    // F'(z1) + F'(z0)
};

template <class F>
SPLAT_HD Window<F> window(const Curve<F>& high, const Curve<F>& low) {
    return {high.value - low.value, high.slope - low.slope, high.slope + low.slope};
}

// exp(-logit) of normal_cdf
template <class F>
SPLAT_HD F normal_odds(F x) {
    const float c[] = {-kLog2E * 1.59573942f, -kLog2E * 0.0727845726f, kLog2E * 1.75653241e-4f,
                       kLog2E * 7.33868614e-5f, -kLog2E * 2.85000961e-6f};
    const F at = max_(min_(x, F(5.4f)), F(-5.4f)), s = at * at;
    F p(c[4]);
    for (int k = 3; k >= 0; --k) p = fma_(p, s, F(c[k]));
    return exp2_pixel(at * p);
}

// Phi(high) - Phi(low) as normal_cdf has it, with one division and nothing that cancels.
template <class F>
SPLAT_HD F normal_mass(F high, F low) {
    const F one(1.f), e1 = normal_odds(high), e0 = normal_odds(low);
    return (e0 - e1) * rcp_((one + e0) * (one + e1));
}

// (1 - Phi(x)) / phi(x) for x in [0, 14], relative error 1.8e-7 (5e-7 in float32); decays on. A
// polynomial in 1 / (1 + 0.3 x), fitted like the curves of profile.h.
template <class F>
SPLAT_HD F mills_ratio(F x) {
    const float c[] = {0.299866183f,  0.30268528f,  0.250445989f,  0.322256191f,
                       -0.134564905f, 0.517251493f, -0.394049667f, 0.0894233912f};
    return polynomial(c, rcp_(fma_(x, F(0.3f), F(1.f))), F(0.f)).value;
}

// phi(x) / phi(0)
template <class F>
SPLAT_HD F normal_falloff(F x) {
    return exp2_(max_(x * x * F(-kHalfLog2E), F(-126.f)));
}

SPLAT_END
