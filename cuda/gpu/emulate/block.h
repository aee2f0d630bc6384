// Runs a kernel block by block; the threads of a block are fibers. One launch at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "fibers.h"
#include "schedule.h"
#include "shared.h"
#include "types.h"
#include "wait.h"

inline uint3 threadIdx, blockIdx;
inline dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace splat::emulate {

class Machine {
  public:
    Schedule schedule;
    // CUDA lets a thread that has returned count as arrived at every barrier to come. Strict: an error.
    bool strict = false;

    void launch(dim3 blocks, dim3 threads, void (*kernel)(void*), void* arguments) {
        const std::lock_guard<std::mutex> one_at_a_time(mutex_);
        const uint64_t count = uint64_t(threads.x) * threads.y * threads.z;
        const uint64_t grid = uint64_t(blocks.x) * blocks.y * blocks.z;
        if (count == 0 || count > 1024 || threads.z > 64 || grid == 0 || blocks.x > 0x7fffffffu || blocks.y > 65535 ||
            blocks.z > 65535)
            throw KernelError("invalid launch: " + text(blocks) + " blocks of " + text(threads) + " threads");
        kernel_ = kernel, arguments_ = arguments;
        threads_.resize(count), warps_.resize((count + 31) / 32);
        stacks_.reserve(count);
        gridDim = blocks, blockDim = threads;
        SharedMemory shared;
        for (const unsigned block : schedule.blocks(unsigned(grid))) {
            blockIdx = {block % blocks.x, block / blocks.x % blocks.y, block / blocks.x / blocks.y};
            shared.poison();
            begin_block();
            run_block();
        }
    }

    // Waits until every thread of the block is here; how many brought something other than 0, by `call`.
    uint64_t meet_block(Call call, uint64_t value, Place place) {
        Thread& self = arrive(Thread::State::at_barrier, call, value, place);
        ++at_barrier_;
        open_barrier_if_all_are_here();
        return suspend(self);
    }

    // Waits until the lanes of `mask` are here; what it gives depends on `call`.
    uint64_t meet_lanes(Call call, unsigned mask, uint64_t value, int source, Place place) {
        Thread& self = arrive(Thread::State::at_lanes, call, value, place);
        self.mask = mask, self.source = source;
        const size_t number = size_t(&self - threads_.data());
        const unsigned lane = number % 32;
        if (!(mask >> lane & 1)) fail("lane " + std::to_string(lane) + " is not in the mask that it calls with");
        unsigned& waiting = warps_[number / 32];
        waiting |= 1u << lane;
        Thread* const warp = threads_.data() + number / 32 * 32;
        if ((waiting & mask) == mask && all_call_alike(warp, self)) {
            exchange(warp, self);
            waiting &= ~mask;
        }
        return suspend(self);
    }

    // Reports a problem that a compiler's check found, and never comes back to the thread that has it.
    [[noreturn]] void abandon(const std::string& problem) {
        if (!running_) std::fprintf(stderr, "%s\n", problem.c_str()), std::abort();
        try {
            fail(problem);
        } catch (...) {
            error_ = std::current_exception();
        }
        leave_for_host();
    }

    unsigned lane() const { return unsigned(running_ - threads_.data()) % 32; }

  private:
    static std::string text(dim3 d) {
        return std::to_string(d.x) + " x " + std::to_string(d.y) + " x " + std::to_string(d.z);
    }

    [[noreturn]] void fail(const std::string& problem) const {
        throw KernelError(problem + " (block " + text({blockIdx.x, blockIdx.y, blockIdx.z}) + " of " + text(gridDim) +
                          "; " + census(threads_) + ")");
    }

    static void begin_fiber();

    void begin_block() {
        returned_ = at_barrier_ = 0;
        ready_.clear();
        std::fill(warps_.begin(), warps_.end(), 0u);
        if (free_stacks_.size() != threads_.size()) {  // an error left fibers behind, or another block size
            free_stacks_.clear();
            for (unsigned i = 0; i < threads_.size(); ++i) free_stacks_.push_back(i);
        }
        for (unsigned i = 0; i < threads_.size(); ++i) {
            threads_[i] = Thread{};
            threads_[i].index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
            ready_.push_back(i);
        }
    }

    // An error leaves the other fibers where they are: what is on their stacks needs no destructor.
    void run_block() {
        take_next();
        switch_fiber(&host_stack_pointer_, where_it_goes_on());
        running_ = nullptr;
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
        if (returned_ < threads_.size()) fail("threads wait for others that do not come");
    }

    // Chooses the thread that runs next; none where all have returned or wait.
    void take_next() {
        running_ = ready_.empty() ? nullptr : &threads_[schedule.take(ready_)];
        if (running_) threadIdx = running_->index;
    }

    // Of the thread that runs next, or of the host if there is none.
    void* where_it_goes_on() {
        if (!running_) return host_stack_pointer_;
        if (running_->stack_pointer) return running_->stack_pointer;
        running_->stack = free_stacks_.back();
        free_stacks_.pop_back();
        return stacks_.prepare(running_->stack, &begin_fiber);
    }

    [[noreturn]] void leave_for_host() {
        void* nobody;
        switch_fiber(&nobody, host_stack_pointer_);
        __builtin_trap();  // nobody comes back
    }

    Thread& arrive(Thread::State state, Call call, uint64_t value, Place place) {
        Thread& self = *running_;
        self.state = state, self.call = call, self.value = value, self.place = place;
        return self;
    }

    uint64_t suspend(Thread& self) {
        take_next();
        if (running_ != &self) switch_fiber(&self.stack_pointer, where_it_goes_on());
        return self.result;
    }

    void resume_with(Thread& thread, uint64_t result) {
        thread.result = result;
        thread.state = Thread::State::ready;
        ready_.push_back(unsigned(&thread - threads_.data()));
    }

    void open_barrier_if_all_are_here() {
        if (at_barrier_ == 0 || at_barrier_ + returned_ < threads_.size()) return;
        if (strict && returned_) fail("a barrier waits for threads that have returned");
        const Thread* first = nullptr;
        uint64_t voters = 0;
        for (const Thread& thread : threads_) {
            if (thread.state != Thread::State::at_barrier) continue;
            if (!first) first = &thread;
            if (!waits_with(*first, thread)) fail("threads of a block wait at different barriers");
            voters += thread.value != 0;
        }
        uint64_t result = voters;
        if (first->call == Call::sync_and) result = voters == at_barrier_;
        if (first->call == Call::sync_or) result = voters != 0;
        at_barrier_ = 0;
        for (Thread& thread : threads_)
            if (thread.state == Thread::State::at_barrier) resume_with(thread, result);
    }

    static bool all_call_alike(const Thread* warp, const Thread& self) {
        for (unsigned rest = self.mask; rest; rest &= rest - 1)
            if (!waits_with(warp[__builtin_ctz(rest)], self)) return false;
        return true;
    }

    void exchange(Thread* warp, const Thread& self) {
        const Call call = self.call;
        const unsigned mask = self.mask;
        unsigned votes = 0;
        for (unsigned rest = mask; rest; rest &= rest - 1) {
            const int lane = __builtin_ctz(rest);
            if (warp[lane].value) votes |= 1u << lane;
            if (call >= Call::shuffle && call <= Call::shuffle_xor && !(mask >> warp[lane].source & 1))
                fail("lane " + std::to_string(lane) + " reads lane " + std::to_string(warp[lane].source) +
                     ", which is not in the mask");
        }
        for (unsigned rest = mask; rest; rest &= rest - 1) {
            Thread& thread = warp[__builtin_ctz(rest)];
            uint64_t result = 0;
            if (call == Call::ballot) result = votes;
            else if (call == Call::any) result = votes != 0;
            else if (call == Call::all) result = votes == mask;
            else if (call != Call::sync_warp) result = warp[thread.source].value;
            resume_with(thread, result);
        }
    }

    std::mutex mutex_;
    Stacks stacks_;
    void (*kernel_)(void*) = nullptr;
    void* arguments_ = nullptr;
    void* host_stack_pointer_ = nullptr;
    Thread* running_ = nullptr;
    std::vector<Thread> threads_;
    std::vector<unsigned> warps_;  // lanes that wait for lanes
    std::vector<unsigned> ready_;
    std::vector<unsigned> free_stacks_;
    size_t returned_ = 0, at_barrier_ = 0;
    std::exception_ptr error_;
};

inline Machine machine;

// Runs a thread to its end, and on the same stack as many of those that have not begun as come next.
inline void Machine::begin_fiber() {
    Machine& m = machine;
    const unsigned stack = m.running_->stack;
    do {
        Thread& self = *m.running_;
        self.stack = stack;
        try {
            m.kernel_(m.arguments_);
            self.state = Thread::State::returned;
            ++m.returned_;
            m.open_barrier_if_all_are_here();
        } catch (...) {
            m.error_ = std::current_exception();
        }
        if (m.error_) m.leave_for_host();
        m.take_next();
    } while (m.running_ && !m.running_->stack_pointer);
    m.free_stacks_.push_back(stack);
    void* nobody;
    switch_fiber(&nobody, m.where_it_goes_on());
    __builtin_trap();  // nobody comes back
}

template <class Kernel>
void launch(dim3 blocks, dim3 threads, Kernel&& kernel) {
    using Callable = std::remove_reference_t<Kernel>;
    machine.launch(
        blocks, threads, [](void* callable) { (*static_cast<Callable*>(callable))(); },
        const_cast<void*>(static_cast<const void*>(&kernel)));
}

}  // namespace splat::emulate
