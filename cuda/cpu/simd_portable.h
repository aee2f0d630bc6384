// vf in plain C++: 4 floats, loops that a compiler turns into whatever vectors the target has.
#pragma once

#include <cstring>

SPLAT_BEGIN

struct vm {
    bool m[4];
};

struct vf {
    static constexpr int W = 4;
    float v[4];
    SPLAT_HD vf() : v{0, 0, 0, 0} {}
    SPLAT_HD vf(float x) : v{x, x, x, x} {}
    SPLAT_HD static vf load(const float* p) { return load_n(p, 4); }
    SPLAT_HD static vf load_n(const float* p, int n) {
        vf r;
        for (int i = 0; i < 4; ++i) r.v[i] = i < n ? p[i] : 0.f;
        return r;
    }
    SPLAT_HD static vf gather(const float* p, const int32_t* index) {
        vf r;
        for (int i = 0; i < 4; ++i) r.v[i] = p[index[i]];
        return r;
    }
    SPLAT_HD static vf iota() {
        vf r;
        for (int i = 0; i < 4; ++i) r.v[i] = float(i);
        return r;
    }
    SPLAT_HD void store(float* p) const { store_n(p, 4); }
    SPLAT_HD void store_n(float* p, int n) const {
        for (int i = 0; i < 4; ++i)
            if (i < n) p[i] = v[i];
    }
};

#define SPLAT_LANES(R, expression) \
    R r; \
    for (int i = 0; i < 4; ++i) expression; \
    return r;

SPLAT_HD vf operator+(vf a, vf b) { SPLAT_LANES(vf, r.v[i] = a.v[i] + b.v[i]) }
SPLAT_HD vf operator-(vf a, vf b) { SPLAT_LANES(vf, r.v[i] = a.v[i] - b.v[i]) }
SPLAT_HD vf operator*(vf a, vf b) { SPLAT_LANES(vf, r.v[i] = a.v[i] * b.v[i]) }
SPLAT_HD vf operator/(vf a, vf b) { SPLAT_LANES(vf, r.v[i] = a.v[i] / b.v[i]) }
SPLAT_HD vm operator<(vf a, vf b) { SPLAT_LANES(vm, r.m[i] = a.v[i] < b.v[i]) }
SPLAT_HD vm operator<=(vf a, vf b) { SPLAT_LANES(vm, r.m[i] = a.v[i] <= b.v[i]) }
SPLAT_HD vm operator>(vf a, vf b) { SPLAT_LANES(vm, r.m[i] = a.v[i] > b.v[i]) }
SPLAT_HD vm operator>=(vf a, vf b) { SPLAT_LANES(vm, r.m[i] = a.v[i] >= b.v[i]) }
SPLAT_HD vm operator&(vm a, vm b) { SPLAT_LANES(vm, r.m[i] = a.m[i] && b.m[i]) }
SPLAT_HD vm operator|(vm a, vm b) { SPLAT_LANES(vm, r.m[i] = a.m[i] || b.m[i]) }
SPLAT_HD vm operator!(vm a) { SPLAT_LANES(vm, r.m[i] = !a.m[i]) }
SPLAT_HD uint32_t bits(vm a) {
    return uint32_t(a.m[0]) | uint32_t(a.m[1]) << 1 | uint32_t(a.m[2]) << 2 | uint32_t(a.m[3]) << 3;
}
SPLAT_HD vm mask_from_bits(uint32_t b) { SPLAT_LANES(vm, r.m[i] = (b >> i) & 1u) }
SPLAT_HD vf select(vm m, vf a, vf b) { SPLAT_LANES(vf, r.v[i] = m.m[i] ? a.v[i] : b.v[i]) }
SPLAT_HD vf fma_(vf a, vf b, vf c) { SPLAT_LANES(vf, r.v[i] = a.v[i] * b.v[i] + c.v[i]) }
SPLAT_HD vf fnma_(vf a, vf b, vf c) { SPLAT_LANES(vf, r.v[i] = c.v[i] - a.v[i] * b.v[i]) }
SPLAT_HD vf min_(vf a, vf b) { SPLAT_LANES(vf, r.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i]) }
SPLAT_HD vf max_(vf a, vf b) { SPLAT_LANES(vf, r.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i]) }
SPLAT_HD vf sqrt_(vf a) { SPLAT_LANES(vf, r.v[i] = ::sqrtf(a.v[i])) }
SPLAT_HD vf abs_(vf a) { SPLAT_LANES(vf, r.v[i] = ::fabsf(a.v[i])) }
SPLAT_HD vf keep(vm m, vf a) { SPLAT_LANES(vf, r.v[i] = m.m[i] ? a.v[i] : 0.f) }
SPLAT_HD vf mul_keep(vm m, vf a, vf b) { SPLAT_LANES(vf, r.v[i] = m.m[i] ? a.v[i] * b.v[i] : 0.f) }
SPLAT_HD vf min_keep(vm m, vf a, vf b) { return keep(m, min_(a, b)); }
SPLAT_HD vf rcp_rough(vf a) { SPLAT_LANES(vf, r.v[i] = 1.f / a.v[i]) }
// 4x4, in place
SPLAT_HD void transpose(vf* a) {
    for (int i = 0; i < 4; ++i)
        for (int j = i + 1; j < 4; ++j) {
            const float t = a[i].v[j];
            a[i].v[j] = a[j].v[i];
            a[j].v[i] = t;
        }
}
SPLAT_HD vf rcp_(vf a) { SPLAT_LANES(vf, r.v[i] = 1.f / a.v[i]) }
// x - floor(x), and p * 2^floor(x), for floor(x) in [-126, 127]; smaller x counts as -126
SPLAT_HD vf fraction(vf x) { SPLAT_LANES(vf, r.v[i] = x.v[i] - ::floorf(x.v[i])) }
SPLAT_HD vf scale_by_floor(vf p, vf x) {
    for (int i = 0; i < 4; ++i) {
        int32_t b;
        std::memcpy(&b, &p.v[i], 4);
        b += int32_t(::floorf(x.v[i] < -126.f ? -126.f : x.v[i])) * (1 << 23);
        std::memcpy(&p.v[i], &b, 4);
    }
    return p;
}
// x = m * 2^e with m in [1, 2)
SPLAT_HD vf split_exponent(vf x, vf& e) {
    vf m;
    for (int i = 0; i < 4; ++i) {
        int32_t b;
        std::memcpy(&b, &x.v[i], 4);
        e.v[i] = float((b >> 23) - 127);
        b = (b & 0x007fffff) | 0x3f800000;
        std::memcpy(&m.v[i], &b, 4);
    }
    return m;
}
SPLAT_HD float sum(vf a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }

#undef SPLAT_LANES

SPLAT_END
