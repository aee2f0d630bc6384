// The Python module splat._native: raw arrays in and out, nothing of torch. Python allocates every
// output; shapes are checked here once.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <mutex>
#include <optional>
#include <nanobind/stl/optional.h>

#include "adam_constants.h"
#include "cpu/frame.h"
#include "cpu/kernels.h"
#include "cpu/pool.h"
#include "gpu/device.h"

namespace nb = nanobind;
using namespace nb::literals;

#ifdef SPLAT_HAVE_TRAINING
void bind_training(nb::module_& m);
#endif
void bind_formulas(nb::module_& m);

namespace splat {
namespace {

template <class... Shape>
using Array = nb::ndarray<float, nb::shape<Shape::value...>, nb::c_contig, nb::device::cpu>;
template <class... Shape>
using ConstArray = nb::ndarray<const float, nb::shape<Shape::value...>, nb::c_contig, nb::device::cpu>;
template <int64_t N>
struct D {
    static constexpr int64_t value = N;
};
using Any = D<-1>;

void require(bool ok, const char* what) {
    if (!ok) throw nb::value_error(what);
}

template <class A>
auto data_or_null(std::optional<A>& a) -> decltype(a->data()) {
    return a ? a->data() : nullptr;
}

// Everything a render reads, filled from Python once per call.
struct Scene {
    ConstArray<Any, D<3>> means;
    ConstArray<Any, D<4>> quats;
    ConstArray<Any, D<3>> log_scales;
    ConstArray<Any> logit_opacities;
    ConstArray<Any, Any, D<3>> sh;
    std::optional<ConstArray<Any>> shape;
};

Filter filter_named(const std::string& name) {
    const char* names[] = {"none", "mip", "analytic", "moment", "exact"};
    for (int k = 0; k < 5; ++k)
        if (name == names[k]) return Filter(k);
    throw nb::value_error("no such pixel filter");
}

FrameInput make_input(Scene s, const ConstArray<D<4>, D<4>>& world_to_camera,
                      const std::vector<float>& intrinsics, int width, int height, int sh_degree,
                      const std::string& antialias, float dilation, int strips,
                      const std::vector<float>& background, float near,
                      float far, bool geometry) {
    const size_t n = s.means.shape(0);
    require(s.quats.shape(0) == n && s.log_scales.shape(0) == n && s.logit_opacities.shape(0) == n &&
                s.sh.shape(0) == n && (!s.shape || s.shape->shape(0) == n),
            "all Gaussian arrays must have the same first dimension");
    require(n < size_t(1) << 31, "at most 2^31 - 1 Gaussians");
    require(sh_degree >= 0 && sh_degree <= 3 && int((sh_degree + 1) * (sh_degree + 1)) <= int(s.sh.shape(1)),
            "sh holds fewer coefficients than sh_degree needs");
    require(width > 0 && height > 0 && width <= 65535 * kTile && height <= 65535 * kTile, "bad image size");
    require(intrinsics.size() == 4 && background.size() == 3, "intrinsics are (fx, fy, cx, cy), background is RGB");
    FrameInput in;
    in.count = int64_t(n);
    in.sh_stored = int(s.sh.shape(1));
    in.sh_degree = sh_degree;
    in.means = s.means.data(), in.quats = s.quats.data(), in.log_scales = s.log_scales.data();
    in.logit_opacities = s.logit_opacities.data(), in.sh = s.sh.data();
    for (int i = 0; i < 16; ++i) in.world_to_camera[i] = world_to_camera.data()[i];
    in.fx = intrinsics[0], in.fy = intrinsics[1], in.cx = intrinsics[2], in.cy = intrinsics[3];
    in.width = width, in.height = height;
    in.generalised = s.shape.has_value();
    in.shape = data_or_null(s.shape);
    in.filter = filter_named(antialias);
    in.dilation = dilation;
    in.strips = strips;
    require(strips == 1 || strips == 2, "strips is 1 or 2");
    require(in.filter != Filter::analytic || !in.generalised, "the analytic filter is for Gaussians");
    for (int i = 0; i < 3; ++i) in.background[i] = background[i];
    in.near = near, in.far = far;
    in.geometry = geometry;
    return in;
}

// Adam's step on sh, for PyFrame::backward: updates sh and its moments in place.
struct PyShStep {
    using Rows = Array<Any, Any, D<3>>;
    Rows param, exp_avg, exp_avg_sq;
    ShStep step;

    PyShStep(Rows sh, Rows first, Rows second, const std::vector<float>& rates, double beta1, double beta2, double eps,
             int64_t count)
        : param(sh), exp_avg(first), exp_avg_sq(second) {
        const size_t columns = sh.shape(1) * 3;
        const auto fits = [&](const Rows& a) { return a.shape(0) == sh.shape(0) && a.shape(1) == sh.shape(1); };
        require(columns <= 48 && fits(first) && fits(second) && rates.size() == columns,
                "sh, its moments and its rates must have the same columns, at most 48");
        step.constants = adam_constants(beta1, beta2, eps, count);
        step.param = sh.data(), step.exp_avg = first.data(), step.exp_avg_sq = second.data();
        for (size_t k = 0; k < 48; ++k) step.rates[k] = k < columns ? rates[k] * step.constants.inverse_bias1 : 0.f;
    }
    bool belongs_to(const ConstArray<Any, Any, D<3>>& sh) const {
        return sh.data() == param.data() && sh.shape(0) == param.shape(0) && sh.shape(1) == param.shape(1);
    }
};

class PyFrame {
  public:
    void render(ConstArray<Any, D<3>> means, ConstArray<Any, D<4>> quats, ConstArray<Any, D<3>> log_scales,
                ConstArray<Any> logit_opacities, ConstArray<Any, Any, D<3>> sh,
                std::optional<ConstArray<Any>> shape, ConstArray<D<4>, D<4>> world_to_camera,
                std::vector<float> intrinsics, int width, int height, int sh_degree, std::string antialias,
                float dilation, int strips, std::vector<float> background, float near, float far,
                Array<Any, Any, D<3>> color, Array<Any, Any> alpha, Array<Any> radii,
                std::optional<Array<Any, Any>> depth_sum, std::optional<Array<Any, Any>> median_depth,
                std::optional<Array<Any, Any, D<3>>> normals) {
        const FrameInput input =
            make_input({means, quats, log_scales, logit_opacities, sh, shape}, world_to_camera, intrinsics, width, height,
                       sh_degree, antialias, dilation, strips, background, near, far, depth_sum.has_value());
        const auto fits = [&](const auto& a) { return fits_image(a, input); };
        require(fits(color) && fits(alpha) && int64_t(radii.shape(0)) == input.count, "output of the wrong shape");
        require(!depth_sum || (median_depth && normals && fits(*depth_sum) && fits(*median_depth) && fits(*normals)),
                "depth_sum, median_depth and normals come together, at the image size");
        const FrameOutput out{color.data(), alpha.data(), data_or_null(depth_sum), data_or_null(median_depth),
                              data_or_null(normals), radii.data()};
        nb::gil_scoped_release release;
        const std::lock_guard<std::mutex> one(mutex_);
        kernels_ = nullptr;  // a render that throws leaves nothing to go back from
        const Kernels& k = kernels();
        k.render(frame_, input, out);
        input_ = input;
        kernels_ = &k;
    }

    void backward(ConstArray<Any, D<3>> means, ConstArray<Any, D<4>> quats, ConstArray<Any, D<3>> log_scales,
                  ConstArray<Any> logit_opacities, ConstArray<Any, Any, D<3>> sh,
                  std::optional<ConstArray<Any>> shape, Array<Any, Any, D<3>> color,
                  Array<Any, Any> alpha, std::optional<Array<Any, Any>> depth_sum,
                  std::optional<Array<Any, Any, D<3>>> normals, std::optional<ConstArray<Any, Any, D<3>>> v_color,
                  std::optional<ConstArray<Any, Any>> v_alpha, std::optional<ConstArray<Any, Any>> v_depth_sum,
                  std::optional<ConstArray<Any, Any>> v_median_depth,
                  std::optional<ConstArray<Any, Any, D<3>>> v_normals, Array<Any, D<3>> v_means,
                  Array<Any, D<4>> v_quats, Array<Any, D<3>> v_log_scales, Array<Any> v_logit_opacities,
                  std::optional<Array<Any, Any, D<3>>> v_sh, std::optional<Array<Any>> v_shape, Array<Any, D<4>> screen, std::optional<Array<D<3>, D<4>>> pose, const PyShStep* sh_step) {
        nb::gil_scoped_release release;
        const std::lock_guard<std::mutex> one(mutex_);
        require(kernels_ != nullptr, "backward() before render()");
        const size_t n = means.shape(0);
        require(int64_t(n) == input_.count && quats.shape(0) == n && log_scales.shape(0) == n &&
                    logit_opacities.shape(0) == n && sh.shape(0) == n && int(sh.shape(1)) == input_.sh_stored &&
                    shape.has_value() == input_.generalised && (!shape || shape->shape(0) == n),
                "not the scene that was rendered");
        const auto fits = [&](const auto& a) { return !a || fits_image(*a, input_); };
        require(fits_image(color, input_) && fits_image(alpha, input_) && fits(depth_sum) && fits(normals) &&
                    fits(v_color) && fits(v_alpha) && fits(v_depth_sum) && fits(v_median_depth) && fits(v_normals),
                "image of the wrong shape");
        require(v_means.shape(0) == n && v_quats.shape(0) == n && v_log_scales.shape(0) == n &&
                    v_logit_opacities.shape(0) == n && v_sh.has_value() == (sh_step == nullptr) &&
                    (!v_sh || (v_sh->shape(0) == n && v_sh->shape(1) == sh.shape(1))) &&
                    screen.shape(0) == n && v_shape.has_value() == shape.has_value() &&
                    (!v_shape || v_shape->shape(0) == n),
                "gradient of the wrong shape");
        FrameInput in = input_;
        in.means = means.data(), in.quats = quats.data(), in.log_scales = log_scales.data();
        in.logit_opacities = logit_opacities.data(), in.sh = sh.data();
        in.shape = data_or_null(shape);
        const FrameOutput out{color.data(), alpha.data(), data_or_null(depth_sum), nullptr, data_or_null(normals),
                              nullptr};
        const FrameGradients g{data_or_null(v_color), data_or_null(v_alpha), data_or_null(v_depth_sum),
                               data_or_null(v_median_depth), data_or_null(v_normals), v_means.data(),
                               v_quats.data(), v_log_scales.data(), v_logit_opacities.data(), data_or_null(v_sh),
                               data_or_null(v_shape), screen.data(), data_or_null(pose),
                               sh_step ? &sh_step->step : nullptr};
        require(!sh_step || sh_step->belongs_to(sh), "sh_step is not of this sh");
        require(!in.geometry || (out.depth_sum && out.normals), "a geometry render needs its outputs back");
        kernels_->render_backward(frame_, in, out, g);
    }

    // (splat, pixel) pairs that changed the last render; only right after render()
    int64_t useful() {
        const std::lock_guard<std::mutex> one(mutex_);
        return kernels_ ? kernels_->count_useful(frame_, input_) : 0;
    }
    int64_t visible() const { return frame_.visible; }
    int64_t intersections() const { return frame_.intersections; }
    int64_t hits() const { return frame_.hits; }
    int64_t bytes() const { return frame_.bytes(); }
    // (splat, 4x4 block) pairs that changed at least one pixel
    int64_t block_hits() const {
        int64_t total = 0;
        if (!kernels_) return total;
        for (int64_t t = 0; t < int64_t(frame_.tiles_x) * frame_.tiles_y; ++t)
            for (uint32_t k = 0; k < frame_.tile_hits[t]; ++k)
                total += __builtin_popcount(frame_.masks[frame_.tile_begin[t] + k]);
        return total;
    }
    std::vector<double> seconds() const {
        return std::vector<double>(frame_.seconds, frame_.seconds + Frame::kStages);
    }

  private:
    template <class A>
    static bool fits_image(const A& a, const FrameInput& in) {
        return int64_t(a.shape(0)) == in.height && int64_t(a.shape(1)) == in.width;
    }

    std::mutex mutex_;  // one call at a time on one frame
    Frame frame_;
    FrameInput input_;
    const Kernels* kernels_ = nullptr;
};

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
    nb::class_<PyShStep>(m, "ShStep")
        .def(nb::init<PyShStep::Rows, PyShStep::Rows, PyShStep::Rows, std::vector<float>, double, double, double, int64_t>(),
             "sh"_a.noconvert(), "exp_avg"_a.noconvert(), "exp_avg_sq"_a.noconvert(), "rates"_a, "beta1"_a, "beta2"_a,
             "eps"_a, "step"_a, "One Adam step on sh [N, K, 3] that Frame.backward takes instead of giving v_sh.");
    nb::class_<PyFrame>(m, "Frame")
        .def(nb::init<>())
        .def("render", &PyFrame::render, "means"_a.noconvert(), "quats"_a.noconvert(), "log_scales"_a.noconvert(),
             "logit_opacities"_a.noconvert(), "sh"_a.noconvert(), "shape"_a.noconvert().none(),
             "world_to_camera"_a.noconvert(), "intrinsics"_a, "width"_a, "height"_a, "sh_degree"_a, "antialias"_a,
             "dilation"_a, "strips"_a, "background"_a, "near"_a, "far"_a, "color"_a.noconvert(),
             "alpha"_a.noconvert(), "radii"_a.noconvert(), "depth_sum"_a.noconvert().none(),
             "median_depth"_a.noconvert().none(), "normals"_a.noconvert().none())
        .def("backward", &PyFrame::backward, "means"_a.noconvert(), "quats"_a.noconvert(),
             "log_scales"_a.noconvert(), "logit_opacities"_a.noconvert(), "sh"_a.noconvert(), "shape"_a.noconvert().none(),
             "color"_a.noconvert(), "alpha"_a.noconvert(), "depth_sum"_a.noconvert().none(), "normals"_a.noconvert().none(),
             "v_color"_a.noconvert().none(), "v_alpha"_a.noconvert().none(), "v_depth_sum"_a.noconvert().none(),
             "v_median_depth"_a.noconvert().none(), "v_normals"_a.noconvert().none(), "v_means"_a.noconvert(),
             "v_quats"_a.noconvert(), "v_log_scales"_a.noconvert(), "v_logit_opacities"_a.noconvert(),
             "v_sh"_a.noconvert().none(), "v_shape"_a.noconvert().none(), "screen"_a.noconvert(), "pose"_a.noconvert().none(),
             "sh_step"_a.none() = nb::none())
        .def("useful", &PyFrame::useful)
        .def_prop_ro("visible", &PyFrame::visible)
        .def_prop_ro("intersections", &PyFrame::intersections)
        .def_prop_ro("hits", &PyFrame::hits)
        .def_prop_ro("block_hits", &PyFrame::block_hits)
        .def_prop_ro("bytes", &PyFrame::bytes)
        .def_prop_ro("seconds", &PyFrame::seconds);
#ifdef SPLAT_HAVE_TRAINING
    bind_training(m);
#endif
    bind_formulas(m);
}
