// The last stage backwards: the sums of the pixel loop to the gradients of the parameters (splat_backward.h),
// of SH (sh_backward.h) and of the camera.
#include "sh_backward.h"
#include "splat_backward.h"

namespace splat::gpu {

namespace {

// ---- splats

template <Filter kFilter, bool kPower>
void launch_filter(const FrameInput& in, const SplatSources& from, const SplatTargets& to, cudaStream_t stream) {
    const bool extra = in.geometry || to.pose_sums;
    launch(extra ? splat_backward<kFilter, kPower, true> : splat_backward<kFilter, kPower, false>,
           blocks_for(in.count, kSplatThreads), kSplatThreads, stream, in, make_view<float>(in), from, to);
}

void launch_splats(const FrameInput& in, const SplatSources& from, const SplatTargets& to, cudaStream_t stream) {
    switch (in.filter) {
        case Filter::analytic: return launch_filter<Filter::analytic, false>(in, from, to, stream);
        case Filter::moment:
            return in.generalised ? launch_filter<Filter::moment, true>(in, from, to, stream)
                                  : launch_filter<Filter::moment, false>(in, from, to, stream);
        case Filter::exact:
            return in.generalised ? launch_filter<Filter::exact, true>(in, from, to, stream)
                                  : launch_filter<Filter::exact, false>(in, from, to, stream);
        default:
            return in.generalised ? launch_filter<Filter::none, true>(in, from, to, stream)
                                  : launch_filter<Filter::none, false>(in, from, to, stream);
    }
}

// ---- SH

template <int Columns>
auto sh_kernel(ShUse use) {
    switch (use) {
        case ShUse::write: return sh_backward<Columns, ShUse::write>;
        case ShUse::add: return sh_backward<Columns, ShUse::add>;
        case ShUse::step: return sh_backward<Columns, ShUse::step>;
        default: return sh_backward<Columns, ShUse::step_added>;
    }
}

ShUse use_of(const ShStep* step) {
    if (!step) return ShUse::write;
    if (!step->accumulated) return ShUse::step;
    return step->due ? ShUse::step_added : ShUse::add;
}

bool aligned(const float* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

bool aligned(const ShArguments& a) {
    return aligned(a.sh) && aligned(a.v_sh) && aligned(a.step.param) && aligned(a.step.exp_avg) &&
           aligned(a.step.exp_avg_sq) && aligned(a.step.accumulated);
}

void launch_sh(const FrameInput& in, const FrameGradients& g, const float4* colors, float* pose_sums,
               cudaStream_t stream) {
    ShArguments a{};
    a.count = in.count, a.columns = in.sh_stored * 3;
    a.degree = in.sh_degree, a.used = sh_count(in.sh_degree) * 3;
    a.means = in.means, a.sh = in.sh, a.colors = colors;
    a.eye = make_view<float>(in).position;
    a.v_sh = g.sh, a.v_means = g.means, a.pose_sums = pose_sums;
    if (g.sh_step) a.step = *g.sh_step;
    const ShUse use = use_of(g.sh_step);
    auto* kernel = sh_kernel<0>(use);
    if (aligned(a)) switch (a.columns) {
            case 3: kernel = sh_kernel<3>(use); break;
            case 12: kernel = sh_kernel<12>(use); break;
            case 27: kernel = sh_kernel<27>(use); break;
            case 48: kernel = sh_kernel<48>(use); break;
            default: break;
        }
    launch(kernel, blocks_for(in.count, kShThreads), kShThreads, stream, a);
}

// ---- camera

constexpr int kPoseThreads = 512, kPoseGroups = kPoseThreads / 16;

struct PoseSums {
    float world_to_camera[12];
};

// dL/d[R|t] from the blocks' sums, added in an order that depends on their number alone.
__global__ void __launch_bounds__(kPoseThreads) finish_pose(const float* sums, int blocks, const PoseSums camera, float* pose) {
    __shared__ double parts[kPoseThreads];
    const int column = int(threadIdx.x % 16), group = int(threadIdx.x / 16);
    double part = 0;
    if (column < 15) {
#pragma unroll 8
        for (int b = group; b < blocks; b += kPoseGroups) part += double(sums[int64_t(b) * 16 + column]);
    }
    parts[threadIdx.x] = part;
    __syncthreads();
    for (int half = kPoseGroups / 2; half > 0; half /= 2) {
        if (group < half) parts[threadIdx.x] += parts[threadIdx.x + half * 16];
        __syncthreads();
    }
    if (threadIdx.x >= 3) return;
    const int i = int(threadIdx.x);
    const double* s = parts;
    const float* m = camera.world_to_camera;
    double along = 0;  // the camera centre is -R^T t
    for (int j = 0; j < 3; ++j) {
        pose[4 * i + j] = float(s[3 * i + j] - double(m[4 * i + 3]) * s[12 + j]);
        along += double(m[4 * i + j]) * s[12 + j];
    }
    pose[4 * i + 3] = float(s[9 + i] - along);
}

void launch_pose(const FrameInput& in, const float* sums, float* pose, cudaStream_t stream) {
    PoseSums camera;
    for (int k = 0; k < 12; ++k) camera.world_to_camera[k] = in.world_to_camera[k];
    launch(finish_pose, 1, kPoseThreads, stream, sums, int(blocks_for(in.count, kSplatThreads)), camera, pose);
}

}  // namespace

void stage_project_backward(Frame& frame, const FrameInput& in, const FrameGradients& g, cudaStream_t stream) {
    static_assert(kShThreads == kSplatThreads, "both write their part of a block's row of pose_sums");
    float* pose_sums = g.pose ? frame.pose_sums.reserve(frame.memory, int64_t(blocks_for(in.count, kSplatThreads)) * 16)
                              : nullptr;
    float4* colors = frame.color_gradients.reserve(frame.memory, in.count);
    const SplatSources from{frame.rows.get(), frame.tile_counts.get(), frame.sums.get(), frame.geometry_sums.get(),
                            frame.deterministic};
    const SplatTargets to{g.means, g.quats, g.log_scales, g.logit_opacities, g.shape, g.screen, colors, pose_sums};
    launch_splats(in, from, to, stream);
    launch_sh(in, g, colors, pose_sums, stream);
    if (g.pose) launch_pose(in, pose_sums, g.pose, stream);
}

}  // namespace splat::gpu
