// alpha = 2^(log2_opacity - (u^2 + v^2)^p): the generalised exponential of footprint.h.
#pragma once

#include "kernel_plain.h"

SPLAT_BEGIN

constexpr float kPixelRadius2Min = 1e-12f;  // r^(p - 1) is singular at 0; r d(r^p)/dr is not

SPLAT_HD vf radius2_log(vf r) { return log2_pixel(max_(r, vf(kPixelRadius2Min))); }
SPLAT_HD vf power_exponent(vf p, vf log_r) { return exp2_pixel(min_(p * log_r, vf(126.f))); }

struct PowerKernel {
    static constexpr float kGrow = 0.f;
    static constexpr int kBatch = 256;
    static constexpr bool kCostly = false;
    static constexpr int kSums = kSumPower + 1;
    using Table = NoTable;
    struct Local : PlainLocal {
        float p;
    };
    SPLAT_HD static void localise(const Frame&, const Row& row, uint32_t, float middle_x, float middle_y, uint32_t,
                                  Local& to, Table&) {
        to = {localise_row(row, middle_x, middle_y), row.p};
    }
    static void nothing(Local& to) {
        PlainKernel::nothing(to);
        to.p = 1.f;
    }

    static bool clamps(const PlainLocal& s) { return PlainKernel::clamps(s); }

    SPLAT_HD static vf radius2(const Local& s, vf x, vf y) {
        const vf u = local_u(s, x, y), v = local_v(s, y);
        return fma_(u, u, v * v);
    }

    template <int N>
    SPLAT_HD static void alphas(const Local* const* s, const Centres& at, int b, int part, vf* out) {
        vf e[N];
        for (int i = 0; i < N; ++i) e[i] = radius2(*s[i], at.x[b][part], at.y[b][part]);
        for (int i = 0; i < N; ++i) e[i] = radius2_log(e[i]);
        for (int i = 0; i < N; ++i) e[i] = power_exponent(vf(s[i]->p), e[i]);
        for (int i = 0; i < N; ++i) e[i] = vf(s[i]->log2_opacity) - e[i];
        alphas_from_exponents<N>(e, out);
    }

    struct Held {
        alignas(64) float alpha[kVectors][W], slope[kVectors][W], log_term[kVectors][W];
    };
    SPLAT_HD static void hold(const Local& s, const Centres& at, int b, int part, Held& held, int n) {
        const vf r = max_(radius2(s, at.x[b][part], at.y[b][part]), vf(kPixelRadius2Min));
        const vf log_r = log2_pixel(r), power = power_exponent(vf(s.p), log_r);
        const vf e = vf(s.log2_opacity) - power;
        vf alpha;
        alphas_from_exponents<1>(&e, &alpha);
        alpha.store(held.alpha[n]);
        (vf(s.p) * power * rcp_rough(r)).store(held.slope[n]);
        (power * log_r).store(held.log_term[n]);
    }

    struct Sums : PlainKernel::Sums {
        vf power;

        SPLAT_HD void add(const Local& s, const Centres& at, int b, int part, const Held& held, int n, vf dh) {
            const vf pu = local_u(s, at.x[b][part], at.y[b][part]), pv = local_v(s, at.y[b][part]);
            h += dh;
            power = fma_(dh, vf::load(held.log_term[n]), power);
            add_moments(s, pu, pv, dh * vf::load(held.slope[n]));
        }
        SPLAT_HD void begin(const Frame&, const Local&, const Row&, uint32_t, float, float) {}
        SPLAT_HD void put(vf* to, const PlainLocal& s) const {
            PlainKernel::Sums::put(to, s);
            to[kSumPower] = power;
        }
    };
};

SPLAT_END
