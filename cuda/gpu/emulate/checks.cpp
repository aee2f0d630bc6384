// What the compiler's run-time checks (-fsanitize=bounds,alignment,shift-exponent) call when they find
// something, instead of its own library: an index outside an array, or a vector load from an address that
// a GPU refuses, is an error of the launch like any other.
#include <cstdint>
#include <string>

#include "block.h"

namespace {

// As the compiler lays them out.
struct Location {
    const char* file;
    uint32_t line, column;
};
struct Type {
    uint16_t kind, info;
    char name[1];
};
struct Bounds {
    Location location;
    const Type *array, *index;
};
struct Mismatch {
    Location location;
    const Type* type;
    unsigned char alignment_bits, access;
};
struct Shift {
    Location location;
    const Type *left, *right;
};

[[noreturn]] void report(const Location& at, const std::string& problem) {
    splat::emulate::machine.abandon(problem + " at " + at.file + ":" + std::to_string(at.line));
}

// A number of up to 64 bits comes as its bits.
std::string number(const Type* type, void* bits) {
    const auto value = reinterpret_cast<uintptr_t>(bits);
    return type && type->info & 1 ? std::to_string(int64_t(value)) : std::to_string(value);
}

}  // namespace

extern "C" {

// Every argument is a pointer to the compiler, which declares them so.
[[noreturn]] void __ubsan_handle_out_of_bounds_abort(void* about, void* index) {
    const auto& data = *static_cast<const Bounds*>(about);
    report(data.location, "index " + number(data.index, index) + " is outside " + data.array->name);
}

[[noreturn]] void __ubsan_handle_type_mismatch_v1_abort(void* about, void* address) {
    const auto& data = *static_cast<const Mismatch*>(about);
    report(data.location, "address " + number(nullptr, address) + " is not aligned to the " +
                              std::to_string(1u << data.alignment_bits) + " bytes of " + data.type->name);
}

[[noreturn]] void __ubsan_handle_shift_out_of_bounds_abort(void* about, void*, void* by) {
    const auto& data = *static_cast<const Shift*>(about);
    report(data.location, std::string("shift of ") + data.left->name + " by " + number(data.right, by) + " bits");
}
}
