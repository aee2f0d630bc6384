// The filter "exact" (filter_exact.h): splats with row.p = 0 are integrated over the pixel by the
// strip rule (strip.h), the others sampled by the kernel Base. The constants of a splat's strips,
// one to a pixel row (or column) of the tile, are worked out once per (splat, tile); a pixel then
// costs two Phi a strip.
#pragma once

#include "../include/splat/filter_window.h"
#include "../include/splat/strip_backward.h"
#include "kernel_power.h"

SPLAT_BEGIN

constexpr int kRowParts = 16 / W;  // vectors that hold the 16 rows of a tile
constexpr int kMostStrips = 2;

// One number per row of the tile.
struct alignas(64) RowTable {
    float v[16];
    SPLAT_HD vf part(int k) const { return vf::load(v + k * W); }
};

// What strip_splat() found, kept by stage_project for every tile.
SPLAT_HD void store_strip(float* to, const StripSplat<float>& s) {
    const float all[8] = {s.sigma, s.inverse_sigma, s.k, s.given, s.peak, s.delta, float(s.columns), float(s.narrow)};
    std::memcpy(to, all, sizeof(all));
}

SPLAT_HD StripSplat<float> load_strip(const Frame& frame, const Row& row, uint32_t id, float middle_x, float middle_y) {
    const float *s = frame.strip.get() + int64_t(id) * 8, mx = row.mx - middle_x, my = row.my - middle_y;
    const bool columns = s[6] != 0.f;
    return {columns ? mx : my, columns ? my : mx, s[0], s[1], s[2], s[3], s[4], 1.f / float(frame.strips), s[5],
            columns, s[7] != 0.f};
}

// Centres of the rows of strip `strip` of `strips`, relative to the tile's middle.
SPLAT_HD vf strip_centres(int part, int strip, int strips) {
    const float first = 0.5f - kTile / 2 + float(part * W) + (strips == 1 ? 0.f : strip == 0 ? -0.25f : 0.25f);
    return vf::iota() + vf(first);
}

// Whether any of the blocks lies in vector `part` of the rows (columns) of the tile.
SPLAT_HD bool needs_rows(uint32_t blocks, bool columns, int part) {
    constexpr int kFours = W / 4;  // rows of blocks that the vector's rows make
    constexpr uint32_t kRows = (1u << 4 * kFours) - 1u, kColumns = ((1u << kFours) - 1u) * 0x1111u;
    return blocks & (columns ? kColumns << kFours * part : kRows << 4 * kFours * part);
}

// For each lane of a block's vector its row (or column) of the tile: one of those of a row (column) of blocks.
struct LaneRows {
    const int32_t* index;
    int four;  // which row (column) of blocks

    SPLAT_HD LaneRows(const Centres& at, bool columns, int b, int part)
        : index((columns ? at.column[b & 3] : at.row[b >> 2]) + part * W), four(columns ? b & 3 : b >> 2) {}
    SPLAT_HD vf of(const RowTable& t) const { return lookup16(t.v, index, four); }
};

template <class Base>
struct StripKernel {
    static constexpr float kGrow = kStripMargin;
    static constexpr int kBatch = 128;
    static constexpr bool kCostly = true;
    static constexpr int kSums = kSumPower + 1;

    struct Table {
        RowTable scale[kMostStrips], shift[kMostStrips], mass[kMostStrips];  // A, B, C of strip.h
    };
    struct Local : Base::Local {
        bool integrated, columns;
        int strips;
        const Table* table;
    };

    static void localise(const Frame& frame, const Row& row, uint32_t id, float middle_x, float middle_y,
                         uint32_t blocks, Local& to, Table& table) {
        typename Base::Table none;
        Base::localise(frame, row, id, middle_x, middle_y, blocks, to, none);
        to.integrated = row.p == 0.f;
        if (!to.integrated) return;
        const StripSplat<float> one = load_strip(frame, row, id, middle_x, middle_y);
        to.columns = one.columns, to.strips = frame.strips, to.table = &table;
        const StripSplat<vf> all = broadcast<vf>(one);
        for (int k = 0; k < to.strips; ++k)
            for (int part = 0; part < kRowParts; ++part) {
                if (!needs_rows(blocks, to.columns, part)) continue;
                const StripRow<vf> r = strip_row(all, strip_centres(part, k, to.strips));
                r.a.store(table.scale[k].v + part * W);
                r.b.store(table.shift[k].v + part * W);
                r.c.store(table.mass[k].v + part * W);
            }
    }
    static void nothing(Local& to) {
        Base::nothing(to);
        to.integrated = false;
    }
    static bool clamps(const Local& s) { return s.integrated || Base::clamps(s); }

    // Where along a strip the pixels are.
    SPLAT_HD static vf along(const Local& s, const Centres& at, int b, int part) {
        return s.columns ? at.y[b][part] : at.x[b][part];
    }

    SPLAT_HD static StripPixel<vf> strip_at(const Local& s, int k, const LaneRows& row, vf x) {
        return strip_pixel(row.of(s.table->scale[k]), row.of(s.table->shift[k]), x);
    }

    template <int N>
    SPLAT_HD static void alphas(const Local* const* s, const Centres& at, int b, int part, vf* out) {
        // All as if sampled, side by side; then the few that are not.
        const typename Base::Local* base[N];
        bool sampled = false;
        for (int i = 0; i < N; ++i) base[i] = s[i], sampled |= !s[i]->integrated;
        if (sampled) Base::template alphas<N>(base, at, b, part, out);
        for (int i = 0; i < N; ++i)
            if (s[i]->integrated) out[i] = integral(*s[i], at, b, part);
    }

    static vf integral(const Local& s, const Centres& at, int b, int part) {
        const LaneRows row(at, s.columns, b, part);
        const vf x = along(s, at, b, part);
        vf alpha(0.f);
        for (int k = 0; k < s.strips; ++k) {
            const vf p = strip_at(s, k, row, x).p;
            alpha = fma_(row.of(s.table->mass[k]), p, alpha);
        }
        return keep(alpha >= vf(kAlphaMin), alpha);
    }

    struct Held : Base::Held {
        alignas(64) float p[kMostStrips][kVectors][W], slope[kMostStrips][kVectors][W],
            spread[kMostStrips][kVectors][W];
    };
    static void hold(const Local& s, const Centres& at, int b, int part, Held& held, int n) {
        if (!s.integrated) return Base::hold(s, at, b, part, held, n);
        const LaneRows row(at, s.columns, b, part);
        const vf x = along(s, at, b, part);
        vf alpha(0.f);
        for (int k = 0; k < s.strips; ++k) {
            const StripPixel<vf> pixel = strip_at(s, k, row, x);
            alpha = fma_(row.of(s.table->mass[k]), pixel.p, alpha);
            pixel.p.store(held.p[k][n]), pixel.slope.store(held.slope[k][n]), pixel.spread.store(held.spread[k][n]);
        }
        keep(alpha >= vf(kAlphaMin), alpha).store(held.alpha[n]);
    }

    // Sums per row of the tile, from which the chain through the strip's constants goes once.
    struct StripTotals {
        StripSplat<vf> splat;
        StripRow<vf> rows[kMostStrips][kRowParts];
        RowTable by_h[kMostStrips], by_m[kMostStrips], by_v[kMostStrips];
        alignas(64) float h[kMostStrips][4][16], m[kMostStrips][4][16], v[kMostStrips][4][16];
        uint32_t used;
    };

    struct Sums : Base::Sums {
        bool integrated = false;
        StripTotals* strips = nullptr;

        void begin(const Frame& frame, const Local& s, const Row& row, uint32_t id, float middle_x, float middle_y) {
            integrated = s.integrated;
            if (!integrated) return;
            static thread_local Buffer<StripTotals> scratch;
            strips = scratch.reserve(1);
            StripTotals& t = *strips;
            t.splat = broadcast<vf>(load_strip(frame, row, id, middle_x, middle_y));
            for (int k = 0; k < s.strips; ++k) {
                for (int part = 0; part < kRowParts; ++part) {
                    t.rows[k][part] = strip_row(t.splat, strip_centres(part, k, s.strips));
                    const StripSums<vf> by = strip_mean_parts(t.splat, t.rows[k][part]);
                    by.h.store(t.by_h[k].v + part * W);
                    by.m.store(t.by_m[k].v + part * W);
                    by.v.store(t.by_v[k].v + part * W);
                }
                std::memset(t.h[k], 0, sizeof(t.h[k]));
                std::memset(t.m[k], 0, sizeof(t.m[k]));
                std::memset(t.v[k], 0, sizeof(t.v[k]));
            }
            t.used = 0;
        }

        SPLAT_HD void add(const Local& s, const Centres& at, int b, int part, const Held& held, int n, vf dh) {
            if (!integrated) return Base::Sums::add(s, at, b, part, held, n, dh);
            add_integral(s, at, b, part, held, n, dh);
        }

        void add_integral(const Local& s, const Centres& at, int b, int part, const Held& held, int n, vf dh) {
            StripTotals& t = *strips;
            const int group = s.columns ? b & 3 : b >> 2;
            const LaneRows row(at, s.columns, b, part);
            const vf dalpha = dh * rcp_rough(max_(vf::load(held.alpha[n]), vf(kAlphaMin)));
            vf along_s(0.f), along_t(0.f);
            for (int k = 0; k < s.strips; ++k) {
                const vf p = vf::load(held.p[k][n]), slope = vf::load(held.slope[k][n]);
                const vf spread = vf::load(held.spread[k][n]), g = dalpha * row.of(s.table->mass[k]);
                const auto accumulate = [&](float* to, vf x) { (vf::load(to) + g * x).store(to); };
                accumulate(t.h[k][group] + part * W, p);
                accumulate(t.m[k][group] + part * W, slope);
                accumulate(t.v[k][group] + part * W, spread);
                if (!this->absolute) continue;
                const vf by = fma_(p, row.of(t.by_h[k]),
                                   fma_(slope, row.of(t.by_m[k]), spread * row.of(t.by_v[k])));
                along_s = fma_(g, by, along_s);
                along_t = fnma_(g, row.of(s.table->scale[k]) * slope, along_t);
            }
            t.used |= 1u << group;
            if (!this->absolute) return;
            this->abs_x += abs_(s.columns ? along_s : along_t);
            this->abs_y += abs_(s.columns ? along_t : along_s);
        }

        void put(vf* to, const Local& s) const {
            Base::Sums::put(to, s);
            if (!integrated) return;
            StripGradient<vf> g{{vf(0.f), vf(0.f)}, vf(0.f), vf(0.f), vf(0.f), vf(0.f)};
            for (int k = 0; k < s.strips; ++k) {
                RowTable h, m, v;
                fold(strips->h[k], s.columns, h), fold(strips->m[k], s.columns, m), fold(strips->v[k], s.columns, v);
                for (int part = 0; part < kRowParts; ++part) {
                    const StripGradient<vf> one = strip_row_backward(
                        strips->splat, strips->rows[k][part], StripSums<vf>{h.part(part), m.part(part), v.part(part)});
                    g.mean.x += one.mean.x, g.mean.y += one.mean.y;
                    g.a += one.a, g.b += one.b, g.c += one.c, g.log_opacity += one.log_opacity;
                }
            }
            to[kSumH] = g.log_opacity, to[kSumU] = g.mean.x, to[kSumV] = g.mean.y;
            to[kSumUU] = g.a, to[kSumUV] = g.b, to[kSumVV] = g.c;
            // in the units of the other kernels: see the end of stage_project_backward.h
            to[kSumAbsX] = this->abs_x * vf(kHalfLog2E / s.l11), to[kSumAbsY] = this->abs_y * vf(kHalfLog2E);
        }

        // Sums of the pixels of each row (column), from sums by lane of each row (column) of blocks.
        void fold(const float (*by_lane)[16], bool columns, RowTable& to) const {
            for (int group = 0; group < 4; ++group)
                for (int j = 0; j < 4; ++j) {
                    const float* x = by_lane[group];
                    to.v[4 * group + j] = !(strips->used >> group & 1u) ? 0.f
                                          : columns                     ? x[j] + x[j + 4] + x[j + 8] + x[j + 12]
                                                    : x[4 * j] + x[4 * j + 1] + x[4 * j + 2] + x[4 * j + 3];
                }
        }
    };
};

SPLAT_END
