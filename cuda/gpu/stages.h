// The stages of the CUDA driver, in the order in which render.cu calls them. None waits for the device.
#pragma once

#include "frame.h"

namespace splat::gpu {

// project.cu: rows, radii [N], tile_counts, whitening, depth_keys[0] (bits of the depth; ~0 where not
// visible), order[0] (0, 1, 2, ...)
void stage_project(Frame&, const FrameInput&, float* radii, cudaStream_t);

// bin.cu: order[0] sorted by depth, first_pair, rows' slots, device_counts
void stage_order(Frame&, const FrameInput&, cudaStream_t);
// bin.cu: everything per pair and per tile, for at most frame.capacity pairs
void stage_bin(Frame&, const FrameInput&, cudaStream_t);

// blend.cu: the images; states, ends, reached if `keep`
void stage_blend(Frame&, const FrameInput&, const FrameOutput&, bool keep, cudaStream_t);
// Evaluations of a splat at a pixel that counted in the last render, for benchmarks; waits for the device.
int64_t count_useful(Frame&, const FrameInput&, cudaStream_t);

// blend_backward.cu: sums, geometry_sums (every pair below counts.pairs, or every splat)
void stage_blend_backward(Frame&, const FrameInput&, const FrameOutput&, const FrameGradients&, cudaStream_t);

// project_backward.cu: from the sums to the parameters' gradients (written for every splat, 0 where not
// visible), the step on SH, and the camera's gradient
void stage_project_backward(Frame&, const FrameInput&, const FrameGradients&, cudaStream_t);

// render.cu: the whole
void render(Frame&, const FrameInput&, const FrameOutput&, bool keep, cudaStream_t);
void render_backward(Frame&, const FrameInput&, const FrameOutput&, const FrameGradients&, cudaStream_t);

// ssim.cu: values [3] = loss, L1, SSIM (float32, device); scratch [kLossScratch]
constexpr int kLossBlocks = 1024, kLossScratch = 2 * kLossBlocks + 1;
void l1_ssim(const SsimInput&, float* values, float* scratch, cudaStream_t);
// adam.cu: `count` tensors, each with constants of its own and rates on the host, in as few launches as there can be
void adam_many(const AdamTensor*, const AdamConstants*, int count, cudaStream_t);
// knn.cu: out [count] mean squared distance to the k nearest others (all of them if fewer)
void knn_mean_squared(Memory&, const float* points, int64_t count, int k, float* out, cudaStream_t);

}  // namespace splat::gpu
