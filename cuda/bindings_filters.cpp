// Kernels and pixel filters of the shared formulas in double, for gradient checks.
#include <nanobind/stl/string.h>

#include <string>

#include "bindings_image.h"
#include "include/splat/filter_moment.h"
#include "include/splat/footprint_backward.h"

namespace {

using namespace splat;

// One splat's way from its projection to the pixels, for a filter by name: "none", "mip", "moment".
struct Chain : OnImage {
    bool moment;
    Filtered<double> s;

    Chain(const std::string& filter, const double* x) : OnImage(x), moment(filter == "moment") {
        require(moment || filter == "none" || filter == "mip", "filter: none, mip or moment");
        view.mip = filter == "mip";
        view.dilation = double(view.mip ? kDilationMip : kDilationNone);
        s = moment ? filter_moment(p, t) : filter_dilate(view, p, t);
    }

    void backward(const FilteredGradient<double>& g, double* out) const {
        write(moment ? filter_moment_backward(p, t, s, g) : filter_dilate_backward(view, p, s, g), out);
    }
};

// out[n, k] = alpha of splat n at pixel k, neither clamped nor cut
template <class Profile>
void image_forward(const std::string& filter, In<-1, kSplat> splats, In<-1, 2> pixels, Out<-1, -1> out) {
    const size_t n = splats.shape(0), k = pixels.shape(0);
    require(out.shape(0) == n && out.shape(1) == k);
    for (size_t i = 0; i < n; ++i) {
        const Chain c(filter, splats.data() + kSplat * i);
        const auto f = footprint<Profile>(c.view, c.p, c.s);
        for (size_t j = 0; j < k; ++j) {
            const double dx = pixels.data()[2 * j] - f.mean.x, dy = pixels.data()[2 * j + 1] - f.mean.y;
            const double u = f.l11 * dx + f.l21 * dy, v = f.l22 * dy, r = u * u + v * v;
            const double e = Profile::kPower ? power_term(r, f.p).e : r;
            out.data()[i * k + j] = std::exp2(f.log2_opacity - e);
        }
    }
}

template <class Profile>
void image_backward(const std::string& filter, In<-1, kSplat> splats, In<-1, 2> pixels, In<-1, -1> v_out,
                    Out<-1, kSplat> v_splats) {
    const size_t n = splats.shape(0), k = pixels.shape(0);
    require(v_out.shape(0) == n && v_out.shape(1) == k && v_splats.shape(0) == n);
    for (size_t i = 0; i < n; ++i) {
        const Chain c(filter, splats.data() + kSplat * i);
        const auto f = footprint<Profile>(c.view, c.p, c.s);
        Moments<double> m{};
        for (size_t j = 0; j < k; ++j) {
            const double dx = pixels.data()[2 * j] - f.mean.x, dy = pixels.data()[2 * j + 1] - f.mean.y;
            const double u = f.l11 * dx + f.l21 * dy, v = f.l22 * dy, r = u * u + v * v;
            const auto x = Profile::kPower ? power_term(r, f.p) : PowerTerm<double>{r, 1, 0};
            const double h = std::exp2(f.log2_opacity - x.e) * v_out.data()[i * k + j], w = h * x.slope;
            m.h += h, m.hu += w * u, m.hv += w * v, m.power += h * x.e * x.log2_r;
            m.huu += w * u * u, m.huv += w * u * v, m.hvv += w * v * v;
        }
        c.backward(footprint_backward<Profile>(f.l11, f.l21, f.l22, c.s.t, m), v_splats.data() + kSplat * i);
    }
}

// out[n] = S' a, b, c, det S', o', t', half extents x, y, limit, p
template <class Profile>
void filtered(const std::string& filter, In<-1, kSplat> splats, Out<-1, 10> out) {
    require(out.shape(0) == splats.shape(0));
    for (size_t i = 0; i < splats.shape(0); ++i) {
        const Chain c(filter, splats.data() + kSplat * i);
        const auto f = footprint<Profile>(c.view, c.p, c.s);
        const double row[10] = {c.s.a, c.s.b, c.s.c, c.s.det, c.s.opacity, c.s.t, f.extent.x, f.extent.y, f.limit, f.p};
        for (int k = 0; k < 10; ++k) out.data()[10 * i + k] = row[k];
    }
}

// out[n] = value and slope at t of log2 m2, log2 rho, kurt; then kurt's inverse at kurt(t)
void profile(In<-1> t, Out<-1, 8> out) {
    require(out.shape(0) == t.shape(0));
    for (size_t i = 0; i < t.shape(0); ++i) {
        const double x = t.data()[i];
        const Curve<double> kurt = kurtosis(x);
        const Curve<double> c[4] = {log2_variance(x), log2_mass(x), kurt, shape_of_kurtosis(kurt.value)};
        for (int k = 0; k < 4; ++k) out.data()[8 * i + 2 * k] = c[k].value, out.data()[8 * i + 2 * k + 1] = c[k].slope;
    }
}

// out[n] = t, dt/draw of a raw shape
void shape(In<-1> raw, Out<-1, 2> out) {
    require(out.shape(0) == raw.shape(0));
    for (size_t i = 0; i < raw.shape(0); ++i) {
        const Curve<double> c = shape_of_raw(raw.data()[i]);
        out.data()[2 * i] = c.value, out.data()[2 * i + 1] = c.slope;
    }
}

template <class Profile>
void bind_profile(nb::module_& f, const std::string& prefix) {
    f.def((prefix + "_forward").c_str(), &image_forward<Profile>, "filter"_a, "splats"_a.noconvert(),
          "pixels"_a.noconvert(), "out"_a.noconvert());
    f.def((prefix + "_backward").c_str(), &image_backward<Profile>, "filter"_a, "splats"_a.noconvert(),
          "pixels"_a.noconvert(), "v_out"_a.noconvert(), "v_splats"_a.noconvert());
    f.def((prefix + "_filtered").c_str(), &filtered<Profile>, "filter"_a, "splats"_a.noconvert(),
          "out"_a.noconvert());
}

}  // namespace

void bind_filters(nb::module_& f) {
    f.def("profile", &profile, "t"_a.noconvert(), "out"_a.noconvert());
    f.def("shape", &shape, "raw"_a.noconvert(), "out"_a.noconvert());
    bind_profile<PlainProfile>(f, "plain");
    bind_profile<PowerProfile>(f, "power");
}
