// The device query of a build without nvcc: no device, and it says why.
#include <stdexcept>

#include "device.h"

namespace splat::gpu {

namespace {
#ifdef SPLAT_CUDA_SWITCHED_OFF
constexpr const char* kReason = "built without CUDA (switched off at build time)";
#else
constexpr const char* kReason = "built without CUDA (nvcc was not found at build time)";
#endif
}  // namespace

bool compiled() noexcept { return false; }

int device_count(std::string& reason) {
    reason = kReason;
    return 0;
}

DeviceInfo device_info(int index) {
    throw std::out_of_range("no CUDA device " + std::to_string(index) + ": " + kReason);
}

std::string device_name(int index) { return device_info(index).name; }

std::string device_summary(int index) { return device_info(index).name; }

}  // namespace splat::gpu
