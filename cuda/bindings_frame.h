// Python's view of a render and its backward, the same for every driver. Python allocates every
// output; shapes are checked here once. Scene and images are arrays on the driver's device, the camera
// is on the host.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "adam_constants.h"
#include "frame_io.h"

namespace splat {

namespace nb = nanobind;
using namespace nb::literals;

inline void require(bool ok, const char* what) {
    if (!ok) throw nb::value_error(what);
}

template <class A>
auto data_or_null(const std::optional<A>& a) -> decltype(a->data()) {
    return a ? a->data() : nullptr;
}

// Arrays of float32 on a device, by shape.
template <class Device, int64_t... Shape>
using Array = nb::ndarray<float, nb::shape<Shape...>, nb::c_contig, Device>;
template <class Device, int64_t... Shape>
using ConstArray = nb::ndarray<const float, nb::shape<Shape...>, nb::c_contig, Device>;

inline Filter filter_named(const std::string& name) {
    const char* names[] = {"none", "mip", "analytic", "moment", "exact"};
    for (int k = 0; k < 5; ++k)
        if (name == names[k]) return Filter(k);
    throw nb::value_error("no such pixel filter");
}

// The Gaussians that a render reads.
template <class Device>
struct Scene {
    ConstArray<Device, -1, 3> means;
    ConstArray<Device, -1, 4> quats;
    ConstArray<Device, -1, 3> log_scales;
    ConstArray<Device, -1> logit_opacities;
    ConstArray<Device, -1, -1, 3> sh;
    std::optional<ConstArray<Device, -1>> shape;

    bool has(size_t n) const {
        return means.shape(0) == n && quats.shape(0) == n && log_scales.shape(0) == n &&
               logit_opacities.shape(0) == n && sh.shape(0) == n && (!shape || shape->shape(0) == n);
    }
    void set(FrameInput& in) const {
        in.means = means.data(), in.quats = quats.data(), in.log_scales = log_scales.data();
        in.logit_opacities = logit_opacities.data(), in.sh = sh.data();
        in.shape = data_or_null(shape);
    }
};

struct ViewArguments {
    const float* world_to_camera;  // [4, 4]
    std::vector<float> intrinsics;
    int width, height, sh_degree;
    std::string antialias;
    float dilation;
    int strips;
    std::vector<float> background;
    float near, far;
    bool geometry;
};

template <class Device>
FrameInput make_input(const Scene<Device>& s, const ViewArguments& v) {
    const size_t n = s.means.shape(0);
    require(s.has(n), "all Gaussian arrays must have the same first dimension");
    require(n < size_t(1) << 31, "at most 2^31 - 1 Gaussians");
    require(v.sh_degree >= 0 && v.sh_degree <= 3 && (v.sh_degree + 1) * (v.sh_degree + 1) <= int(s.sh.shape(1)),
            "sh holds fewer coefficients than sh_degree needs");
    require(v.width > 0 && v.height > 0 && v.width <= 65535 * kTile && v.height <= 65535 * kTile, "bad image size");
    require(v.intrinsics.size() == 4 && v.background.size() == 3,
            "intrinsics are (fx, fy, cx, cy), background is RGB");
    require(v.strips == 1 || v.strips == 2, "strips is 1 or 2");
    FrameInput in;
    in.count = int64_t(n);
    in.sh_stored = int(s.sh.shape(1));
    in.sh_degree = v.sh_degree;
    s.set(in);
    for (int i = 0; i < 16; ++i) in.world_to_camera[i] = v.world_to_camera[i];
    in.fx = v.intrinsics[0], in.fy = v.intrinsics[1], in.cx = v.intrinsics[2], in.cy = v.intrinsics[3];
    in.width = v.width, in.height = v.height;
    in.generalised = s.shape.has_value();
    in.filter = filter_named(v.antialias);
    in.dilation = v.dilation;
    in.strips = v.strips;
    require(in.filter != Filter::analytic || !in.generalised, "the analytic filter is for Gaussians");
    for (int i = 0; i < 3; ++i) in.background[i] = v.background[i];
    in.near = v.near, in.far = v.far;
    in.geometry = v.geometry;
    return in;
}

// Adam's step on sh, for PyFrame::backward: updates sh and its moments in place.
template <class Device>
struct PyShStep {
    using Rows = Array<Device, -1, -1, 3>;
    Rows param, exp_avg, exp_avg_sq;
    std::optional<Rows> accumulated;
    ShStep step;

    PyShStep(Rows sh, Rows first, Rows second, const std::vector<float>& rates, double beta1, double beta2, double eps,
             int64_t count, std::optional<Rows> waiting, bool due)
        : param(sh), exp_avg(first), exp_avg_sq(second), accumulated(waiting) {
        const size_t columns = sh.shape(1) * 3;
        const auto fits = [&](const Rows& a) { return a.shape(0) == sh.shape(0) && a.shape(1) == sh.shape(1); };
        require(columns <= 48 && fits(first) && fits(second) && rates.size() == columns && (!waiting || fits(*waiting)),
                "sh, its moments and its rates must have the same columns, at most 48");
        step.constants = adam_constants(beta1, beta2, eps, count);
        step.param = sh.data(), step.exp_avg = first.data(), step.exp_avg_sq = second.data();
        step.accumulated = data_or_null(waiting), step.due = due;
        for (size_t k = 0; k < 48; ++k) step.rates[k] = k < columns ? rates[k] * step.constants.inverse_bias1 : 0.f;
    }
    bool belongs_to(const ConstArray<Device, -1, -1, 3>& sh) const {
        return sh.data() == param.data() && sh.shape(0) == param.shape(0) && sh.shape(1) == param.shape(1);
    }
    static void bind(nb::module_& m) {
        nb::class_<PyShStep>(m, "ShStep")
            .def(nb::init<Rows, Rows, Rows, std::vector<float>, double, double, double, int64_t, std::optional<Rows>,
                          bool>(),
                 "sh"_a.noconvert(), "exp_avg"_a.noconvert(), "exp_avg_sq"_a.noconvert(), "rates"_a, "beta1"_a,
                 "beta2"_a, "eps"_a, "step"_a, "accumulated"_a.noconvert().none() = nb::none(), "due"_a = true,
                 "One Adam step on sh [N, K, 3] that Frame.backward takes instead of giving v_sh. With `accumulated`, "
                 "shaped as sh, gradients add up there, and the step is taken only if it is due.");
    }
};

// A frame of a driver. Driver::Device is where arrays are; Driver::render(in, out, keep, stream) and
// Driver::backward(in, out, gradients, stream) do the work. `keep`: a backward may follow. `stream`: the
// CUDA stream to work on; of no meaning on the processor.
template <class Driver>
class PyFrame {
    using Device = typename Driver::Device;
    template <int64_t... Shape>
    using Out = Array<Device, Shape...>;
    template <int64_t... Shape>
    using In = ConstArray<Device, Shape...>;
    template <class A>
    using Maybe = std::optional<A>;

  public:
    template <class... Arguments>
    explicit PyFrame(std::in_place_t, Arguments&&... arguments) : driver(std::forward<Arguments>(arguments)...) {}
    PyFrame() = default;

    void render(In<-1, 3> means, In<-1, 4> quats, In<-1, 3> log_scales, In<-1> logit_opacities, In<-1, -1, 3> sh,
                Maybe<In<-1>> shape, ConstArray<nb::device::cpu, 4, 4> world_to_camera, std::vector<float> intrinsics,
                int width, int height, int sh_degree, std::string antialias, float dilation, int strips,
                std::vector<float> background, float near, float far, Out<-1, -1, 3> color, Out<-1, -1> alpha,
                Out<-1> radii, Maybe<Out<-1, -1>> depth_sum, Maybe<Out<-1, -1>> median_depth,
                Maybe<Out<-1, -1, 3>> normals, bool keep, uintptr_t stream) {
        const FrameInput in = make_input(Scene<Device>{means, quats, log_scales, logit_opacities, sh, shape},
                                         ViewArguments{world_to_camera.data(), intrinsics, width, height, sh_degree, antialias,
                                                       dilation, strips, background, near, far, depth_sum.has_value()});
        const auto fits = [&](const auto& a) { return fits_image(a, in); };
        require(fits(color) && fits(alpha) && int64_t(radii.shape(0)) == in.count, "output of the wrong shape");
        require(!depth_sum || (median_depth && normals && fits(*depth_sum) && fits(*median_depth) && fits(*normals)),
                "depth_sum, median_depth and normals come together, at the image size");
        const FrameOutput out{color.data(), alpha.data(), data_or_null(depth_sum), data_or_null(median_depth),
                              data_or_null(normals), radii.data()};
        nb::gil_scoped_release release;
        const std::lock_guard<std::mutex> one(mutex);
        ready = rendered = false;  // a render that throws leaves nothing to go back from
        last_stream = stream;
        driver.render(in, out, keep, stream);
        input = in;
        ready = keep;
        rendered = true;
    }

    void backward(In<-1, 3> means, In<-1, 4> quats, In<-1, 3> log_scales, In<-1> logit_opacities, In<-1, -1, 3> sh,
                  Maybe<In<-1>> shape, Out<-1, -1, 3> color, Out<-1, -1> alpha, Maybe<Out<-1, -1>> depth_sum,
                  Maybe<Out<-1, -1, 3>> normals, Maybe<In<-1, -1, 3>> v_color, Maybe<In<-1, -1>> v_alpha,
                  Maybe<In<-1, -1>> v_depth_sum, Maybe<In<-1, -1>> v_median_depth, Maybe<In<-1, -1, 3>> v_normals,
                  Out<-1, 3> v_means, Out<-1, 4> v_quats, Out<-1, 3> v_log_scales, Out<-1> v_logit_opacities,
                  Maybe<Out<-1, -1, 3>> v_sh, Maybe<Out<-1>> v_shape, Maybe<Out<-1, 4>> screen, Maybe<Out<3, 4>> pose,
                  const PyShStep<Device>* sh_step, uintptr_t stream) {
        const size_t n = means.shape(0);
        nb::gil_scoped_release release;
        const std::lock_guard<std::mutex> one(mutex);
        require(ready, "backward() before render()");
        const Scene<Device> scene{means, quats, log_scales, logit_opacities, sh, shape};
        require(int64_t(n) == input.count && scene.has(n) && int(sh.shape(1)) == input.sh_stored &&
                    shape.has_value() == input.generalised,
                "not the scene that was rendered");
        const auto fits = [&](const auto& a) { return !a || fits_image(*a, input); };
        require(fits_image(color, input) && fits_image(alpha, input) && fits(depth_sum) && fits(normals) &&
                    fits(v_color) && fits(v_alpha) && fits(v_depth_sum) && fits(v_median_depth) && fits(v_normals),
                "image of the wrong shape");
        require(v_means.shape(0) == n && v_quats.shape(0) == n && v_log_scales.shape(0) == n &&
                    v_logit_opacities.shape(0) == n && v_sh.has_value() == (sh_step == nullptr) &&
                    (!v_sh || (v_sh->shape(0) == n && v_sh->shape(1) == sh.shape(1))) &&
                    (!screen || screen->shape(0) == n) &&
                    v_shape.has_value() == shape.has_value() && (!v_shape || v_shape->shape(0) == n),
                "gradient of the wrong shape");
        require(!sh_step || sh_step->belongs_to(sh), "sh_step is not of this sh");
        require(!input.geometry || (depth_sum && normals), "a geometry render needs its outputs back");
        FrameInput in = input;
        scene.set(in);
        const FrameOutput out{color.data(), alpha.data(), data_or_null(depth_sum), nullptr, data_or_null(normals),
                              nullptr};
        const FrameGradients g{data_or_null(v_color), data_or_null(v_alpha), data_or_null(v_depth_sum),
                               data_or_null(v_median_depth), data_or_null(v_normals), v_means.data(),
                               v_quats.data(), v_log_scales.data(), v_logit_opacities.data(), data_or_null(v_sh),
                               data_or_null(v_shape), data_or_null(screen), data_or_null(pose),
                               sh_step ? &sh_step->step : nullptr};
        driver.backward(in, out, g, stream);
    }

    // The class in Python; the driver adds what is its own.
    template <class Class>
    static void bind(Class& c) {
        c.def("render", &PyFrame::render, "means"_a.noconvert(), "quats"_a.noconvert(), "log_scales"_a.noconvert(),
              "logit_opacities"_a.noconvert(), "sh"_a.noconvert(), "shape"_a.noconvert().none(),
              "world_to_camera"_a.noconvert(), "intrinsics"_a, "width"_a, "height"_a, "sh_degree"_a, "antialias"_a,
              "dilation"_a, "strips"_a, "background"_a, "near"_a, "far"_a, "color"_a.noconvert(), "alpha"_a.noconvert(),
              "radii"_a.noconvert(), "depth_sum"_a.noconvert().none(), "median_depth"_a.noconvert().none(),
              "normals"_a.noconvert().none(), "keep"_a = true, "stream"_a = 0)
            .def("backward", &PyFrame::backward, "means"_a.noconvert(), "quats"_a.noconvert(),
                 "log_scales"_a.noconvert(), "logit_opacities"_a.noconvert(), "sh"_a.noconvert(),
                 "shape"_a.noconvert().none(), "color"_a.noconvert(), "alpha"_a.noconvert(),
                 "depth_sum"_a.noconvert().none(), "normals"_a.noconvert().none(), "v_color"_a.noconvert().none(),
                 "v_alpha"_a.noconvert().none(), "v_depth_sum"_a.noconvert().none(),
                 "v_median_depth"_a.noconvert().none(), "v_normals"_a.noconvert().none(), "v_means"_a.noconvert(),
                 "v_quats"_a.noconvert(), "v_log_scales"_a.noconvert(), "v_logit_opacities"_a.noconvert(),
                 "v_sh"_a.noconvert().none(), "v_shape"_a.noconvert().none(), "screen"_a.noconvert().none(),
                 "pose"_a.noconvert().none(), "sh_step"_a.none() = nb::none(), "stream"_a = 0);
    }

    std::mutex mutex;  // one call at a time on one frame
    Driver driver;
    FrameInput input;
    bool ready = false, rendered = false;
    uintptr_t last_stream = 0;

  private:
    template <class A>
    static bool fits_image(const A& a, const FrameInput& in) {
        return int64_t(a.shape(0)) == in.height && int64_t(a.shape(1)) == in.width;
    }
};

}  // namespace splat
