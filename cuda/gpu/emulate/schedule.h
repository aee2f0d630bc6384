// In which order threads and blocks run where CUDA leaves it open.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace splat::emulate {

enum class Order { shuffled, forward, reverse };

// SPLAT_EMULATE_ORDER=shuffled|forward|reverse, SPLAT_EMULATE_SEED=number; or set() at any time.
class Schedule {
  public:
    Schedule() {
        const char* order = std::getenv("SPLAT_EMULATE_ORDER");
        const char* seed = std::getenv("SPLAT_EMULATE_SEED");
        set(order ? order : "shuffled", seed ? std::strtoull(seed, nullptr, 10) : 0);
    }

    // Begins the sequence of random numbers anew: the same launches then run in the same order.
    void set(const std::string& order, uint64_t seed) {
        if (order == "shuffled") order_ = Order::shuffled;
        else if (order == "forward") order_ = Order::forward;
        else if (order == "reverse") order_ = Order::reverse;
        else throw std::invalid_argument("order of the emulator is " + order + "; shuffled, forward or reverse");
        state_ = (seed + 1) * 0x9e3779b97f4a7c15ull;
    }

    // Removes from `ready` the thread that runs next.
    unsigned take(std::vector<unsigned>& ready) {
        auto next = ready.begin();
        if (order_ == Order::shuffled) next += below(unsigned(ready.size()));
        else if (order_ == Order::forward) next = std::min_element(ready.begin(), ready.end());
        else next = std::max_element(ready.begin(), ready.end());
        const unsigned taken = *next;
        *next = ready.back();
        ready.pop_back();
        return taken;
    }

    // The blocks of a launch, in the order in which they run.
    std::vector<unsigned> blocks(unsigned count) {
        std::vector<unsigned> order(count);
        for (unsigned i = 0; i < count; ++i) order[i] = order_ == Order::reverse ? count - 1 - i : i;
        if (order_ == Order::shuffled)
            for (unsigned i = count; i > 1; --i) std::swap(order[i - 1], order[below(i)]);
        return order;
    }

    bool coin() { return below(2) != 0; }

  private:
    unsigned below(unsigned count) {
        state_ ^= state_ >> 12, state_ ^= state_ << 25, state_ ^= state_ >> 27;
        return unsigned(((state_ * 0x2545f4914f6cdd1dull) >> 32) * count >> 32);
    }

    Order order_ = Order::shuffled;
    uint64_t state_ = 1;
};

}  // namespace splat::emulate
