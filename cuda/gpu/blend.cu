// Stage 4: blend the tiles, front to back.
//
// A block is a tile and a thread a pixel; a warp has 8x4 pixels (blend.h). The tile's list comes through
// shared memory 256 entries at a time, each thread bringing one: it makes the splat relative to the
// tile's middle and tests it against the eight sub-tiles; a ballot turns the tests into bits by
// sub-tile. Each warp makes a list of its own from its bits, 64 entries at a time, and goes over that: of
// a tile's splats a sub-tile of 8x4 meets about three in eight, so most of the others cost nothing. (A
// list in shared memory and not a loop over bits: finding a bit is as slow as an exponential.) A
// warp whose pixels are finished leaves the batch; the block ends when all have.
//
// What is kept for the backward pass, which goes over a tile's list in buckets that know nothing of each
// other: every 64 entries, 16 bytes a pixel, which is 4 KiB a bucket or 64 bytes for each (splat, tile)
// pair. Buckets of 32 would need twice that memory and traffic. A tile's first bucket needs nothing.
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

constexpr int kBatch = kTilePixels, kWords = kBatch / kWarp, kWordsInBucket = kBucket / kWarp;
static_assert(kBucket % kWarp == 0 && kBatch % kBucket == 0, "buckets begin where words of bits do");

// A splat in shared memory, read 16 bytes at a time.
template <class Splat>
struct alignas(16) Held {
    Splat splat;
    uint32_t id;
};

// A warp's 32 splats of the batch; they take the place of the rows that they are made of.
template <class Splat>
union Room {
    Staging staging;
    Held<Splat> splats[kWarp];

    static_assert(sizeof(Held<Splat>) % 16 == 0 && sizeof(Staging) % 16 == 0, "addresses in units of 16 bytes");
    // Where the splat of a lane of a warp is, from the first room on, in units of 16 bytes.
    __device__ static uint16_t address(int warp, int lane) {
        return uint16_t((warp * int(sizeof(Room)) + lane * int(sizeof(Held<Splat>))) / 16);
    }
    __device__ static const Held<Splat>& at(const Room* rooms, uint16_t address) {
        return *reinterpret_cast<const Held<Splat>*>(reinterpret_cast<const float4*>(rooms) + address);
    }
};

// Blocks on a multiprocessor, for which the compiler has to find registers.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr int kBlendBlocks = 3, kGeometryBlocks = 2;
#else
constexpr int kBlendBlocks = 5, kGeometryBlocks = 3;
#endif

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

__device__ inline bool in_image(const BlendArguments& a, int x0, int y0, int pixel) {
    return x0 + pixel_column(pixel) < a.width && y0 + pixel_row(pixel) < a.height;
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

// The splats of the bucket of words at `bits` whose bits are set: their addresses, in order. Returns how
// many.
template <class Splat>
__device__ inline int list_splats(const uint32_t* bits, int first_word, uint16_t* addresses) {
    const int lane = int(threadIdx.x) % kWarp;
    int n = 0;
    __syncwarp();  // the list before this one has been read
    for (int k = first_word; k < first_word + kWordsInBucket; ++k) {
        const uint32_t word = bits[k];
        if (word >> lane & 1u) addresses[n + __popc(word & ((1u << lane) - 1u))] = Room<Splat>::address(k, lane);
        n += __popc(word);
    }
    __syncwarp();
    return n;
}

__device__ inline void write_ends(const BlendArguments& a, uint32_t buckets, int tile, uint32_t* most) {
    a.ends[int64_t(tile) * kTilePixels + threadIdx.x] = buckets;
    for (int step = kWarp / 2; step > 0; step /= 2) buckets = max(buckets, __shfl_xor_sync(kAllLanes, buckets, step));
    if (threadIdx.x % kWarp == 0) atomicMax(most, buckets);
    __syncthreads();
    if (threadIdx.x == 0) a.reached[tile] = *most;
}

__device__ inline void add_useful(unsigned long long* total, uint32_t useful) {
    for (int step = kWarp / 2; step > 0; step /= 2) useful += __shfl_xor_sync(kAllLanes, useful, step);
    if (threadIdx.x % kWarp == 0) atomicAdd(total, (unsigned long long)useful);
}

template <class K, bool G, Use kUse>
__global__ void __launch_bounds__(kTilePixels, G ? kGeometryBlocks : kBlendBlocks)
    blend_tiles(BlendArguments a) {
    using Splat = typename K::Splat;
    __shared__ Room<Splat> rooms[kWords];
    __shared__ uint32_t met_by[kSubTiles][kWords];
    __shared__ uint16_t lists[kSubTiles][kBucket];
    __shared__ uint32_t most;
    const int tile = int(blockIdx.x), pixel = int(threadIdx.x), warp = pixel / kWarp, lane = pixel % kWarp;
    const int x0 = tile % a.tiles_x * kTile, y0 = tile / a.tiles_x * kTile;
    const float middle_x = float(x0 + kTile / 2), middle_y = float(y0 + kTile / 2);
    const float x = centre(pixel_column(pixel)), y = centre(pixel_row(pixel));
    const float ray_x = G ? a.rays.x(x + middle_x) : 0.f, ray_y = G ? a.rays.y(y + middle_y) : 0.f;
    const uint32_t begin = a.tile_begin[tile], end = a.tile_begin[tile + 1];
    if (pixel == 0) most = 0;  // barriers come before its use

    Gathered<G> to{};
    to.T = in_image(a, x0, y0, pixel) ? 1.f : 0.f;
    uint32_t buckets = 0;  // up to the last in which something counted
    uint32_t useful = 0;
    uint32_t id = begin + pixel < end ? a.pair_splat[a.list[begin + pixel]] : 0;
    uint32_t first = begin;
    // The count is also the barrier after which the batch before may be overwritten.
    while (__syncthreads_count(to.T >= kTransmittanceMin) && first < end) {
        const Row row = load_row(a.rows, id, rooms[warp].staging);
        uint32_t met = 0;
        if (first + pixel < end) met = sub_tiles_met(row, float(x0), float(y0), row.p == 0.f ? K::kGrow : 0.f);
        for (int s = 0; s < kSubTiles; ++s) {
            const uint32_t bits = __ballot_sync(kAllLanes, met >> s & 1u);
            if (lane == s) met_by[s][warp] = bits;
        }
        __syncwarp();  // everybody has its row
        if (met) rooms[warp].splats[lane] = {K::load(row, middle_x, middle_y, a.strips), id};
        // the next batch's id, whose two loads wait on each other
        const uint32_t next = first + kBatch + pixel;
        id = next < end ? a.pair_splat[a.list[next]] : 0;
        __syncthreads();

        const int words = int((min(uint32_t(kBatch), end - first) + kWarp - 1) / kWarp);
        for (int word = 0; word < words; word += kWordsInBucket) {
            if (!__any_sync(kAllLanes, to.T >= kTransmittanceMin)) break;
            const uint32_t bucket = (first - begin + uint32_t(word * kWarp)) / kBucket;
            if (kUse == Use::keep && bucket > 0) keep_state<G>(a, to, begin, bucket);
            const float before = to.T;
            const int n = list_splats<Splat>(met_by[warp], word, lists[warp]);
            SPLAT_UNROLL(4)
            for (int k = 0; k < n; ++k) {
                const Held<Splat> held = Room<Splat>::at(rooms, lists[warp][k]);
                const bool counts = blend_splat<K, G>(to, held.splat, x, y, ray_x, ray_y, a.whitening, held.id);
                if (kUse == Use::count) useful += counts;
            }
            if (to.T < before) buckets = bucket + 1;
        }
        first += kBatch;
    }
    if constexpr (kUse == Use::count) return add_useful(a.useful, useful);
    if (in_image(a, x0, y0, pixel))
        write_pixel<G>(a, to, int64_t(y0 + pixel_row(pixel)) * a.width + x0 + pixel_column(pixel));
    if constexpr (kUse == Use::keep) write_ends(a, buckets, tile, &most);
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
