// Launches the backward pass of the blend: see blend_backward.h.
#include <algorithm>

#include "blend_backward_pixels.h"

namespace splat::gpu {

namespace {

BackwardArguments arguments(const Frame& frame, const FrameInput& in) {
    BackwardArguments a{};
    a.rows = frame.rows.get(), a.list = frame.list(), a.pair_splat = frame.pair_splat.get();
    a.tile_begin = frame.tile_begin.get(), a.bucket_begin = frame.bucket_begin.get();
    a.bucket_tile = frame.bucket_tile.get(), a.whitening = frame.whitening.get();
    a.states = reinterpret_cast<const float4*>(frame.states.get());
    a.ends = frame.ends.get(), a.reached = frame.reached.get();
    a.rays = ray_grid(in);
    a.width = in.width, a.height = in.height, a.tiles_x = frame.tiles_x, a.tiles = int(frame.tiles());
    a.strips = in.strips, a.deterministic = frame.deterministic;
    return a;
}

// Room for the sums; cleared where they are added to.
float* prepare(Frame& frame, Device<float>& sums, int64_t slots, int each, cudaStream_t stream) {
    float* const to = sums.reserve(frame.memory, slots * each);
    if (!frame.deterministic && slots > 0)
        check(cudaMemsetAsync(to, 0, size_t(slots * each) * sizeof(float), stream), "clearing gradient sums");
    return to;
}

}  // namespace

void stage_blend_backward(Frame& frame, const FrameInput& in, const FrameOutput& out, const FrameGradients& gradients,
                          cudaStream_t stream) {
    const int64_t pairs = std::min<int64_t>(frame.counts.pairs, frame.capacity);
    const int64_t slots = frame.deterministic ? pairs : in.count;
    BackwardArguments a = arguments(frame, in);
    a.out = out, a.gradients = gradients;
    a.sums = prepare(frame, frame.sums, slots, kSums, stream);
    if (in.geometry) a.geometry_sums = prepare(frame, frame.geometry_sums, slots, kGeometrySums, stream);
    if (pairs == 0) return;
    const int64_t buckets = pairs / kBucket + frame.tiles();  // at most one bucket a tile is not full
    if (in.geometry) return blend_backward_geometry(a, in, buckets, stream);
    with_pixel_kernel(in, [&](auto kernel) { launch_blend_backward<decltype(kernel), false>(a, buckets, stream); });
}

}  // namespace splat::gpu
