// Compiles the shared formulas for a CUDA device, on any machine that has nvcc.
//
// Part of no program: .ci/cuda-compile compiles it, so that a host-only construct in
// cuda/include/splat is found before the CUDA driver needs the formula. Every formula that a
// driver calls is called once, for float and for double.
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

template <class F>
__global__ void project_splats(View<F> view, const Splat3D<F>* splats, Footprint<F>* out, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const Footprint<F> found = footprint(view, project(view, splats[i]));
    if (reaches_image(view, found)) out[i] = found;
}

template <class F>
__global__ void project_splats_backward(View<F> view, const Splat3D<F>* splats, const Moments<F>* moments,
                                        const Pixel<F>* pixels, SplatGradient<F>* out, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const Projection<F> p = project(view, splats[i]);
    const Footprint<F> f = footprint(view, p);
    const Whitening<F> w = whitening(p);
    const Pixel<F> pixel = pixels[i];
    Mat3<F> vm{};
    Vec3<F> vp{};
    const RayHit<F> hit = intersect(w, pixel.rx, pixel.ry);
    intersect_backward(w, pixel.rx, pixel.ry, hit, pixel.v_depth, pixel.v_normal, vm, vp);
    const WhiteningGradient<F> extra = whitening_backward(p, w, vm, vp);
    out[i] = project_backward(view, splats[i], p, f.l11, f.l21, f.l22, moments[i], &extra);
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

#define SPLAT_INSTANTIATE(F)                                                                                \
    template __global__ void project_splats<F>(View<F>, const Splat3D<F>*, Footprint<F>*, int);             \
    template __global__ void project_splats_backward<F>(View<F>, const Splat3D<F>*, const Moments<F>*,      \
                                                        const Pixel<F>*, SplatGradient<F>*, int);           \
    template __global__ void colour_splats<F>(int, const Vec3<F>*, F*, const F*, Vec3<F>*, int);

SPLAT_INSTANTIATE(float)
SPLAT_INSTANTIATE(double)

}  // namespace splat::gpu
