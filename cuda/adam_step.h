// Adam's step on one number (or a vector of them), the same for every driver (Kingma and Ba 2015; the
// arithmetic of torch.optim.Adam):
//     m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
//     p -= rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
#pragma once

#include "include/splat/scalar.h"
#include "training.h"

SPLAT_BEGIN

// m / (scale sqrt(v) + eps)
template <class F>
SPLAT_HD F over_root(F m, F v, F scale, F eps) {
    return m / fma_(sqrt_(v), scale, eps);
}

// `rate` is the learning rate times c.inverse_bias1; g the gradient.
template <class F>
SPLAT_HD void adam_step(const AdamConstants& c, F g, F rate, F& param, F& exp_avg, F& exp_avg_sq) {
    exp_avg = fma_(F(c.beta1), exp_avg, F(c.one_minus_beta1) * g);
    exp_avg_sq = fma_(F(c.beta2), exp_avg_sq, F(c.one_minus_beta2) * (g * g));
    param = param - rate * over_root(exp_avg, exp_avg_sq, F(c.inverse_root_bias2), F(c.eps));
}

SPLAT_END
