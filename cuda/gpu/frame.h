// What the CUDA driver keeps of one render for its backward. Every pointer is to device memory.
#pragma once

#include <cstdint>
#include <utility>

#include "../frame_io.h"
#include "cuda.h"

namespace splat::gpu {

// Where device memory comes from: the caller's allocator (torch's, from Python), so that one pool
// serves everything and out of memory is its error.
class Memory {
  public:
    virtual ~Memory() = default;
    // At least `bytes` bytes, aligned to 256; throws where there are none.
    virtual void* allocate(size_t bytes) = 0;
    virtual void release(void* memory) = 0;
};

// A device buffer that grows and never shrinks; contents are not initialised, nor kept when it grows.
template <class T>
class Device {
  public:
    Device() = default;
    Device(const Device&) = delete;
    Device& operator=(const Device&) = delete;
    ~Device() { clear(); }

    T* reserve(Memory& memory, int64_t n) {
        if (n > capacity_ || !data_) {
            clear();
            const int64_t wanted = n + n / 8 + 1;
            data_ = static_cast<T*>(memory.allocate(size_t(wanted) * sizeof(T)));
            memory_ = &memory, capacity_ = wanted;
        }
        return data_;
    }
    void clear() {
        if (data_) memory_->release(data_);
        data_ = nullptr, capacity_ = 0;
    }
    void swap(Device& other) {
        std::swap(data_, other.data_), std::swap(capacity_, other.capacity_), std::swap(memory_, other.memory_);
    }
    T* get() const { return data_; }
    int64_t capacity() const { return capacity_; }
    int64_t bytes() const { return capacity_ * int64_t(sizeof(T)); }

  private:
    T* data_ = nullptr;
    int64_t capacity_ = 0;
    Memory* memory_ = nullptr;
};

constexpr int kTilePixels = kTile * kTile;
constexpr int kSplatsPerLane = 2;                        // of the backward pass of the blend
constexpr int kBucket = kWarp * kSplatsPerLane;          // entries of a tile's list between two stored states

struct Counts {       // of one render, on the device; copied to the host
    uint32_t pairs;   // (splat, tile) pairs; more than Frame::capacity: the render has to be done again
    uint32_t visible;
};

// Host memory that the device copies to, and the event that says it has.
class Pinned {
  public:
    Pinned() = default;
    Pinned(const Pinned&) = delete;
    Pinned& operator=(const Pinned&) = delete;
    ~Pinned() {
        if (counts_) cudaFreeHost(counts_);
        if (event_) cudaEventDestroy(event_);
    }

    void copy(const Counts* from, cudaStream_t stream) {
        if (!counts_) check(cudaMallocHost(reinterpret_cast<void**>(&counts_), sizeof(Counts)), "pinned memory");
        if (!event_) check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "creating a CUDA event");
        check(cudaMemcpyAsync(counts_, from, sizeof(Counts), cudaMemcpyDeviceToHost, stream), "reading the pair count");
        check(cudaEventRecord(event_, stream), "recording a CUDA event");
    }
    Counts wait() const {
        check(cudaEventSynchronize(event_), "rendering");
        return *counts_;
    }

  private:
    Counts* counts_ = nullptr;
    cudaEvent_t event_ = nullptr;
};

// A pair is a (splat, tile) that may meet; its number p is its place in splat-major order: splats front
// to back (ties: lower id first), a splat's tiles row by row. So a splat's pairs are neighbours, and
// what the backward pass finds for each can be added up in a fixed order.
struct Frame {
    explicit Frame(Memory& m) : memory(m) {}

    Memory& memory;
    bool deterministic = true;         // gradients of pairs to slots of their own; else added up by atomics
    bool timed = false;                // measure the stages; then every call waits for the device
    static constexpr int kStages = 6;
    double seconds[kStages] = {};      // of the last call: project, sort, bin, blend, blend backward, project backward
    int tiles_x = 0, tiles_y = 0;
    int64_t capacity = 0;              // pairs that the buffers below hold
    Counts counts{};                   // of the last render
    Pinned counts_on_host;             // the same, while it is on its way

    Device<Row> rows;                  // [N]; only of visible splats. slot: its first pair
    Device<float> whitening;           // [N, 12], geometry only: m row by row, p (geometry.h)
    Device<uint32_t> tile_counts;      // [N] tiles that a splat meets, 0 where it is not visible
    Device<uint32_t> depth_keys[2], order[2];  // [N] sort by depth; order[0]: ids front to back, then the rest
    Device<uint32_t> first_pair;       // [N + 1] by place in order[0]: exclusive sum of tile_counts
    Device<uint32_t> pair_splat;       // [capacity] splat of pair p
    Device<uint32_t> tile_keys[2];     // [capacity] tile of a pair, in 16 bits where they suffice (bin.cu)
    Device<uint32_t> lists[2];         // [capacity] lists[0]: pairs by tile, front to back
    Device<uint32_t> tile_begin;       // [tiles + 1] into lists[0]
    Device<uint32_t> bucket_begin;     // [tiles + 1] buckets of kBucket entries: ceil(entries / kBucket) a tile
    Device<uint32_t> bucket_tile;      // [buckets] tile of a bucket
    Device<float> states;              // where buckets begin, but each tile's first (blend.h)
    Device<uint32_t> ends;             // [tiles, kTilePixels] buckets up to the last that counted (blend.h)
    Device<uint32_t> reached;          // [tiles] buckets of a tile up to the last that counted
    Device<float> sums;                // [capacity, kSums] (deterministic) or [N, kSums]
    Device<float> geometry_sums;       // the same with kGeometrySums; geometry only
    Device<float4> color_gradients;    // [N] of the colours before their clamp at 0
    Device<float> pose_sums;           // [blocks, 16]
    Device<unsigned long long> totals; // [2] pairs and visible splats, while they add up
    Device<Counts> device_counts;      // [1]
    Device<uint8_t> scratch;           // CUB's

    int64_t tiles() const { return int64_t(tiles_x) * tiles_y; }
    int64_t most_buckets() const { return capacity / kBucket + tiles(); }
    const uint32_t* front_to_back() const { return order[0].get(); }
    const uint32_t* list() const { return lists[0].get(); }
};

}  // namespace splat::gpu
