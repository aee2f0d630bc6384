// Finds the __shared__ arrays of all kernels of this module, so that a block cannot read what it has not
// written: they are the module's thread-local memory (cuda.h), which the program's headers describe.
// Elsewhere than on Linux nothing is found, and a block sees what the block before it left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__linux__)
#include <link.h>
#endif

namespace splat::emulate {

constexpr int kPoison = 0xff;  // every float a NaN, every int -1

// For the time of a launch; what else is thread-local in this module is as before afterwards.
class SharedMemory {
  public:
    SharedMemory() {
#if defined(__linux__)
        static __thread volatile char touched;
        touched = char(touched + 1);  // or the memory might not exist yet
        dl_iterate_phdr(&SharedMemory::look_at, this);
        if (begin_) before_.assign(begin_, begin_ + bytes_);
#endif
    }
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;
    ~SharedMemory() {
        if (begin_) std::memcpy(begin_, before_.data(), bytes_);
    }

    void poison() {
        if (begin_) std::memset(begin_, kPoison, bytes_);
    }
    size_t bytes() const { return bytes_; }

  private:
#if defined(__linux__)
    static int look_at(dl_phdr_info* module, size_t, void* data) {
        static const char here = 0;
        auto* found = static_cast<SharedMemory*>(data);
        bool ours = false;
        size_t bytes = 0;
        for (int i = 0; i < module->dlpi_phnum; ++i) {
            const auto& part = module->dlpi_phdr[i];
            const uintptr_t from = module->dlpi_addr + part.p_vaddr, at = reinterpret_cast<uintptr_t>(&here);
            if (part.p_type == PT_LOAD && at >= from && at < from + part.p_memsz) ours = true;
            if (part.p_type == PT_TLS) bytes = part.p_memsz;
        }
        if (ours && module->dlpi_tls_data) {
            found->begin_ = static_cast<char*>(module->dlpi_tls_data);
            found->bytes_ = bytes;
        }
        return ours;
    }
#endif

    char* begin_ = nullptr;
    size_t bytes_ = 0;
    std::vector<char> before_;
};

}  // namespace splat::emulate
