// L1 and SSIM with their gradient (include/splat/ssim.h has the formulas): one kernel for the images and
// one block that adds up.
//
// A block takes a band of rows by kPixels columns and walks down it, kRows rows at a time: a vertical and
// a horizontal filter of X, Y, X^2 + Y^2 and XY make the derivative maps of those rows, and a vertical and
// a horizontal filter of these the gradient of rows further up. A thread keeps a column's last rows in
// registers, for both vertical filters; horizontal filters go through shared memory, four pixels a thread.
//
// So an image is read once and its gradient written once (at 1080p 56 MB with photos as bytes), and no map
// goes through memory. Two kernels with the maps stored would move 236 MB and compute about a fifth less:
// by arithmetic as long on an H100, longer where memory is slower, and 75 MB of it would have to be held.
#include <algorithm>

#include "../include/splat/ssim.h"
#include "stages.h"

namespace splat::gpu {

namespace {

constexpr int kThreads = 256;
constexpr int kRows = 4;                              // rows of a step
constexpr int kPixels = 64;                           // columns that a block writes,
constexpr int kMiddle = kPixels + 2 * kSsimHalf;      // takes the similarity of,
constexpr int kRead = kPixels + 4 * kSsimHalf;        // and reads
constexpr int kWindow = kRows + 2 * kSsimHalf;        // rows that a vertical filter sees
constexpr int kGroups = (kMiddle + 3) / 4;            // of four pixels
constexpr int kLines = 3 * kRows;                     // a line is a channel of a row
constexpr int kMomentLine = 27;                       // groups: 12 mod 32 banks, so that all channels of
constexpr int kMapLine = kGroups;                     // neighbouring pixels are written at once; as is this
constexpr int kMomentMap = kLines * kMomentLine, kMap = kLines * kMapLine;  // groups
static_assert(3 * kRead <= kThreads && kLines * kGroups <= kThreads, "one job a thread");
static_assert(4 * (kMomentLine - kGroups) >= 2 * kSsimHalf && 3 * kMap <= 4 * kMomentMap, "room");

struct Job {
    SsimInput in;
    int strips, bands, band_rows;  // band_rows is a multiple of kRows
    const uint32_t* kept;          // pixels that the mask keeps
    float* sums;                   // [2, blocks] L1, SSIM
};

struct Shared {
    float4* moments;  // [4, lines, kMomentLine] X, Y, X^2 + Y^2, XY, filtered vertically; then derivatives
    float4* maps;     // [3, lines, kMapLine] derivatives; then these filtered
};

// kRows outputs of the 11 taps.
__device__ __forceinline__ void filter(const float v[kWindow], float out[kRows]) {
#pragma unroll
    for (int k = 0; k < kRows; ++k) out[k] = v[k + kSsimHalf];
#pragma unroll
    for (int j = 1; j <= kSsimHalf; ++j)
#pragma unroll
        for (int k = 0; k < kRows; ++k)
            out[k] = fma_(ssim_tap(j), v[k + kSsimHalf - j] + v[k + kSsimHalf + j], out[k]);
}

// The same along a line: the four pixels that lie kSsimHalf after the first of `from`.
__device__ __forceinline__ float4 filter_across(const float4* from) {
    float v[16], out[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const float4 group = from[i];
        v[4 * i] = group.x, v[4 * i + 1] = group.y, v[4 * i + 2] = group.z, v[4 * i + 3] = group.w;
    }
    filter(v, out);
    return make_float4(out[0], out[1], out[2], out[3]);
}

__device__ __forceinline__ float unit(float v) { return v; }
__device__ __forceinline__ float unit(uint8_t v) { return float(v) * (1.f / 255.f); }

// A thread's column of the images, and of the gradient.
template <class Target>
struct Column {
    const Target* target;
    int number, stride;   // of a float in a row; floats of a row
    unsigned height;      // 0 outside the image
    bool own;             // the block makes its gradient

    __device__ __forceinline__ Column(const SsimInput& in, const Target* photo, int first_pixel)
        : target(photo), number(3 * first_pixel + int(threadIdx.x)), stride(3 * int(in.width)) {
        const int place = threadIdx.x / 3;
        const bool inside = place < kRead && number >= 0 && number < stride;
        height = inside ? unsigned(in.height) : 0u;
        own = inside && place >= 2 * kSsimHalf && place < 2 * kSsimHalf + kPixels;
    }

    // Rows [row, row + n) of both images; zeros beyond them.
    template <int n>
    __device__ __forceinline__ void read(const SsimInput& in, int row, float* x, float* y) const {
        const int at = row * stride + number;
#pragma unroll
        for (int k = 0; k < n; ++k) {
            const bool there = unsigned(row + k) < height;
            x[k] = there ? __ldg(in.image + at + k * stride) : 0.f;
            y[k] = there ? unit(__ldg(target + at + k * stride)) : 0.f;
        }
    }
};

// Vertical filter of the window's moments, into the lines of this column's channel.
__device__ __forceinline__ void filter_moments(const float x[kWindow], const float y[kWindow], float* to) {
    const auto put = [&](int map, const float v[kWindow]) {
        float out[kRows];
        filter(v, out);
#pragma unroll
        for (int k = 0; k < kRows; ++k) to[4 * (map * kMomentMap + 3 * k * kMomentLine)] = out[k];
    };
    float v[kWindow];
    put(0, x);
    put(1, y);
#pragma unroll
    for (int i = 0; i < kWindow; ++i) v[i] = fma_(x[i], x[i], y[i] * y[i]);
    put(2, v);
#pragma unroll
    for (int i = 0; i < kWindow; ++i) v[i] = x[i] * y[i];
    put(3, v);
}

// Four pixels of a line whose similarity a thread makes.
struct Four {
    int line, group, pixel;  // the first pixel's column of the image
    unsigned inside, own;    // bit i: pixel i is in the image; is in no other block

    __device__ __forceinline__ Four(const SsimInput& in, int first_pixel)
        : line(threadIdx.x / kGroups), group(threadIdx.x % kGroups), pixel(first_pixel + 4 * group), inside(0), own(0) {
        for (int i = 0; i < 4; ++i) {
            const int place = 4 * group + i;
            inside |= unsigned(pixel + i >= 0 && pixel + i < int(in.width)) << i;
            own |= unsigned(place >= kSsimHalf && place < kSsimHalf + kPixels) << i;
        }
    }
    __device__ __forceinline__ bool any() const { return line < kLines; }

    // Bit i: pixel i counts.
    __device__ __forceinline__ unsigned kept(const SsimInput& in, int row) const {
        const unsigned kept = unsigned(row) < unsigned(in.height) ? inside : 0u;
        if (!in.mask) return kept;
        const uint8_t* mask = in.mask + row * int(in.width) + pixel;
        unsigned masked = 0;
#pragma unroll
        for (int i = 0; i < 4; ++i)
            if (kept >> i & 1u && mask[i]) masked |= 1u << i;
        return masked;
    }
};

// Horizontal filter of the moments of four pixels, their similarity and its derivatives. Adds the
// similarity of those in `own`.
__device__ __forceinline__ void make_maps(const Shared& shared, const Four& four, unsigned kept, unsigned own,
                                          float& total) {
    const float4* from = shared.moments + four.line * kMomentLine + four.group;
    const float4 mx = filter_across(from), my = filter_across(from + kMomentMap);
    const float4 p = filter_across(from + 2 * kMomentMap), q = filter_across(from + 3 * kMomentMap);
    float4 mean, square, product;
    const auto one = [&](int i, float mx, float my, float p, float q, float& mean, float& square, float& product) {
        const Similarity<float> s = similarity_of(mx, my, p, q, kept >> i & 1u ? 1.f : 0.f);
        mean = s.mean, square = s.square, product = s.product;
        if (own >> i & 1u) total += s.value;
    };
    one(0, mx.x, my.x, p.x, q.x, mean.x, square.x, product.x);
    one(1, mx.y, my.y, p.y, q.y, mean.y, square.y, product.y);
    one(2, mx.z, my.z, p.z, q.z, mean.z, square.z, product.z);
    one(3, mx.w, my.w, p.w, q.w, mean.w, square.w, product.w);
    float4* to = shared.maps + four.line * kMapLine + four.group;
    to[0] = mean, to[kMap] = square, to[2 * kMap] = product;
}

// Adds the rows that were just made to a column's history of the three maps, and filters it vertically.
__device__ __forceinline__ void filter_maps(const float* from, float* to, float history[3][2 * kSsimHalf]) {
    constexpr int kOld = 2 * kSsimHalf;
#pragma unroll
    for (int m = 0; m < 3; ++m) {
        float v[kWindow], out[kRows];
#pragma unroll
        for (int i = 0; i < kOld; ++i) v[i] = history[m][i];
#pragma unroll
        for (int k = 0; k < kRows; ++k) v[kOld + k] = from[4 * (m * kMap + 3 * k * kMapLine)];
        filter(v, out);
#pragma unroll
        for (int k = 0; k < kRows; ++k) to[4 * (m * kMap + 3 * k * kMapLine)] = out[k];
#pragma unroll
        for (int i = 0; i < kOld; ++i) history[m][i] = v[i + kRows];
    }
}

// Horizontal filter of the three maps, of four pixels a thread.
__device__ __forceinline__ void filter_maps_across(const Shared& shared) {
    constexpr int kOwnGroups = kPixels / 4;
    const int line = threadIdx.x / kOwnGroups, at = line * kMapLine + threadIdx.x % kOwnGroups;
    if (line >= kLines) return;
#pragma unroll
    for (int m = 0; m < 3; ++m) shared.maps[m * kMap + at] = filter_across(shared.moments + m * kMap + at);
}

// What a gradient is made of, beside the maps.
struct Scales {
    float l1, ssim;

    __device__ __forceinline__ explicit Scales(const Job& job) {
        const float kept = job.kept ? float(*job.kept) : float(job.in.height * job.in.width);
        const float each = kept > 0.f ? 1.f / (3.f * kept) : 0.f;
        l1 = (1.f - job.in.ssim_weight) * each, ssim = -job.in.ssim_weight * each;
    }
};

// The rows [row, bottom) of a column, kRows at most: L1, and the gradient from the maps at `from`.
template <class Target>
__device__ __forceinline__ float compare_rows(const SsimInput& in, const Column<Target>& column, int row, int bottom,
                                              const float* x, const float* y, const float* from, const Scales& scales) {
    const int at = row * column.stride + column.number;
    float l1 = 0;
#pragma unroll
    for (int k = 0; k < kRows; ++k) {
        const bool here = row + k < bottom;
        const float difference = x[k] - y[k];
        bool kept = here;
        if (in.mask && here) kept = in.mask[(row + k) * int(in.width) + column.number / 3] != 0;
        if (kept) l1 += fabsf(difference);
        if (!in.gradient) continue;
        const float* d = from + 4 * 3 * k * kMapLine;
        const float sign = difference > 0.f ? scales.l1 : difference < 0.f ? -scales.l1 : 0.f;
        const float g = similarity_gradient(d[0], d[4 * kMap], d[8 * kMap], x[k], y[k], scales.ssim, kept ? sign : 0.f);
        if (here) in.gradient[at + k * column.stride] = g;
    }
    return l1;
}

struct Sums {
    float l1 = 0, ssim = 0;
};

// One band by one strip.
template <class Target>
__device__ __forceinline__ void walk(const Job& job, const Shared& shared, const Target* target, int strip, int band,
                                     Sums& sums) {
    const SsimInput& in = job.in;
    const int t = threadIdx.x, channel = t % 3, place = t / 3;
    const int left = strip * kPixels, top = band * job.band_rows, bottom = min(top + job.band_rows, int(in.height));
    const Column<Target> column(in, target, left - 2 * kSsimHalf);
    const Four four(in, left - kSsimHalf);
    const Scales scales(job);
    float* const moments = reinterpret_cast<float*>(shared.moments);
    float* const maps = reinterpret_cast<float*>(shared.maps);

    // The window ends with row + kRows; derivatives are made kSsimHalf rows further up, gradients as much again.
    float x[kWindow], y[kWindow], history[3][2 * kSsimHalf] = {};
    int row = top - 2;
    static_assert(2 + 2 * kSsimHalf == 3 * kRows, "the first gradient is that of row `top`");
    column.template read<kWindow>(in, row - 2 * kSsimHalf, x, y);
    for (; row < bottom + 2 * kSsimHalf; row += kRows) {
        if (place < kRead) filter_moments(x, y, moments + 4 * channel * kMomentLine + place);
        __syncthreads();
        float next_x[kRows], next_y[kRows];
        column.template read<kRows>(in, row + kRows, next_x, next_y);
        if (four.any()) {
            const int at = row - kSsimHalf + four.line / 3;
            make_maps(shared, four, four.kept(in, at), at >= top && at < bottom ? four.own : 0u, sums.ssim);
        }
        __syncthreads();
        if (in.gradient) {
            if (t < 3 * 4 * kMapLine) filter_maps(maps + t, moments + t, history);
            __syncthreads();
            filter_maps_across(shared);
            __syncthreads();
        }
        if (column.own && row - 2 * kSsimHalf >= top)
            sums.l1 += compare_rows(in, column, row - 2 * kSsimHalf, bottom, x, y,
                                    maps + 4 * channel * kMapLine + place - 2 * kSsimHalf, scales);
#pragma unroll
        for (int i = 0; i < 2 * kSsimHalf; ++i) x[i] = x[i + kRows], y[i] = y[i + kRows];
#pragma unroll
        for (int k = 0; k < kRows; ++k) x[2 * kSsimHalf + k] = next_x[k], y[2 * kSsimHalf + k] = next_y[k];
    }
}

// Sums of a block, in a fixed order; for thread 0.
__device__ __forceinline__ Sums block_sums(Sums s) {
    __shared__ float parts[2][kThreads / kWarp];
    for (int step = kWarp / 2; step; step /= 2) {
        s.l1 += __shfl_xor_sync(kAllLanes, s.l1, step);
        s.ssim += __shfl_xor_sync(kAllLanes, s.ssim, step);
    }
    const int warp = threadIdx.x / kWarp;
    if (threadIdx.x % kWarp == 0) parts[0][warp] = s.l1, parts[1][warp] = s.ssim;
    __syncthreads();
    Sums all;
    for (int i = 0; i < kThreads / kWarp; ++i) all.l1 += parts[0][i], all.ssim += parts[1][i];
    return all;
}

template <class Target>
__global__ __launch_bounds__(kThreads, 2) void compare(Job job, const Target* target) {
    __shared__ float4 moments[4 * kMomentMap], maps[3 * kMap];
    Sums sums;
    for (int i = blockIdx.x; i < job.strips * job.bands; i += gridDim.x)
        walk(job, {moments, maps}, target, i % job.strips, i / job.strips, sums);
    sums = block_sums(sums);
    if (threadIdx.x == 0) job.sums[blockIdx.x] = sums.l1, job.sums[gridDim.x + blockIdx.x] = sums.ssim;
}

constexpr int kMaskBytes = 16;  // a thread

__global__ void count_kept(const uint8_t* mask, int64_t pixels, uint32_t* kept) {
    const int64_t first = int64_t(blockIdx.x) * kThreads * kMaskBytes + threadIdx.x;
    int count = 0;
    for (int k = 0; k < kMaskBytes; ++k) {
        const int64_t i = first + k * kThreads;
        count += __syncthreads_count(i < pixels && mask[i]);
    }
    if (threadIdx.x == 0 && count) atomicAdd(kept, unsigned(count));
}

// values = loss, L1, SSIM from the sums of the blocks, added in order.
__global__ void finish(Job job, int blocks, float* values) {
    __shared__ double parts[2][kThreads];
    const int t = threadIdx.x;
    double l1 = 0, ssim = 0;
    for (int i = t; i < blocks; i += kThreads) l1 += double(job.sums[i]), ssim += double(job.sums[blocks + i]);
    parts[0][t] = l1, parts[1][t] = ssim;
    for (int step = kThreads / 2; step; step /= 2) {
        __syncthreads();
        if (t < step) parts[0][t] += parts[0][t + step], parts[1][t] += parts[1][t + step];
    }
    if (t) return;
    const double kept = 3. * (job.kept ? double(*job.kept) : double(job.in.height * job.in.width));
    l1 = kept > 0 ? parts[0][0] / kept : 0.;
    ssim = kept > 0 ? parts[1][0] / kept : 1.;
    const double weight = double(job.in.ssim_weight);
    values[0] = float((1. - weight) * l1 + weight * (1. - ssim));
    values[1] = float(l1);
    values[2] = float(ssim);
}

// So that two blocks a multiprocessor do all of it at once, but not in bands that mostly overlap.
Job plan(const SsimInput& in) {
    constexpr int kLeastRows = 16;
    int device = 0, processors = 0;
    check(cudaGetDevice(&device), "asking for the CUDA device");
    check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device), "asking for multiprocessors");
    Job job{};
    job.in = in;
    job.strips = int((in.width + kPixels - 1) / kPixels);
    const int64_t bands = std::max(1, 2 * processors / job.strips);
    const int64_t rows = std::max<int64_t>(kLeastRows, (in.height + bands - 1) / bands);
    job.band_rows = int((rows + kRows - 1) / kRows * kRows);
    job.bands = int((in.height + job.band_rows - 1) / job.band_rows);
    return job;
}

}  // namespace

void l1_ssim(const SsimInput& in, float* values, float* scratch, cudaStream_t stream) {
    const int64_t pixels = in.height * in.width, most = int64_t(640) << 20;
    if (pixels > most || in.width > (1 << 19))  // so that an int counts floats, with some rows to spare
        throw CudaError("the loss of an image of " + std::to_string(in.width) + " x " + std::to_string(in.height) +
                        " pixels: at most " + std::to_string(most) + " are possible, 524288 in a row");
    Job job = plan(in);
    const int blocks = int(std::min<int64_t>(kLossBlocks, int64_t(job.strips) * job.bands));
    job.sums = scratch;
    if (in.mask) {
        uint32_t* kept = reinterpret_cast<uint32_t*>(scratch + 2 * kLossBlocks);
        check(cudaMemsetAsync(kept, 0, sizeof(*kept), stream), "clearing a count");
        launch(count_kept, blocks_for(pixels, kThreads * kMaskBytes), kThreads, stream, in.mask, pixels, kept);
        job.kept = kept;
    }
    if (in.target_bytes) launch(compare<uint8_t>, blocks, kThreads, stream, job, in.target_bytes);
    else launch(compare<float>, blocks, kThreads, stream, job, in.target);
    launch(finish, 1, kThreads, stream, job, blocks, values);
}

}  // namespace splat::gpu
