// Stage 1 backwards: add up each splat's slots, then through the footprint, the colour and the
// activations to the parameters and the camera. Chunks in parallel, W splats at a time.
#pragma once

#include <cstring>

#include "adam.h"
#include "stage_blend_backward.h"
#include "stage_project.h"

SPLAT_BEGIN

constexpr int kPoseSums = 15;  // rotation 9, translation 3, camera centre 3

// Adds the touched slots of W rows of the chunk whose slots begin at `base`, in order: out[k] has sum k of each row. A slot that was not touched is
// read all the same, and what it holds left out: no branch to guess wrong.
template <int N>
inline void add_slots(const Frame& frame, int64_t base, const float* sums, const Row* const* rows, int lanes, vf* out) {
    constexpr int kPieces = (N + W - 1) / W;
    vf totals[kPieces][W];
    for (int l = 0; l < lanes; ++l) {
        vf total[kPieces];
        const int64_t first = base + rows[l]->slot, count = int64_t(rows[l]->tiles_x) * rows[l]->tiles_y;
        for (int64_t s = first; s < first + count; ++s) {
            const vm touched = mask_from_bits(frame.touched[s] ? ~0u : 0u);
            for (int k = 0; k < kPieces; ++k) {
                const float* from = sums + s * N + k * W;
                total[k] += keep(touched, N - k * W < W ? vf::load_n(from, N - k * W) : vf::load(from));
            }
        }
        for (int k = 0; k < kPieces; ++k) totals[k][l] = total[k];
    }
    for (int k = 0; k < kPieces; ++k) {
        transpose(totals[k]);
        for (int j = 0; j < W && k * W + j < N; ++j) out[k * W + j] = totals[k][j];
    }
}

// What ShStep does with the gradient of W (or n) columns of one row; `at` in the arrays, `column` in rates.
template <bool Whole>
inline void take_sh(const ShStep& s, int64_t at, int column, int n, vf gradient) {
    if (s.accumulated) {
        float* sum = s.accumulated + at;
        gradient = gradient + (Whole ? vf::load(sum) : vf::load_n(sum, n));
        const vf left = s.due ? vf(0.f) : gradient;
        Whole ? left.store(sum) : left.store_n(sum, n);
        if (!s.due) return;
    }
    adam_update<Whole>(s.constants, gradient, Whole ? vf::load(s.rates + column) : vf::load_n(s.rates + column, n), n,
                       s.param + at, s.exp_avg + at, s.exp_avg_sq + at);
}

// The gradient of W rows' first N SH numbers to where it goes. `gradient` has room for whole parts of W, and is
// used up. live: rows (bits) whose gradient is not zero.
template <int N>
inline void put_sh(const FrameInput& in, const FrameGradients& g, int64_t base, const int32_t* index, int lanes,
                   uint32_t live, vf* gradient) {
    const int64_t stride = int64_t(in.sh_stored) * 3;
    if (!g.sh_step) {
        float* rows[W];
        for (int l = 0; l < lanes; ++l) rows[l] = g.sh + (base + index[l]) * stride;
        return store_rows<N>(rows, gradient, lanes);
    }
    constexpr int kRoom = (N + W - 1) / W * W;
    for (int k = N; k < kRoom; ++k) gradient[k] = vf(0.f);
    for (int k = 0; k < N; k += W) transpose(gradient + k);
    for (int l = 0; l < lanes; ++l) {  // a row at a time: three streams that the processor can follow
        if (!(live >> l & 1u) && !steps_all(*g.sh_step)) continue;
        for (int k = 0; k < N; k += W) {
            const int64_t at = (base + index[l]) * stride + k;
            if (N - k >= W) take_sh<true>(*g.sh_step, at, k, W, gradient[k + l]);
            else take_sh<false>(*g.sh_step, at, k, N - k, gradient[k + l]);
        }
    }
}

// Columns [first, columns) of rows [from, to), whose gradient is zero.
inline void clear_sh(const FrameInput& in, const FrameGradients& g, int64_t from, int64_t to, int first) {
    const int columns = in.sh_stored * 3;
    if (!g.sh_step) {
        if (first == 0) {
            if (to > from) std::memset(g.sh + from * columns, 0, size_t((to - from) * columns) * 4);
        } else {
            for (int64_t i = from; i < to; ++i)
                std::memset(g.sh + i * columns + first, 0, size_t(columns - first) * 4);
        }
        return;
    }
    if (!steps_all(*g.sh_step)) return;
    for (int64_t i = from; i < to; ++i)
        for (int k = first; k < columns; k += W) {
            if (columns - k >= W) take_sh<true>(*g.sh_step, i * columns + k, k, W, vf(0.f));
            else take_sh<false>(*g.sh_step, i * columns + k, k, columns - k, vf(0.f));
        }
}

// Starts loading what color_backward will change of W rows, while there is other work to do.
inline void prefetch_sh(const FrameInput& in, const FrameGradients& g, int64_t base, const int32_t* index, int lanes) {
    if (!g.sh_step || (g.sh_step->accumulated && !g.sh_step->due)) return;
    const int64_t columns = int64_t(in.sh_stored) * 3;
    for (int l = 0; l < lanes; ++l)
        for (int64_t k = 0; k < columns; k += 16) {
            const int64_t at = (base + index[l]) * columns + k;
            __builtin_prefetch(in.sh + at);
            __builtin_prefetch(g.sh_step->exp_avg + at);
            __builtin_prefetch(g.sh_step->exp_avg_sq + at);
        }
}

// Through max(0, 1/2 + sum basis_k sh_k): hands on dL/dsh, returns dL/d(mean - camera centre).
inline Vec3<vf> color_backward(const FrameInput& in, const FrameGradients& g, int64_t base, const int32_t* index,
                               int lanes, const ViewRay& ray, Vec3<vf> v) {
    const int count = sh_count(in.sh_degree);
    const vf zero(0.f);
    const uint32_t live = ~bits(abs_(v.x) <= zero) | ~bits(abs_(v.y) <= zero) | ~bits(abs_(v.z) <= zero);  // NaN too
    Room<16> basis, towards;
    Room<48> sh, out;
    sh_basis(in.sh_degree, ray.direction, basis.v);
    load_sh(in, base, index, sh.v);
    for (int k = 0; k < count; ++k) {
        const vf basis_k = basis.v[k], *of = sh.v + 3 * k;
        vf* to = out.v + 3 * k;
        to[0] = basis_k * v.x, to[1] = basis_k * v.y, to[2] = basis_k * v.z;
        towards.v[k] = fma_(v.x, of[0], fma_(v.y, of[1], v.z * of[2]));
    }
    switch (in.sh_degree) {
        case 0: put_sh<3>(in, g, base, index, lanes, live, out.v); break;
        case 1: put_sh<12>(in, g, base, index, lanes, live, out.v); break;
        case 2: put_sh<27>(in, g, base, index, lanes, live, out.v); break;
        default: put_sh<48>(in, g, base, index, lanes, live, out.v);
    }
    return normalise_backward(ray.direction, ray.inverse_length,
                              sh_basis_backward(in.sh_degree, ray.direction, towards.v));
}

template <int N>
inline void scatter(float* to, int64_t base, const int32_t* index, int lanes, const vf (&v)[N]) {
    alignas(64) float t[N][W];
    for (int k = 0; k < N; ++k) v[k].store(t[k]);
    for (int l = 0; l < lanes; ++l)
        for (int k = 0; k < N; ++k) to[(base + index[l]) * N + k] = t[k][l];
}

inline Mat3<vf> mat3(const vf* m) {
    Mat3<vf> r;
    for (int k = 0; k < 9; ++k) r.m[k / 3][k % 3] = m[k];
    return r;
}

// W visible splats of one chunk.
inline void backward_lanes(const Frame& frame, const FrameInput& in, const FrameGradients& g, const View<vf>& view,
                           int64_t base, const int32_t* index, int lanes, vf* pose) {
    prefetch_sh(in, g, base, index, lanes);
    const Row* rows[W];
    for (int l = 0; l < lanes; ++l) rows[l] = &frame.rows[base + index[l]];
    alignas(64) float footprints[7][W] = {};
    RowSums<vf> sums;
    const int64_t slots = frame.chunk_slots[base / kChunk];
    add_slots<kSums>(frame, slots, frame.sums.get(), rows, lanes, sums.sums);
    for (int l = 0; l < lanes; ++l) {
        footprints[0][l] = rows[l]->l11, footprints[1][l] = rows[l]->l21, footprints[2][l] = rows[l]->l22;
        footprints[3][l] = rows[l]->r, footprints[4][l] = rows[l]->g, footprints[5][l] = rows[l]->b;
        footprints[6][l] = rows[l]->log2_opacity;
    }
    const auto total = [&](int k) { return sums.total(k); };
    const auto of = [&](int k) { return vf::load(footprints[k]); };
    sums.l11 = of(0), sums.l21 = of(1), sums.l22 = of(2), sums.log2_opacity = of(6);
    const vf zero(0.f);

    const Splat3D<vf> splat = gather_splats(in, base, index);
    const Projection<vf> p = project(view, splat);
    WhiteningGradient<vf> extra;
    if (in.geometry) {
        vf more[kGeometrySums];
        add_slots<kGeometrySums>(frame, slots, frame.geometry_sums.get(), rows, lanes, more);
        extra = whitening_backward(p, whitening(p), mat3(more), {more[9], more[10], more[11]});
    }
    const Curve<vf> shape = gather_shape(in, base, index);
    const FilteredGradient<vf> image = footprint_gradient(in, view, p, shape.value, sums);
    const SplatGradient<vf> v = project_backward(view, p, image, in.geometry ? &extra : nullptr);
    const ViewRay ray = view_ray(view, splat.mean);
    const Vec3<vf> vc{keep(of(3) > zero, total(kSumR)), keep(of(4) > zero, total(kSumG)),
                      keep(of(5) > zero, total(kSumB))};
    const Vec3<vf> vd = color_backward(in, g, base, index, lanes, ray, vc);
    const vf inverse_k(2.f * kLn2);
    scatter<3>(g.means, base, index, lanes, {v.mean.x + vd.x, v.mean.y + vd.y, v.mean.z + vd.z});
    scatter<4>(g.quats, base, index, lanes, {v.quat.w, v.quat.x, v.quat.y, v.quat.z});
    scatter<3>(g.log_scales, base, index, lanes, {v.log_scale.x, v.log_scale.y, v.log_scale.z});
    scatter<1>(g.logit_opacities, base, index, lanes, {v.logit_opacity});
    if (g.shape) scatter<1>(g.shape, base, index, lanes, {image.t * shape.slope});
    if (g.screen)
        scatter<4>(g.screen, base, index, lanes,
                   {v.mean2d.x, v.mean2d.y, inverse_k * of(0) * total(kSumAbsX), inverse_k * total(kSumAbsY)});
    if (!pose) return;
    const vm real = vf::iota() < vf(float(lanes));
    const Mat3<vf> turned = mul_nt(v.axes, p.q_rotation);
    const vf t[3] = {v.t.x, v.t.y, v.t.z}, mean[3] = {splat.mean.x, splat.mean.y, splat.mean.z};
    const vf d[3] = {vd.x, vd.y, vd.z};
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 3; ++j) pose[3 * i + j] += keep(real, fma_(t[i], mean[j], turned.m[i][j]));
        pose[9 + i] += keep(real, t[i]);
        pose[12 + i] -= keep(real, d[i]);
    }
}

// dL/d[R|t] from the chunks' sums, added in order.
inline void finish_pose(const Frame& frame, const FrameInput& in, int64_t chunks, float* pose) {
    double s[kPoseSums] = {};
    for (int64_t c = 0; c < chunks; ++c)
        for (int k = 0; k < kPoseSums; ++k) s[k] += frame.pose_sums[c * 16 + k];
    const float* m = in.world_to_camera;
    for (int i = 0; i < 3; ++i) {
        double along = 0;  // the camera centre is -R^T t
        for (int j = 0; j < 3; ++j) {
            pose[4 * i + j] = float(s[3 * i + j] - m[4 * i + 3] * s[12 + j]);
            along += m[4 * i + j] * s[12 + j];
        }
        pose[4 * i + 3] = float(s[9 + i] - along);
    }
}

// Zero gradients for the splats of a chunk that no pixel saw.
inline void clear_unseen(const Frame& frame, const FrameInput& in, const FrameGradients& g, int64_t chunk,
                         int64_t begin, int64_t size) {
    struct Rows {
        float* p;
        int64_t width;
    };
    const Rows all[] = {{g.means, 3}, {g.quats, 4}, {g.log_scales, 3}, {g.logit_opacities, 1},
                        {g.shape, 1}, {g.screen, 4}};
    int64_t from = begin;
    const int64_t end = frame.chunk_count[chunk + 1];
    for (int64_t k = frame.chunk_count[chunk]; k <= end; ++k) {
        const int64_t to = k < end ? int64_t(frame.ids[k]) : begin + size;
        for (const Rows& r : all)
            if (r.p && to > from) std::memset(r.p + from * r.width, 0, size_t((to - from) * r.width) * 4);
        clear_sh(in, g, from, to, 0);
        from = to + 1;
    }
    if (in.sh_stored <= sh_count(in.sh_degree)) return;
    for (int64_t k = frame.chunk_count[chunk]; k < end; ++k)
        clear_sh(in, g, frame.ids[k], frame.ids[k] + 1, sh_count(in.sh_degree) * 3);
}

inline void stage_project_backward(Frame& frame, const FrameInput& in, const FrameGradients& g) {
    const View<vf> view = make_view<vf>(in);
    const int64_t n = in.count, chunks = (n + kChunk - 1) / kChunk;
    if (g.pose) frame.pose_sums.reserve((chunks + 1) * 16);
    pool().parallel_for(chunks, [&](int64_t c) {
        const int64_t begin = c * kChunk, size = (begin + kChunk < n ? begin + kChunk : n) - begin;
        clear_unseen(frame, in, g, c, begin, size);
        vf pose[kPoseSums];
        const int64_t end = frame.chunk_count[c + 1];
        for (int64_t k = frame.chunk_count[c]; k < end; k += W) {
            const int lanes = int(end - k < W ? end - k : W);
            alignas(64) int32_t index[W];
            for (int l = 0; l < W; ++l) index[l] = int32_t(int64_t(frame.ids[k + (l < lanes ? l : lanes - 1)]) - begin);
            backward_lanes(frame, in, g, view, begin, index, lanes, g.pose ? pose : nullptr);
        }
        if (g.pose)
            for (int k = 0; k < kPoseSums; ++k) frame.pose_sums[c * 16 + k] = sum(pose[k]);
    });
    if (g.pose) finish_pose(frame, in, chunks, g.pose);
}

SPLAT_END
