// The shared formulas in double, one splat and pixel at a time, for gradient checks: exactly the
// templates that the CPU vectors and the CUDA threads run.
#include <nanobind/stl/vector.h>

#include "bindings_arrays.h"
#include "include/splat/footprint_backward.h"
#include "include/splat/geometry.h"
#include "include/splat/sh.h"

namespace {

using namespace splat;

// view = 12 numbers of [R|t] row by row, fx, fy, cx, cy, width, height
View<double> make_view(const double* v, bool mip) {
    View<double> view;
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) view.rotation.m[i][j] = v[4 * i + j];
    view.translation = {v[3], v[7], v[11]};
    view.position = {0, 0, 0};
    view.fx = v[12], view.fy = v[13], view.cx = v[14], view.cy = v[15], view.width = v[16], view.height = v[17];
    view.u_low = (-double(kFrustumMargin) * v[16] - v[14]) / v[12];
    view.u_high = ((1 + double(kFrustumMargin)) * v[16] - v[14]) / v[12];
    view.v_low = (-double(kFrustumMargin) * v[17] - v[15]) / v[13];
    view.v_high = ((1 + double(kFrustumMargin)) * v[17] - v[15]) / v[13];
    view.near = 0, view.far = 1e30;
    view.dilation = double(mip ? kDilationMip : kDilationNone);
    view.mip = mip;
    return view;
}

// splat = mean 3, quat 4, log scale 3, logit opacity
Splat3D<double> make_splat(const double* s) {
    return {{s[0], s[1], s[2]}, {s[3], s[4], s[5], s[6]}, {s[7], s[8], s[9]}, s[10]};
}

struct Pixel {
    double u, v, alpha, rx, ry;
    RayHit<double> hit;
};

Pixel at_pixel(const View<double>& view, const Footprint<double>& f, const Whitening<double>& w, const double* p) {
    Pixel x;
    const double dx = p[0] - f.mean.x, dy = p[1] - f.mean.y;
    x.u = f.l11 * dx + f.l21 * dy, x.v = f.l22 * dy;
    x.alpha = std::exp2(f.log2_opacity - x.u * x.u - x.v * x.v);
    x.rx = (p[0] - view.cx) / view.fx, x.ry = (p[1] - view.cy) / view.fy;
    x.hit = intersect(w, x.rx, x.ry);
    return x;
}

// out[n, k] = alpha, t*, normal (5 numbers) of splat n at pixel k
void splat_forward(In<18> view, bool mip, In<-1, 11> splats, In<-1, 2> pixels, Out<-1, -1, 5> out) {
    const auto v = make_view(view.data(), mip);
    const size_t n = splats.shape(0), k = pixels.shape(0);
    require(out.shape(0) == n && out.shape(1) == k);
    for (size_t i = 0; i < n; ++i) {
        const auto p = project(v, make_splat(splats.data() + 11 * i));
        const auto s2 = filter_dilate(v, p, 1.);
        const auto f = footprint<PlainProfile>(v, p, s2);
        const auto w = whitening(p);
        for (size_t j = 0; j < k; ++j) {
            const Pixel x = at_pixel(v, f, w, pixels.data() + 2 * j);
            double* o = out.data() + 5 * (i * k + j);
            o[0] = x.alpha, o[1] = x.hit.t, o[2] = x.hit.normal.x, o[3] = x.hit.normal.y, o[4] = x.hit.normal.z;
        }
    }
}

void splat_backward(In<18> view, bool mip, In<-1, 11> splats, In<-1, 2> pixels, In<-1, -1, 5> v_out, Out<12> v_view,
                    Out<-1, 11> v_splats) {
    const auto v = make_view(view.data(), mip);
    const size_t n = splats.shape(0), k = pixels.shape(0);
    require(v_out.shape(0) == n && v_out.shape(1) == k && v_splats.shape(0) == n);
    for (int i = 0; i < 12; ++i) v_view.data()[i] = 0;
    for (size_t i = 0; i < n; ++i) {
        const auto s = make_splat(splats.data() + 11 * i);
        const auto p = project(v, s);
        const auto s2 = filter_dilate(v, p, 1.);
        const auto f = footprint<PlainProfile>(v, p, s2);
        const auto w = whitening(p);
        Moments<double> m{};
        Mat3<double> vm{};
        Vec3<double> vp{};
        for (size_t j = 0; j < k; ++j) {
            const Pixel x = at_pixel(v, f, w, pixels.data() + 2 * j);
            const double* g = v_out.data() + 5 * (i * k + j);
            const double h = x.alpha * g[0];
            m.h += h, m.hu += h * x.u, m.hv += h * x.v;
            m.huu += h * x.u * x.u, m.huv += h * x.u * x.v, m.hvv += h * x.v * x.v;
            intersect_backward(w, x.rx, x.ry, x.hit, g[1], {g[2], g[3], g[4]}, vm, vp);
        }
        const auto extra = whitening_backward(p, w, vm, vp);
        const auto image =
            filter_dilate_backward(v, p, s2, footprint_backward<PlainProfile>(f.l11, f.l21, f.l22, 1., m));
        const auto g = project_backward(v, p, image, &extra);
        const double row[11] = {g.mean.x, g.mean.y, g.mean.z, g.quat.w, g.quat.x, g.quat.y, g.quat.z,
                                g.log_scale.x, g.log_scale.y, g.log_scale.z, g.logit_opacity};
        for (int c = 0; c < 11; ++c) v_splats.data()[11 * i + c] = row[c];
        const auto turned = mul_nt(g.axes, p.q_rotation);
        const double t[3] = {g.t.x, g.t.y, g.t.z}, mean[3] = {s.mean.x, s.mean.y, s.mean.z};
        for (int a = 0; a < 3; ++a) {
            for (int b = 0; b < 3; ++b) v_view.data()[4 * a + b] += turned.m[a][b] + t[a] * mean[b];
            v_view.data()[4 * a + 3] += t[a];
        }
    }
}

void sh_forward(int degree, In<-1, 3> directions, Out<-1, -1> basis) {
    const int k = sh_count(degree);
    require(degree >= 0 && degree <= 3 && int(basis.shape(1)) == k && basis.shape(0) == directions.shape(0));
    for (size_t i = 0; i < directions.shape(0); ++i) {
        const double* d = directions.data() + 3 * i;
        sh_basis<double>(degree, {d[0], d[1], d[2]}, basis.data() + k * i);
    }
}

void sh_backward(int degree, In<-1, 3> directions, In<-1, -1> v_basis, Out<-1, 3> v_directions) {
    const int k = sh_count(degree);
    require(degree >= 0 && degree <= 3 && int(v_basis.shape(1)) == k && v_basis.shape(0) == directions.shape(0) &&
            v_directions.shape(0) == directions.shape(0));
    for (size_t i = 0; i < directions.shape(0); ++i) {
        const double* d = directions.data() + 3 * i;
        const auto g = sh_basis_backward<double>(degree, {d[0], d[1], d[2]}, v_basis.data() + k * i);
        double* o = v_directions.data() + 3 * i;
        o[0] = g.x, o[1] = g.y, o[2] = g.z;
    }
}

nb::dict constants() {
    nb::dict d;
    d["alpha_min"] = double(kAlphaMin);
    d["alpha_max"] = double(kAlphaMax);
    d["transmittance_min"] = double(kTransmittanceMin);
    d["frustum_margin"] = double(kFrustumMargin);
    d["dilation_none"] = double(kDilationNone);
    d["dilation_mip"] = double(kDilationMip);
    d["exact_switch"] = double(kExactSwitch);
    d["exact_slope"] = double(kExactSlope);
    d["exact_switch_two"] = double(kExactSwitchTwo);
    d["exact_slope_two"] = double(kExactSlopeTwo);
    d["exact_switch_power"] = double(kExactSwitchPower);
    d["exact_beta_most"] = double(kExactBetaMost);
    d["beta_min"] = double(kBetaMin);
    d["beta_max"] = double(kBetaMax);
    return d;
}

}  // namespace

void bind_filters(nb::module_& f);  // bindings_filters.cpp
void bind_windows(nb::module_& f);  // bindings_windows.cpp

void bind_formulas(nb::module_& m) {
    auto f = m.def_submodule("formulas", "The shared formulas in float64, for gradient checks.");
    f.def("splat_forward", &splat_forward, "view"_a.noconvert(), "mip"_a, "splats"_a.noconvert(),
          "pixels"_a.noconvert(), "out"_a.noconvert());
    f.def("splat_backward", &splat_backward, "view"_a.noconvert(), "mip"_a, "splats"_a.noconvert(),
          "pixels"_a.noconvert(), "v_out"_a.noconvert(), "v_view"_a.noconvert(), "v_splats"_a.noconvert());
    f.def("sh_forward", &sh_forward, "degree"_a, "directions"_a.noconvert(), "basis"_a.noconvert());
    f.def("sh_backward", &sh_backward, "degree"_a, "directions"_a.noconvert(), "v_basis"_a.noconvert(),
          "v_directions"_a.noconvert());
    f.def("constants", &constants);
    bind_filters(f);
    bind_windows(f);
}
