// The constants that decide which splat counts at which pixel. splat/rasterize/settings.py holds
// the same values for the reference; a test compares them.
#pragma once

#include "config.h"

SPLAT_BEGIN

constexpr float kAlphaMin = 1.f / 255.f;
constexpr float kLog2AlphaMin = -7.99435344f;  // log2(1/255)
constexpr float kAlphaMax = 0.99f;
constexpr float kTransmittanceMin = 1e-4f;
constexpr float kFrustumMargin = 0.15f;
constexpr float kDilationNone = 0.3f;
constexpr float kDilationMip = 0.1f;
constexpr float kMipRatioMin = 1e-12f;
constexpr float kPixelVariance = 1.f / 12.f;   // of the unit box, per axis
constexpr float kExactSwitch = 0.3f;      // px^2: smaller eigenvalue below which "exact" uses a strip,
constexpr float kExactSlope = 0.1074f;     // and what is added for each doubling of the opacity, from 1
constexpr float kExactSwitchTwo = 1.f;     // the same for two strips
constexpr float kExactSlopeTwo = 0.2f;
constexpr float kExactSwitchPower = 0.07f;  // the same for the generalised exponential,
constexpr float kExactBetaMost = 2.5f;      // up to this beta
constexpr float kBetaMin = 1.2f;
constexpr float kBetaMax = 8.f;
constexpr float kTwoPi = 6.28318531f;
constexpr float kDensityAt0 = 0.398942280f;   // 1/sqrt(2 pi)
constexpr float kLog2E = 1.44269504f;
constexpr float kLn2 = 0.693147181f;
constexpr float kHalfLog2E = 0.721347520f;     // exponent -q/2 as a power of two
constexpr float kLog2HalfLog2E = -0.471233626f;  // log2 of it
constexpr float kSqrtHalfLog2E = 0.849321800f;

SPLAT_END
