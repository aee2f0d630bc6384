// Approximations of the normal distribution function.
#pragma once

#include "constants.h"
#include "profile.h"
#include "scalar.h"

SPLAT_BEGIN

// A distribution function F(x) = 1 / (1 + e) by the logit -ln e = x (c[0] + c[1] x^2 + ...), with |x|
// cut at `most`: e and the logit's slope. `most` keeps products of two (1 + e) finite.
template <class F>
struct Odds {
    F e, rate;
};

template <class F, int N>
SPLAT_HD Odds<F> odds_polynomial(F x, const float (&c)[N], float most) {
    const F at = max_(min_(x, F(most)), F(-most)), s = at * at;
    F p(c[N - 1]), rate(float(2 * N - 1) * c[N - 1]);
    for (int k = N - 2; k >= 0; --k) {
        p = fma_(p, s, F(c[k]));
        rate = fma_(rate, s, F(float(2 * k + 1) * c[k]));
    }
    return {exp2_pixel(at * p * F(-kLog2E)), rate};
}

// Of Phi: absolute error 1.5e-6 (2.2e-6 with exp2_pixel in float32), of the slope 9e-6. Monotone. Fitted
// to the logit of Phi, weighted by its slope, by reweighted least squares; 1 - Phi(5.4) is 3e-8.
template <class F>
SPLAT_HD Odds<F> normal_odds(F x) {
    const float c[] = {1.59573942f, 0.0727845726f, -1.75653241e-4f, -7.33868614e-5f, 2.85000961e-6f};
    return odds_polynomial(x, c, 5.4f);
}

// Of Phi as in Analytic-Splatting (Liang et al. 2024): absolute error 3.9e-4; 1 - F(6) is 2e-11.
template <class F>
SPLAT_HD Odds<F> analytic_odds(F x) {
    const float c[] = {1.6f, 0.07f};
    return odds_polynomial(x, c, 6.f);
}

template <class F>
SPLAT_HD Curve<F> cdf(const Odds<F>& odds) {
    const F value = rcp_(F(1.f) + odds.e);
    return {value, odds.rate * value * (odds.e * value)};
}

// A distribution function over [middle - half, middle + half], and what its derivatives need. One
// division for both ends, and nothing cancels in p.
template <class F>
struct Window {
    F p;        // F(z1) - F(z0),  z = middle +- half
    F slope;    // F'(z1) - F'(z0)
    F level;    // F'(z1) + F'(z0)
};

template <class F>
SPLAT_HD Window<F> window(const Odds<F>& high, const Odds<F>& low) {
    const F one(1.f), d1 = one + high.e, d0 = one + low.e, r = rcp_(d1 * d0), v1 = d0 * r, v0 = d1 * r;
    const F f1 = high.rate * v1 * (high.e * v1), f0 = low.rate * v0 * (low.e * v0);
    return {(low.e - high.e) * r, f1 - f0, f1 + f0};
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
