// Barriers, votes and shuffles, as device code calls them. The last two arguments say where.
#pragma once

#include <cstring>
#include <type_traits>

#include "block.h"

#define SPLAT_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace splat::emulate {

template <class T>
inline T shuffle(Call call, unsigned mask, T value, int source, const char* file, int line) {
    static_assert(std::is_arithmetic_v<T> && sizeof(T) <= 8 && sizeof(T) >= 4, "__shfl_sync takes numbers of 4 or 8 bytes");
    uint64_t sent = 0;
    std::memcpy(&sent, &value, sizeof(T));
    const uint64_t received = machine.meet_lanes(call, mask, sent, source, {file, line});
    std::memcpy(&value, &received, sizeof(T));
    return value;
}

}  // namespace splat::emulate

inline void __syncthreads(SPLAT_PLACE) {
    splat::emulate::machine.meet_block(splat::emulate::Call::sync, 0, {file, line});
}
inline int __syncthreads_count(int predicate, SPLAT_PLACE) {
    return int(splat::emulate::machine.meet_block(splat::emulate::Call::sync_count, predicate != 0, {file, line}));
}
inline int __syncthreads_and(int predicate, SPLAT_PLACE) {
    return int(splat::emulate::machine.meet_block(splat::emulate::Call::sync_and, predicate != 0, {file, line}));
}
inline int __syncthreads_or(int predicate, SPLAT_PLACE) {
    return int(splat::emulate::machine.meet_block(splat::emulate::Call::sync_or, predicate != 0, {file, line}));
}

inline void __syncwarp(unsigned mask = 0xffffffffu, SPLAT_PLACE) {
    splat::emulate::machine.meet_lanes(splat::emulate::Call::sync_warp, mask, 0, 0, {file, line});
}
inline unsigned __ballot_sync(unsigned mask, int predicate, SPLAT_PLACE) {
    return unsigned(
        splat::emulate::machine.meet_lanes(splat::emulate::Call::ballot, mask, predicate != 0, 0, {file, line}));
}
inline int __any_sync(unsigned mask, int predicate, SPLAT_PLACE) {
    return int(splat::emulate::machine.meet_lanes(splat::emulate::Call::any, mask, predicate != 0, 0, {file, line}));
}
inline int __all_sync(unsigned mask, int predicate, SPLAT_PLACE) {
    return int(splat::emulate::machine.meet_lanes(splat::emulate::Call::all, mask, predicate != 0, 0, {file, line}));
}

// Out of the segment of `width` lanes a lane keeps its own value, as on the device.
template <class T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = 32, SPLAT_PLACE) {
    const int lane = int(splat::emulate::machine.lane());
    const int from = (lane & -width) | (source & (width - 1));
    return splat::emulate::shuffle(splat::emulate::Call::shuffle, mask, value, from, file, line);
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, SPLAT_PLACE) {
    const int lane = int(splat::emulate::machine.lane());
    const int from = lane - int(delta) < (lane & -width) ? lane : lane - int(delta);
    return splat::emulate::shuffle(splat::emulate::Call::shuffle_up, mask, value, from, file, line);
}
template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, SPLAT_PLACE) {
    const int lane = int(splat::emulate::machine.lane());
    const int from = lane + int(delta) > (lane | (width - 1)) ? lane : lane + int(delta);
    return splat::emulate::shuffle(splat::emulate::Call::shuffle_down, mask, value, from, file, line);
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, SPLAT_PLACE) {
    const int lane = int(splat::emulate::machine.lane());
    const int from = (lane ^ lanes) > (lane | (width - 1)) ? lane : lane ^ lanes;
    return splat::emulate::shuffle(splat::emulate::Call::shuffle_xor, mask, value, from, file, line);
}

#undef SPLAT_PLACE
