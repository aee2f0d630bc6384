// The unit of the pixel loop: a 4x4-pixel block, 16 blocks to a 16x16 tile. Lane l of a block is
// pixel (l % 4, l / 4); a vector of W lanes covers a whole block (W = 16), half of one (8) or a
// row of one (4).
#pragma once

#include <type_traits>

#include "frame.h"
#include "simd.h"

SPLAT_BEGIN

constexpr int kParts = 16 / W;  // vectors per block
constexpr int kVectors = 16 * kParts;  // vectors in a tile

// A bit for each vector of a tile: block times kParts plus part.
using Hits = std::conditional_t<kVectors == 16, uint16_t, std::conditional_t<kVectors == 32, uint32_t, uint64_t>>;

// The lanes of one vector, and a tile's vectors with any of them set.
using LaneBits = std::conditional_t<(W > 8), uint16_t, uint8_t>;
SPLAT_HD Hits any_of_each(const LaneBits* lanes) {
#if defined(__AVX512F__)
    const __m256i v = _mm256_loadu_si256((const __m256i*)lanes);
    return Hits(_mm256_test_epi16_mask(v, v));
#elif defined(__AVX2__)
    const __m256i v = _mm256_loadu_si256((const __m256i*)lanes);
    return ~Hits(_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_setzero_si256())));
#else
    Hits mask = 0;
    for (int i = 0; i < kVectors; ++i) mask |= Hits(lanes[i] != 0) << i;
    return mask;
#endif
}

inline Hits* hits_of(const Frame& frame) { return reinterpret_cast<Hits*>(frame.masks.get()); }

template <class Visit>
SPLAT_HD void each_vector(Hits mask, Visit visit) {
    for (uint64_t m = mask; m; m &= m - 1) {
        const int vector = __builtin_ctzll(m);
        visit(vector / kParts, vector % kParts);
    }
}

// The blocks with any of their vectors set.
SPLAT_HD uint32_t blocks_of(Hits mask) {
#if defined(__AVX512F__)
    return mask;
#elif defined(__AVX2__)
    return _pext_u32(mask | mask >> 1, 0x55555555u);
#else
    uint32_t blocks = 0;
    for (int b = 0; b < 16; ++b) blocks |= uint32_t((mask >> b * kParts & ((1u << kParts) - 1u)) != 0) << b;
    return blocks;
#endif
}

// Pixel centres relative to the middle of the tile.
struct Centres {
    vf x[16][kParts], y[16][kParts];
    int32_t row[4][16], column[4][16];  // of a lane, in the tile, by row (column) of blocks

    Centres() {
        for (int group = 0; group < 4; ++group)
            for (int l = 0; l < 16; ++l) {
                row[group][l] = group * 4 + (l >> 2);
                column[group][l] = group * 4 + (l & 3);
            }
        for (int block = 0; block < 16; ++block)
            for (int part = 0; part < kParts; ++part) {
                alignas(64) float bx[W], by[W];
                for (int l = 0; l < W; ++l) {
                    const int lane = part * W + l;
                    bx[l] = float((block & 3) * 4 + (lane & 3)) + 0.5f - kTile / 2;
                    by[l] = float((block >> 2) * 4 + (lane >> 2)) + 0.5f - kTile / 2;
                }
                x[block][part] = vf::load(bx), y[block][part] = vf::load(by);
            }
    }
};

// Which of the tile's 16 blocks hold a pixel centre with alpha >= 1/255: the smallest u^2 + v^2
// over each block's rectangle of centres, found on the edges that face the splat (StopThePop,
// Radl et al. 2024, applied to blocks; exact for a convex quadratic).
struct BlockTest {
    vf x, y[kParts];  // first pixel centre of block (part * W + lane); W is a multiple of a row of blocks

    BlockTest(float x0, float y0) {
        for (int part = 0; part < kParts; ++part) {
            alignas(64) float bx[W], by[W];
            for (int l = 0; l < W; ++l) {
                const int block = part * W + l;
                bx[l] = x0 + float((block & 3) * 4) + 0.5f;
                by[l] = y0 + float((block >> 2) * 4) + 0.5f;
            }
            x = vf::load(bx), y[part] = vf::load(by);
        }
    }

    // `grow`: pixels by which a centre's reach is larger than the point (a kernel that integrates).
    SPLAT_HD uint32_t operator()(const Row& row, float grow) const {
        const vf l11(row.l11), l21(row.l21), l22(row.l22), zero(0.f), side(3.f + 2.f * grow);
        const vf left = x - vf(row.mx + grow), right = left + side, near_x = min_(max_(zero, left), right);
        const vf along = vf(row.ky) * near_x, across = l11 * near_x;
        uint32_t mask = 0;
        for (int part = 0; part < kParts; ++part) {
            const vf top = y[part] - vf(row.my + grow), bottom = top + side, near_y = min_(max_(zero, top), bottom);
            const vf at_y = min_(max_(along, top), bottom);
            const vf at_x = min_(max_(vf(row.kx) * near_y, left), right);
            const vf u1 = fma_(l21, at_y, across), v1 = l22 * at_y;
            const vf u2 = fma_(l11, at_x, l21 * near_y), v2 = l22 * near_y;
            const vf q = min_(fma_(u1, u1, v1 * v1), fma_(u2, u2, v2 * v2));
            mask |= bits(q <= vf(row.limit)) << (part * W);
        }
        return mask;
    }
};

SPLAT_END
