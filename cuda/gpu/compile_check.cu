// Compiles the shared formulas for a CUDA device, on any machine that has nvcc.
//
// Part of no program: .ci/cuda-compile compiles it, so that a host-only construct in
// cuda/include/splat is found before the CUDA driver needs the formula. Every public template of
// those headers is called once, for float and for double.
#include "splat/project.h"
#include "splat/sh.h"

namespace splat::gpu {

template <class F>
__global__ void project_splats(const View<F> view, const Splat3D<F>* splats, Footprint<F>* out, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    const Footprint<F> found = footprint(view, project(view, splats[i]));
    if (reaches_image(view, found)) out[i] = found;
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

template __global__ void project_splats<float>(View<float>, const Splat3D<float>*, Footprint<float>*, int);
template __global__ void project_splats<double>(View<double>, const Splat3D<double>*, Footprint<double>*, int);
template __global__ void colour_splats<float>(int, const Vec3<float>*, float*, const float*, Vec3<float>*, int);
template __global__ void colour_splats<double>(int, const Vec3<double>*, double*, const double*, Vec3<double>*, int);

}  // namespace splat::gpu
