// A thread's working memory: grows, is reused, never shrinks while the thread lives. No standard
// containers here: their templates must not be compiled for an instruction set (see config.h).
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#include "../include/splat/config.h"

SPLAT_BEGIN

class Scratch {
  public:
    Scratch() = default;
    Scratch(const Scratch&) = delete;
    ~Scratch() { std::free(memory_); }

    // `floats` floats, aligned to 64 bytes, all zero when grown, else as the last user left them.
    float* get(int64_t floats) {
        if (floats > size_) {
            std::free(memory_);
            size_ = 0;
            memory_ = std::malloc(size_t(floats) * sizeof(float) + 64);
            if (!memory_) throw std::bad_alloc();
            size_ = floats;
            std::memset(memory_, 0, size_t(floats) * sizeof(float) + 64);
        }
        return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(memory_) + 63) & ~uintptr_t(63));
    }

  private:
    void* memory_ = nullptr;
    int64_t size_ = 0;
};

SPLAT_END
