// From the gradient of the colours to that of the SH coefficients, and what becomes of it: written, added
// up, or Adam's step (ShStep). Also the part of it that the position gets (the colour depends on the
// direction of view).
//
// This is most of the memory that an iteration moves (48 numbers a splat; parameter and two moments, read
// and written), so it is a kernel of its own that does nothing but stream: every warp always has loads under
// way. In one kernel with the geometry a warp would stop streaming while it waits for its splats' sums and
// parameters, and hold the registers of both. Apart they hand over 16 bytes a splat, and the positions and
// their gradient pass once more: 4 % of the bytes. Limited by memory bandwidth.
//
// The gradient is basis x colour. A warp has 32 splats: each lane leaves basis and colour of one in shared
// memory; then the lanes walk through the 32 rows as one array of float4s (32 rows of any number of
// columns are a multiple of 16 bytes), making each number's gradient where it is used.
#pragma once

#include "../adam_step.h"
#include "../include/splat/sh.h"
#include "slot_sums.h"

namespace splat::gpu {

constexpr int kShThreads = 128, kShWarps = kShThreads / kWarp;
constexpr int kShMost = 48;     // columns that a degree can use
constexpr int kBasisRow = 17;   // odd: no bank conflicts
constexpr int kShDepth = 2;     // float4s of each array that a lane has under way

enum class ShUse { write, add, step, step_added };

struct ShArguments {
    int64_t count;
    int columns, used, degree;    // used: columns that the degree reads
    const float *means, *sh;
    const float4* colors;         // [N] gradient of the colour; 0 where a splat is not seen
    Vec3<float> eye;
    float *v_sh, *v_means;
    float* pose_sums;             // or null
    ShStep step;
};

// One warp's shared memory. Columns: of the rows it holds.
template <int Columns>
struct ShShared {
    float basis[kWarp * kBasisRow];
    float color[kWarp * 3];
    float sh[kWarp * (Columns | 1)];  // the coefficients as they were
};

template <int Width>
struct Part {
    float v[Width];
};

// The `n` numbers at p, at most Width. Whole: there are never fewer. Each is touched once an iteration:
// the hints that say so leave the cache to others (and make sure of one instruction).
template <bool Whole, int Width>
__device__ __forceinline__ Part<Width> load_part(const float* p, int n) {
    Part<Width> part{};
    if (Width == 4 && (Whole || n >= Width)) {
        const float4 q = __ldcs(reinterpret_cast<const float4*>(p));
        part.v[0] = q.x, part.v[1 % Width] = q.y, part.v[2 % Width] = q.z, part.v[3 % Width] = q.w;
    } else {
#pragma unroll
        for (int j = 0; j < Width; ++j)
            if (j < n) part.v[j] = p[j];
    }
    return part;
}

template <bool Whole, int Width>
__device__ __forceinline__ void store_part(float* p, int n, const Part<Width>& part) {
    if (Width == 4 && (Whole || n >= Width)) {
        __stcs(reinterpret_cast<float4*>(p),
               make_float4(part.v[0], part.v[1 % Width], part.v[2 % Width], part.v[3 % Width]));
    } else {
#pragma unroll
        for (int j = 0; j < Width; ++j)
            if (j < n) p[j] = part.v[j];
    }
}

// Width neighbouring numbers of a warp's rows.
template <int Columns, int Width, ShUse kUse>
struct ShPart {
    static constexpr bool kSteps = kUse == ShUse::step || kUse == ShUse::step_added;
    static constexpr bool kWhole = Width == 1 || (Columns > 0 && Columns % Width == 0);
    static constexpr bool kAdds = kUse == ShUse::add || kUse == ShUse::step_added;
    int at, n;          // first number, counted from the warp's first; how many there are (0 or less: none)
    unsigned live;      // bits: those that have a gradient
    Part<Width> param, exp_avg, exp_avg_sq, sum;

    // Row and column of number j. Of whole parts all are in one row.
    __device__ __forceinline__ void place(const ShArguments& a, int j, int& row, int& column) const {
        const int columns = Columns ? Columns : a.columns;
        row = (at + (kWhole ? 0 : j)) / columns, column = (at + j) - row * columns;
    }

    __device__ __forceinline__ void load(const ShArguments& a, int64_t first, unsigned seen, int number, int total) {
        at = number, n = total - number, live = 0;
        if (n <= 0) return;
#pragma unroll
        for (int j = 0; j < Width; ++j) {
            int row, column;
            place(a, j, row, column);
            live |= unsigned((kWhole || j < n) && (seen >> (row & 31) & 1u) && column < a.used) << j;
        }
        param = Part<Width>{};
        if (kUse == ShUse::step_added || (kUse == ShUse::step && live)) {
            param = load_part<kWhole, Width>(a.step.param + first + at, n);
            exp_avg = load_part<kWhole, Width>(a.step.exp_avg + first + at, n);
            exp_avg_sq = load_part<kWhole, Width>(a.step.exp_avg_sq + first + at, n);
        } else if (live && a.degree > 0) {
            param = load_part<kWhole, Width>(a.sh + first + at, n);
        }
        if (kUse == ShUse::step_added || (kUse == ShUse::add && live)) sum = load_part<kWhole, Width>(a.step.accumulated + first + at, n);
    }

    // Of number j; leaves the coefficient for direction_backward.
    template <class Shared>
    __device__ __forceinline__ float gradient(const ShArguments& a, Shared& shared, int j) const {
        int row, column;
        place(a, j, row, column);
        const bool used = column < a.used;
        const int k = Columns || used ? column / 3 : 0, channel = column - 3 * k;
        if (Columns || used) shared.sh[row * ((Columns ? Columns : kShMost) | 1) + column] = param.v[j];
        return used ? shared.basis[row * kBasisRow + k] * shared.color[row * 3 + (used ? channel : 0)] : 0.f;
    }

    template <class Shared>
    __device__ __forceinline__ void finish(const ShArguments& a, int64_t first, Shared& shared, const float* rates) {
        if (n <= 0 || ((kUse == ShUse::add || kUse == ShUse::step) && !live)) return;
        Part<Width> g{};
        if (live) {
#pragma unroll
            for (int j = 0; j < Width; ++j) g.v[j] = gradient(a, shared, j);
        }
        bool moves = kUse == ShUse::step;
#pragma unroll
        for (int j = 0; j < Width; ++j) {
            if (kAdds) g.v[j] += sum.v[j];
            if (!kSteps || (kUse == ShUse::step && !(live >> j & 1u))) continue;
            int row, column;
            place(a, j, row, column);
            moves |= g.v[j] != 0.f || exp_avg.v[j] != 0.f || exp_avg_sq.v[j] != 0.f;
            adam_step(a.step.constants, g.v[j], rates[column], param.v[j], exp_avg.v[j], exp_avg_sq.v[j]);
        }
        if (kUse == ShUse::write) store_part<kWhole, Width>(a.v_sh + first + at, n, g);
        if (kUse == ShUse::add) store_part<kWhole, Width>(a.step.accumulated + first + at, n, g);
        // With step_added: bands that the degree does not reach yet, splats never seen: all zero, and stay so.
        if (!kSteps || (!moves && a.step.constants.eps > 0.f)) return;
        store_part<kWhole, Width>(a.step.param + first + at, n, param);
        store_part<kWhole, Width>(a.step.exp_avg + first + at, n, exp_avg);
        store_part<kWhole, Width>(a.step.exp_avg_sq + first + at, n, exp_avg_sq);
        if (kUse == ShUse::step_added) store_part<kWhole, Width>(a.step.accumulated + first + at, n, Part<Width>{});
    }
};

// dL/d(mean - camera centre) of a lane's splat, from the coefficients that the warp has left.
template <int Row>
__device__ __forceinline__ Vec3<float> direction_backward(const ShArguments& a, const float* sh, float4 color,
                                                          Vec3<float> direction, float inverse_length) {
    float towards[kShMost / 3] = {};
#pragma unroll
    for (int k = 0; k < Row / 3; ++k)
        if (3 * k < a.used)
            towards[k] = fma_(color.x, sh[3 * k], fma_(color.y, sh[3 * k + 1], color.z * sh[3 * k + 2]));
    return normalise_backward(direction, inverse_length, sh_basis_backward(a.degree, direction, towards));
}

// Columns 12 to 14 of the block's row of pose_sums: minus the sum of v.
__device__ __forceinline__ void add_eye(const ShArguments& a, float* scratch, const float (&v)[3]) {
    const int lane = int(threadIdx.x % kWarp), warp = int(threadIdx.x / kWarp);
#pragma unroll
    for (int k = 0; k < 3; ++k) {
        const float sum = warp_sum(v[k]);
        if (lane == 0) scratch[warp * 3 + k] = sum;
    }
    __syncthreads();
    if (threadIdx.x >= 3) return;
    float sum = 0.f;
    for (int w = 0; w < kShWarps; ++w) sum -= scratch[w * 3 + int(threadIdx.x)];
    a.pose_sums[int64_t(blockIdx.x) * 16 + 12 + threadIdx.x] = sum;
}

// Columns: of the rows, 0 where only a.columns knows, or where the arrays are not aligned to 16 bytes.
template <int Columns, ShUse kUse>
__global__ void __launch_bounds__(kShThreads, 6) sh_backward(const ShArguments a) {
    constexpr int kRow = Columns ? Columns : kShMost, kWidth = Columns ? 4 : 1;
    using Share = ShShared<kRow>;
    using Number = ShPart<Columns, kWidth, kUse>;
    __shared__ Share shares[kShWarps];
    __shared__ float rates[kShMost], eye[kShWarps * 3];
    const int lane = int(threadIdx.x % kWarp);
    Share& share = shares[threadIdx.x / kWarp];
    const int64_t begin = int64_t(blockIdx.x) * kShThreads + (threadIdx.x / kWarp) * kWarp;
    const int rows = int(a.count - begin < kWarp ? (a.count > begin ? a.count - begin : 0) : kWarp);
    if (threadIdx.x < kShMost) rates[threadIdx.x] = a.step.rates[threadIdx.x];
    const float4 color = lane < rows ? a.colors[begin + lane] : make_float4(0.f, 0.f, 0.f, 0.f);
    const bool sees = color.x != 0.f || color.y != 0.f || color.z != 0.f;
    const unsigned seen = __ballot_sync(kAllLanes, sees);
    Vec3<float> direction{0.f, 0.f, 0.f};
    float inverse_length = 0.f;
    if (sees) {
        const float* m = a.means + (begin + lane) * 3;
        const Vec3<float> d{m[0] - a.eye.x, m[1] - a.eye.y, m[2] - a.eye.z};
        inverse_length = 1.f / sqrt_(max_(dot(d, d), 1e-24f));
        direction = d * inverse_length;
    }
    float basis[kShMost / 3] = {};
    sh_basis(a.degree, direction, basis);
#pragma unroll
    for (int k = 0; k < kRow / 3; ++k) share.basis[lane * kBasisRow + k] = basis[k];
    share.color[lane * 3] = color.x, share.color[lane * 3 + 1] = color.y, share.color[lane * 3 + 2] = color.z;
    __syncthreads();

    const int columns = Columns ? Columns : a.columns, total = rows * columns;
    const int64_t first = begin * columns;
    for (int at = lane * kWidth; at < total; at += kWarp * kWidth * kShDepth) {
        Number part[kShDepth];
#pragma unroll
        for (int d = 0; d < kShDepth; ++d) part[d].load(a, first, seen, at + d * kWarp * kWidth, total);
#pragma unroll
        for (int d = 0; d < kShDepth; ++d) part[d].finish(a, first, share, rates);
    }
    __syncwarp();

    float v[3] = {0.f, 0.f, 0.f};
    if (seen && a.degree > 0) {
        if (sees) {
            const Vec3<float> g = direction_backward<kRow>(a, share.sh + lane * (kRow | 1), color, direction, inverse_length);
            v[0] = g.x, v[1] = g.y, v[2] = g.z;
        }
        __syncwarp();  // share.color is read by all
#pragma unroll
        for (int k = 0; k < 3; ++k) share.color[lane * 3 + k] = v[k];
        __syncwarp();
#pragma unroll
        for (int at = lane; at < 3 * kWarp; at += kWarp)
            if (at < rows * 3) a.v_means[begin * 3 + at] += share.color[at];
    }
    if (a.pose_sums) add_eye(a, eye, v);
}

}  // namespace splat::gpu
