// Device functions of one thread: bits, atomics, arithmetic.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace splat::emulate {

template <class To, class From>
inline To bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "a reinterpretation keeps every bit");
    To to;
    std::memcpy(&to, &from, sizeof(to));
    return to;
}

// One thread runs at a time: a plain read and write is atomic.
template <class T, class F>
inline T atomic(T* at, F next) {
    const T old = *at;
    *at = next(old);
    return old;
}

}  // namespace splat::emulate

inline unsigned __float_as_uint(float v) { return splat::emulate::bits<unsigned>(v); }
inline int __float_as_int(float v) { return splat::emulate::bits<int>(v); }
inline float __uint_as_float(unsigned v) { return splat::emulate::bits<float>(v); }
inline float __int_as_float(int v) { return splat::emulate::bits<float>(v); }

inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline int __ffsll(long long v) { return __builtin_ffsll(v); }
inline int __clz(int v) { return v ? __builtin_clz(unsigned(v)) : 32; }
inline int __clzll(long long v) { return v ? __builtin_clzll((unsigned long long)v) : 64; }
inline unsigned __brev(unsigned v) {
    unsigned reversed = 0;
    for (int i = 0; i < 32; ++i) reversed |= (v >> i & 1u) << (31 - i);
    return reversed;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((uint64_t(a) * b) >> 32); }

template <class T>
inline T __ldg(const T* at) {
    return *at;
}
template <class T>
inline T __ldcs(const T* at) {
    return *at;
}
template <class T>
inline T __ldcg(const T* at) {
    return *at;
}
template <class T>
inline void __stcs(T* at, T value) {
    *at = value;
}

#define SPLAT_ATOMIC(name, T, next) \
    inline T name(T* at, T value) { \
        return splat::emulate::atomic(at, [value](T old) -> T { return next; }); \
    }
#define SPLAT_ATOMIC_INTEGER(T) \
    SPLAT_ATOMIC(atomicAdd, T, old + value) \
    SPLAT_ATOMIC(atomicMax, T, old > value ? old : value) \
    SPLAT_ATOMIC(atomicMin, T, old < value ? old : value) \
    SPLAT_ATOMIC(atomicAnd, T, old & value) \
    SPLAT_ATOMIC(atomicOr, T, old | value) \
    SPLAT_ATOMIC(atomicXor, T, old ^ value) \
    SPLAT_ATOMIC(atomicExch, T, (void(old), value)) \
    inline T atomicCAS(T* at, T expected, T value) { \
        return splat::emulate::atomic(at, [=](T old) -> T { return old == expected ? value : old; }); \
    }
SPLAT_ATOMIC_INTEGER(int)
SPLAT_ATOMIC_INTEGER(unsigned)
SPLAT_ATOMIC_INTEGER(unsigned long long)
SPLAT_ATOMIC(atomicSub, int, old - value)
SPLAT_ATOMIC(atomicSub, unsigned, old - value)
SPLAT_ATOMIC(atomicAdd, float, old + value)
SPLAT_ATOMIC(atomicAdd, double, old + value)
SPLAT_ATOMIC(atomicExch, float, (void(old), value))
#undef SPLAT_ATOMIC_INTEGER
#undef SPLAT_ATOMIC

inline void __threadfence() {}
inline void __threadfence_block() {}

inline float rsqrtf(float v) { return 1.0f / std::sqrt(v); }
inline double rsqrt(double v) { return 1.0 / std::sqrt(v); }
inline float __expf(float v) { return std::exp(v); }
inline float __logf(float v) { return std::log(v); }
inline float __log2f(float v) { return std::log2(v); }
inline float __powf(float a, float b) { return std::pow(a, b); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __frcp_rn(float v) { return 1.0f / v; }
inline float __frsqrt_rn(float v) { return 1.0f / std::sqrt(v); }
inline float __fsqrt_rn(float v) { return std::sqrt(v); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __saturatef(float v) { return v > 0 ? (v < 1 ? v : 1.0f) : 0.0f; }  // NaN: 0
inline float __int2float_rn(int v) { return float(v); }
inline float __uint2float_rn(unsigned v) { return float(v); }
inline int __float2int_rz(float v) { return int(v); }
inline int __float2int_rn(float v) { return int(std::nearbyint(v)); }
inline int __float2int_rd(float v) { return int(std::floor(v)); }
inline int __float2int_ru(float v) { return int(std::ceil(v)); }

#define SPLAT_MIN_MAX(T) \
    constexpr T min(T a, T b) { return b < a ? b : a; } \
    constexpr T max(T a, T b) { return a < b ? b : a; }
SPLAT_MIN_MAX(int)
SPLAT_MIN_MAX(unsigned)
SPLAT_MIN_MAX(long)
SPLAT_MIN_MAX(unsigned long)
SPLAT_MIN_MAX(long long)
SPLAT_MIN_MAX(unsigned long long)
#undef SPLAT_MIN_MAX
inline float min(float a, float b) { return std::fmin(a, b); }  // the one that is a number
inline float max(float a, float b) { return std::fmax(a, b); }
inline double min(double a, double b) { return std::fmin(a, b); }
inline double max(double a, double b) { return std::fmax(a, b); }
