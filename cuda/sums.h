// Order of the sums of one (splat, tile) pair; h = alpha dL/dalpha. The first six and the last are
// the kernel's own (for the kernels of footprint.h: as named).
#pragma once

#include "frame_io.h"

#include "include/splat/config.h"

SPLAT_BEGIN

enum Sum { kSumH, kSumU, kSumV, kSumUU, kSumUV, kSumVV, kSumR, kSumG, kSumB, kSumAbsX, kSumAbsY, kSumPower };
static_assert(kSumPower < kSums, "a slot holds every sum");

SPLAT_END
