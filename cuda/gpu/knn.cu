// Exact nearest neighbours: a k-d tree, cut at medians by count, so that duplicates and outliers cost
// nothing extra.
//
// Level by level the points are sorted by (node, coordinate along the longest side of the node's box),
// and every node is cut in the middle. So node s of level l holds points floor(n s / 2^l) to
// floor(n (s + 1) / 2^l), and nothing but the boxes has to be stored. Nodes are numbered as in a heap: the
// root is 1, children of i are 2 i and 2 i + 1. A leaf has at most as many points as a warp has lanes; the warp
// searches for all of them together, from their own leaf upwards, in each subtree the nearer child first.
#include <algorithm>

#include "../cpu/knn.h"
#include "../include/splat/scalar.h"
#include "stages.h"

namespace splat::gpu {

namespace {

constexpr int kThreads = 256;
constexpr int kLeaf = kWarp;

struct Box {
    float4 low, high;
};

struct Tree {
    const float* points;    // [count, 3]
    int64_t count;
    int levels;             // the leaves are of this level; the root of level 0
    uint64_t* keys[2];      // [count]
    uint32_t* order[2];     // [count] order[0]: points as the tree has them
    uint32_t *low, *high;   // [nodes, 3] corners of boxes as ordered(), while they are made
    Box* boxes;             // [nodes]
    float4* sorted;         // [count] x, y, z, bits of the point's number
};

SPLAT_HD int64_t begin_of(int64_t count, int level, int64_t node) { return (count * node) >> level; }
SPLAT_HD int64_t node_of(int64_t count, int level, int64_t i) { return (((i + 1) << level) - 1) / count; }

// Bits that sort as the number does, and back.
__device__ __forceinline__ uint32_t ordered(float v) {
    const uint32_t bits = __float_as_uint(v);
    return bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u);
}
__device__ __forceinline__ float unordered(uint32_t bits) {
    return __uint_as_float(bits ^ (bits >> 31 ? 0x80000000u : 0xffffffffu));
}

__global__ void number(Tree tree) {
    const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
    if (i < tree.count) tree.order[0][i] = uint32_t(i);
}

// Corners of the boxes of a level. A warp whose points are all of one node asks once for that node.
__global__ void grow_boxes(Tree tree, int level) {
    const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x, last = tree.count - 1;
    const int64_t at = min(i, last);
    const int64_t node = (int64_t(1) << level) + node_of(tree.count, level, at);
    const int first_of_warp = __shfl_sync(kAllLanes, int(node), 0);
    const bool together = __all_sync(kAllLanes, int(node) == first_of_warp);
    const float* point = tree.points + 3 * int64_t(tree.order[0][at]);
    for (int axis = 0; axis < 3; ++axis) {
        uint32_t low = ordered(point[axis]), high = low;
        if (together)
            for (int step = kWarp / 2; step; step /= 2) {
                low = min(low, __shfl_xor_sync(kAllLanes, low, step));
                high = max(high, __shfl_xor_sync(kAllLanes, high, step));
            }
        if (together && threadIdx.x % kWarp) continue;
        if (tree.low[3 * node + axis] > low) atomicMin(tree.low + 3 * node + axis, low);
        if (tree.high[3 * node + axis] < high) atomicMax(tree.high + 3 * node + axis, high);
    }
}

__global__ void make_keys(Tree tree, int level) {
    const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
    if (i >= tree.count) return;
    const int64_t node = node_of(tree.count, level, i);
    const uint32_t* low = tree.low + 3 * ((int64_t(1) << level) + node);
    const uint32_t* high = tree.high + 3 * ((int64_t(1) << level) + node);
    int axis = 0;
    float longest = -1.f;
    for (int a = 0; a < 3; ++a) {
        const float side = unordered(high[a]) - unordered(low[a]);
        if (side > longest) longest = side, axis = a;
    }
    const float along = tree.points[3 * int64_t(tree.order[0][i]) + axis];
    tree.keys[0][i] = uint64_t(node) << 32 | ordered(along);
}

__global__ void finish(Tree tree, int64_t nodes) {
    const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
    if (i < tree.count) {
        const uint32_t number = tree.order[0][i];
        const float* p = tree.points + 3 * int64_t(number);
        tree.sorted[i] = make_float4(p[0], p[1], p[2], __uint_as_float(number));
    }
    if (i >= 1 && i < nodes) {
        const uint32_t *low = tree.low + 3 * i, *high = tree.high + 3 * i;
        tree.boxes[i] = {make_float4(unordered(low[0]), unordered(low[1]), unordered(low[2]), 0.f),
                         make_float4(unordered(high[0]), unordered(high[1]), unordered(high[2]), 0.f)};
    }
}

// The k smallest squared distances seen, ascending, at the end of K places; those before hold -1.
template <int K>
struct Nearest {
    float distance[K];

    __device__ __forceinline__ explicit Nearest(int k) {
#pragma unroll
        for (int i = 0; i < K; ++i) distance[i] = i < K - k ? -1.f : INFINITY;
    }
    __device__ __forceinline__ float worst() const { return distance[K - 1]; }
    __device__ __forceinline__ void add(float d) {
#pragma unroll
        for (int i = K - 1; i > 0; --i) distance[i] = max_(distance[i - 1], min_(distance[i], d));
        distance[0] = min_(distance[0], d);
    }
    __device__ __forceinline__ float mean(int k) const {
        float sum = 0;
#pragma unroll
        for (int i = 0; i < K; ++i) sum += max_(distance[i], 0.f);
        return sum / float(k);
    }
};

__device__ __forceinline__ float outside(const Box& box, const float4& q) {
    const float x = max_(max_(box.low.x - q.x, q.x - box.high.x), 0.f);
    const float y = max_(max_(box.low.y - q.y, q.y - box.high.y), 0.f);
    const float z = max_(max_(box.low.z - q.z, q.z - box.high.z), 0.f);
    return x * x + y * y + z * z;
}

// A warp's search; every lane with a point of its own, or, past the end of the leaf, with none.
template <int K>
struct Search {
    const Tree& tree;
    float4* points;   // [kLeaf] of the leaf that is looked at, for the warp
    float4 q;
    bool searching;
    Nearest<K> nearest;

    // `self`: the lane's point in that leaf, or -1.
    __device__ __forceinline__ void scan(int64_t leaf, int self) {
        const int64_t begin = begin_of(tree.count, tree.levels, leaf);
        const int lane = threadIdx.x % kWarp, size = int(begin_of(tree.count, tree.levels, leaf + 1) - begin);
        __syncwarp();
        if (lane < size) points[lane] = tree.sorted[begin + lane];
        __syncwarp();
        for (int j = 0; j < size; ++j) {
            const float4 p = points[j];
            const float x = p.x - q.x, y = p.y - q.y, z = p.z - q.z, d = x * x + y * y + z * z;
            if (searching && d < nearest.worst() && j != self) nearest.add(d);
        }
    }

    __device__ __forceinline__ bool wants(uint32_t node) const {
        return searching && outside(tree.boxes[node], q) < nearest.worst();
    }

    // The child that is nearer for most of the lanes that want the node.
    __device__ __forceinline__ uint32_t nearer(uint32_t node, unsigned wanting) const {
        const bool right = outside(tree.boxes[2 * node + 1], q) < outside(tree.boxes[2 * node], q);
        const unsigned votes = __ballot_sync(kAllLanes, right) & wanting;
        return 2 * node + (2 * __popc(votes) > __popc(wanting));
    }

    // All that may matter below node `top` of a level. Bit l of `both`: of a node of level l that the
    // path leads through, the other child was taken too.
    __device__ __forceinline__ void descend(uint32_t top, int level) {
        uint32_t node = top, both = 0;
        for (;;) {
            const unsigned wanting = __ballot_sync(kAllLanes, wants(node));
            if (wanting && level < tree.levels) {
                node = nearer(node, wanting);
                both &= ~(1u << level++);
                continue;
            }
            if (wanting) scan(int64_t(node) - (int64_t(1) << level), -1);
            while (node != top && both >> (level - 1) & 1u) node >>= 1, --level;
            if (node == top) return;
            both |= 1u << (level - 1);
            node ^= 1;
        }
    }
};

template <int K>
__global__ void search(Tree tree, int k, float* out) {
    __shared__ float4 points[kThreads / kWarp][kLeaf];
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    const int64_t leaf = int64_t(blockIdx.x) * (kThreads / kWarp) + warp;
    if (leaf >> tree.levels) return;
    const int64_t begin = begin_of(tree.count, tree.levels, leaf), end = begin_of(tree.count, tree.levels, leaf + 1);
    const bool searching = begin + lane < end;
    const float4 q = tree.sorted[searching ? begin + lane : begin];
    Search<K> s{tree, points[warp], q, searching, Nearest<K>(k)};
    s.scan(leaf, lane);
    uint32_t node = uint32_t((int64_t(1) << tree.levels) + leaf);
    for (int level = tree.levels; level > 0; --level, node >>= 1) s.descend(node ^ 1, level);
    if (searching) out[__float_as_uint(q.w)] = s.nearest.mean(k);
}

void build(Tree& tree, Memory& memory, cudaStream_t stream) {
    const unsigned blocks = blocks_for(tree.count, kThreads);
    size_t bytes = 0;
    const auto sort = [&](void* scratch, int level) {
        cub::DoubleBuffer<uint64_t> keys(tree.keys[0], tree.keys[1]);
        cub::DoubleBuffer<uint32_t> order(tree.order[0], tree.order[1]);
        check(cub::DeviceRadixSort::SortPairs(scratch, bytes, keys, order, tree.count, 0, 32 + level, stream),
              "sorting points");
        tree.keys[0] = keys.Current(), tree.keys[1] = keys.Alternate();
        tree.order[0] = order.Current(), tree.order[1] = order.Alternate();
    };
    sort(nullptr, tree.levels);
    Device<uint8_t> scratch;
    scratch.reserve(memory, int64_t(bytes));
    launch(number, blocks, kThreads, stream, tree);
    for (int level = 0; level < tree.levels; ++level) {
        launch(grow_boxes, blocks, kThreads, stream, tree, level);
        launch(make_keys, blocks, kThreads, stream, tree, level);
        sort(scratch.get(), level);
    }
    launch(grow_boxes, blocks, kThreads, stream, tree, tree.levels);
    const int64_t nodes = int64_t(2) << tree.levels;
    launch(finish, blocks_for(std::max(tree.count, nodes), kThreads), kThreads, stream, tree, nodes);
}

}  // namespace

void knn_mean_squared(Memory& memory, const float* points, int64_t count, int k, float* out, cudaStream_t stream) {
    if (count >= int64_t(1) << 31)
        throw CudaError("neighbours of " + std::to_string(count) + " points: at most 2^31 are possible");
    if (count <= 0) return;
    k = int(std::min<int64_t>(k, count - 1));
    if (k < 1) return check(cudaMemsetAsync(out, 0, sizeof(float), stream), "clearing a distance");
    int levels = 0;
    while (((count - 1) >> levels) >= kLeaf) ++levels;
    const int64_t nodes = int64_t(2) << levels;

    Device<uint64_t> keys[2];
    Device<uint32_t> order[2], corners[2];
    Device<Box> boxes;
    Device<float4> sorted;
    Tree tree{points, count, levels,
              {keys[0].reserve(memory, count), keys[1].reserve(memory, count)},
              {order[0].reserve(memory, count), order[1].reserve(memory, count)},
              corners[0].reserve(memory, 3 * nodes), corners[1].reserve(memory, 3 * nodes),
              boxes.reserve(memory, nodes), sorted.reserve(memory, count)};
    check(cudaMemsetAsync(tree.low, 0xff, size_t(3 * nodes) * sizeof(uint32_t), stream), "clearing boxes");
    check(cudaMemsetAsync(tree.high, 0, size_t(3 * nodes) * sizeof(uint32_t), stream), "clearing boxes");
    build(tree, memory, stream);
    const auto kernel = k <= 4 ? search<4> : k <= 16 ? search<16> : search<kMaxNeighbours>;
    launch(kernel, blocks_for(int64_t(1) << levels, kThreads / kWarp), kThreads, stream, tree, k, out);
}

}  // namespace splat::gpu
