// Python bindings of what the trainer needs beside the rasteriser: loss, optimiser, point spacing.
// Every array is C-contiguous float32 on the CPU, passed without conversion; shapes are checked here.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "adam_constants.h"
#include "cpu/kernels.h"
#include "cpu/knn.h"
#include "training.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace splat {
namespace {

template <class T, class... Options>
using Cpu = nb::ndarray<T, nb::c_contig, nb::device::cpu, Options...>;
using Image = Cpu<const float, nb::shape<-1, -1, 3>>;
using Bytes = Cpu<const uint8_t, nb::shape<-1, -1, 3>>;
using ImageOut = Cpu<float, nb::shape<-1, -1, 3>>;
using Mask = Cpu<const bool, nb::ndim<2>>;
using Flat = Cpu<float, nb::ndim<1>>;
using Any = Cpu<float>;
using Points = Cpu<const float, nb::shape<-1, 3>>;

template <class A>
std::string shape_text(const A& a) {
    std::string text = "[";
    for (size_t i = 0; i < a.ndim(); ++i) text += (i ? ", " : "") + std::to_string(a.shape(i));
    return text + "]";
}

template <class A, class B>
void same_shape(const A& a, const B& b, const char* what) {
    bool same = a.ndim() == b.ndim();
    for (size_t i = 0; same && i < a.ndim(); ++i) same = same && a.shape(i) == b.shape(i);
    if (same) return;
    throw nb::value_error((std::string(what) + " has shape " + shape_text(b) + ", expected " + shape_text(a)).c_str());
}

void set_target(SsimInput& in, const Image& target) { in.target = target.data(); }
void set_target(SsimInput& in, const Bytes& target) { in.target_bytes = target.data(); }

template <class Target>
SsimInput loss_input(const Image& image, const Target& target, const std::optional<Mask>& mask, float weight) {
    if (image.size() == 0) throw nb::value_error(("image has no pixels: shape " + shape_text(image)).c_str());
    same_shape(image, target, "target");
    if (mask && (mask->shape(0) != image.shape(0) || mask->shape(1) != image.shape(1)))
        throw nb::value_error(
            ("mask has shape " + shape_text(*mask) + ", the image " + shape_text(image)).c_str());
    if (!(weight >= 0.f && weight <= 1.f)) throw nb::value_error("ssim_weight must lie in 0 to 1");
    SsimInput in{};
    in.image = image.data();
    set_target(in, target);
    in.mask = mask ? reinterpret_cast<const uint8_t*>(mask->data()) : nullptr;
    in.height = int64_t(image.shape(0));
    in.width = int64_t(image.shape(1));
    in.ssim_weight = weight;
    return in;
}

template <class Target>
std::tuple<double, double, double> l1_ssim(Image image, Target target, std::optional<Mask> mask,
                                           float ssim_weight, ImageOut grad_out) {
    SsimInput in = loss_input(image, target, mask, ssim_weight);
    same_shape(image, grad_out, "grad_out");
    in.gradient = grad_out.data();
    nb::gil_scoped_release release;
    const SsimResult r = kernels().l1_ssim(in);
    return {r.loss, r.l1, r.ssim};
}

double ssim(Image image, Image target, std::optional<Mask> mask) {
    const SsimInput in = loss_input(image, target, mask, 1.f);
    nb::gil_scoped_release release;
    return kernels().l1_ssim(in).ssim;
}

// One tensor's part of a step: (param, grad, exp_avg, exp_avg_sq), rates of its columns, number of the step.
// Rates are double: without conversions, which would copy arrays, nanobind takes no other float from Python.
using AdamPart = std::tuple<Any, Any, Any, Any, std::vector<double>, int64_t>;

void adam(const std::vector<AdamPart>& parts, double beta1, double beta2, double eps, bool zero_grad) {
    std::vector<AdamTensor> tensors;
    std::vector<AdamConstants> constants;
    std::vector<std::vector<float>> all_rates;
    all_rates.reserve(parts.size());
    for (const auto& [param, grad, exp_avg, exp_avg_sq, rates, step] : parts) {
        same_shape(param, grad, "grad");
        same_shape(param, exp_avg, "exp_avg");
        same_shape(param, exp_avg_sq, "exp_avg_sq");
        const size_t rows = param.ndim() ? param.shape(0) : 0, columns = rates.size();
        if (columns == 0 || columns > size_t(kAdamColumns) || (columns > 1 && rows * columns != param.size()))
            throw nb::value_error((std::to_string(columns) + " rates for a parameter of shape " + shape_text(param) +
                                   "; one, or one per column, 1 to " + std::to_string(kAdamColumns) + " columns")
                                      .c_str());
        all_rates.emplace_back(rates.begin(), rates.end());
        tensors.push_back({param.data(), grad.data(), exp_avg.data(), exp_avg_sq.data(),
                           int64_t(param.size() / columns), int64_t(columns), all_rates.back().data(), zero_grad});
        constants.push_back(adam_constants(beta1, beta2, eps, step));
    }
    nb::gil_scoped_release release;
    kernels().adam(tensors.data(), constants.data(), int(tensors.size()));
}

void mean_squared_spacing(Points points, int k, Flat out) {
    if (out.shape(0) != points.shape(0))
        throw nb::value_error(("out has shape " + shape_text(out) + " for points " + shape_text(points)).c_str());
    if (k < 1 || k > kMaxNeighbours)
        throw nb::value_error(("k must lie in 1 to " + std::to_string(kMaxNeighbours)).c_str());
    for (size_t i = 0; i < 3 * points.shape(0); ++i)
        if (!std::isfinite(points.data()[i]))
            throw nb::value_error(("point " + std::to_string(i / 3) + " is not finite").c_str());
    nb::gil_scoped_release release;
    knn_mean_squared(points.data(), int64_t(points.shape(0)), k, out.data());
}

}  // namespace
}  // namespace splat

void bind_training(nb::module_& m) {
    const char* loss =
        "(1 - w) L1 + w (1 - SSIM) of [H, W, 3] images; writes its gradient; returns (loss, l1, ssim). The target "
        "is float32, or uint8 as 0 to 255.";
    m.def("l1_ssim", &splat::l1_ssim<splat::Image>, "image"_a.noconvert(), "target"_a.noconvert(),
          "mask"_a.noconvert().none(), "ssim_weight"_a, "grad_out"_a.noconvert(), loss);
    m.def("l1_ssim", &splat::l1_ssim<splat::Bytes>, "image"_a.noconvert(), "target"_a.noconvert(),
          "mask"_a.noconvert().none(), "ssim_weight"_a, "grad_out"_a.noconvert(), loss);
    m.def("ssim", &splat::ssim, "image"_a.noconvert(), "target"_a.noconvert(),
          "mask"_a.noconvert().none() = nb::none(), "Mean SSIM of two [H, W, 3] images.");
    m.def("adam", &splat::adam, "parts"_a.noconvert(), "beta1"_a, "beta2"_a, "eps"_a, "zero_grad"_a = false,
          "One Adam step in place on each of the parts: (param [N, ...], grad, exp_avg, exp_avg_sq, rates [1, or one "
          "per column of the tensors as [N, M]], number of the step, from 1).");
    m.def("knn_mean_squared", &splat::mean_squared_spacing, "points"_a.noconvert(), "k"_a, "out"_a.noconvert(),
          "Mean squared distance of each point [N, 3] to its k nearest others (all of them if fewer), exact.");
}
