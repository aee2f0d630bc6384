// A vector of W floats, vf, and its mask, vm: AVX-512 (W = 16), AVX2 + FMA (W = 8), or portable
// (W = 4 plain loops that a compiler vectorises). Which one is decided by the flags of the
// translation unit; see isa.cpp.
#pragma once

#include <cstdint>

#include "../include/splat/scalar.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__) && defined(__AVX512BW__)
#include "simd_avx512.h"
#elif defined(__AVX2__) && defined(__FMA__)
#include "simd_avx2.h"
#else
#include "simd_portable.h"
#endif

SPLAT_BEGIN

constexpr int W = vf::W;

SPLAT_HD vf operator-(vf a) { return vf(0.f) - a; }
SPLAT_HD vf& operator+=(vf& a, vf b) { return a = a + b; }
SPLAT_HD vf& operator-=(vf& a, vf b) { return a = a - b; }
SPLAT_HD vf& operator*=(vf& a, vf b) { return a = a * b; }
SPLAT_HD bool any(vm m) { return bits(m) != 0; }

// 2^x, relative error 1.6e-7: minimax polynomial of degree 5 on [0, 1) times a power of two.
// x below -126 gives at most 2^-126; NaN gives NaN.
SPLAT_HD vf exp2_(vf x) {
    vf f = fraction(x);
    vf p = fma_(f, vf(0.00187757669f), vf(0.00898933969f));
    p = fma_(f, p, vf(0.0558263175f));
    p = fma_(f, p, vf(0.240153611f));
    p = fma_(f, p, vf(0.693153083f));
    p = fma_(f, p, vf(0.99999994f));
    return select(x <= x, scale_by_floor(p, x), x);
}

// 2^x, relative error 2.7e-6 (degree 4): enough for a pixel's alpha. x below -126 counts as -126.
SPLAT_HD vf exp2_pixel(vf x) {
    const Split s = split_whole(power_in_range(x));
    vf p = fma_(s.f, vf(kExp2Pixel[4]), vf(kExp2Pixel[3]));
    for (int k = 2; k >= 0; --k) p = fma_(s.f, p, vf(kExp2Pixel[k]));
    return times_power(p, s.n);
}

// log2 of a positive normal number, absolute error 2e-6: enough for a pixel's alpha.
SPLAT_HD vf log2_pixel(vf x) {
    vf e;
    const vf z = split_exponent(x, e) - vf(1.5f);
    vf p = fma_(z, vf(-0.0256910957f), vf(0.043929003f));
    p = fma_(z, p, vf(-0.0703767240f));
    p = fma_(z, p, vf(0.141718045f));
    p = fma_(z, p, vf(-0.320652306f));
    p = fma_(z, p, vf(0.961821258f));
    return fma_(z, p, e + vf(0.584963024f));
}

// log2 of a positive normal number, error 1e-7: x = m 2^e with m in [sqrt(1/2), sqrt(2)), then the
// series of 2 atanh((m - 1) / (m + 1)).
SPLAT_HD vf log2_(vf x) {
    vf e;
    vf m = split_exponent(x, e);
    const vm high = m > vf(1.41421356f);
    m = select(high, m * vf(0.5f), m);
    e = select(high, e + vf(1.f), e);
    const vf f = (m - vf(1.f)) / (m + vf(1.f)), s = f * f;
    vf p = fma_(s, vf(1.f / 9.f), vf(1.f / 7.f));
    p = fma_(s, p, vf(1.f / 5.f));
    p = fma_(s, p, vf(1.f / 3.f));
    p = fma_(s, p, vf(1.f));
    return fma_(p * f, vf(2.88539008f), e);
}

// Room for N vectors. Unlike vf[N] it is not cleared, which for kilobytes shows in the profile.
template <int N>
struct Room {
    union {
        vf v[N];
    };
    SPLAT_HD Room() {}
};

// out[k] lane l = rows[l][k] for k < N: W rows of N floats, turned into N vectors. Meanwhile the W rows `ahead`, if
// any, begin to load: a few at a time, since a processor that waits for memory does nothing else.
template <int N>
SPLAT_HD void load_rows(const float* const* rows, vf* out, const float* const* ahead = nullptr) {
    int k = 0;
    for (; k + W <= N; k += W) {
        if (ahead && k % 16 == 0)
            for (int l = 0; l < W; ++l) __builtin_prefetch(ahead[l] + k);
        for (int l = 0; l < W; ++l) out[k + l] = vf::load(rows[l] + k);
        transpose(out + k);
    }
    if (k < N) {
        vf rest[W];
        for (int l = 0; l < W; ++l) rest[l] = vf::load_n(rows[l] + k, N - k);
        transpose(rest);
        for (int l = 0; k + l < N; ++l) out[k + l] = rest[l];
    }
}
// The way back, for the first `lanes` rows.
template <int N>
SPLAT_HD void store_rows(float* const* rows, const vf* in, int lanes) {
    int k = 0;
    for (; k < N; k += W) {
        vf part[W];
        const int n = N - k < W ? N - k : W;
        for (int l = 0; l < n; ++l) part[l] = in[k + l];
        transpose(part);
        for (int l = 0; l < lanes; ++l) {
            if (n == W) part[l].store(rows[l] + k);
            else part[l].store_n(rows[l] + k, n);
        }
    }
}

// The first n lanes, to floats that lie `stride` apart.
SPLAT_HD void store_strided_n(float* p, int64_t stride, vf v, int n) {
    alignas(64) float t[W];
    v.store(t);
    for (int i = 0; i < n; ++i) p[i * stride] = t[i];
}

SPLAT_END
