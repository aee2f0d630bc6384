// What the training kernels (loss, Adam) take and give; the same for every instruction set.
#pragma once

#include <cstdint>

namespace splat {

struct SsimInput {
    const float* image;   // [height, width, 3]
    const float* target;  // [height, width, 3]; null where target_bytes is given
    const uint8_t* target_bytes;  // the same as 0 to 255; or null
    const uint8_t* mask;  // [height, width], non-zero where the pixel counts; or null: all count
    int64_t height, width;
    float ssim_weight;    // w of (1 - w) L1 + w (1 - SSIM)
    float* gradient;      // [height, width, 3] d loss / d image; or null: values only
};

struct SsimResult {
    double loss, l1, ssim;
};

// Constants of one Adam step, bias corrections included (adam_constants makes them).
struct AdamConstants {
    float beta1, beta2, one_minus_beta1, one_minus_beta2;
    float eps, inverse_bias1, inverse_root_bias2;
};

// Adam on the SH coefficients, taken where their gradient is made (stage_project_backward.h): the
// gradient is never written. rates: one per column [sh_stored * 3], times inverse_bias1.
// Rows without a gradient, of splats that the image does not show, keep their coefficients and moments as they
// are, and so do columns beyond the degree in use: a step goes over what a photo shows, not over the scene.
// With `accumulated` (shaped as param) gradients add up there from render to render: where the step is
// due, it is taken with what has added up and this render's, and `accumulated` begins anew at 0.
struct ShStep {
    AdamConstants constants;
    float *param, *exp_avg, *exp_avg_sq;
    float rates[48];
    float* accumulated = nullptr;
    bool due = true;            // of no meaning without `accumulated`
};

// Whether a step goes over all rows: what has added up may be of rows that this render has no gradient for.
inline bool steps_all(const ShStep& s) { return s.accumulated && s.due; }

constexpr int64_t kAdamColumns = 1024;  // columns with a rate of their own, at most

struct AdamTensor {
    float *param, *grad, *exp_avg, *exp_avg_sq;  // [rows, columns]; grad is written if zero_grad
    int64_t rows, columns;
    const float* rates;                          // [columns] learning rates
    bool zero_grad;
};

}  // namespace splat
