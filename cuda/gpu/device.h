// What CUDA devices this machine has, asked without including any CUDA header.
//
// Two translation units define these functions, and a build compiles exactly one of them:
// device.cu (CUDA runtime, linked statically) or no_device.cpp (built without nvcc).
#pragma once

#include <cstddef>
#include <string>

namespace splat::gpu {

/// One CUDA device.
struct DeviceInfo {
    std::string name;            ///< marketing name, e.g. "NVIDIA H100"
    int major = 0;               ///< compute capability, major
    int minor = 0;               ///< compute capability, minor
    std::size_t memory = 0;      ///< total device memory in bytes
};

/// Whether the CUDA sources are part of this build.
bool compiled() noexcept;

/// Number of usable CUDA devices. When it is 0, `reason` says why in a few plain words (no driver,
/// driver too old, no device, not compiled); otherwise `reason` is left empty. Never throws for a
/// machine without a GPU.
int device_count(std::string& reason);

/// Name, compute capability and memory of device `index`.
/// Throws std::out_of_range, naming the reason, when there is no such device.
DeviceInfo device_info(int index);

/// Name of device `index`; throws like `device_info`.
std::string device_name(int index);

/// One line for a person: "NVIDIA H100 (compute 9.0, 79.1 GiB)"; throws like `device_info`.
std::string device_summary(int index);

}  // namespace splat::gpu
