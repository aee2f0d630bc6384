// Finds the __shared__ arrays of all kernels of this module, so that a block cannot read what it has not
// written: they are the module's thread-local memory (cuda.h), which the program's headers describe.
// Elsewhere than on Linux nothing is found, and a block sees what the block before it left.
#pragma once

#include <algorithm>
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

    // Before a block. The arrays of all kernels are far more than one block touches: only what blocks
    // have written so far is written again, found after blocks 1, 2, 4, 8, ... of the launch.
    void poison() {
        if (blocks_ == 0 && begin_) std::memset(begin_, kPoison, bytes_);
        if ((blocks_ & (blocks_ - 1)) == 0) find_written();
        for (const size_t page : written_) std::memset(begin_ + page * kPage, kPoison, size_of(page));
        ++blocks_;
    }

  private:
    static constexpr size_t kPage = 1024;

    size_t size_of(size_t page) const { return std::min(kPage, bytes_ - page * kPage); }

    void find_written() {
        const std::vector<char> clean(kPage, char(kPoison));
        for (size_t page = 0; page * kPage < bytes_; ++page) {
            if (std::find(written_.begin(), written_.end(), page) != written_.end()) continue;
            if (std::memcmp(begin_ + page * kPage, clean.data(), size_of(page)) != 0) written_.push_back(page);
        }
    }

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
    uint64_t blocks_ = 0;
    std::vector<size_t> written_;  // pages
};

}  // namespace splat::emulate
