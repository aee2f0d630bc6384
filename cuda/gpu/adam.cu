// Adam's step (adam_step.h) over whole tensors, several in one launch: the tensors of a scene but SH
// are small, and a launch costs as much as their traffic. Limited by memory bandwidth: 28 bytes a number
// (32 where the gradient is cleared).
#include <algorithm>

#include "../adam_step.h"
#include "stages.h"

namespace splat::gpu {

namespace {

constexpr int kThreads = 256;
constexpr int kQuads = 2;                          // float4s of each array that a thread has under way
constexpr int kTask = kThreads * kQuads * 4;       // numbers of a block
constexpr int kTensors = 8;                        // of one launch
constexpr int kColumns = 64;                       // whose rates travel in the arguments of the kernel

struct Tensor {
    AdamConstants constants;
    float *param, *grad, *exp_avg, *exp_avg_sq;
    int64_t size;
    int columns;
    unsigned first_block;
    bool zero_grad, aligned;     // aligned: every array to 16 bytes
    float rates[kColumns];       // times inverse_bias1
};

struct Tensors {
    int count;
    Tensor all[kTensors];
};

struct alignas(16) Quad {
    float v[4];
};

__device__ inline void step_one(const Tensor& t, int64_t i, float rate) {
    float p = t.param[i], m = t.exp_avg[i], v = t.exp_avg_sq[i];
    adam_step(t.constants, t.grad[i], rate, p, m, v);
    t.param[i] = p, t.exp_avg[i] = m, t.exp_avg_sq[i] = v;
    if (t.zero_grad) t.grad[i] = 0.f;
}

// The task of a block that is whole and aligned. All loads first: they are under way together.
__device__ inline void step_whole(const Tensor& t, int64_t begin, unsigned column, const float* rates) {
    Quad p[kQuads], g[kQuads], m[kQuads], v[kQuads];
    int64_t at[kQuads];
#pragma unroll
    for (int q = 0; q < kQuads; ++q) {
        at[q] = begin + 4 * (q * kThreads + int(threadIdx.x));
        p[q] = *reinterpret_cast<const Quad*>(t.param + at[q]);
        g[q] = *reinterpret_cast<const Quad*>(t.grad + at[q]);
        m[q] = *reinterpret_cast<const Quad*>(t.exp_avg + at[q]);
        v[q] = *reinterpret_cast<const Quad*>(t.exp_avg_sq + at[q]);
    }
#pragma unroll
    for (int q = 0; q < kQuads; ++q) {
        unsigned c = t.columns == 1 ? 0 : (column + unsigned(at[q] - begin)) % unsigned(t.columns);
#pragma unroll
        for (int k = 0; k < 4; ++k) {
            adam_step(t.constants, g[q].v[k], rates[c], p[q].v[k], m[q].v[k], v[q].v[k]);
            c = c + 1 == unsigned(t.columns) ? 0 : c + 1;
        }
        *reinterpret_cast<Quad*>(t.param + at[q]) = p[q];
        *reinterpret_cast<Quad*>(t.exp_avg + at[q]) = m[q];
        *reinterpret_cast<Quad*>(t.exp_avg_sq + at[q]) = v[q];
        if (t.zero_grad) *reinterpret_cast<Quad*>(t.grad + at[q]) = Quad{{0.f, 0.f, 0.f, 0.f}};
    }
}

__global__ void __launch_bounds__(kThreads) step_tensors(const Tensors tensors) {
    __shared__ float rates[kColumns];
    int which = 0;
    while (which + 1 < tensors.count && blockIdx.x >= tensors.all[which + 1].first_block) ++which;
    const Tensor& t = tensors.all[which];
    if (int(threadIdx.x) < t.columns) rates[threadIdx.x] = t.rates[threadIdx.x];
    __syncthreads();
    const int64_t begin = int64_t(blockIdx.x - t.first_block) * kTask;
    const unsigned column = unsigned(begin % t.columns);
    if (t.aligned && begin + kTask <= t.size) return step_whole(t, begin, column, rates);
    const int64_t end = begin + kTask < t.size ? begin + kTask : t.size;
    for (int64_t i = begin + threadIdx.x; i < end; i += kThreads)
        step_one(t, i, rates[(column + unsigned(i - begin)) % unsigned(t.columns)]);
}

// Columns [first, first + width) of a tensor of more columns than a launch has rates for.
__global__ void step_columns(const Tensor t, int first, int width) {
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, row = i / width;
    const int column = int(i - row * width);
    const int64_t at = row * t.columns + first + column;
    if (at < t.size) step_one(t, at, t.rates[column]);
}

bool aligned(const float* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

Tensor to_device(const AdamTensor& a, const AdamConstants& c, int first_column) {
    Tensor t{};
    t.constants = c;
    t.param = a.param, t.grad = a.grad, t.exp_avg = a.exp_avg, t.exp_avg_sq = a.exp_avg_sq;
    t.size = a.rows * a.columns, t.columns = int(a.columns);
    t.zero_grad = a.zero_grad;
    t.aligned = aligned(a.param) && aligned(a.grad) && aligned(a.exp_avg) && aligned(a.exp_avg_sq);
    const int width = int(std::min<int64_t>(kColumns, a.columns - first_column));
    for (int k = 0; k < width; ++k) t.rates[k] = a.rates[first_column + k] * c.inverse_bias1;
    return t;
}

void step_wide(const AdamTensor& a, const AdamConstants& c, cudaStream_t stream) {
    for (int first = 0; first < a.columns; first += kColumns) {
        const int width = int(std::min<int64_t>(kColumns, a.columns - first));
        launch(step_columns, blocks_for(a.rows * width, kThreads), kThreads, stream, to_device(a, c, first), first, width);
    }
}

}  // namespace

void adam_many(const AdamTensor* tensors, const AdamConstants* constants, int count, cudaStream_t stream) {
    Tensors together;
    unsigned blocks = 0;
    together.count = 0;
    for (int k = 0; k < count; ++k) {
        if (tensors[k].rows == 0) continue;
        if (tensors[k].columns > kColumns) {
            step_wide(tensors[k], constants[k], stream);
            continue;
        }
        Tensor& t = together.all[together.count++] = to_device(tensors[k], constants[k], 0);
        t.first_block = blocks;
        blocks += blocks_for(t.size, kTask);
        if (together.count < kTensors) continue;
        launch(step_tensors, blocks, kThreads, stream, together);
        together.count = 0, blocks = 0;
    }
    launch(step_tensors, blocks, kThreads, stream, together);
}

}  // namespace splat::gpu
