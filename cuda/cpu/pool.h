// A small thread pool. Work is cut into numbered tasks whose result must not depend on which
// thread runs them or in which order: that is what makes every result independent of the thread
// count.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace splat {

class Pool {
  public:
    Pool();
    ~Pool();
    Pool(const Pool&) = delete;

    // Threads used from now on, the caller included; at least 1.
    void resize(int threads);
    int size() const { return size_; }

    // Runs task(0) ... task(count - 1), each once, and returns when all are done. What a task throws
    // (no memory) is thrown here once no thread is at work any more; tasks not begun are left out.
    // One call at a time: calls from several threads queue up.
    void parallel_for(int64_t count, const std::function<void(int64_t)>& task);

  private:
    void work(uint64_t seen);
    void take();

    std::vector<std::thread> workers_;
    std::mutex caller_, mutex_;
    std::condition_variable wake_;
    std::atomic<uint64_t> epoch_{0};
    std::atomic<int64_t> next_{0};
    std::atomic<int> busy_{0}, size_{1};
    int64_t count_ = 0;
    const std::function<void(int64_t)>* task_ = nullptr;
    std::atomic<bool> stop_{false};
    std::exception_ptr failure_;  // first of this call; under mutex_
};

Pool& pool();

}  // namespace splat
