// vf for AVX-512 F, DQ, VL, BW: 16 floats.
#pragma once

#include <immintrin.h>

SPLAT_BEGIN

struct vm {
    __mmask16 m;
};

struct vf {
    static constexpr int W = 16;
    __m512 v;
    SPLAT_HD vf() : v(_mm512_setzero_ps()) {}
    SPLAT_HD vf(__m512 x) : v(x) {}
    SPLAT_HD vf(float x) : v(_mm512_set1_ps(x)) {}
    SPLAT_HD static vf load(const float* p) { return _mm512_loadu_ps(p); }
    SPLAT_HD static vf load_n(const float* p, int n) {
        return _mm512_maskz_loadu_ps(__mmask16((1u << n) - 1u), p);
    }
    SPLAT_HD static vf gather(const float* p, const int32_t* index) {
        return _mm512_i32gather_ps(_mm512_loadu_si512(index), p, 4);
    }
    SPLAT_HD void scatter(float* p, const int32_t* index) const {
        _mm512_i32scatter_ps(p, _mm512_loadu_si512(index), v, 4);
    }
    SPLAT_HD static vf iota() {
        return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    }
    SPLAT_HD void store(float* p) const { _mm512_storeu_ps(p, v); }
    SPLAT_HD void store_n(float* p, int n) const {
        _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1u), v);
    }
};

SPLAT_HD vf operator+(vf a, vf b) { return _mm512_add_ps(a.v, b.v); }
SPLAT_HD vf operator-(vf a, vf b) { return _mm512_sub_ps(a.v, b.v); }
SPLAT_HD vf operator*(vf a, vf b) { return _mm512_mul_ps(a.v, b.v); }
SPLAT_HD vf operator/(vf a, vf b) { return _mm512_div_ps(a.v, b.v); }
SPLAT_HD vm operator<(vf a, vf b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
SPLAT_HD vm operator<=(vf a, vf b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
SPLAT_HD vm operator>(vf a, vf b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
SPLAT_HD vm operator>=(vf a, vf b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ)}; }
SPLAT_HD vm operator&(vm a, vm b) { return {__mmask16(a.m & b.m)}; }
SPLAT_HD vm operator|(vm a, vm b) { return {__mmask16(a.m | b.m)}; }
SPLAT_HD vm operator!(vm a) { return {__mmask16(~a.m)}; }
SPLAT_HD uint32_t bits(vm a) { return a.m; }
SPLAT_HD vm mask_from_bits(uint32_t b) { return {__mmask16(b)}; }
SPLAT_HD vf select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m.m, b.v, a.v); }
SPLAT_HD vf fma_(vf a, vf b, vf c) { return _mm512_fmadd_ps(a.v, b.v, c.v); }
SPLAT_HD vf fnma_(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a.v, b.v, c.v); }
SPLAT_HD vf min_(vf a, vf b) { return _mm512_min_ps(a.v, b.v); }
SPLAT_HD vf max_(vf a, vf b) { return _mm512_max_ps(a.v, b.v); }
SPLAT_HD vf sqrt_(vf a) { return _mm512_sqrt_ps(a.v); }
SPLAT_HD vf abs_(vf a) { return _mm512_abs_ps(a.v); }
// a where the mask is set, 0 elsewhere
SPLAT_HD vf keep(vm m, vf a) { return _mm512_maskz_mov_ps(m.m, a.v); }
SPLAT_HD vf mul_keep(vm m, vf a, vf b) { return _mm512_maskz_mul_ps(m.m, a.v, b.v); }
SPLAT_HD vf min_keep(vm m, vf a, vf b) { return _mm512_maskz_min_ps(m.m, a.v, b.v); }
SPLAT_HD vf rcp_rough(vf a) { return _mm512_rcp14_ps(a.v); }  // relative error 6e-5
// table[index[l]] for 16 numbers
SPLAT_HD vf lookup16(const float* table, const int32_t* index, int) {
    return _mm512_permutexvar_ps(_mm512_loadu_si512(index), _mm512_loadu_ps(table));
}
// 16x16, in place
SPLAT_HD void transpose(vf* a) {
    __m512 t[16], u[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(a[i].v, a[i + 1].v);
        t[i + 1] = _mm512_unpackhi_ps(a[i].v, a[i + 1].v);
    }
    const auto pd = [](__m512 x) { return _mm512_castps_pd(x); };
    for (int i = 0; i < 16; i += 4)
        for (int j = 0; j < 2; ++j) {
            u[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(pd(t[i + j]), pd(t[i + 2 + j])));
            u[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(pd(t[i + j]), pd(t[i + 2 + j])));
        }
    for (int j = 0; j < 4; ++j) {
        t[j] = _mm512_shuffle_f32x4(u[j], u[4 + j], 0x88);
        t[4 + j] = _mm512_shuffle_f32x4(u[j], u[4 + j], 0xdd);
        t[8 + j] = _mm512_shuffle_f32x4(u[8 + j], u[12 + j], 0x88);
        t[12 + j] = _mm512_shuffle_f32x4(u[8 + j], u[12 + j], 0xdd);
    }
    for (int j = 0; j < 4; ++j) {
        a[j] = _mm512_shuffle_f32x4(t[j], t[8 + j], 0x88);
        a[8 + j] = _mm512_shuffle_f32x4(t[j], t[8 + j], 0xdd);
        a[4 + j] = _mm512_shuffle_f32x4(t[4 + j], t[12 + j], 0x88);
        a[12 + j] = _mm512_shuffle_f32x4(t[4 + j], t[12 + j], 0xdd);
    }
}
// The bits of low + 65536 high, both whole and below 65536
SPLAT_HD vf pack_whole(vf low, vf high) {
    const __m512i above = _mm512_slli_epi32(_mm512_cvttps_epi32(high.v), 16);
    return _mm512_castsi512_ps(_mm512_or_si512(_mm512_cvttps_epi32(low.v), above));
}
// 1/a to 1e-7 (one Newton step)
SPLAT_HD vf rcp_(vf a) {
    __m512 r = _mm512_rcp14_ps(a.v);
    return _mm512_mul_ps(r, _mm512_fnmadd_ps(a.v, r, _mm512_set1_ps(2.f)));
}
// m / (scale sqrt(v) + eps) to 3e-7 for v >= 0: estimates and a Newton step each, in a third of the time of
// a root and a division
SPLAT_HD vf over_root(vf m, vf v, vf scale, vf eps) {
    const __mmask16 some = _mm512_cmp_ps_mask(v.v, _mm512_set1_ps(1.17549435e-38f), _CMP_GE_OQ);
    const __m512 r = _mm512_maskz_rsqrt14_ps(some, v.v), s = _mm512_mul_ps(v.v, r);
    const __m512 half = _mm512_mul_ps(r, _mm512_set1_ps(0.5f));
    const vf root = _mm512_fmadd_ps(_mm512_fnmadd_ps(s, s, v.v), half, s);
    return m * rcp_(fma_(root, scale, eps));
}
// x - floor(x), and p * 2^floor(x)
SPLAT_HD vf fraction(vf x) { return _mm512_reduce_ps(x.v, _MM_FROUND_TO_NEG_INF); }
SPLAT_HD vf scale_by_floor(vf p, vf x) { return _mm512_scalef_ps(p.v, x.v); }
// x = floor(x) + f; n stands for floor(x): the scaling takes the floor itself
struct Split {
    vf f, n;
};
SPLAT_HD Split split_whole(vf x) { return {fraction(x), x}; }
// p * 2^n, and the same where the mask is set, 0 elsewhere
SPLAT_HD vf times_power(vf p, vf n) { return scale_by_floor(p, n); }
SPLAT_HD vf times_power_keep(vm m, vf p, vf n) { return _mm512_maskz_scalef_ps(m.m, p.v, n.v); }
SPLAT_HD vf power_in_range(vf x) { return x; }
// 2^f, the polynomial of smallest relative error (2.7e-6)
constexpr float kExp2Pixel[5] = {1.00000262f, 0.693003833f, 0.241442755f, 0.0520114601f, 0.0135341678f};
// x = m * 2^e with m in [1, 2)
SPLAT_HD vf split_exponent(vf x, vf& e) {
    e = _mm512_getexp_ps(x.v);
    return _mm512_getmant_ps(x.v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_zero);
}
SPLAT_HD float sum(vf a) {
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

SPLAT_END
