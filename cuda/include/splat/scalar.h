// The arithmetic that the shared formulas use, for plain float and double.
// cuda/cpu/simd.h gives the same names for a SIMD vector, so that a formula template runs on
// float (a CUDA thread), on a vector of floats (the CPU driver) and on double (gradient tests).
#pragma once

#include <cmath>

#include "config.h"

SPLAT_BEGIN

SPLAT_HD float select(bool m, float a, float b) { return m ? a : b; }
SPLAT_HD double select(bool m, double a, double b) { return m ? a : b; }
// On the device in so many words, so that the bits do not depend on where it is inlined.
#ifdef __CUDA_ARCH__
SPLAT_HD float fma_(float a, float b, float c) { return ::fmaf(a, b, c); }
SPLAT_HD float fnma_(float a, float b, float c) { return ::fmaf(-a, b, c); }
#else
SPLAT_HD float fma_(float a, float b, float c) { return a * b + c; }
SPLAT_HD float fnma_(float a, float b, float c) { return c - a * b; }
#endif
SPLAT_HD double fma_(double a, double b, double c) { return a * b + c; }
SPLAT_HD double fnma_(double a, double b, double c) { return c - a * b; }
SPLAT_HD float min_(float a, float b) { return a < b ? a : b; }
SPLAT_HD double min_(double a, double b) { return a < b ? a : b; }
SPLAT_HD float max_(float a, float b) { return a > b ? a : b; }
SPLAT_HD double max_(double a, double b) { return a > b ? a : b; }
SPLAT_HD float abs_(float a) { return a < 0 ? -a : a; }
SPLAT_HD double abs_(double a) { return a < 0 ? -a : a; }
SPLAT_HD float sqrt_(float a) { return ::sqrtf(a); }
SPLAT_HD double sqrt_(double a) { return ::sqrt(a); }
SPLAT_HD float rcp_(float a) { return 1.f / a; }
SPLAT_HD double rcp_(double a) { return 1. / a; }
SPLAT_HD float exp2_(float a) { return ::exp2f(a); }
SPLAT_HD double exp2_(double a) { return ::exp2(a); }
// simd.h: a cheaper 2^x, relative error 2.7e-6, for pixels
SPLAT_HD float exp2_pixel(float a) { return exp2_(a); }
SPLAT_HD double exp2_pixel(double a) { return exp2_(a); }
SPLAT_HD float log2_(float a) { return ::log2f(a); }
SPLAT_HD double log2_(double a) { return ::log2(a); }

SPLAT_END
