// The backward pass of the blend with depth and normals: fourteen more sums a splat.
#include "blend_backward.h"

namespace splat::gpu {

void blend_backward_geometry(const BackwardArguments& a, const FrameInput& in, dim3 blocks, cudaStream_t stream) {
    with_pixel_kernel(in, [&](auto kernel) {
        launch(blend_backward<decltype(kernel), true>, blocks, dim3(kBackwardWarps * kWarp), stream, a);
    });
}

}  // namespace splat::gpu
