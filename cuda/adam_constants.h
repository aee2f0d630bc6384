// Adam's constants of one step, from Python's numbers.
#pragma once

#include <cmath>
#include <stdexcept>

#include "training.h"

namespace splat {

inline AdamConstants adam_constants(double beta1, double beta2, double eps, int64_t step) {
    if (!(beta1 >= 0 && beta1 < 1 && beta2 >= 0 && beta2 < 1)) throw std::invalid_argument("betas must lie in [0, 1)");
    if (step < 1) throw std::invalid_argument("step counts from 1");
    AdamConstants c;
    c.beta1 = float(beta1), c.beta2 = float(beta2), c.eps = float(eps);
    c.one_minus_beta1 = float(1 - beta1), c.one_minus_beta2 = float(1 - beta2);
    c.inverse_bias1 = float(1 / (1 - std::pow(beta1, double(step))));
    c.inverse_root_bias2 = float(1 / std::sqrt(1 - std::pow(beta2, double(step))));
    return c;
}

}  // namespace splat
