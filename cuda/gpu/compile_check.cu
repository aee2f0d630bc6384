// Compiles the shared formulas for a CUDA device, on any machine that has nvcc.
//
// Part of no program: .ci/cuda-compile compiles it, so that a host-only construct in
// cuda/include/splat is found before the CUDA driver needs the formula. Every formula that a
// driver calls is called once, for float and for double.
#include "splat/analytic.h"
#include "splat/filter_exact.h"
#include "splat/filter_moment.h"
#include "splat/footprint_backward.h"
#include "splat/geometry.h"
#include "splat/project.h"
#include "splat/project_backward.h"
#include "splat/sh.h"

namespace splat::gpu {

template <class F>
struct Pixel {
    F rx, ry;          // ray of the pixel, camera frame, z = 1
    F v_depth;         // gradient of the depth there
    Vec3<F> v_normal;  // and of the normal
};

// The filter by the kernel: dilation for a plain Gaussian, the moment closure for a power profile.
template <class Profile, class F>
SPLAT_HD Filtered<F> filtered(const View<F>& view, const Projection<F>& p, F t) {
    if constexpr (Profile::kPower) return filter_moment(p, t);
    else return filter_dilate(view, p, t);
}

template <class Profile, class F>
__global__ void project_splats(View<F> view, const Splat3D<F>* splats, const F* raw_shapes, Footprint<F>* out,
                               int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const Projection<F> p = project(view, splats[i]);
    const Filtered<F> s = filtered<Profile>(view, p, shape_of_raw(raw_shapes[i]).value);
    const Footprint<F> found = footprint<Profile>(view, p, s);
    if (reaches_image(view, found)) out[i] = found;
}

template <class Profile, class F>
__global__ void project_splats_backward(View<F> view, const Splat3D<F>* splats, const F* raw_shapes,
                                        const Moments<F>* moments, const Pixel<F>* pixels, SplatGradient<F>* out,
                                        F* out_shapes, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const Projection<F> p = project(view, splats[i]);
    const Curve<F> shape = shape_of_raw(raw_shapes[i]);
    const Filtered<F> s = filtered<Profile>(view, p, shape.value);
    const Footprint<F> f = footprint<Profile>(view, p, s);
    const Whitening<F> w = whitening(p);
    const Pixel<F> pixel = pixels[i];
    Mat3<F> vm{};
    Vec3<F> vp{};
    const RayHit<F> hit = intersect(w, pixel.rx, pixel.ry);
    intersect_backward(w, pixel.rx, pixel.ry, hit, pixel.v_depth, pixel.v_normal, vm, vp);
    const WhiteningGradient<F> extra = whitening_backward(p, w, vm, vp);
    FilteredGradient<F> g = footprint_backward<Profile>(f.l11, f.l21, f.l22, s.t, moments[i]);
    if constexpr (Profile::kPower) g = filter_moment_backward(p, shape.value, s, g);
    else g = filter_dilate_backward(view, p, s, g);
    out_shapes[i] = g.t * shape.slope;
    out[i] = project_backward(view, p, g, &extra);
}

template <class F>
__global__ void power_terms(const F* r, F p, PowerTerm<F>* out, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) out[i] = power_term(r[i], p);
}

// "exact" for one splat, one strip and one pixel: forward and back.
template <class Profile, class F>
__global__ void exact_splats(View<F> view, const Projection<F>* splats, F t, Vec2<F> at, F v_alpha, F* alphas,
                             FilteredGradient<F>* out, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const Projection<F> p = splats[i];
    const bool strips = takes_strips<Profile>(p, t, 1);
    const Filtered<F> s = filter_exact<Profile>(p, t, strips);
    Footprint<F> f = footprint<Profile>(view, p, s);
    if (!exact_reaches_image(view, s, f, strips)) return;
    const StripSplat<F> splat = broadcast<F>(strip_splat(f.l11, f.l21, f.l22, f.log2_opacity, f.mean, 1));
    const StripRow<F> row = strip_row(splat, splat.columns ? at.x : at.y);
    const StripPixel<F> pixel = strip_pixel(row.a, row.b, splat.columns ? at.y : at.x);
    const StripSums<F> part = strip_mean_parts(splat, row);
    alphas[i] = row.c * pixel.p + part.h;
    const F g = row.c * v_alpha;
    const StripGradient<F> strip =
        strip_row_backward(splat, row, StripSums<F>{g * pixel.p, g * pixel.slope, g * pixel.spread});
    const FilteredGradient<F> point = footprint_backward<Profile>(f.l11, f.l21, f.l22, s.t, Moments<F>{});
    out[i] = filter_exact_backward<Profile>(p, t, s, strips, point, strip);
}

template <class F>
__global__ void analytic_splats(const Footprint<F>* splats, Vec2<F> at, F v_alpha, F* alphas,
                                FilteredGradient<F>* out, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const Footprint<F> f = splats[i];
    const AnalyticSplat<F> s = analytic_splat(f.l11, f.l21, f.l22, f.log2_opacity);
    const AnalyticPixel<F> x = analytic_pixel(s, at.x - f.mean.x, at.y - f.mean.y);
    alphas[i] = s.peak * x.w1.p * x.w2.p;
    out[i] = analytic_backward(s, analytic_terms(s, x, s.peak * v_alpha));
}

template <class F>
__global__ void colour_splats(int degree, const Vec3<F>* directions, F* basis, const F* gradients,
                              Vec3<F>* direction_gradients, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const int stride = sh_count(degree);
    sh_basis(degree, directions[i], basis + i * stride);
    const Vec3<F> gradient = sh_basis_backward(degree, directions[i], gradients + i * stride);
    direction_gradients[i] = normalise_backward(directions[i], F(1.f), gradient);
}

#define SPLAT_INSTANTIATE_PROFILE(Profile, F)                                                              \
    template __global__ void project_splats<Profile, F>(View<F>, const Splat3D<F>*, const F*,              \
                                                        Footprint<F>*, int);                               \
    template __global__ void project_splats_backward<Profile, F>(View<F>, const Splat3D<F>*, const F*,     \
                                                                 const Moments<F>*, const Pixel<F>*,       \
                                                                 SplatGradient<F>*, F*, int);              \
    template __global__ void exact_splats<Profile, F>(View<F>, const Projection<F>*, F, Vec2<F>, F, F*,    \
                                                      FilteredGradient<F>*, int);

#define SPLAT_INSTANTIATE(F)                                                                               \
    SPLAT_INSTANTIATE_PROFILE(PlainProfile, F)                                                             \
    SPLAT_INSTANTIATE_PROFILE(PowerProfile, F)                                                             \
    template __global__ void analytic_splats<F>(const Footprint<F>*, Vec2<F>, F, F*, FilteredGradient<F>*, \
                                                int);                                                      \
    template __global__ void power_terms<F>(const F*, F, PowerTerm<F>*, int);                              \
    template __global__ void colour_splats<F>(int, const Vec3<F>*, F*, const F*, Vec3<F>*, int);

SPLAT_INSTANTIATE(float)
SPLAT_INSTANTIATE(double)

}  // namespace splat::gpu
