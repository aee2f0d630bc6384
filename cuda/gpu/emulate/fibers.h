// Fibers: threads of control that take turns on one thread of the host. A switch saves what the
// processor's calling convention asks for and nothing else, a few nanoseconds.
#pragma once

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "the CUDA emulator switches fibers on x86-64 and ARM64 only: add the few lines of emulate/fibers.h"
#endif
#if defined(_WIN32)
#error "the CUDA emulator needs mmap"
#endif

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <new>

namespace splat::emulate {

// Leaves the running fiber, its stack pointer in *from, and goes on where `to` left off (or begins).
__attribute__((noinline)) inline void switch_fiber(void** from, void* to) {
#if defined(__x86_64__)
    asm volatile(
        "leaq -128(%%rsp), %%rsp\n\t"  // the red zone
        "pushq %%rbp\n\t"
        "pushq %%rbx\n\t"
        "leaq 1f(%%rip), %%rax\n\t"
        "pushq %%rax\n\t"
        "movq %%rsp, (%%rdi)\n\t"
        "movq %%rsi, %%rsp\n\t"
        "popq %%rax\n\t"
        "jmpq *%%rax\n"
        "1:\n\t"
        "popq %%rbx\n\t"
        "popq %%rbp\n\t"
        "leaq 128(%%rsp), %%rsp"
        : "+D"(from), "+S"(to)
        :
        : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2",
          "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
          "xmm15", "memory", "cc");
#else
    register void** x0_from asm("x0") = from;
    register void* x1_to asm("x1") = to;
    asm volatile(
        "adr x9, 1f\n\t"
        "sub sp, sp, #32\n\t"
        "stp x29, x30, [sp, #16]\n\t"
        "str x9, [sp]\n\t"
        "mov x10, sp\n\t"
        "str x10, [x0]\n\t"
        "mov sp, x1\n\t"
        "ldr x9, [sp]\n\t"
        "br x9\n"
        "1:\n\t"
        "ldp x29, x30, [sp, #16]\n\t"
        "add sp, sp, #32"
        : "+r"(x0_from), "+r"(x1_to)
        :
        : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",
          "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "v0", "v1", "v2", "v3", "v4", "v5",
          "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20",
          "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory", "cc");
#endif
}

// Stacks of the fibers of a block, each with a page below it that faults when the stack overflows.
// Memory is taken from the system only where a stack is used.
class Stacks {
  public:
    static constexpr size_t kBytes = size_t(64) << 10;

    Stacks() = default;
    Stacks(const Stacks&) = delete;
    Stacks& operator=(const Stacks&) = delete;
    ~Stacks() { release(); }

    void reserve(size_t count) {
        if (count <= count_) return;
        release();
        const size_t page = size_t(sysconf(_SC_PAGESIZE));
        stride_ = kBytes + page;
        void* memory = mmap(nullptr, count * stride_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        memory_ = static_cast<char*>(memory), count_ = count;
        for (size_t i = 0; i < count; ++i) mprotect(memory_ + i * stride_, page, PROT_NONE);
    }

    // Stack pointer of a fiber that begins in `entry`, which must not return.
    void* prepare(size_t index, void (*entry)()) const {
        // Tops differ in their low bits, so that the stacks do not fight for the same cache lines.
        const uintptr_t top = uintptr_t(memory_ + (index + 1) * stride_) - 64 - (index * 192) % 4096;
        auto* pointer = reinterpret_cast<uintptr_t*>(top & ~uintptr_t(15));
        pointer[0] = reinterpret_cast<uintptr_t>(entry);
        pointer[1] = pointer[2] = pointer[3] = 0;  // nobody to return to
        return pointer;
    }

  private:
    void release() {
        if (memory_) munmap(memory_, count_ * stride_);
        memory_ = nullptr, count_ = 0;
    }

    char* memory_ = nullptr;
    size_t count_ = 0, stride_ = 0;
};

}  // namespace splat::emulate
