// The CUDA runtime's host functions, on the processor's memory.
//
// A copy to pinned memory arrives only when the host waits for it, so that a read without a wait shows.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "shared.h"

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidDevice = 101,
    cudaErrorNotReady = 600,
};
enum cudaMemcpyKind {
    cudaMemcpyHostToHost,
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaMemcpyDeviceToDevice,
    cudaMemcpyDefault
};
enum cudaDeviceAttr {
    cudaDevAttrMaxSharedMemoryPerBlock = 8,
    cudaDevAttrMultiProcessorCount = 16,
    cudaDevAttrMaxThreadsPerMultiProcessor = 39,
    cudaDevAttrComputeCapabilityMajor = 75,
    cudaDevAttrComputeCapabilityMinor = 76,
};
constexpr unsigned cudaEventDefault = 0, cudaEventBlockingSync = 1, cudaEventDisableTiming = 2;

struct CUstream_st;
using cudaStream_t = CUstream_st*;
struct CUevent_st {
    uint64_t copies = 0;  // queued before it
    bool timed = true;
    std::chrono::steady_clock::time_point time;
};
using cudaEvent_t = CUevent_st*;

namespace splat::emulate {

class Copies {
  public:
    void* pin(size_t bytes) {
        const std::lock_guard<std::mutex> lock(mutex_);
        char* memory = static_cast<char*>(std::malloc(bytes ? bytes : 1));
        if (memory) std::memset(memory, kPoison, bytes), pinned_[memory] = bytes;
        return memory;
    }
    void unpin(void* memory) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto at = pinned_.find(static_cast<char*>(memory));
        if (at == pinned_.end()) return;
        for (Copy& copy : queued_)
            if (copy.to >= at->first && copy.to < at->first + at->second) copy.bytes.clear();
        pinned_.erase(at);
        std::free(memory);
    }
    // Whether the copy waits; else it has to be made now.
    bool queue(void* to, const void* from, size_t bytes) {
        const std::lock_guard<std::mutex> lock(mutex_);
        char* const target = static_cast<char*>(to);
        auto at = pinned_.upper_bound(target);
        if (at == pinned_.begin() || (--at, target >= at->first + at->second)) return false;
        const char* source = static_cast<const char*>(from);
        queued_.push_back({target, std::vector<char>(source, source + bytes)});
        std::memset(to, kPoison, bytes);
        ++count_;
        return true;
    }
    uint64_t count() const { return count_; }
    // All copies up to number `count` arrive.
    void arrive(uint64_t count) {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (; arrived_ < count; ++arrived_) {
            const Copy& copy = queued_[arrived_ - (count_ - queued_.size())];
            if (!copy.bytes.empty()) std::memcpy(copy.to, copy.bytes.data(), copy.bytes.size());
        }
        if (arrived_ == count_) queued_.clear();
    }

  private:
    struct Copy {
        char* to;
        std::vector<char> bytes;
    };
    std::mutex mutex_;
    std::map<char*, size_t> pinned_;
    std::vector<Copy> queued_;  // the last ones, up to number count_
    uint64_t count_ = 0, arrived_ = 0;
};

inline Copies copies;

}  // namespace splat::emulate

inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaPeekAtLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t error) {
    switch (error) {
        case cudaSuccess: return "no error";
        case cudaErrorMemoryAllocation: return "out of memory";
        case cudaErrorInvalidDevice: return "invalid device ordinal";
        case cudaErrorNotReady: return "device not ready";
        default: return "invalid argument";
    }
}

inline cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; }
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
    switch (attribute) {
        case cudaDevAttrMaxSharedMemoryPerBlock: *value = 48 << 10; break;
        case cudaDevAttrMultiProcessorCount: *value = 2; break;
        case cudaDevAttrMaxThreadsPerMultiProcessor: *value = 2048; break;
        case cudaDevAttrComputeCapabilityMajor: *value = 8; break;
        case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
        default: return cudaErrorInvalidValue;
    }
    return cudaSuccess;
}

template <class T>
inline cudaError_t cudaMallocHost(T** memory, size_t bytes) {
    *memory = static_cast<T*>(splat::emulate::copies.pin(bytes));
    return *memory ? cudaSuccess : cudaErrorMemoryAllocation;
}
inline cudaError_t cudaFreeHost(void* memory) { return splat::emulate::copies.unpin(memory), cudaSuccess; }
template <class T>
inline cudaError_t cudaMalloc(T** memory, size_t bytes) {
    *memory = static_cast<T*>(std::aligned_alloc(256, (bytes + 256) / 256 * 256));
    if (*memory) std::memset(static_cast<void*>(*memory), splat::emulate::kPoison, bytes);
    return *memory ? cudaSuccess : cudaErrorMemoryAllocation;
}
inline cudaError_t cudaFree(void* memory) { return std::free(memory), cudaSuccess; }

inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t = nullptr) {
    if (bytes == 0) return cudaSuccess;
    if (!to || !from) return cudaErrorInvalidValue;
    const bool to_host = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDefault;
    if (!to_host || !splat::emulate::copies.queue(to, from, bytes)) std::memmove(to, from, bytes);
    return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t = nullptr) {
    if (bytes == 0) return cudaSuccess;
    if (!to) return cudaErrorInvalidValue;
    std::memset(to, value, bytes);
    return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t) {
    splat::emulate::copies.arrive(splat::emulate::copies.count());
    return cudaSuccess;
}
inline cudaError_t cudaDeviceSynchronize() { return cudaStreamSynchronize(nullptr); }
inline cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
    const cudaError_t error = cudaMemcpyAsync(to, from, bytes, kind);
    return cudaStreamSynchronize(nullptr), error;
}

inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t = nullptr) {
    event->copies = splat::emulate::copies.count();
    event->time = std::chrono::steady_clock::now();
    return cudaSuccess;
}
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
    *event = new CUevent_st;
    (*event)->timed = !(flags & cudaEventDisableTiming);
    return cudaSuccess;
}
inline cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }
inline cudaError_t cudaEventDestroy(cudaEvent_t event) { return delete event, cudaSuccess; }
inline cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    return splat::emulate::copies.arrive(event->copies), cudaSuccess;
}
inline cudaError_t cudaEventQuery(cudaEvent_t event) { return cudaEventSynchronize(event); }
inline cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned = 0) { return cudaSuccess; }
inline cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
    if (!begin->timed || !end->timed) return cudaErrorInvalidValue;
    *milliseconds = std::chrono::duration<float, std::milli>(end->time - begin->time).count();
    return cudaSuccess;
}
