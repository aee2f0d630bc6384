// The backward pass of the blend with depth and normals: fourteen more sums a splat.
#include "blend_backward_pixels.h"

namespace splat::gpu {

void blend_backward_geometry(const BackwardArguments& a, const FrameInput& in, int64_t buckets, cudaStream_t stream) {
    with_pixel_kernel(in, [&](auto kernel) { launch_blend_backward<decltype(kernel), true>(a, buckets, stream); });
}

}  // namespace splat::gpu
