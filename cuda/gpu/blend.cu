// Stage 4: blend the tiles, front to back.
//
// A block is a tile and a thread a pixel; a warp has 8x4 pixels (blend.h). The tile's list comes through
// shared memory 256 entries at a time, each thread bringing one: it makes the splat relative to the
// tile's middle and tests it against the eight sub-tiles. A ballot turns the tests into bits by sub-tile,
// and a warp walks only the bits of its own: of a tile's splats, a sub-tile meets about three in
// eight. So the cost is one evaluation of a splat for 32 pixels at a time, and reading 48 bytes of
// shared memory that all of a warp's lanes share. A warp whose pixels are finished leaves the batch;
// the block ends when all have.
//
// What is kept for the backward pass, which goes over a tile's list in buckets that know nothing of each
// other: every 64 entries, 16 bytes a pixel (4 KiB a bucket; about 64 bytes for each (splat, tile) pair). Buckets of
// 32 would need twice that memory and traffic. The first bucket's state is known and not stored.
#include "blend_kernels.h"
#include "blend_load.h"

namespace splat::gpu {

namespace {

enum class Use { image, keep, count };

struct BlendArguments {
    const Row* rows;
    const uint32_t *list, *pair_splat, *tile_begin;
    const float* whitening;
    float4* states;
    uint32_t *ends, *reached;
    unsigned long long* useful;
    FrameOutput out;
    RayGrid rays;
    float background[3];
    int width, height, tiles_x, strips;
};

constexpr int kBatch = kTilePixels, kWords = kBatch / kWarp;
constexpr int kWordsInBucket = kBucket / kWarp;
static_assert(kBucket % kWarp == 0 && kBatch % kBucket == 0, "buckets begin where words of bits do");

template <class Splat>
struct alignas(16) Held {  // reads of 16 bytes
    Splat splat;
};

// What a pixel has gathered.
template <bool G>
struct Gathered {
    float T, r, g, b;
};
template <>
struct Gathered<true> {
    float T, r, g, b, depth, nx, ny, nz, median;
};

template <bool G>
__device__ inline void keep_state(const BlendArguments& a, const Gathered<G>& to, uint32_t tile_begin, uint32_t bucket) {
    const int pixel = int(threadIdx.x);
    a.states[state_place(tile_begin, bucket, 0, planes(G), pixel)] = make_float4(to.T, to.r, to.g, to.b);
    if constexpr (G)
        a.states[state_place(tile_begin, bucket, 1, planes(G), pixel)] =
            make_float4(to.depth, to.nx, to.ny, to.nz);
}

template <bool G>
__device__ inline void write_pixel(const BlendArguments& a, const Gathered<G>& from, int64_t pixel) {
    float* const color = a.out.color + 3 * pixel;
    color[0] = fma_(from.T, a.background[0], from.r);
    color[1] = fma_(from.T, a.background[1], from.g);
    color[2] = fma_(from.T, a.background[2], from.b);
    a.out.alpha[pixel] = 1.f - from.T;
    if constexpr (G) {
        a.out.depth_sum[pixel] = from.depth, a.out.median_depth[pixel] = from.median;
        float* const normal = a.out.normals + 3 * pixel;
        normal[0] = from.nx, normal[1] = from.ny, normal[2] = from.nz;
    }
}

// One splat onto one pixel; returns whether it counts.
template <class K, bool G>
__device__ inline bool blend_splat(Gathered<G>& to, const typename K::Splat& s, float x, float y, float ray_x,
                                   float ray_y, const float* whitening, uint32_t id) {
    const float alpha = min_(K::at(s, x, y).alpha, kAlphaMax), before = to.T;
    const float w = before >= kTransmittanceMin ? alpha * before : 0.f;
    to.T = before - w;
    to.r = fma_(w, s.r, to.r), to.g = fma_(w, s.g, to.g), to.b = fma_(w, s.b, to.b);
    if constexpr (G) {
        if (w > 0.f) {
            const RayHit<float> hit = intersect(load_whitening(whitening, id), ray_x, ray_y);
            to.depth = fma_(w, hit.t, to.depth);
            if (before >= 0.5f && to.T < 0.5f) to.median = hit.t;
            to.nx = fma_(w, hit.normal.x, to.nx), to.ny = fma_(w, hit.normal.y, to.ny);
            to.nz = fma_(w, hit.normal.z, to.nz);
        }
    }
    return w > 0.f;
}

// Adds the block's number to a total, or to a largest one.
__device__ inline void finish_keep(const BlendArguments& a, uint32_t last, int tile, uint32_t* most) {
    a.ends[int64_t(tile) * kTilePixels + threadIdx.x] = last;
    for (int step = kWarp / 2; step > 0; step /= 2) last = max(last, __shfl_xor_sync(kAllLanes, last, step));
    if (threadIdx.x % kWarp == 0) atomicMax(most, last);
    __syncthreads();
    if (threadIdx.x == 0) a.reached[tile] = *most;
}

template <class K, bool G, Use kUse>
__global__ void __launch_bounds__(kTilePixels) blend_tiles(BlendArguments a) {
    __shared__ Staging staging[kSubTiles];
    __shared__ Held<typename K::Splat> splats[kBatch];
    __shared__ uint32_t ids[G ? kBatch : 1];
    __shared__ uint32_t met_by[kSubTiles][kWords];
    __shared__ uint32_t most;
    const int tile = int(blockIdx.x), pixel = int(threadIdx.x), warp = pixel / kWarp, lane = pixel % kWarp;
    const int x0 = tile % a.tiles_x * kTile, y0 = tile / a.tiles_x * kTile;
    const int column = x0 + pixel_column(pixel), row_of_image = y0 + pixel_row(pixel);
    const bool inside = column < a.width && row_of_image < a.height;
    const float middle_x = float(x0 + kTile / 2), middle_y = float(y0 + kTile / 2);
    const float x = centre(pixel_column(pixel)), y = centre(pixel_row(pixel));
    const float ray_x = G ? a.rays.x(x + middle_x) : 0.f, ray_y = G ? a.rays.y(y + middle_y) : 0.f;
    const uint32_t begin = a.tile_begin[tile], end = a.tile_begin[tile + 1];
    if (pixel == 0) most = 0;  // the barriers below are between this and its use

    Gathered<G> to{};
    to.T = inside ? 1.f : 0.f;
    uint32_t last = 0;  // or, counting, how many counted
    uint32_t id = begin + pixel < end ? a.pair_splat[a.list[begin + pixel]] : 0;
    uint32_t first = begin;
    // The count is also the barrier after which the batch before may be overwritten.
    while (__syncthreads_count(to.T >= kTransmittanceMin) && first < end) {
        const bool mine = first + pixel < end;
        const Row row = load_row(a.rows, id, staging[warp]);
        uint32_t met = 0;
        if (mine) met = sub_tiles_met(row, float(x0), float(y0), row.p == 0.f ? K::kGrow : 0.f);
        for (int s = 0; s < kSubTiles; ++s) {
            const uint32_t bits = __ballot_sync(kAllLanes, met >> s & 1u);
            if (lane == s) met_by[s][warp] = bits;
        }
        if (met) splats[pixel].splat = K::load(row, middle_x, middle_y, a.strips);
        if (G) ids[pixel] = id;
        // the next batch's id, whose two loads wait on each other
        const uint32_t next = first + kBatch + pixel;
        id = next < end ? a.pair_splat[a.list[next]] : 0;
        __syncthreads();

        const int words = int((min(uint32_t(kBatch), end - first) + kWarp - 1) / kWarp);
        for (int word = 0; word < words; ++word) {
            if (!__any_sync(kAllLanes, to.T >= kTransmittanceMin)) break;
            const uint32_t place = first - begin + uint32_t(word * kWarp);
            if (kUse == Use::keep && word % kWordsInBucket == 0 && place > 0)
                keep_state<G>(a, to, begin, place / kBucket);
            for (uint32_t bits = met_by[warp][word]; bits; bits &= bits - 1) {
                const int bit = __ffs(int(bits)) - 1, i = word * kWarp + bit;
                const typename K::Splat splat = splats[i].splat;
                const bool counts = blend_splat<K, G>(to, splat, x, y, ray_x, ray_y, a.whitening, G ? ids[i] : 0);
                if (kUse == Use::keep && counts) last = place + uint32_t(bit) + 1;
                if (kUse == Use::count) last += counts;
            }
        }
        first += kBatch;
    }
    if constexpr (kUse == Use::count) {
        for (int step = kWarp / 2; step > 0; step /= 2) last += __shfl_xor_sync(kAllLanes, last, step);
        if (lane == 0) atomicAdd(a.useful, (unsigned long long)last);
        return;
    }
    if (inside) write_pixel<G>(a, to, int64_t(row_of_image) * a.width + column);
    if constexpr (kUse == Use::keep) finish_keep(a, last, tile, &most);
}

BlendArguments arguments(Frame& frame, const FrameInput& in) {
    BlendArguments a{};
    a.rows = frame.rows.get(), a.list = frame.list(), a.pair_splat = frame.pair_splat.get();
    a.tile_begin = frame.tile_begin.get(), a.whitening = frame.whitening.get();
    a.rays = ray_grid(in);
    for (int k = 0; k < 3; ++k) a.background[k] = in.background[k];
    a.width = in.width, a.height = in.height, a.tiles_x = frame.tiles_x, a.strips = in.strips;
    return a;
}

template <class K, bool G>
void blend(const Frame& frame, const BlendArguments& a, bool keep, cudaStream_t stream) {
    const dim3 blocks(unsigned(frame.tiles()));
    launch(keep ? blend_tiles<K, G, Use::keep> : blend_tiles<K, G, Use::image>, blocks, dim3(kTilePixels), stream, a);
}

}  // namespace

void stage_blend(Frame& frame, const FrameInput& in, const FrameOutput& out, bool keep, cudaStream_t stream) {
    BlendArguments a = arguments(frame, in);
    a.out = out;
    if (keep) {
        const int64_t states = frame.capacity / kBucket + 1;
        a.states = reinterpret_cast<float4*>(
            frame.states.reserve(frame.memory, states * planes(in.geometry) * kTilePixels * 4));
        a.ends = frame.ends.reserve(frame.memory, frame.tiles() * kTilePixels);
        a.reached = frame.reached.reserve(frame.memory, frame.tiles());
    }
    with_pixel_kernel(in, [&](auto kernel) {
        using K = decltype(kernel);
        if (in.geometry) blend<K, true>(frame, a, keep, stream);
        else blend<K, false>(frame, a, keep, stream);
    });
}

int64_t count_useful(Frame& frame, const FrameInput& in, cudaStream_t stream) {
    BlendArguments a = arguments(frame, in);
    a.useful = reinterpret_cast<unsigned long long*>(frame.scratch.reserve(frame.memory, sizeof(*a.useful)));
    check(cudaMemsetAsync(a.useful, 0, sizeof(*a.useful), stream), "clearing a counter");
    with_pixel_kernel(in, [&](auto kernel) {
        launch(blend_tiles<decltype(kernel), false, Use::count>, dim3(unsigned(frame.tiles())), dim3(kTilePixels),
               stream, a);
    });
    unsigned long long useful = 0;
    check(cudaMemcpyAsync(&useful, a.useful, sizeof(useful), cudaMemcpyDeviceToHost, stream), "reading a counter");
    check(cudaStreamSynchronize(stream), "counting evaluations");
    return int64_t(useful);
}

}  // namespace splat::gpu
