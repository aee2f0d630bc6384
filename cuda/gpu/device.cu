// CUDA device query, through the statically linked CUDA runtime: loading this module on a machine
// without an NVIDIA driver works, and device_count() then says so.
#include <cstdio>
#include <stdexcept>

#include <cuda_runtime_api.h>

#include "device.h"

namespace splat::gpu {

namespace {

/// CUDA versions are integers, 1000 * major + 10 * minor.
std::string version_text(int version) {
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string driver_problem() {
    int driver = 0;
    int runtime = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) return "no CUDA driver is installed";
    if (cudaRuntimeGetVersion(&runtime) != cudaSuccess) runtime = CUDART_VERSION;
    return "the CUDA driver is too old: it supports CUDA " + version_text(driver) + ", this build needs " +
           version_text(runtime);
}

std::string explain(cudaError_t error) {
    switch (error) {
        case cudaErrorInsufficientDriver: return driver_problem();
        case cudaErrorNoDevice: return "the CUDA driver is installed but finds no CUDA device";
        default: return std::string("the CUDA driver failed: ") + cudaGetErrorString(error);
    }
}

}  // namespace

bool compiled() noexcept { return true; }

int device_count(std::string& reason) {
    reason.clear();
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess) {
        cudaGetLastError();  // the runtime keeps the error until it is read
        reason = explain(error);
        return 0;
    }
    if (count == 0) reason = explain(cudaErrorNoDevice);
    return count;
}

DeviceInfo device_info(int index) {
    std::string reason;
    const int count = device_count(reason);
    if (index < 0 || index >= count) {
        throw std::out_of_range("no CUDA device " + std::to_string(index) + ": " +
                                (count == 0 ? reason : "this machine has " + std::to_string(count)));
    }
    cudaDeviceProp properties{};
    const cudaError_t error = cudaGetDeviceProperties(&properties, index);
    if (error != cudaSuccess) throw std::out_of_range("CUDA device " + std::to_string(index) + ": " + explain(error));
    return {properties.name, properties.major, properties.minor, properties.totalGlobalMem};
}

std::string device_name(int index) { return device_info(index).name; }

std::string device_summary(int index) {
    const DeviceInfo device = device_info(index);
    char tail[64];
    std::snprintf(tail, sizeof tail, " (compute %d.%d, %.1f GiB)", device.major, device.minor,
                  static_cast<double>(device.memory) / (1024.0 * 1024.0 * 1024.0));
    return device.name + tail;
}

}  // namespace splat::gpu
