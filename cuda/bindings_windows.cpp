// The kernels that integrate over a pixel (strip rule, Analytic-Splatting) and the filter "exact" in
// double, for gradient checks.
#include <nanobind/stl/string.h>

#include <map>
#include <string>

#include "bindings_image.h"
#include "include/splat/analytic.h"
#include "include/splat/filter_exact.h"
#include "include/splat/footprint_backward.h"

namespace {

using namespace splat;

// One splat by the strip rule; pixels share a strip's sums, as in a pixel loop.
struct Strips {
    struct Sums {
        StripRow<double> row;
        StripSums<double> sums;
    };
    StripSplat<double> s;
    int count;
    std::map<double, Sums> rows;  // by the strip's centre

    Strips(const Footprint<double>& f, int strips)
        : s(strip_splat(f.l11, f.l21, f.l22, f.log2_opacity, f.mean, strips)), count(strips) {}

    // Alpha at a pixel; with g = dL/dalpha, also its part of the sums, and the gradient of the mean that
    // the pixel by itself gives.
    double pixel(const double* at, double g, double* mean) {
        const double y = s.columns ? at[0] : at[1], x = s.columns ? at[1] : at[0];
        double alpha = 0, v_s = 0, v_t = 0;
        for (int i = 0; i < count; ++i) {
            const double centre = y + (i + 0.5) / count - 0.5;
            auto found = rows.find(centre);
            if (found == rows.end()) found = rows.insert({centre, {strip_row(s, centre), {}}}).first;
            const auto& row = found->second.row;
            auto& sums = found->second.sums;
            const auto w = strip_pixel(row.a, row.b, x);
            const auto by = strip_mean_parts(s, row);
            const double c = row.c * g;
            alpha += row.c * w.p;
            sums.h += c * w.p, sums.m += c * w.slope, sums.v += c * w.spread;
            v_s += c * (w.p * by.h + w.slope * by.m + w.spread * by.v), v_t -= c * row.a * w.slope;
        }
        if (mean) mean[0] = s.columns ? v_s : v_t, mean[1] = s.columns ? v_t : v_s;
        return alpha;
    }

    StripGradient<double> backward() const {
        StripGradient<double> total{};
        for (const auto& [centre, x] : rows) {
            const auto g = strip_row_backward(s, x.row, x.sums);
            total.mean.x += g.mean.x, total.mean.y += g.mean.y, total.log_opacity += g.log_opacity;
            total.a += g.a, total.b += g.b, total.c += g.c;
        }
        return total;
    }
};

void check(size_t n, size_t k, const Out<-1, -1>& out) { require(out.shape(0) == n && out.shape(1) == k); }

void strip_forward(int strips, In<-1, kSplat> splats, In<-1, 2> pixels, Out<-1, -1> out) {
    const size_t n = splats.shape(0), k = pixels.shape(0);
    check(n, k, out);
    for (size_t i = 0; i < n; ++i) {
        const OnImage x(splats.data() + kSplat * i);
        Strips s(footprint<PlainProfile>(x.view, x.p, filter_window(x.p)), strips);
        for (size_t j = 0; j < k; ++j) out.data()[i * k + j] = s.pixel(pixels.data() + 2 * j, 0, nullptr);
    }
}

// means[n, k] = the gradient of splat n's mean that pixel k by itself gives
void strip_backward_all(int strips, In<-1, kSplat> splats, In<-1, 2> pixels, In<-1, -1> v_out,
                        Out<-1, kSplat> v_splats, Out<-1, -1, 2> means) {
    const size_t n = splats.shape(0), k = pixels.shape(0);
    require(v_out.shape(0) == n && v_out.shape(1) == k && v_splats.shape(0) == n && means.shape(0) == n &&
            means.shape(1) == k);
    for (size_t i = 0; i < n; ++i) {
        const OnImage x(splats.data() + kSplat * i);
        Strips s(footprint<PlainProfile>(x.view, x.p, filter_window(x.p)), strips);
        for (size_t j = 0; j < k; ++j)
            s.pixel(pixels.data() + 2 * j, v_out.data()[i * k + j], means.data() + 2 * (i * k + j));
        x.write(strip_backward(x.p, s.backward()), v_splats.data() + kSplat * i);
    }
}

void analytic_forward(In<-1, kSplat> splats, In<-1, 2> pixels, Out<-1, -1> out) {
    const size_t n = splats.shape(0), k = pixels.shape(0);
    check(n, k, out);
    for (size_t i = 0; i < n; ++i) {
        const OnImage x(splats.data() + kSplat * i);
        const auto f = footprint<PlainProfile>(x.view, x.p, filter_window(x.p));
        const auto s = analytic_splat(f.l11, f.l21, f.l22, f.log2_opacity);
        for (size_t j = 0; j < k; ++j) {
            const double* at = pixels.data() + 2 * j;
            const auto w = analytic_pixel(s, at[0] - f.mean.x, at[1] - f.mean.y);
            out.data()[i * k + j] = s.peak * w.w1.p * w.w2.p;
        }
    }
}

void analytic_backward_all(In<-1, kSplat> splats, In<-1, 2> pixels, In<-1, -1> v_out, Out<-1, kSplat> v_splats,
                           Out<-1, -1, 2> means) {
    const size_t n = splats.shape(0), k = pixels.shape(0);
    require(v_out.shape(0) == n && v_out.shape(1) == k && v_splats.shape(0) == n && means.shape(0) == n &&
            means.shape(1) == k);
    for (size_t i = 0; i < n; ++i) {
        const OnImage x(splats.data() + kSplat * i);
        const auto f = footprint<PlainProfile>(x.view, x.p, filter_window(x.p));
        const auto s = analytic_splat(f.l11, f.l21, f.l22, f.log2_opacity);
        AnalyticSums<double> sums{};
        for (size_t j = 0; j < k; ++j) {
            const double* at = pixels.data() + 2 * j;
            const auto w = analytic_pixel(s, at[0] - f.mean.x, at[1] - f.mean.y);
            const auto t = analytic_terms(s, w, s.peak * v_out.data()[i * k + j]);
            sums.h += t.h, sums.u += t.u, sums.v += t.v, sums.s1 += t.s1, sums.s2 += t.s2;
            sums.rotation += t.rotation;
            const auto mean = analytic_mean(s, t.u, t.v);
            means.data()[2 * (i * k + j)] = mean.x, means.data()[2 * (i * k + j) + 1] = mean.y;
        }
        x.write(analytic_backward(s, sums), v_splats.data() + kSplat * i);
    }
}

// The filter "exact": strips for small splats, a point sample for the rest.
template <class Profile>
struct Exact {
    OnImage x;
    bool strips;
    Filtered<double> s;
    Footprint<double> f;
    Strips window;
    Moments<double> m{};

    Exact(const double* splat, int count)
        : x(splat), strips(takes_strips<Profile>(x.p, x.t, count)), s(filter_exact<Profile>(x.p, x.t, strips)),
          f(footprint<Profile>(x.view, x.p, s)), window(f, count) {}

    double pixel(const double* at, double g) {
        if (strips) return window.pixel(at, g, nullptr);
        const double dx = at[0] - f.mean.x, dy = at[1] - f.mean.y;
        const double u = f.l11 * dx + f.l21 * dy, v = f.l22 * dy, r = u * u + v * v;
        const auto e = Profile::kPower ? power_term(r, f.p) : PowerTerm<double>{r, 1, 0};
        const double alpha = std::exp2(f.log2_opacity - e.e), h = alpha * g, w = h * e.slope;
        m.h += h, m.hu += w * u, m.hv += w * v, m.power += h * e.e * e.log2_r;
        m.huu += w * u * u, m.huv += w * u * v, m.hvv += w * v * v;
        return alpha;
    }
};

template <class Profile>
void exact_forward(int strips, In<-1, kSplat> splats, In<-1, 2> pixels, Out<-1, -1> out, Out<-1, 4> facts) {
    const size_t n = splats.shape(0), k = pixels.shape(0);
    check(n, k, out);
    require(facts.shape(0) == n);
    for (size_t i = 0; i < n; ++i) {
        Exact<Profile> e(splats.data() + kSplat * i, strips);
        for (size_t j = 0; j < k; ++j) out.data()[i * k + j] = e.pixel(pixels.data() + 2 * j, 0);
        const bool reaches = exact_reaches_image(e.x.view, e.s, e.f, e.strips);
        const double row[4] = {double(e.strips), double(reaches), e.f.extent.x, e.f.extent.y};
        for (int c = 0; c < 4; ++c) facts.data()[4 * i + c] = row[c];
    }
}

template <class Profile>
void exact_backward(int strips, In<-1, kSplat> splats, In<-1, 2> pixels, In<-1, -1> v_out, Out<-1, kSplat> v_splats) {
    const size_t n = splats.shape(0), k = pixels.shape(0);
    require(v_out.shape(0) == n && v_out.shape(1) == k && v_splats.shape(0) == n);
    for (size_t i = 0; i < n; ++i) {
        Exact<Profile> e(splats.data() + kSplat * i, strips);
        for (size_t j = 0; j < k; ++j) e.pixel(pixels.data() + 2 * j, v_out.data()[i * k + j]);
        const auto point = footprint_backward<Profile>(e.f.l11, e.f.l21, e.f.l22, e.s.t, e.m);
        e.x.write(filter_exact_backward<Profile>(e.x.p, e.x.t, e.s, e.strips, point, e.window.backward()),
                  v_splats.data() + kSplat * i);
    }
}

// out[n] = Phi by normal_odds and its slope, by analytic_odds and its slope, in float64; the first in float32
void cdf_all(In<-1> x, Out<-1, 5> out) {
    require(out.shape(0) == x.shape(0));
    for (size_t i = 0; i < x.shape(0); ++i) {
        const auto n = splat::cdf(normal_odds(x.data()[i])), a = splat::cdf(analytic_odds(x.data()[i]));
        const float single = splat::cdf(normal_odds(float(x.data()[i]))).value;
        const double row[5] = {n.value, n.slope, a.value, a.slope, double(single)};
        for (int c = 0; c < 5; ++c) out.data()[5 * i + c] = row[c];
    }
}

// out[n] = mass, mean, variance of N(0,1) on (tau, delta)[n]
void strip_moments(In<-1, 2> strips, Out<-1, 3> out) {
    require(out.shape(0) == strips.shape(0));
    for (size_t i = 0; i < strips.shape(0); ++i) {
        const double tau = strips.data()[2 * i], delta = strips.data()[2 * i + 1];
        const auto m = delta < 0.5 ? narrow_moments(tau, delta) : wide_moments(tau, delta);
        out.data()[3 * i] = m.z, out.data()[3 * i + 1] = m.mean, out.data()[3 * i + 2] = m.variance;
    }
}

template <class Profile>
void bind_exact(nb::module_& f, const std::string& prefix) {
    f.def((prefix + "_forward").c_str(), &exact_forward<Profile>, "strips"_a, "splats"_a.noconvert(),
          "pixels"_a.noconvert(), "out"_a.noconvert(), "facts"_a.noconvert());
    f.def((prefix + "_backward").c_str(), &exact_backward<Profile>, "strips"_a, "splats"_a.noconvert(),
          "pixels"_a.noconvert(), "v_out"_a.noconvert(), "v_splats"_a.noconvert());
}

}  // namespace

void bind_windows(nb::module_& f) {
    f.def("cdf", &cdf_all, "x"_a.noconvert(), "out"_a.noconvert());
    f.def("strip_moments", &strip_moments, "strips"_a.noconvert(), "out"_a.noconvert());
    f.def("strip_forward", &strip_forward, "strips"_a, "splats"_a.noconvert(), "pixels"_a.noconvert(),
          "out"_a.noconvert());
    f.def("strip_backward", &strip_backward_all, "strips"_a, "splats"_a.noconvert(), "pixels"_a.noconvert(),
          "v_out"_a.noconvert(), "v_splats"_a.noconvert(), "means"_a.noconvert());
    f.def("analytic_forward", &analytic_forward, "splats"_a.noconvert(), "pixels"_a.noconvert(),
          "out"_a.noconvert());
    f.def("analytic_backward", &analytic_backward_all, "splats"_a.noconvert(), "pixels"_a.noconvert(),
          "v_out"_a.noconvert(), "v_splats"_a.noconvert(), "means"_a.noconvert());
    bind_exact<PlainProfile>(f, "exact_plain");
    bind_exact<PowerProfile>(f, "exact_power");
}
