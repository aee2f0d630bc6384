// The whole render and its backward: the stages in order, on one stream.
//
// The host waits once a render, for the number of (splat, tile) pairs. It guesses that number from the
// render before, queues everything, and only then looks whether the guess was enough, while the device
// works; where it was not, the stages that depend on it run again.
#include <algorithm>

#include "stages.h"

namespace splat::gpu {

namespace {

constexpr int64_t kLeastCapacity = 4096;
constexpr int64_t kMostPairs = int64_t(1) << 31;

// Runs a stage; with frame.timed waits for it and keeps its time.
template <class Stage>
void timed(Frame& frame, int number, cudaStream_t stream, Stage stage) {
    if (!frame.timed) return stage();
    cudaEvent_t begin, end;
    check(cudaEventCreate(&begin), "creating a CUDA event");
    check(cudaEventCreate(&end), "creating a CUDA event");
    check(cudaEventRecord(begin, stream), "recording a CUDA event");
    stage();
    check(cudaEventRecord(end, stream), "recording a CUDA event");
    check(cudaEventSynchronize(end), "waiting for a stage");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin, end), "reading a CUDA event");
    frame.seconds[number] = 1e-3 * milliseconds;
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
}

void take_counts(Frame& frame) {
    frame.counts = frame.counts_on_host.wait();
    if (int64_t(frame.counts.pairs) >= kMostPairs)
        throw CudaError("the picture has more than 2^31 (splat, tile) pairs. Render it smaller, or in parts");
}

// Room for half as many pairs again.
int64_t capacity_for(int64_t pairs) { return std::max(kLeastCapacity, std::min(kMostPairs, pairs + pairs / 2)); }

}  // namespace

void render(Frame& frame, const FrameInput& in, const FrameOutput& out, bool keep, cudaStream_t stream) {
    const bool first = frame.capacity == 0;
    frame.tiles_x = (in.width + kTile - 1) / kTile;
    frame.tiles_y = (in.height + kTile - 1) / kTile;
    timed(frame, 0, stream, [&] { stage_project(frame, in, out.radii, stream); });
    timed(frame, 1, stream, [&] {
        stage_order(frame, in, stream);
        frame.counts_on_host.copy(frame.device_counts.get(), stream);
    });
    if (first) take_counts(frame);
    frame.capacity = capacity_for(frame.counts.pairs);
    for (;;) {
        timed(frame, 2, stream, [&] { stage_bin(frame, in, stream); });
        timed(frame, 3, stream, [&] { stage_blend(frame, in, out, keep, stream); });
        take_counts(frame);
        if (frame.counts.pairs <= frame.capacity) return;
        frame.capacity = capacity_for(frame.counts.pairs);
    }
}

void render_backward(Frame& frame, const FrameInput& in, const FrameOutput& out, const FrameGradients& g,
                     cudaStream_t stream) {
    timed(frame, 4, stream, [&] { stage_blend_backward(frame, in, out, g, stream); });
    timed(frame, 5, stream, [&] { stage_project_backward(frame, in, g, stream); });
}

}  // namespace splat::gpu
