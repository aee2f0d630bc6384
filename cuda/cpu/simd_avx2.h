// vf for AVX2 and FMA: 8 floats.
#pragma once

#include <immintrin.h>

SPLAT_BEGIN

struct vm {
    __m256 m;
};

struct vf {
    static constexpr int W = 8;
    __m256 v;
    SPLAT_HD vf() : v(_mm256_setzero_ps()) {}
    SPLAT_HD vf(__m256 x) : v(x) {}
    SPLAT_HD vf(float x) : v(_mm256_set1_ps(x)) {}
    SPLAT_HD static __m256i first(int n) {
        return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    }
    SPLAT_HD static vf load(const float* p) { return _mm256_loadu_ps(p); }
    SPLAT_HD static vf load_n(const float* p, int n) { return _mm256_maskload_ps(p, first(n)); }
    SPLAT_HD static vf gather(const float* p, const int32_t* index) {
        return _mm256_i32gather_ps(p, _mm256_loadu_si256((const __m256i*)index), 4);
    }
    SPLAT_HD void scatter(float* p, const int32_t* index) const {
        alignas(32) float t[W];
        store(t);
        for (int i = 0; i < W; ++i) p[index[i]] = t[i];
    }
    SPLAT_HD static vf iota() { return _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7); }
    SPLAT_HD void store(float* p) const { _mm256_storeu_ps(p, v); }
    SPLAT_HD void store_n(float* p, int n) const { _mm256_maskstore_ps(p, first(n), v); }
};

SPLAT_HD vf operator+(vf a, vf b) { return _mm256_add_ps(a.v, b.v); }
SPLAT_HD vf operator-(vf a, vf b) { return _mm256_sub_ps(a.v, b.v); }
SPLAT_HD vf operator*(vf a, vf b) { return _mm256_mul_ps(a.v, b.v); }
SPLAT_HD vf operator/(vf a, vf b) { return _mm256_div_ps(a.v, b.v); }
SPLAT_HD vm operator<(vf a, vf b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)}; }
SPLAT_HD vm operator<=(vf a, vf b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)}; }
SPLAT_HD vm operator>(vf a, vf b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)}; }
SPLAT_HD vm operator>=(vf a, vf b) { return {_mm256_cmp_ps(a.v, b.v, _CMP_GE_OQ)}; }
SPLAT_HD vm operator&(vm a, vm b) { return {_mm256_and_ps(a.m, b.m)}; }
SPLAT_HD vm operator|(vm a, vm b) { return {_mm256_or_ps(a.m, b.m)}; }
SPLAT_HD vm operator!(vm a) {
    return {_mm256_xor_ps(a.m, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))};
}
SPLAT_HD uint32_t bits(vm a) { return uint32_t(_mm256_movemask_ps(a.m)); }
SPLAT_HD vm mask_from_bits(uint32_t b) {
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    __m256i x = _mm256_and_si256(_mm256_set1_epi32(int(b)), bit);
    return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(x, bit))};
}
SPLAT_HD vf select(vm m, vf a, vf b) { return _mm256_blendv_ps(b.v, a.v, m.m); }
SPLAT_HD vf fma_(vf a, vf b, vf c) { return _mm256_fmadd_ps(a.v, b.v, c.v); }
SPLAT_HD vf fnma_(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a.v, b.v, c.v); }
SPLAT_HD vf min_(vf a, vf b) { return _mm256_min_ps(a.v, b.v); }
SPLAT_HD vf max_(vf a, vf b) { return _mm256_max_ps(a.v, b.v); }
SPLAT_HD vf sqrt_(vf a) { return _mm256_sqrt_ps(a.v); }
SPLAT_HD vf abs_(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.f), a.v); }
SPLAT_HD vf keep(vm m, vf a) { return _mm256_and_ps(m.m, a.v); }
SPLAT_HD vf mul_keep(vm m, vf a, vf b) { return _mm256_and_ps(m.m, _mm256_mul_ps(a.v, b.v)); }
SPLAT_HD vf min_keep(vm m, vf a, vf b) { return _mm256_and_ps(m.m, _mm256_min_ps(a.v, b.v)); }
SPLAT_HD vf rcp_rough(vf a) {  // one Newton step, relative error 1e-7
    __m256 r = _mm256_rcp_ps(a.v);
    return _mm256_mul_ps(r, _mm256_fnmadd_ps(a.v, r, _mm256_set1_ps(2.f)));
}
// table[index[l]] for 16 numbers; all indices lie in the half of the 16 numbers that the first of `four` lies in
SPLAT_HD vf lookup16(const float* table, const int32_t* index, int four) {
    const __m256 half = _mm256_loadu_ps(table + (four >> 1) * 8);
    return _mm256_permutevar8x32_ps(half, _mm256_loadu_si256((const __m256i*)index));  // their low three bits
}
// 8x8, in place
SPLAT_HD void transpose(vf* a) {
    __m256 t[8], u[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(a[i].v, a[i + 1].v);
        t[i + 1] = _mm256_unpackhi_ps(a[i].v, a[i + 1].v);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; ++j) {
            u[i + 2 * j] = _mm256_shuffle_ps(t[i + j], t[i + 2 + j], 0x44);
            u[i + 2 * j + 1] = _mm256_shuffle_ps(t[i + j], t[i + 2 + j], 0xee);
        }
    for (int j = 0; j < 4; ++j) {
        a[j] = _mm256_permute2f128_ps(u[j], u[4 + j], 0x20);
        a[4 + j] = _mm256_permute2f128_ps(u[j], u[4 + j], 0x31);
    }
}
// The bits of low + 65536 high, both whole and below 65536
SPLAT_HD vf pack_whole(vf low, vf high) {
    const __m256i above = _mm256_slli_epi32(_mm256_cvttps_epi32(high.v), 16);
    return _mm256_castsi256_ps(_mm256_or_si256(_mm256_cvttps_epi32(low.v), above));
}
SPLAT_HD vf rcp_(vf a) {
    __m256 r = _mm256_rcp_ps(a.v);  // 12 bits; two Newton steps
    r = _mm256_mul_ps(r, _mm256_fnmadd_ps(a.v, r, _mm256_set1_ps(2.f)));
    return _mm256_mul_ps(r, _mm256_fnmadd_ps(a.v, r, _mm256_set1_ps(2.f)));
}
// x - floor(x), and p * 2^floor(x), for floor(x) in [-126, 127]; smaller x counts as -126
SPLAT_HD vf fraction(vf x) {
    return _mm256_sub_ps(x.v, _mm256_round_ps(x.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC));
}
SPLAT_HD vf scale_by_floor(vf p, vf x) {
    __m256 n = _mm256_round_ps(_mm256_max_ps(x.v, _mm256_set1_ps(-126.f)),
                               _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m256i e = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p.v), e));
}
// x = n + f with n whole and f in [-1/2, 1/2], |x| < 2^22: adding 1.5 * 2^23 rounds, and leaves n in the
// low bits, from where one shift makes it an exponent. Half the instructions of a floor.
struct Split {
    vf f, n;
};
SPLAT_HD Split split_whole(vf x) {
    const __m256 magic = _mm256_set1_ps(12582912.f), n = _mm256_add_ps(x.v, magic);
    return {_mm256_sub_ps(x.v, _mm256_sub_ps(n, magic)), n};
}
// p * 2^n for n >= -126, and the same where the mask is set, 0 elsewhere (whatever n is there)
SPLAT_HD vf times_power(vf p, vf n) {
    const __m256i e = _mm256_slli_epi32(_mm256_castps_si256(n.v), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p.v), e));
}
SPLAT_HD vf times_power_keep(vm m, vf p, vf n) { return keep(m, times_power(p, n)); }
SPLAT_HD vf power_in_range(vf x) { return max_(x, vf(-126.f)); }
// 2^f, the polynomial of smallest relative error (2.7e-6)
constexpr float kExp2Pixel[5] = {0.999999263f, 0.693121646f, 0.240247356f, 0.0559186622f, 0.00957053118f};
// x = m * 2^e with m in [1, 2)
SPLAT_HD vf split_exponent(vf x, vf& e) {
    const __m256i b = _mm256_castps_si256(x.v);
    e = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(b, 23), _mm256_set1_epi32(127)));
    return _mm256_castsi256_ps(_mm256_or_si256(_mm256_and_si256(b, _mm256_set1_epi32(0x007fffff)),
                                               _mm256_set1_epi32(0x3f800000)));
}
SPLAT_HD float sum(vf a) {
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

SPLAT_END
