// Stages 2 and 3: sort by depth, then list the splats of every tile, front to back.
//
// Splats are sorted once by depth; then each writes its (splat, tile) pairs, and a stable sort by tile alone
// gives every tile its list in that order. The second sort moves 6 bytes a pair in two passes (13 bits for a
// picture of 1920 x 1080), where a sort by (tile, depth) would take 12 bytes and six.
#include "blend_load.h"
#include "stages.h"
#include "tile_walk.h"

namespace splat::gpu {

namespace {

constexpr int kThreads = 128;

// get(0), get(1), ... as an input of CUB's.
template <class Get>
struct Sequence {
    using iterator_category = std::random_access_iterator_tag;
    using value_type = uint32_t;
    using difference_type = int64_t;
    using pointer = const uint32_t*;
    using reference = uint32_t;

    Get get;
    int64_t at;

    SPLAT_HD uint32_t operator*() const { return get(at); }
    SPLAT_HD uint32_t operator[](int64_t i) const { return get(at + i); }
    SPLAT_HD Sequence operator+(int64_t i) const { return {get, at + i}; }
};

// Tiles of the splat at a place front to back; past the last place none.
struct CountAtPlace {
    const uint32_t *order, *counts;
    int64_t n;
    SPLAT_HD uint32_t operator()(int64_t k) const { return k < n ? counts[order[k]] : 0u; }
};

struct BucketsOfTile {
    const uint32_t* begin;
    int64_t tiles;
    SPLAT_HD uint32_t operator()(int64_t t) const {
        return t < tiles ? (begin[t + 1] - begin[t] + (kBucket - 1)) / kBucket : 0u;
    }
};

// to[i] = get(0) + ... + get(i - 1) for i = 0 .. n - 1
template <class Get>
void sum_before(Frame& frame, Get get, uint32_t* to, int64_t n, cudaStream_t stream) {
    const Sequence<Get> from{get, 0};
    size_t bytes = 0;
    check(cub::DeviceScan::ExclusiveSum(nullptr, bytes, from, to, uint32_t(n), stream), "preparing a sum");
    void* const scratch = frame.scratch.reserve(frame.memory, int64_t(bytes));
    check(cub::DeviceScan::ExclusiveSum(scratch, bytes, from, to, uint32_t(n), stream), "summing");
}

// Keys of a type in a buffer of words.
template <class Key>
Key* reserve_keys(Frame& frame, Device<uint32_t>& keys, int64_t n) {
    const int64_t in_word = sizeof(uint32_t) / sizeof(Key);
    return reinterpret_cast<Key*>(keys.reserve(frame.memory, (n + in_word - 1) / in_word));
}

// Sorts values[0] (stable) by the low `bits` bits of keys[0]; [1] are room to do it in.
template <class Key>
void sort_pairs(Frame& frame, Device<uint32_t> (&keys)[2], Device<uint32_t> (&values)[2], int64_t n, int bits,
                cudaStream_t stream) {
    cub::DoubleBuffer<Key> k(reinterpret_cast<Key*>(keys[0].get()), reserve_keys<Key>(frame, keys[1], n));
    cub::DoubleBuffer<uint32_t> v(values[0].get(), values[1].reserve(frame.memory, n));
    size_t bytes = 0;
    check(cub::DeviceRadixSort::SortPairs(nullptr, bytes, k, v, uint32_t(n), 0, bits, stream), "preparing a sort");
    void* const scratch = frame.scratch.reserve(frame.memory, int64_t(bytes));
    check(cub::DeviceRadixSort::SortPairs(scratch, bytes, k, v, uint32_t(n), 0, bits, stream), "sorting");
    if (k.selector) keys[0].swap(keys[1]);
    if (v.selector) values[0].swap(values[1]);
}

// The sum of the counts wraps in 32 bits; this one says when it did.
__global__ void finish_counts(const unsigned long long* totals, Counts* counts) {
    const unsigned long long pairs = totals[0];
    counts->pairs = pairs > 0xffffffffull ? 0xffffffffu : uint32_t(pairs);
    counts->visible = uint32_t(totals[1]);
}

template <class Key>
struct ListArguments {
    Row* rows;
    const uint32_t *order, *first_pair;
    uint32_t* pair_splat;
    Key* tile_keys;
    int64_t splats, capacity;
    uint32_t tiles_x;
    float grow;
};

// A thread has the splat at a place front to back; the warp lists all of its pairs, which are neighbours.
template <class Key>
__global__ void __launch_bounds__(kThreads) list_pairs(ListArguments<Key> a) {
    __shared__ Staging staging[kThreads / kWarp];
    const int lane = int(threadIdx.x) % kWarp;
    const int64_t place = int64_t(blockIdx.x) * kThreads + threadIdx.x;
    const bool there = place < a.splats;
    const uint32_t first = there ? a.first_pair[place] : 0u;
    const bool some = there && a.first_pair[place + 1] != first;
    const unsigned have = __ballot_sync(kAllLanes, some);
    if (!have) return;
    const uint32_t id = some ? a.order[place] : 0u;
    const Row row = load_row(a.rows, id, staging[threadIdx.x / kWarp]);
    if (some) a.rows[id].slot = first;
    uint32_t next = __shfl_sync(kAllLanes, first, __ffs(int(have)) - 1);
    over_tiles(row, some, a.grow, [&](const TileStep& step) {
        const uint32_t splat = __shfl_sync(kAllLanes, id, step.owner);
        const uint32_t pair = next + __popc(step.met & ((1u << lane) - 1u));
        if ((step.met >> lane & 1u) && pair < a.capacity) {
            a.pair_splat[pair] = splat;
            a.tile_keys[pair] = Key(step.tile_y * a.tiles_x + step.tile_x);
        }
        next += __popc(step.met);
    });
}

// Numbers of pairs, to be sorted; past the last pair the tile after all others.
template <class Key>
__global__ void number_pairs(const Counts* counts, uint32_t* pairs, Key* tile_keys, uint32_t capacity) {
    const uint32_t p = blockIdx.x * blockDim.x + threadIdx.x;
    if (p >= capacity) return;
    pairs[p] = p;
    if (p >= counts->pairs) tile_keys[p] = Key(~0u);
}

// Where each tile's list begins in the sorted keys; a search each, so that empty tiles are like others.
template <class Key>
__global__ void find_tiles(const Counts* counts, const Key* tile_keys, uint32_t capacity, uint32_t tiles,
                           uint32_t* tile_begin) {
    const uint32_t tile = blockIdx.x * blockDim.x + threadIdx.x;
    if (tile > tiles) return;
    uint32_t low = 0, high = min(counts->pairs, capacity);
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (__ldg(tile_keys + middle) < tile) low = middle + 1;
        else high = middle;
    }
    tile_begin[tile] = low;
}

// A warp names a tile's buckets.
__global__ void name_buckets(const uint32_t* bucket_begin, uint32_t tiles, uint32_t* bucket_tile) {
    const uint32_t tile = (blockIdx.x * blockDim.x + threadIdx.x) / kWarp;
    if (tile >= tiles) return;
    const uint32_t end = bucket_begin[tile + 1];
    for (uint32_t b = bucket_begin[tile] + threadIdx.x % kWarp; b < end; b += kWarp) bucket_tile[b] = tile;
}

int bits_of(int64_t v) {
    int bits = 0;
    while (v >> bits) ++bits;
    return bits;
}

// The pairs, sorted by tile, and where each tile's begin.
template <class Key>
void list_tiles(Frame& frame, const FrameInput& in, uint32_t* tile_begin, cudaStream_t stream) {
    const int64_t capacity = frame.capacity, tiles = frame.tiles();
    Key* const keys = reserve_keys<Key>(frame, frame.tile_keys[0], capacity);
    uint32_t* const pairs = frame.lists[0].reserve(frame.memory, capacity);
    const ListArguments<Key> list{frame.rows.get(), frame.front_to_back(), frame.first_pair.get(),
                                  frame.pair_splat.reserve(frame.memory, capacity), keys, in.count, capacity,
                                  uint32_t(frame.tiles_x), pixel_grow(in)};
    const Counts* const counts = frame.device_counts.get();
    launch(number_pairs<Key>, blocks_for(capacity, 256), 256, stream, counts, pairs, keys, capacity);
    launch(list_pairs<Key>, blocks_for(in.count, kThreads), kThreads, stream, list);
    sort_pairs<Key>(frame, frame.tile_keys, frame.lists, capacity, bits_of(tiles), stream);
    launch(find_tiles<Key>, blocks_for(tiles + 1, 64), 64, stream, counts,
           reinterpret_cast<const Key*>(frame.tile_keys[0].get()), capacity, tiles, tile_begin);
}

}  // namespace

void stage_order(Frame& frame, const FrameInput& in, cudaStream_t stream) {
    const int64_t n = in.count;
    if (n) sort_pairs<uint32_t>(frame, frame.depth_keys, frame.order, n, 32, stream);
    uint32_t* const first = frame.first_pair.reserve(frame.memory, n + 1);
    sum_before(frame, CountAtPlace{frame.front_to_back(), frame.tile_counts.get(), n}, first, n + 1, stream);
    launch(finish_counts, 1, 1, stream, frame.totals.get(), frame.device_counts.reserve(frame.memory, 1));
}

void stage_bin(Frame& frame, const FrameInput& in, cudaStream_t stream) {
    const int64_t tiles = frame.tiles();
    uint32_t* const begin = frame.tile_begin.reserve(frame.memory, tiles + 1);
    uint32_t* const buckets = frame.bucket_begin.reserve(frame.memory, tiles + 1);
    if (tiles <= 0xffff) list_tiles<uint16_t>(frame, in, begin, stream);
    else list_tiles<uint32_t>(frame, in, begin, stream);
    sum_before(frame, BucketsOfTile{begin, tiles}, buckets, tiles + 1, stream);
    launch(name_buckets, blocks_for(tiles * kWarp, 256), 256, stream, buckets, tiles,
           frame.bucket_tile.reserve(frame.memory, frame.most_buckets()));
}

}  // namespace splat::gpu
