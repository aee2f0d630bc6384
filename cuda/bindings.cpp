// The Python module splat._native: raw arrays in and out, nothing of torch.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "bindings_frame.h"
#include "cpu/frame.h"
#include "cpu/kernels.h"
#include "cpu/pool.h"
#include "gpu/device.h"

#ifdef SPLAT_HAVE_TRAINING
void bind_training(nanobind::module_& m);
#endif
void bind_formulas(nanobind::module_& m);
#ifdef SPLAT_HAVE_GPU
void bind_gpu(nanobind::module_& m);
#endif

namespace splat {
namespace {

struct CpuDriver {
    using Device = nb::device::cpu;
    Frame frame;
    const Kernels* used = nullptr;

    void render(const FrameInput& in, const FrameOutput& out, bool, uintptr_t) {
        used = &kernels();
        used->render(frame, in, out);
    }
    void backward(const FrameInput& in, const FrameOutput& out, const FrameGradients& g, uintptr_t) {
        used->render_backward(frame, in, out, g);
    }
};
using CpuFrame = PyFrame<CpuDriver>;

// (splat, pixel) pairs that changed the last render; only right after render()
int64_t useful(CpuFrame& f) {
    const std::lock_guard<std::mutex> one(f.mutex);
    return f.rendered ? f.driver.used->count_useful(f.driver.frame, f.input) : 0;
}

// Sum of count(mask, vectors of a block) over the (splat, tile) pairs that changed a pixel; a mask has a
// bit for each vector of the tile, block by block.
template <class Count>
int64_t sum_masks(const CpuFrame& f, Count count) {
    if (!f.rendered) return 0;
    const Frame& frame = f.driver.frame;
    const int parts = 16 / f.driver.used->lanes;
    int64_t total = 0;
    for (int64_t t = 0; t < int64_t(frame.tiles_x) * frame.tiles_y; ++t)
        for (uint32_t k = 0; k < frame.tile_hits[t]; ++k) {
            uint64_t mask = 0;
            const int64_t bytes = 2 * parts;
            std::memcpy(&mask, frame.masks.get() + (frame.tile_begin[t] + k) * bytes, size_t(bytes));
            total += count(mask, parts);
        }
    return total;
}

// (splat, 4x4 block) pairs that changed at least one pixel
int64_t block_hits(CpuFrame& f) {
    return sum_masks(f, [](uint64_t mask, int parts) {
        int64_t blocks = 0;
        for (; mask; mask >>= parts) blocks += (mask & ((1u << parts) - 1u)) != 0;
        return blocks;
    });
}

// (splat, pixel) pairs in vectors of pixels that the splat changed at least in part: what goes backwards
int64_t hit_lanes(CpuFrame& f) {
    const int lanes = f.rendered ? f.driver.used->lanes : 0;
    return lanes * sum_masks(f, [](uint64_t mask, int) { return __builtin_popcountll(mask); });
}

std::vector<double> seconds(CpuFrame& f) {
    return std::vector<double>(f.driver.frame.seconds, f.driver.frame.seconds + Frame::kStages);
}

void bind_frame(nb::module_& m) {
    nb::class_<CpuFrame> c(m, "Frame");
    c.def(nb::init<>());
    CpuFrame::bind(c);
    c.def("useful", &useful)
        .def_prop_ro("visible", [](CpuFrame& f) { return f.driver.frame.visible; })
        .def_prop_ro("intersections", [](CpuFrame& f) { return f.driver.frame.intersections; })
        .def_prop_ro("hits", [](CpuFrame& f) { return f.driver.frame.hits; })
        .def_prop_ro("block_hits", &block_hits)
        .def_prop_ro("hit_lanes", &hit_lanes)
        .def_prop_ro("bytes", [](CpuFrame& f) { return f.driver.frame.bytes(); })
        .def_prop_ro("seconds", &seconds);
}

nb::dict build_info() {
    nb::dict d;
    std::string reason;
    const int devices = gpu::device_count(reason);
    d["version"] = SPLAT_VERSION;
    d["isa"] = kernels().name;
    d["isas"] = built_isas();
    d["supported_isas"] = supported_isas();
    d["threads"] = pool().size();
    d["cuda_compiled"] = gpu::compiled();
#ifdef SPLAT_HAVE_GPU
    std::string architectures = SPLAT_CUDA_ARCHITECTURES;  // as CMake lists them, but for the separator
    std::replace(architectures.begin(), architectures.end(), ' ', ';');
    d["cuda_architectures"] = architectures;
#else
    d["cuda_architectures"] = "";
#endif
    d["cuda_device"] = devices > 0 ? gpu::device_summary(0) : std::string();
    d["cuda_reason"] = reason;
    return d;
}

}  // namespace
}  // namespace splat

NB_MODULE(_native, m) {
    using namespace splat;
    nb::set_leak_warnings(false);  // idle frames live until the interpreter ends
    m.doc() = "The native core of splat: CPU kernels (and CUDA ones where compiled).";
    m.def("build_info", &build_info);
    m.def("set_isa", &set_isa, "name"_a);
    m.def(
        "set_threads",
        [](int n) {
            require(n >= 1 && n <= 1024, "threads must lie in 1 to 1024");
            nb::gil_scoped_release release;
            pool().resize(n);
        },
        "threads"_a);
    m.def("fma_rate", [] { return kernels().fma_rate(); }, nb::call_guard<nb::gil_scoped_release>());
    PyShStep<nb::device::cpu>::bind(m);
    bind_frame(m);
#ifdef SPLAT_HAVE_TRAINING
    bind_training(m);
#endif
    bind_formulas(m);
#ifdef SPLAT_HAVE_GPU
    bind_gpu(m);
#endif
}
