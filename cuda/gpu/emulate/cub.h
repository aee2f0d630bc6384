// The parts of CUB that the driver uses, with CUB's signatures. Scratch memory and the buffer that does not
// hold the result are overwritten: on the device nothing is promised of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <type_traits>
#include <vector>

#include "block.h"
#include "runtime.h"

namespace cub {

template <class T>
struct DoubleBuffer {
    T* d_buffers[2];
    int selector = 0;

    DoubleBuffer() : d_buffers{nullptr, nullptr} {}
    DoubleBuffer(T* current, T* alternate) : d_buffers{current, alternate} {}
    T* Current() const { return d_buffers[selector]; }
    T* Alternate() const { return d_buffers[selector ^ 1]; }
};

}  // namespace cub

namespace splat::emulate {

// Asked without scratch memory, says how much is needed; true where the work has to be done.
inline bool has_scratch(void* scratch, size_t& bytes, int64_t count) {
    const size_t needed = 256 + size_t(count > 0 ? count : 0) * 4;
    if (!scratch) return bytes = needed, false;
    if (bytes < needed) throw KernelError("CUB was given less scratch memory than it asked for");
    std::memset(scratch, kPoison, needed);
    return true;
}

template <class T>
inline void poison(T* at, int64_t count) {
    std::memset(static_cast<void*>(at), kPoison, size_t(count) * sizeof(T));
}

// Stable, by the bits from `begin` to before `end`.
template <class K, class V>
void sort_pairs(const K* keys, K* keys_out, const V* values, V* values_out, int64_t count, int begin, int end) {
    static_assert(std::is_unsigned_v<K>, "the driver sorts unsigned keys");
    if (begin < 0 || end > int(8 * sizeof(K)) || begin > end) throw KernelError("CUB sorts bits that keys do not have");
    const int bits = end - begin;
    const K mask = bits == int(8 * sizeof(K)) ? K(~K(0)) : K((K(1) << bits) - 1);
    std::vector<int64_t> order(static_cast<size_t>(count));
    std::iota(order.begin(), order.end(), int64_t(0));
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        return bits && ((keys[a] >> begin) & mask) < ((keys[b] >> begin) & mask);
    });
    const std::vector<K> k(keys, keys + count);
    const std::vector<V> v(values, values + count);
    for (int64_t i = 0; i < count; ++i) keys_out[i] = k[size_t(order[i])], values_out[i] = v[size_t(order[i])];
}

}  // namespace splat::emulate

namespace cub {

struct DeviceRadixSort {
    template <class K, class V, class N>
    static cudaError_t SortPairs(void* scratch, size_t& bytes, const K* keys, K* keys_out, const V* values,
                                 V* values_out, N count, int begin = 0, int end = 8 * sizeof(K), cudaStream_t = nullptr) {
        if (!splat::emulate::has_scratch(scratch, bytes, int64_t(count))) return cudaSuccess;
        if (count && (keys == keys_out || values == values_out))
            throw splat::emulate::KernelError("CUB does not sort in place");
        splat::emulate::sort_pairs(keys, keys_out, values, values_out, int64_t(count), begin, end);
        return cudaSuccess;
    }

    // Where the result ends up is for .Current() to say.
    template <class K, class V, class N>
    static cudaError_t SortPairs(void* scratch, size_t& bytes, DoubleBuffer<K>& keys, DoubleBuffer<V>& values, N count,
                                 int begin = 0, int end = 8 * sizeof(K), cudaStream_t = nullptr) {
        if (!splat::emulate::has_scratch(scratch, bytes, int64_t(count))) return cudaSuccess;
        const int moved = splat::emulate::machine.schedule.coin();
        K* const key_target = keys.d_buffers[keys.selector ^ moved];
        V* const value_target = values.d_buffers[values.selector ^ moved];
        splat::emulate::sort_pairs(keys.Current(), key_target, values.Current(), value_target, int64_t(count), begin, end);
        keys.selector ^= moved, values.selector ^= moved;
        splat::emulate::poison(keys.Alternate(), int64_t(count));
        splat::emulate::poison(values.Alternate(), int64_t(count));
        return cudaSuccess;
    }
};

struct DeviceScan {
    template <class In, class Out, class N>
    static cudaError_t ExclusiveSum(void* scratch, size_t& bytes, In in, Out out, N count, cudaStream_t = nullptr) {
        if (!splat::emulate::has_scratch(scratch, bytes, int64_t(count))) return cudaSuccess;
        std::decay_t<decltype(in[0])> sum{};
        for (int64_t i = 0; i < int64_t(count); ++i) {
            const auto value = in[i];
            out[i] = sum;
            sum += value;
        }
        return cudaSuccess;
    }
    template <class In, class Out, class N>
    static cudaError_t InclusiveSum(void* scratch, size_t& bytes, In in, Out out, N count, cudaStream_t = nullptr) {
        if (!splat::emulate::has_scratch(scratch, bytes, int64_t(count))) return cudaSuccess;
        std::decay_t<decltype(in[0])> sum{};
        for (int64_t i = 0; i < int64_t(count); ++i) sum += in[i], out[i] = sum;
        return cudaSuccess;
    }
};

}  // namespace cub
