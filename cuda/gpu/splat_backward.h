// From a splat's sums to the gradients of its parameters but SH, and of the camera; one thread a splat.
// 48 bytes a pair and about 190 a splat; limited by the latency of what it reads, for which there are many
// warps (52 to 72 registers; with geometry or a camera's gradient up to 96).
#pragma once

#include "../footprints.h"
#include "../include/splat/geometry.h"
#include "../view.h"
#include "slot_sums.h"

namespace splat::gpu {

constexpr int kSplatThreads = 128, kSplatWarps = kSplatThreads / kWarp;
constexpr int kPoseSums = 12;  // rotation 9, translation 3; the camera's centre: sh_backward.h

// What the stages before have left.
struct SplatSources {
    const Row* rows;
    const uint32_t* tile_counts;
    const float *sums, *geometry_sums;
    bool by_pair;                 // a row of sums per pair; else one per splat
};

struct SplatTargets {
    float *means, *quats, *log_scales, *logit_opacities, *shape, *screen;
    float4* colors;
    float* pose_sums;             // [blocks, 16] or null
};

// One splat's gradients.
struct SplatRow {
    float mean[3], quat[4], log_scale[3], opacity[1], shape[1], screen[4];
    float4 color;
    float pose[kPoseSums];
};

__device__ __forceinline__ Splat3D<float> load_splat(const FrameInput& in, int64_t i) {
    const float *m = in.means + i * 3, *q = in.quats + i * 4, *s = in.log_scales + i * 3;
    return {{m[0], m[1], m[2]}, {q[0], q[1], q[2], q[3]}, {s[0], s[1], s[2]}, in.logit_opacities[i]};
}

__device__ __forceinline__ void pose_part(const SplatGradient<float>& v, const Projection<float>& p, Vec3<float> mean,
                                          float (&pose)[kPoseSums]) {
    const Mat3<float> turned = mul_nt(v.axes, p.q_rotation);
    const float t[3] = {v.t.x, v.t.y, v.t.z}, m[3] = {mean.x, mean.y, mean.z};
#pragma unroll
    for (int i = 0; i < 3; ++i) {
#pragma unroll
        for (int j = 0; j < 3; ++j) pose[3 * i + j] = fma_(t[i], m[j], turned.m[i][j]);
        pose[9 + i] = t[i];
    }
}

// The gradients of splat i, which is visible. more: its geometry sums, read if kExtra and in.geometry.
template <bool kExtra>
__device__ __forceinline__ void backward_one(const FrameInput& in, const View<float>& view, const Row& row, int64_t i,
                                             const RowSums<float>& sums, const float (&more)[kGeometrySums],
                                             SplatRow& out) {
    const Splat3D<float> splat = load_splat(in, i);
    const Projection<float> p = project(view, splat);
    WhiteningGradient<float> extra;
    const bool geometry = kExtra && in.geometry;
    if (geometry) {
        const Mat3<float> m{{{more[0], more[1], more[2]}, {more[3], more[4], more[5]}, {more[6], more[7], more[8]}}};
        extra = whitening_backward(p, whitening(p), m, Vec3<float>{more[9], more[10], more[11]});
    }
    const Curve<float> shape = in.generalised ? shape_of_raw(in.shape[i]) : Curve<float>{1.f, 0.f};
    const FilteredGradient<float> image = footprint_gradient(in, view, p, shape.value, sums);
    const SplatGradient<float> v = project_backward(view, p, image, geometry ? &extra : nullptr);
    const float inverse_k = 2.f * kLn2;
    out.mean[0] = v.mean.x, out.mean[1] = v.mean.y, out.mean[2] = v.mean.z;
    out.quat[0] = v.quat.w, out.quat[1] = v.quat.x, out.quat[2] = v.quat.y, out.quat[3] = v.quat.z;
    out.log_scale[0] = v.log_scale.x, out.log_scale[1] = v.log_scale.y, out.log_scale[2] = v.log_scale.z;
    out.opacity[0] = v.logit_opacity;
    out.shape[0] = image.t * shape.slope;
    out.screen[0] = v.mean2d.x, out.screen[1] = v.mean2d.y;
    out.screen[2] = inverse_k * sums.l11 * sums.total(kSumAbsX);
    out.screen[3] = inverse_k * sums.total(kSumAbsY);
    out.color = make_float4(row.r > 0.f ? sums.total(kSumR) : 0.f, row.g > 0.f ? sums.total(kSumG) : 0.f,
                            row.b > 0.f ? sums.total(kSumB) : 0.f, 0.f);
    if (kExtra) pose_part(v, p, splat.mean, out.pose);
}

// Row blockIdx.x of pose_sums: the block's sum, but for the camera's centre.
__device__ __forceinline__ void add_pose(float* pose_sums, float* scratch, const float (&pose)[kPoseSums]) {
    const int lane = int(threadIdx.x % kWarp), warp = int(threadIdx.x / kWarp);
#pragma unroll
    for (int k = 0; k < kPoseSums; ++k) {
        const float sum = warp_sum(pose[k]);
        if (lane == 0) scratch[warp * kPoseSums + k] = sum;
    }
    __syncthreads();
    if (threadIdx.x >= kPoseSums) return;
    float sum = 0.f;
    for (int w = 0; w < kSplatWarps; ++w) sum += scratch[w * kPoseSums + int(threadIdx.x)];
    pose_sums[int64_t(blockIdx.x) * 16 + threadIdx.x] = sum;
}

__device__ __forceinline__ void store_splat(const SplatTargets& to, float* stage, int64_t begin, int rows,
                                            const SplatRow& v) {
    store_rows(stage, to.means + begin * 3, rows, v.mean);
    store_rows(stage, to.quats + begin * 4, rows, v.quat);
    store_rows(stage, to.log_scales + begin * 3, rows, v.log_scale);
    if (to.screen) store_rows(stage, to.screen + begin * 4, rows, v.screen);
    const int lane = int(threadIdx.x % kWarp);
    if (lane >= rows) return;
    to.logit_opacities[begin + lane] = v.opacity[0];
    if (to.shape) to.shape[begin + lane] = v.shape[0];
    to.colors[begin + lane] = v.color;
}

// Filter and profile are known when this compiles: their registers are what limits it. kFilter none
// stands for mip as well (view.mip). kExtra: geometry outputs or the camera's gradient may be wanted.
template <Filter kFilter, bool kPower, bool kExtra>
__global__ void __launch_bounds__(kSplatThreads) splat_backward(const FrameInput given, const View<float> view,
                                                               const SplatSources from, const SplatTargets to) {
    __shared__ float stage[kSplatThreads * 4], pose[kSplatWarps * kPoseSums];
    FrameInput in = given;
    in.filter = kFilter, in.generalised = kPower;
    const int64_t i = int64_t(blockIdx.x) * kSplatThreads + threadIdx.x, begin = i - threadIdx.x % kWarp;
    const uint32_t count = i < in.count ? from.tile_counts[i] : 0;
    const bool seen = count > 0;
    const uint32_t first = !seen ? 0 : from.by_pair ? from.rows[i].slot : uint32_t(i);
    const uint32_t rows = from.by_pair ? count : uint32_t(seen);
    RowSums<float> sums;
    add_slots(from.sums, first, rows, sums.sums);
    float more[kGeometrySums] = {};
    if (kExtra && in.geometry) add_slots(from.geometry_sums, first, rows, more);
    SplatRow out{};
    if (seen) {
        const Row row = from.rows[i];
        sums.l11 = row.l11, sums.l21 = row.l21, sums.l22 = row.l22, sums.log2_opacity = row.log2_opacity;
        backward_one<kExtra>(in, view, row, i, sums, more, out);
    }
    const int64_t left = in.count - begin;
    store_splat(to, stage + threadIdx.x / kWarp * kWarp * 4, begin, int(left < 0 ? 0 : left < kWarp ? left : kWarp), out);
    if (kExtra && to.pose_sums) add_pose(to.pose_sums, pose, out.pose);
}

}  // namespace splat::gpu
