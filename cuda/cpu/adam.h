// Fused Adam step (Kingma and Ba 2015; the arithmetic of torch.optim.Adam), limited by memory bandwidth:
//     m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2
//     p -= rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
#pragma once

#include "pool.h"
#include "simd.h"
#include "training.h"

SPLAT_BEGIN

namespace adam_detail {

constexpr int64_t kTask = 1 << 15;  // elements of a task

// W (or the first n) elements at i.
template <bool Whole>
SPLAT_HD void step(const AdamTensor& t, const AdamConstants& c, int64_t i, int n, vf rate) {
    const auto load = [n](const float* p) { return Whole ? vf::load(p) : vf::load_n(p, n); };
    const auto store = [n](vf v, float* p) {
        if (Whole) v.store(p);
        else v.store_n(p, n);
    };
    const vf g = load(t.grad + i);
    const vf m = fma_(vf(c.beta1), load(t.exp_avg + i), vf(c.one_minus_beta1) * g);
    const vf v = fma_(vf(c.beta2), load(t.exp_avg_sq + i), vf(c.one_minus_beta2) * (g * g));
    const vf root = fma_(sqrt_(v), vf(c.inverse_root_bias2), vf(c.eps));
    store(m, t.exp_avg + i);
    store(v, t.exp_avg_sq + i);
    store(load(t.param + i) - rate * (m / root), t.param + i);
    if (t.zero_grad) store(vf(0.f), t.grad + i);
}

}  // namespace adam_detail

inline void adam(const AdamTensor& t, const AdamConstants& c) {
    using namespace adam_detail;
    float rates[kAdamColumns + W];  // periodic, so that W rates can be loaded from any column
    for (int64_t i = 0; i < t.columns + W; ++i) rates[i] = t.rates[i % t.columns] * c.inverse_bias1;
    const int64_t total = t.rows * t.columns;
    const int64_t tasks = (total + kTask - 1) / kTask, step_columns = W % t.columns;
    pool().parallel_for(tasks, [&](int64_t task) {
        const int64_t end = total < (task + 1) * kTask ? total : (task + 1) * kTask;
        int64_t i = task * kTask, column = i % t.columns;
        for (; i + W <= end; i += W) {
            step<true>(t, c, i, W, vf::load(rates + column));
            column += step_columns;
            if (column >= t.columns) column -= t.columns;
        }
        if (i < end) step<false>(t, c, i, int(end - i), vf::load(rates + column));
    });
}

SPLAT_END
