// Fused Adam step (adam_step.h), limited by memory bandwidth.
#pragma once

#include <algorithm>
#include <vector>

#include "../adam_step.h"
#include "pool.h"
#include "simd.h"

SPLAT_BEGIN

// One step on W (or the first n) numbers whose gradient is g; `rate` is the learning rate times
// c.inverse_bias1.
template <bool Whole>
SPLAT_HD void adam_update(const AdamConstants& c, vf g, vf rate, int n, float* param, float* exp_avg,
                          float* exp_avg_sq) {
    const auto load = [n](const float* p) { return Whole ? vf::load(p) : vf::load_n(p, n); };
    const auto store = [n](vf v, float* p) {
        if (Whole) v.store(p);
        else v.store_n(p, n);
    };
    vf p = load(param), m = load(exp_avg), v = load(exp_avg_sq);
    adam_step(c, g, rate, p, m, v);
    store(m, exp_avg);
    store(v, exp_avg_sq);
    store(p, param);
}

namespace adam_detail {

constexpr int64_t kTask = 1 << 13;  // elements of a task

// W (or the first n) elements at i.
template <bool Whole>
SPLAT_HD void step(const AdamTensor& t, const AdamConstants& c, int64_t i, int n, vf rate) {
    const vf g = Whole ? vf::load(t.grad + i) : vf::load_n(t.grad + i, n);
    adam_update<Whole>(c, g, rate, n, t.param + i, t.exp_avg + i, t.exp_avg_sq + i);
    if (t.zero_grad) Whole ? vf(0.f).store(t.grad + i) : vf(0.f).store_n(t.grad + i, n);
}

}  // namespace adam_detail

// One step on each of `count` tensors.
inline void adam(const AdamTensor* tensors, const AdamConstants* constants, int count) {
    using namespace adam_detail;
    std::vector<int64_t> first(size_t(count) + 1, 0);     // task of each tensor
    std::vector<std::vector<float>> rates;                // periodic: W of them from any column
    rates.resize(size_t(count));
    for (int k = 0; k < count; ++k) {
        const AdamTensor& t = tensors[k];
        first[k + 1] = first[k] + (t.rows * t.columns + kTask - 1) / kTask;
        for (int64_t i = 0; i < t.columns + W; ++i) rates[k].push_back(t.rates[i % t.columns] * constants[k].inverse_bias1);
    }
    pool().parallel_for(first[count], [&](int64_t task) {
        const int k = int(std::upper_bound(first.begin(), first.end(), task) - first.begin()) - 1;
        const AdamTensor& t = tensors[k];
        const AdamConstants& c = constants[k];
        const int64_t begin = (task - first[k]) * kTask, total = t.rows * t.columns;
        const int64_t end = total < begin + kTask ? total : begin + kTask, step_columns = W % t.columns;
        int64_t i = begin, column = i % t.columns;
        for (; i + W <= end; i += W) {
            step<true>(t, c, i, W, vf::load(rates[k].data() + column));
            column += step_columns;
            if (column >= t.columns) column -= t.columns;
        }
        if (i < end) step<false>(t, c, i, int(end - i), vf::load(rates[k].data() + column));
    });
}

SPLAT_END
