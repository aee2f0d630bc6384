// What the processor driver keeps of one render for its backward.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <new>

#include "../frame_io.h"

namespace splat {

// A buffer that grows and never shrinks; contents are not initialised. 64-byte aligned.
template <class T>
class Buffer {
  public:
    T* reserve(int64_t n) {
        if (n > capacity_) {
            data_.reset();
            capacity_ = 0;
            const int64_t wanted = n + n / 4;
            const size_t bytes = (size_t(wanted) * sizeof(T) + 63) / 64 * 64;
            void* p = std::aligned_alloc(64, bytes ? bytes : 64);
            if (!p) throw std::bad_alloc();
            data_.reset(static_cast<T*>(p));
            capacity_ = wanted;
        }
        return data_.get();
    }
    T* get() const { return data_.get(); }
    T& operator[](int64_t i) const { return data_.get()[i]; }
    int64_t bytes() const { return capacity_ * int64_t(sizeof(T)); }

  private:
    struct Free {
        void operator()(T* p) const { std::free(p); }
    };
    std::unique_ptr<T[], Free> data_;
    int64_t capacity_ = 0;
};

// Writes the wall time of its scope; with -DSPLAT_CPU_TIMER the calling process's CPU time, which
// says more on a busy machine (with one thread).
class StageTimer {
  public:
    explicit StageTimer(double& seconds) : seconds_(seconds), begin_(now()) {}
    ~StageTimer() { seconds_ = now() - begin_; }

  private:
    static double now() {
#ifdef SPLAT_CPU_TIMER
        timespec t;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
#else
        return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
#endif
    }
    double& seconds_;
    double begin_;
};

constexpr int kBlocks = 16;     // 4x4-pixel blocks in a tile
constexpr int kChunk = 1024;    // Gaussians per task
constexpr uint32_t kMostSlots = 0xffff0000u;  // leaves room to step past the end in 32 bits

struct DepthKey {
    uint32_t key, id;  // depths are positive: their bits order like they do
};

struct Frame {
    // wall seconds of the last call's stages: project, sort, bin, blend, blend backward, project
    // backward
    static constexpr int kStages = 6;
    double seconds[kStages] = {};

    int tiles_x = 0, tiles_y = 0, strips = 1;
    int64_t visible = 0, intersections = 0, slots = 0, hits = 0;

    Buffer<Row> rows;                  // [N]
    Buffer<float> whitening;           // [N, 12] geometry only
    Buffer<float> strip;               // [N, 8] of splats with p = 0, Filter::exact only
    Buffer<uint32_t> ids;              // visible Gaussians, ascending
    Buffer<uint32_t> found, found_keys;  // of each chunk, at its first Gaussian: ids and keys of the visible
    Buffer<DepthKey> keys, keys_other;   // of the visible
    Buffer<uint32_t> order;              // visible Gaussians by depth
    Buffer<uint32_t> histogram;
    Buffer<int32_t> chunk_count;       // visible per chunk
    Buffer<int64_t> chunk_slots;       // slots before each chunk; Row::slot counts from there
    Buffer<uint32_t> chunk_keys;       // least and largest key of each chunk
    uint32_t least_key = 0, most_key = 0;  // of all
    Buffer<uint32_t> tile_count;       // [segments, (tiles_y + 1) (tiles_x + 1)]
    Buffer<uint32_t> tile_begin;       // [tiles + 1]
    Buffer<uint32_t> lists;            // Gaussians per tile, front to back
    Buffer<uint8_t> masks;             // per entry of lists: a Hits (block.h), the vectors that it changed
    Buffer<uint32_t> tile_hits;        // entries kept per tile
    Buffer<float> sums;                // [slots, kSums]
    Buffer<float> geometry_sums;       // [slots, kGeometrySums]
    Buffer<uint8_t> touched;           // [slots]
    Buffer<float> pose_sums;           // [chunks, 16]
    Buffer<uint8_t> tile_scratch;

    // First slot of a splat.
    int64_t slot_of(uint32_t id, const Row& row) const { return chunk_slots[id / kChunk] + row.slot; }

    int64_t bytes() const {
        return rows.bytes() + whitening.bytes() + strip.bytes() + ids.bytes() + found.bytes() * 2 + keys.bytes() * 2 +
               order.bytes() + tile_count.bytes() +
               lists.bytes() + masks.bytes() + sums.bytes() + geometry_sums.bytes() + touched.bytes();
    }
};

}  // namespace splat
