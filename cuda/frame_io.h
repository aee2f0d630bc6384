// What a render takes and gives, the same for every driver. Pointers are into the driver's memory: the
// processor's, or a CUDA device's. world_to_camera and everything that is not a pointer is the host's.
#pragma once

#include <cstdint>

#include "training.h"

namespace splat {

constexpr int kTile = 16;       // tile side, pixels
constexpr int kSums = 12;       // gradient sums kept per (splat, tile)
constexpr int kGeometrySums = 12;

// What the pixel loop needs of one splat: one cache line.
struct alignas(64) Row {
    float mx, my, l11, l21, l22, log2_opacity, r, g, b, kx, ky;
    float p;                    // exponent of u^2 + v^2; 0: see the kernel
    uint16_t tile_x, tile_y, tiles_x, tiles_y;
    uint32_t slot;              // first of its tiles_x * tiles_y slots (processor: counted within its chunk)
    float limit;                // alpha >= 1/255 only where u^2 + v^2 <= limit
};
static_assert(sizeof(Row) == 64, "a row is one cache line");

enum class Filter { none, mip, analytic, moment, exact };

struct FrameInput {
    int64_t count = 0;
    int sh_stored = 1;          // coefficients stored per Gaussian
    int sh_degree = 0;          // degree used
    const float *means, *quats, *log_scales, *logit_opacities, *sh;
    float world_to_camera[16];  // row-major
    float fx, fy, cx, cy;
    int width, height;
    bool generalised = false;   // a raw exponent per splat; else Gaussians
    const float* shape = nullptr;
    Filter filter = Filter::none;
    float dilation = 0;         // of Filter::none and mip, px^2
    int strips = 1;             // of Filter::exact
    float background[3] = {0, 0, 0};
    float near = 0.01f, far = 1e10f;
    bool geometry = false;
};

struct FrameOutput {
    float* color;               // [H, W, 3]
    float* alpha;               // [H, W]
    float* depth_sum;           // [H, W] sum w t*, geometry only
    float* median_depth;        // [H, W] geometry only
    float* normals;             // [H, W, 3] camera frame, geometry only
    float* radii;               // [N]
};

struct FrameGradients {
    const float *color, *alpha, *depth_sum, *median_depth, *normals;  // of the outputs; may be null
    float *means, *quats, *log_scales, *logit_opacities, *sh;
    float* shape;               // null for Gaussians
    float* screen;              // [N, 4] or nullptr
    float* pose;                // [3, 4] or null
    const ShStep* sh_step = nullptr;  // then sh is null
};

}  // namespace splat
