#include <atomic>
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

#if defined(SPLAT_HAVE_AVX2)
// Everything that the flags of the avx2 build allow (CMakeLists.txt); lzcnt comes with bmi.
bool has_avx2() {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}
#endif

std::vector<Candidate> candidates() {
    std::vector<Candidate> list;
#if defined(SPLAT_HAVE_AVX512)
    list.push_back({&kernels_avx512, has_avx2() && __builtin_cpu_supports("avx512f") &&
                                         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                                         __builtin_cpu_supports("avx512bw")});
#endif
#if defined(SPLAT_HAVE_AVX2)
    list.push_back({&kernels_avx2, has_avx2()});
#endif
    list.push_back({&kernels_portable, true});
    return list;
}

std::atomic<const Kernels*> chosen{nullptr};

const Kernels* find(const std::string& name) {
    for (const auto& c : candidates())
        if (c.supported && (name.empty() || name == c.kernels->name)) return c.kernels;
    return nullptr;
}

}  // namespace

const Kernels& kernels() {
    const Kernels* now = chosen;
    if (!now) {
        const char* wanted = std::getenv("SPLAT_ISA");
        now = wanted ? find(wanted) : nullptr;
        if (!now) now = find("");
        chosen = now;
    }
    return *now;
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
