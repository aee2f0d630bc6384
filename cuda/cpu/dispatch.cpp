#include <cstdlib>

#include "kernels.h"

namespace splat {

#if defined(SPLAT_HAVE_AVX512)
extern const Kernels kernels_avx512;
#endif
#if defined(SPLAT_HAVE_AVX2)
extern const Kernels kernels_avx2;
#endif
extern const Kernels kernels_portable;

namespace {

struct Candidate {
    const Kernels* kernels;
    bool supported;
};

std::vector<Candidate> candidates() {
    std::vector<Candidate> list;
#if defined(SPLAT_HAVE_AVX512)
    __builtin_cpu_init();
    list.push_back({&kernels_avx512, __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                                         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")});
#endif
#if defined(SPLAT_HAVE_AVX2)
    __builtin_cpu_init();
    list.push_back({&kernels_avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")});
#endif
    list.push_back({&kernels_portable, true});
    return list;
}

const Kernels* chosen = nullptr;

const Kernels* find(const std::string& name) {
    for (const auto& c : candidates())
        if (c.supported && (name.empty() || name == c.kernels->name)) return c.kernels;
    return nullptr;
}

}  // namespace

const Kernels& kernels() {
    if (!chosen) {
        const char* wanted = std::getenv("SPLAT_ISA");
        chosen = wanted ? find(wanted) : nullptr;
        if (!chosen) chosen = find("");
    }
    return *chosen;
}

bool set_isa(const std::string& name) {
    const Kernels* k = find(name);
    if (k) chosen = k;
    return k != nullptr;
}

std::vector<std::string> built_isas() {
    std::vector<std::string> names;
    for (const auto& c : candidates()) names.push_back(c.kernels->name);
    return names;
}

std::vector<std::string> supported_isas() {
    std::vector<std::string> names;
    for (const auto& c : candidates())
        if (c.supported) names.push_back(c.kernels->name);
    return names;
}

}  // namespace splat
