// Stands in for stages until they are there.
#include "stages.h"

namespace splat::gpu {
#define STUB __attribute__((weak))
[[noreturn]] static void missing(const char* what) { throw CudaError(std::string(what) + " is not there yet"); }
STUB void stage_project(Frame&, const FrameInput&, float*, cudaStream_t) { missing("stage_project"); }
STUB void stage_order(Frame&, const FrameInput&, cudaStream_t) { missing("stage_order"); }
STUB void stage_bin(Frame&, const FrameInput&, cudaStream_t) { missing("stage_bin"); }
STUB void stage_blend(Frame&, const FrameInput&, const FrameOutput&, bool, cudaStream_t) { missing("stage_blend"); }
STUB void stage_blend_backward(Frame&, const FrameInput&, const FrameOutput&, const FrameGradients&, cudaStream_t) { missing("stage_blend_backward"); }
STUB void stage_project_backward(Frame&, const FrameInput&, const FrameGradients&, cudaStream_t) { missing("stage_project_backward"); }
STUB void adam(const AdamTensor&, const AdamConstants&, cudaStream_t) { missing("adam"); }
}  // namespace splat::gpu
