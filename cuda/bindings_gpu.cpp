// The CUDA driver in Python: the submodule `cuda` of splat._native, with the names of the module itself.
// Every array is on the device (of the emulated module: in the processor's memory), and every call takes
// the stream it is queued on.
#include <nanobind/stl/tuple.h>

#include <map>
#include <memory>
#include <tuple>

#include "bindings_frame.h"
#include "cpu/knn.h"
#include "gpu/stages.h"

namespace splat::gpu {
namespace {

#ifdef SPLAT_EMULATED
using OnDevice = nb::device::cpu;
#else
using OnDevice = nb::device::cuda;
#endif
using Bytes = nb::ndarray<uint8_t, nb::ndim<1>, nb::c_contig, OnDevice>;

cudaStream_t stream_of(uintptr_t stream) { return reinterpret_cast<cudaStream_t>(stream); }

// The device that a call works on, for as long as the call lasts.
class OnThis {
  public:
    explicit OnThis(int device) {
        check(cudaGetDevice(&before_), "asking for the CUDA device");
        if (device != before_) check(cudaSetDevice(device), "choosing the CUDA device");
    }
    ~OnThis() { cudaSetDevice(before_); }

  private:
    int before_ = 0;
};

// Memory from a Python function: allocate(bytes) gives a uint8 array on the device, which is kept.
class PyMemory : public Memory {
  public:
    explicit PyMemory(nb::callable allocate) : allocate_(std::move(allocate)) {}
    ~PyMemory() override {
        nb::gil_scoped_acquire gil;
        kept_.clear();
        allocate_.reset();
    }

    void* allocate(size_t bytes) override {
        nb::gil_scoped_acquire gil;
        nb::object array = allocate_(bytes ? bytes : 1);
        const Bytes memory = nb::cast<Bytes>(array);
        require(memory.size() >= bytes, "allocate() gave less memory than was asked for");
        kept_.emplace(memory.data(), memory);
        return memory.data();
    }
    size_t bytes() const {
        size_t total = 0;
        for (const auto& [at, memory] : kept_) total += memory.size();
        return total;
    }
    void release(void* memory) override {
        nb::gil_scoped_acquire gil;
        kept_.erase(memory);
    }

  private:
    nb::callable allocate_;
    std::map<void*, Bytes> kept_;
};

struct GpuDriver {
    using Device = OnDevice;
    int device;
    PyMemory memory;
    Frame frame;

    GpuDriver(nb::callable allocate, int index) : device(index), memory(std::move(allocate)), frame(memory) {}

    void render(const FrameInput& in, const FrameOutput& out, bool keep, uintptr_t stream) {
        const OnThis here(device);
        gpu::render(frame, in, out, keep, stream_of(stream));
    }
    void backward(const FrameInput& in, const FrameOutput& out, const FrameGradients& g, uintptr_t stream) {
        const OnThis here(device);
        render_backward(frame, in, out, g, stream_of(stream));
    }
};
using GpuFrame = PyFrame<GpuDriver>;

template <class T>
std::vector<T> on_host(const T* from, int64_t n) {
    std::vector<T> to(n);
    if (n) check(cudaMemcpy(to.data(), from, size_t(n) * sizeof(T), cudaMemcpyDeviceToHost), "reading the device");
    return to;
}

// The splats of each tile's list, front to back, for tests.
std::vector<std::vector<uint32_t>> tile_lists(GpuFrame& f) {
    const std::lock_guard<std::mutex> one(f.mutex);
    require(f.rendered, "tile_lists() before render()");
    const OnThis here(f.driver.device);
    const Frame& frame = f.driver.frame;
    const auto begin = on_host(frame.tile_begin.get(), frame.tiles() + 1);
    const auto list = on_host(frame.list(), frame.counts.pairs), splat = on_host(frame.pair_splat.get(), frame.counts.pairs);
    std::vector<std::vector<uint32_t>> lists(frame.tiles());
    for (int64_t t = 0; t < frame.tiles(); ++t)
        for (uint32_t k = begin[t]; k < begin[t + 1]; ++k) lists[t].push_back(splat[list[k]]);
    return lists;
}

// (splat, pixel) pairs that changed the last render
int64_t useful(GpuFrame& f, uintptr_t stream) {
    const std::lock_guard<std::mutex> one(f.mutex);
    if (!f.rendered) return 0;
    const OnThis here(f.driver.device);
    return count_useful(f.driver.frame, f.input, stream_of(stream));
}

void bind_frame(nb::module_& m) {
    nb::class_<GpuFrame> c(m, "Frame");
    c.def("__init__", [](GpuFrame* self, nb::callable allocate, int device) {
        new (self) GpuFrame(std::in_place, std::move(allocate), device);
    }, "allocate"_a, "device"_a = 0, "allocate(bytes) gives a uint8 array [bytes] on the device.");
    GpuFrame::bind(c);
    c.def("tile_lists", &tile_lists)
        .def("useful", &useful, "stream"_a = 0)
        .def_prop_ro("visible", [](GpuFrame& f) { return f.driver.frame.counts.visible; })
        .def_prop_ro("intersections", [](GpuFrame& f) { return f.driver.frame.counts.pairs; })
        .def_prop_ro("stream", [](GpuFrame& f) { return f.last_stream; })
        .def_prop_ro("capacity", [](GpuFrame& f) { return f.driver.frame.capacity; })
        .def_prop_ro("bytes", [](GpuFrame& f) { return f.driver.memory.bytes(); })
        .def_prop_ro("seconds", [](GpuFrame& f) {
            return std::vector<double>(f.driver.frame.seconds, f.driver.frame.seconds + Frame::kStages);
        })
        .def_prop_rw("deterministic", [](GpuFrame& f) { return f.driver.frame.deterministic; },
                     [](GpuFrame& f, bool on) { f.driver.frame.deterministic = on, f.ready = false; })
        .def_prop_rw("timed", [](GpuFrame& f) { return f.driver.frame.timed; },
                     [](GpuFrame& f, bool on) { f.driver.frame.timed = on; });
}

using Image = ConstArray<OnDevice, -1, -1, 3>;
using ImageBytes = nb::ndarray<const uint8_t, nb::shape<-1, -1, 3>, nb::c_contig, OnDevice>;
using Mask = nb::ndarray<const bool, nb::ndim<2>, nb::c_contig, OnDevice>;
using Rows = nb::ndarray<float, nb::ndim<2>, nb::c_contig, OnDevice>;
using Flat = Array<OnDevice, -1>;

// What the trainer needs beside the rasteriser, and the memory that it works in. One call at a time.
struct Work {
    int device;
    PyMemory memory;
    Device<float> loss_scratch;
    std::mutex mutex;

    Work(nb::callable allocate, int index) : device(index), memory(std::move(allocate)) {}

    template <class Call>
    void run(Call call) {
        nb::gil_scoped_release release;
        const std::lock_guard<std::mutex> one(mutex);
        const OnThis here(device);
        call();
    }
};

void set_target(SsimInput& in, const Image& target) { in.target = target.data(); }
void set_target(SsimInput& in, const ImageBytes& target) { in.target_bytes = target.data(); }

template <class Target>
void loss(Work& work, uintptr_t stream, Image image, Target target, std::optional<Mask> mask, float ssim_weight,
          std::optional<Array<OnDevice, -1, -1, 3>> grad_out, Array<OnDevice, 3> values_out) {
    const auto fits = [&](const auto& a) { return a.shape(0) == image.shape(0) && a.shape(1) == image.shape(1); };
    require(image.size() > 0, "image has no pixels");
    require(fits(target) && (!mask || fits(*mask)) && (!grad_out || fits(*grad_out)),
            "image, target, mask and grad_out must have the same height and width");
    require(ssim_weight >= 0.f && ssim_weight <= 1.f, "ssim_weight must lie in 0 to 1");
    SsimInput in{};
    in.image = image.data();
    set_target(in, target);
    in.mask = mask ? reinterpret_cast<const uint8_t*>(mask->data()) : nullptr;
    in.height = int64_t(image.shape(0)), in.width = int64_t(image.shape(1));
    in.ssim_weight = ssim_weight;
    in.gradient = data_or_null(grad_out);
    work.run([&] {
        l1_ssim(in, values_out.data(), work.loss_scratch.reserve(work.memory, kLossScratch), stream_of(stream));
    });
}

// One tensor's part of a step: (param, grad, exp_avg, exp_avg_sq), rates of its columns, number of the step.
using AdamPart = std::tuple<Rows, Rows, Rows, Rows, std::vector<double>, int64_t>;

void adam_parts(Work& work, uintptr_t stream, std::vector<AdamPart> parts, double beta1, double beta2, double eps,
                bool zero_grad) {
    std::vector<AdamTensor> tensors;
    std::vector<AdamConstants> constants;
    std::vector<std::vector<float>> all_rates;
    all_rates.reserve(parts.size());
    for (const auto& [param, grad, exp_avg, exp_avg_sq, rates, step] : parts) {
        const auto fits = [&p = param](const Rows& a) { return a.shape(0) == p.shape(0) && a.shape(1) == p.shape(1); };
        require(fits(grad) && fits(exp_avg) && fits(exp_avg_sq), "param, grad and the moments must have one shape");
        const size_t columns = rates.size();
        require(columns > 0 && columns <= size_t(kAdamColumns) && (columns == 1 || columns == param.shape(1)),
                "one rate, or one per column, 1 to 1024 columns");
        const int64_t rows = columns == 1 ? int64_t(param.size()) : int64_t(param.shape(0));
        all_rates.emplace_back(rates.begin(), rates.end());
        tensors.push_back({param.data(), grad.data(), exp_avg.data(), exp_avg_sq.data(), rows, int64_t(columns),
                           all_rates.back().data(), zero_grad});
        constants.push_back(adam_constants(beta1, beta2, eps, step));
    }
    work.run([&] { adam_many(tensors.data(), constants.data(), int(tensors.size()), stream_of(stream)); });
}

void spacing(Work& work, uintptr_t stream, ConstArray<OnDevice, -1, 3> points, int k, Flat out) {
    require(out.shape(0) == points.shape(0), "out must have one number per point");
    require(k >= 1 && k <= kMaxNeighbours, "k must lie in 1 to 64");
    work.run([&] {
        knn_mean_squared(work.memory, points.data(), int64_t(points.shape(0)), k, out.data(), stream_of(stream));
    });
}

void bind_work(nb::module_& m) {
    const char* about =
        "(1 - w) L1 + w (1 - SSIM) of [H, W, 3] images; writes its gradient (or None) and values_out [3] = loss, L1, "
        "SSIM. The target is float32; of l1_ssim_bytes uint8, 0 to 255.";
    nb::class_<Work> c(m, "Work", "Loss, optimiser and point spacing on a device.");
    c.def("__init__", [](Work* self, nb::callable allocate, int device) {
         new (self) Work(std::move(allocate), device);
     }, "allocate"_a, "device"_a = 0)
        .def("l1_ssim", &loss<Image>, "stream"_a, "image"_a.noconvert(), "target"_a.noconvert(),
             "mask"_a.noconvert().none(), "ssim_weight"_a, "grad_out"_a.noconvert().none(), "values_out"_a.noconvert(),
             about)
        .def("l1_ssim_bytes", &loss<ImageBytes>, "stream"_a, "image"_a.noconvert(), "target"_a.noconvert(),
             "mask"_a.noconvert().none(), "ssim_weight"_a, "grad_out"_a.noconvert().none(), "values_out"_a.noconvert(),
             about)
        .def("adam", &adam_parts, "stream"_a, "parts"_a.noconvert(), "beta1"_a, "beta2"_a, "eps"_a, "zero_grad"_a = false,
             "One Adam step in place on each of the parts: (param [N, M], grad, exp_avg, exp_avg_sq, rates [1 or M], "
             "number of the step).")
        .def("knn_mean_squared", &spacing, "stream"_a, "points"_a.noconvert(), "k"_a, "out"_a.noconvert());
}

}  // namespace
}  // namespace splat::gpu

void bind_gpu(nanobind::module_& parent) {
    using namespace splat;
    nb::module_ m = parent.def_submodule("cuda", "The CUDA driver: the names of the module itself, on a device.");
    PyShStep<gpu::OnDevice>::bind(m);
    gpu::bind_frame(m);
    gpu::bind_work(m);
}

#ifdef SPLAT_EMULATED
void bind_emulator(nanobind::module_&);

NB_MODULE(_emulated, m) {
    nanobind::set_leak_warnings(false);
    bind_gpu(m);
    bind_emulator(m);
}
#endif
