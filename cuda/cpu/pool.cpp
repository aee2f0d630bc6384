#include "pool.h"

#include <algorithm>
#include <utility>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#define SPLAT_PAUSE() _mm_pause()
#else
#define SPLAT_PAUSE() std::this_thread::yield()
#endif

#ifdef __linux__
#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#endif

namespace splat {
namespace {

int cores() {
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
    return std::max(1u, std::thread::hardware_concurrency());
}

constexpr int kSpins = 1500;  // about 20-50 us: the gap between two stages of one iteration

}  // namespace

Pool::Pool() { resize(cores()); }

Pool::~Pool() { resize(1); }

void Pool::resize(int threads) {
    std::lock_guard<std::mutex> one(caller_);
    {
        std::lock_guard<std::mutex> lock(mutex_);
        stop_ = true;
        ++epoch_;
    }
    wake_.notify_all();
    for (auto& t : workers_) t.join();
    workers_.clear();
    size_ = 1;
    stop_ = false;
    const uint64_t seen = epoch_;
    for (int i = 1; i < threads; ++i) {
        workers_.emplace_back([this, seen] { work(seen); });
        size_ = i + 1;
    }
}

void Pool::take() {
    try {
        for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) (*task_)(i);
    } catch (...) {
        next_.store(count_, std::memory_order_relaxed);
        std::lock_guard<std::mutex> lock(mutex_);
        if (!failure_) failure_ = std::current_exception();
    }
}

// `seen` is the epoch at creation: a worker that starts late must still take the first job.
void Pool::work(uint64_t seen) {
    for (;;) {
        for (int i = 0; i < kSpins && epoch_.load(std::memory_order_acquire) == seen; ++i) SPLAT_PAUSE();
        if (epoch_.load(std::memory_order_acquire) == seen) {
            std::unique_lock<std::mutex> lock(mutex_);
            wake_.wait(lock, [&] { return epoch_.load() != seen; });
        }
        seen = epoch_.load(std::memory_order_acquire);
        if (stop_) return;
        take();
        busy_.fetch_sub(1, std::memory_order_release);
    }
}

void Pool::parallel_for(int64_t count, const std::function<void(int64_t)>& task) {
    std::lock_guard<std::mutex> one(caller_);
    if (count <= 1 || workers_.empty()) {
        for (int64_t i = 0; i < count; ++i) task(i);
        return;
    }
    {
        std::lock_guard<std::mutex> lock(mutex_);
        task_ = &task;
        count_ = count;
        next_.store(0, std::memory_order_relaxed);
        busy_.store(int(workers_.size()), std::memory_order_relaxed);
        epoch_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    take();
    for (int spins = 0; busy_.load(std::memory_order_acquire) != 0; ++spins) {
        if (spins < kSpins * 4) SPLAT_PAUSE();
        else std::this_thread::yield();
    }
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

namespace {
std::mutex instance_mutex;
Pool* instance = nullptr;  // never destroyed: threads may outlive main()
}  // namespace

Pool& pool() {
    std::lock_guard<std::mutex> lock(instance_mutex);
    if (!instance) {
        instance = new Pool();
#ifdef __linux__
        // Threads do not survive fork(); the child makes its own pool.
        static const int once = pthread_atfork([] { instance_mutex.lock(); }, [] { instance_mutex.unlock(); },
                                               [] { instance = nullptr; instance_mutex.unlock(); });
        (void)once;
#endif
    }
    return *instance;
}

}  // namespace splat
