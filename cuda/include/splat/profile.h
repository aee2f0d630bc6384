// The generalised exponential kernel exp(-1/2 (m2 q)^(beta/2)), q = d^T S^-1 d, as functions of
// t = 2/beta (t = 1 is the Gaussian). The factor m2 makes S the kernel's covariance for every beta:
//   m2(t)   = 2^t G(2t) / (2 G(t))         variance per axis of exp(-q^(1/t) / 2)
//   rho(t)  = 2 G(1+t)^2 / G(1+2t)         mass / (2 pi sqrt(det S))
//   kurt(t) = G(3t) G(t) / G(2t)^2         E[r^4] / (2 E[r^2]^2 / 2), 2 for the Gaussian; G = Gamma
//
// Each is a polynomial in t - 1 without a free constant, so that t = 1 is met exactly; minimax
// fits (Lawson's reweighted least squares on 400 Chebyshev nodes of t in [0.2, 1.82], that is beta
// in [1.1, 10], against 40-digit values). Gradients use the polynomials' own derivatives. Largest
// errors, of the fit and evaluated in float32:
//   log2 m2   1.0e-7   4.1e-7        log2 rho  1.0e-7   2.3e-7
//   kurt      1.2e-7   3.0e-7        t(kurt)   5.8e-8   2.7e-7
#pragma once

#include "constants.h"
#include "scalar.h"

SPLAT_BEGIN

template <class F>
struct Curve {
    F value, slope;
};

// y0 + x (c[0] + c[1] x + ...)
template <class F, int N>
SPLAT_HD Curve<F> polynomial(const float (&c)[N], F x, F y0) {
    F p(c[N - 1]), d(0.f);
    for (int k = N - 2; k >= 0; --k) {
        d = fma_(d, x, p);
        p = fma_(p, x, F(c[k]));
    }
    return {fma_(x, p, y0), fma_(x, d, p)};
}

template <class F>
SPLAT_HD Curve<F> log2_variance(F t) {
    const float c[] = {3.05264427f,    0.674323899f,   -0.199299394f,   0.0845650073f,
                       -0.0415849986f, 0.0231952516f,  -0.0133362611f,  0.00454262983f,
                       -0.00213544003f, 0.00562801727f, -0.00367625484f};
    return polynomial(c, t - F(1.f), F(0.f));
}

template <class F>
SPLAT_HD Curve<F> log2_mass(F t) {
    const float c[] = {-1.4426954f,    -0.209102169f,   0.102130361f,   -0.0548761469f,
                       0.0309323481f,  -0.0190048285f,  0.0116028381f,  -0.00386688159f,
                       0.00184515717f, -0.00540860642f, 0.00357456736f};
    return polynomial(c, t - F(1.f), F(0.f));
}

template <class F>
SPLAT_HD Curve<F> kurtosis(F t) {
    const float c[] = {1.00000133f,    0.289862979f,   0.0284181268f,  0.0209872339f,
                       -0.0103993808f, 0.00823816482f, -0.0108627661f, 0.00984946973f,
                       0.00399922042f, -0.00491937906f, -0.01047053f,  0.00883924068f};
    return polynomial(c, t - F(1.f), F(2.f));
}

// Where shape_of_kurtosis holds: kurt(0.2) and kurt(1.75).
constexpr float kKurtosisMin = 1.38949733f;
constexpr float kKurtosisMax = 2.93007373f;

// t with kurt(t) = k, for k in [kKurtosisMin, kKurtosisMax]. Near t = 0, kurt = 4/3 (1 + pi^2/6 t^2),
// so t is smooth in s = sqrt(log2(3 k / 4)).
template <class F>
SPLAT_HD Curve<F> shape_of_kurtosis(F k) {
    const float c[] = {2.12055562f,  1.20701505f,     0.11167282f,   -0.0801732659f,
                       0.0392169846f, -0.000966339903f, -0.023908704f};
    const F s = sqrt_(log2_(k * F(0.75f)));
    const Curve<F> t = polynomial(c, s - F(0.764828413f), F(1.f));
    return {t.value, t.slope * F(0.5f * kLog2E) / (s * k)};
}

// beta = BETA_MIN + (BETA_MAX - BETA_MIN) sigmoid(raw): t = 2/beta and dt/draw. NaN stays NaN.
template <class F>
SPLAT_HD Curve<F> shape_of_raw(F raw) {
    const F power = max_(F(-126.f), min_(F(126.f), raw * F(-kLog2E)));
    const F e = exp2_(power), sigmoid = F(1.f) / (F(1.f) + e);
    const F t = F(2.f) / fma_(F(kBetaMax - kBetaMin), sigmoid, F(kBetaMin));
    return {t, F(-0.5f * (kBetaMax - kBetaMin)) * t * t * sigmoid * (F(1.f) - sigmoid)};
}

// One pixel: e = r^p, de/dr and log2 r for r = u^2 + v^2, with alpha = 2^(log2_opacity - e).
template <class F>
struct PowerTerm {
    F e, slope, log2_r;
};

constexpr float kRadius2Min = 1e-12f;  // r^(p-1) is singular at 0; r de/dr is not

template <class F>
SPLAT_HD PowerTerm<F> power_term(F r, F p) {
    const F at = max_(r, F(kRadius2Min)), x = log2_(at);
    const F e = exp2_(min_(p * x, F(126.f)));
    return {e, p * e * rcp_(at), x};
}

SPLAT_END
