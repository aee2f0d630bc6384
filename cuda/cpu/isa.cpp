// One instruction set's kernels. Compiled once per instruction set with its own flags and
// -DSPLAT_ISA=<name>; every template lands in that inline namespace.
#include "kernels.h"
#include "simd.h"

#include "probe.h"
#include "render.h"
#include "render_backward.h"
#include "stage_count.h"

#include "adam.h"
#include "ssim.h"

#define SPLAT_TEXT_(x) #x
#define SPLAT_TEXT(x) SPLAT_TEXT_(x)
#define SPLAT_JOIN_(a, b) a##b
#define SPLAT_JOIN(a, b) SPLAT_JOIN_(a, b)

namespace splat {

extern const Kernels SPLAT_JOIN(kernels_, SPLAT_ISA);
const Kernels SPLAT_JOIN(kernels_, SPLAT_ISA) = {
    SPLAT_TEXT(SPLAT_ISA),
    SPLAT_ISA::W,
    &SPLAT_ISA::render,
    &SPLAT_ISA::render_backward,
    &SPLAT_ISA::count_useful,
    &SPLAT_ISA::fma_rate,
    &SPLAT_ISA::l1_ssim,
    &SPLAT_ISA::adam,
};

}  // namespace splat
