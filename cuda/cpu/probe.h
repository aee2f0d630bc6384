// How fast this processor multiplies and adds vectors right now: a yardstick for benchmarks on
// machines that are shared or throttled.
#pragma once

#include <chrono>

#include "simd.h"

SPLAT_BEGIN

// Fused multiply-adds of W lanes per second on one thread, measured for about 20 ms.
inline double fma_rate() {
    constexpr int kChains = 10, kRounds = 20000;
    const vf factor(0.999f), step(0.001f);
    vf a[kChains];
    for (int k = 0; k < kChains; ++k) a[k] = vf(float(k));
    const auto begin = std::chrono::steady_clock::now();
    double seconds = 0;
    int64_t done = 0;
    while (seconds < 0.02) {
        for (int i = 0; i < kRounds; ++i)
            for (int k = 0; k < kChains; ++k) a[k] = fma_(a[k], factor, step);
        done += int64_t(kRounds) * kChains;
        seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }
    vf total;
    for (int k = 0; k < kChains; ++k) total += a[k];
    return sum(total) < -1.f ? 0. : double(done) / seconds;
}

SPLAT_END
