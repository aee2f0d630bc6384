// What a thread of a block waits at, and how a report names it.
#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "types.h"

namespace splat::emulate {

// What a kernel did that a GPU would answer with a hang or with any number whatever.
struct KernelError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

enum class Call {
    none,
    sync, sync_count, sync_and, sync_or,                            // all threads of the block
    sync_warp, shuffle, shuffle_up, shuffle_down, shuffle_xor, ballot, any, all  // the lanes of the mask
};

inline const char* name_of(Call call) {
    static const char* const names[] = {"nothing",        "__syncthreads",    "__syncthreads_count", "__syncthreads_and",
                                        "__syncthreads_or", "__syncwarp",      "__shfl_sync",         "__shfl_up_sync",
                                        "__shfl_down_sync", "__shfl_xor_sync", "__ballot_sync",       "__any_sync",
                                        "__all_sync"};
    return names[int(call)];
}

struct Place {  // in the source
    const char* file;
    int line;
};

inline bool operator==(const Place& a, const Place& b) {
    return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

struct Thread {
    enum class State { ready, at_barrier, at_lanes, returned };

    void* stack_pointer;  // while it waits; null: it has not begun
    unsigned stack;
    uint3 index;
    State state;
    Call call;
    Place place;
    unsigned mask;    // lanes that the call is for
    int source;       // lane that a shuffle reads
    uint64_t value;   // brought to the call
    uint64_t result;  // and taken from it
};

inline bool waits_with(const Thread& a, const Thread& b) {
    if (a.state != b.state) return false;
    if (a.state == Thread::State::ready || a.state == Thread::State::returned) return true;
    return a.call == b.call && a.place == b.place && (a.state == Thread::State::at_barrier || a.mask == b.mask);
}

inline std::string hexadecimal(unsigned v) {
    std::string text = "0x";
    for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[v >> shift & 15];
    return text;
}

inline std::string where(const Thread& thread) {
    if (thread.state == Thread::State::returned) return "returned";
    if (thread.state == Thread::State::ready) return "running";
    std::string text = name_of(thread.call);
    if (thread.state == Thread::State::at_lanes) text += " with mask " + hexadecimal(thread.mask);
    return text + " at " + thread.place.file + ":" + std::to_string(thread.place.line);
}

// "threads 0-15, 17: __syncthreads at blend.cu:40; threads 16, 18-31: returned"
inline std::string census(const std::vector<Thread>& threads) {
    std::vector<const Thread*> kinds;
    std::vector<std::string> members;
    for (size_t i = 0, end; i < threads.size(); i = end) {
        for (end = i + 1; end < threads.size() && waits_with(threads[i], threads[end]);) ++end;
        size_t kind = 0;
        while (kind < kinds.size() && !waits_with(*kinds[kind], threads[i])) ++kind;
        if (kind == kinds.size()) kinds.push_back(&threads[i]), members.emplace_back();
        members[kind] += (members[kind].empty() ? "threads " : ", ") + std::to_string(i);
        if (end - i > 1) members[kind] += "-" + std::to_string(end - 1);
    }
    std::string text;
    for (size_t kind = 0; kind < kinds.size(); ++kind)
        text += (kind ? "; " : "") + members[kind] + ": " + where(*kinds[kind]);
    return text;
}

}  // namespace splat::emulate
