// vf for any processor: 4 floats in the compiler's own vector type (GCC and Clang), which becomes
// SSE2, NEON or whatever the target has.
#pragma once

#include <cstring>

#if !defined(__GNUC__)
#error "the CPU core needs GCC or Clang (on Windows: clang-cl)"
#endif
#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

SPLAT_BEGIN

typedef float float4_ __attribute__((vector_size(16)));
typedef int32_t int4_ __attribute__((vector_size(16)));

struct vm {
    int4_ m;  // all bits set or none
};

struct vf {
    static constexpr int W = 4;
    float4_ v;
    SPLAT_HD vf() : v{0, 0, 0, 0} {}
    SPLAT_HD vf(float4_ x) : v(x) {}
    SPLAT_HD vf(float x) : v{x, x, x, x} {}
    SPLAT_HD static vf load(const float* p) {
        float4_ r;
        std::memcpy(&r, p, 16);
        return r;
    }
    SPLAT_HD static vf load_n(const float* p, int n) {
        float4_ r = {0, 0, 0, 0};
        std::memcpy(&r, p, size_t(n) * 4);
        return r;
    }
    SPLAT_HD static vf gather(const float* p, const int32_t* i) {
        return float4_{p[i[0]], p[i[1]], p[i[2]], p[i[3]]};
    }
    SPLAT_HD void scatter(float* p, const int32_t* index) const {
        alignas(32) float t[W];
        store(t);
        for (int i = 0; i < W; ++i) p[index[i]] = t[i];
    }
    SPLAT_HD static vf iota() { return float4_{0, 1, 2, 3}; }
    SPLAT_HD void store(float* p) const { std::memcpy(p, &v, 16); }
    SPLAT_HD void store_n(float* p, int n) const { std::memcpy(p, &v, size_t(n) * 4); }
};

SPLAT_HD int4_ as_int(float4_ x) { return (int4_)x; }
SPLAT_HD float4_ as_float(int4_ x) { return (float4_)x; }

SPLAT_HD vf operator+(vf a, vf b) { return a.v + b.v; }
SPLAT_HD vf operator-(vf a, vf b) { return a.v - b.v; }
SPLAT_HD vf operator*(vf a, vf b) { return a.v * b.v; }
SPLAT_HD vf operator/(vf a, vf b) { return a.v / b.v; }
SPLAT_HD vm operator<(vf a, vf b) { return {a.v < b.v}; }
SPLAT_HD vm operator<=(vf a, vf b) { return {a.v <= b.v}; }
SPLAT_HD vm operator>(vf a, vf b) { return {a.v > b.v}; }
SPLAT_HD vm operator>=(vf a, vf b) { return {a.v >= b.v}; }
SPLAT_HD vm operator&(vm a, vm b) { return {a.m & b.m}; }
SPLAT_HD vm operator|(vm a, vm b) { return {a.m | b.m}; }
SPLAT_HD vm operator!(vm a) { return {~a.m}; }
SPLAT_HD uint32_t bits(vm a) {
#if defined(__SSE2__)
    return uint32_t(_mm_movemask_ps((__m128)a.m));
#else
    const int4_ b = a.m & int4_{1, 2, 4, 8};
    return uint32_t(b[0] | b[1] | b[2] | b[3]);
#endif
}
SPLAT_HD vm mask_from_bits(uint32_t b) {
    const int4_ bit = {1, 2, 4, 8};
    return {(int4_{int(b), int(b), int(b), int(b)} & bit) == bit};
}
SPLAT_HD vf select(vm m, vf a, vf b) { return as_float((as_int(a.v) & m.m) | (as_int(b.v) & ~m.m)); }
#if defined(__aarch64__)
SPLAT_HD vf fma_(vf a, vf b, vf c) { return (float4_)vfmaq_f32((float32x4_t)c.v, (float32x4_t)a.v, (float32x4_t)b.v); }
SPLAT_HD vf fnma_(vf a, vf b, vf c) { return (float4_)vfmsq_f32((float32x4_t)c.v, (float32x4_t)a.v, (float32x4_t)b.v); }
SPLAT_HD vf sqrt_(vf a) { return (float4_)vsqrtq_f32((float32x4_t)a.v); }
#else
SPLAT_HD vf fma_(vf a, vf b, vf c) { return a.v * b.v + c.v; }
SPLAT_HD vf fnma_(vf a, vf b, vf c) { return c.v - a.v * b.v; }
#if defined(__SSE2__)
SPLAT_HD vf sqrt_(vf a) { return (float4_)_mm_sqrt_ps((__m128)a.v); }
#else
SPLAT_HD vf sqrt_(vf a) { return float4_{::sqrtf(a.v[0]), ::sqrtf(a.v[1]), ::sqrtf(a.v[2]), ::sqrtf(a.v[3])}; }
#endif
#endif
SPLAT_HD vf min_(vf a, vf b) { return a.v < b.v ? a.v : b.v; }
SPLAT_HD vf max_(vf a, vf b) { return a.v > b.v ? a.v : b.v; }
SPLAT_HD vf abs_(vf a) { return as_float(as_int(a.v) & 0x7fffffff); }
SPLAT_HD vf keep(vm m, vf a) { return as_float(as_int(a.v) & m.m); }
SPLAT_HD vf mul_keep(vm m, vf a, vf b) { return keep(m, a * b); }
SPLAT_HD vf min_keep(vm m, vf a, vf b) { return keep(m, min_(a, b)); }
SPLAT_HD vf rcp_(vf a) { return vf(1.f) / a; }
SPLAT_HD vf rcp_rough(vf a) { return vf(1.f) / a; }
// table[index[l]] for 16 numbers (see simd_avx2.h)
SPLAT_HD vf lookup16(const float* table, const int32_t* index, int) { return vf::gather(table, index); }
// 4x4, in place
SPLAT_HD void transpose(vf* a) {
    const float4_ t0 = {a[0].v[0], a[1].v[0], a[2].v[0], a[3].v[0]}, t1 = {a[0].v[1], a[1].v[1], a[2].v[1], a[3].v[1]};
    const float4_ t2 = {a[0].v[2], a[1].v[2], a[2].v[2], a[3].v[2]}, t3 = {a[0].v[3], a[1].v[3], a[2].v[3], a[3].v[3]};
    a[0] = t0, a[1] = t1, a[2] = t2, a[3] = t3;
}
// The bits of low + 65536 high, both whole and below 65536
SPLAT_HD vf pack_whole(vf low, vf high) {
    return as_float(__builtin_convertvector(low.v, int4_) | (__builtin_convertvector(high.v, int4_) << 16));
}
// floor(x) for x in [-126, 2^31); smaller x counts as -126
SPLAT_HD int4_ floor_int(vf x) {
    const float4_ y = max_(x, vf(-126.f)).v;
    const int4_ t = __builtin_convertvector(y, int4_);
    return t + (__builtin_convertvector(t, float4_) > y);  // a true comparison is -1
}
// x - floor(x), and p * 2^floor(x), for floor(x) in [-126, 127]; smaller x counts as -126
SPLAT_HD vf fraction(vf x) {
    return max_(x, vf(-126.f)).v - __builtin_convertvector(floor_int(x), float4_);
}
SPLAT_HD vf scale_by_floor(vf p, vf x) { return as_float(as_int(p.v) + (floor_int(x) << 23)); }
// x = n + f with n whole and f in [-1/2, 1/2], |x| < 2^22: see simd_avx2.h
struct Split {
    vf f, n;
};
SPLAT_HD Split split_whole(vf x) {
    const vf magic(12582912.f), n = x + magic;
    return {x - (n - magic), n};
}
// p * 2^n for n >= -126, and the same where the mask is set, 0 elsewhere (whatever n is there)
SPLAT_HD vf times_power(vf p, vf n) { return as_float(as_int(p.v) + (as_int(n.v) << 23)); }
SPLAT_HD vf times_power_keep(vm m, vf p, vf n) { return keep(m, times_power(p, n)); }
SPLAT_HD vf power_in_range(vf x) { return max_(x, vf(-126.f)); }
// 2^f, the polynomial of smallest relative error (2.7e-6)
constexpr float kExp2Pixel[5] = {0.999999263f, 0.693121646f, 0.240247356f, 0.0559186622f, 0.00957053118f};
// x = m * 2^e with m in [1, 2)
SPLAT_HD vf split_exponent(vf x, vf& e) {
    const int4_ b = as_int(x.v);
    e = __builtin_convertvector((b >> 23) - 127, float4_);
    return as_float((b & 0x007fffff) | 0x3f800000);
}
SPLAT_HD float sum(vf a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }

SPLAT_END
