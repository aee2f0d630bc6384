// What the blend and its backward share: the order of a tile's pixels, and the layout of what the
// forward pass keeps (Frame::states, ends, reached).
//
// Pixel n of a tile, n = 0 .. 255: sub-tile n / 32, which is 8x4 pixels and one warp's of the forward
// pass, and in it row by row. Sub-tiles: two in a row, four rows. Whatever is stored per pixel of a tile
// is stored in this order, so that a warp's 32 values are neighbours.
//
//   states  [states, planes, 256] float4: per pixel T, R, G, B so far, and with geometry in a second
//           plane depth, nx, ny, nz so far, as they are before entry 64 b of the tile's list, b >= 1. A
//           tile whose list begins at entry t has them at state t / 64 + b - 1, which no other tile has.
//   ends    [tiles, 256] buckets of the tile's list up to the last in which an entry counted at the pixel
//   reached [tiles] the largest of these
//
// A state is written only while a pixel of its sub-tile is unfinished; ends says which ones are valid.
#pragma once

#include "frame.h"
#include "stages.h"

namespace splat::gpu {

constexpr int kSubWidth = 8, kSubHeight = 4;
constexpr int kSubTiles = kTilePixels / kWarp;
static_assert(kSubWidth * kSubHeight == kWarp && 2 * kSubWidth == kTile, "a warp is a sub-tile");

// Column and row of pixel n in its tile.
SPLAT_HD int pixel_column(int n) { return (n >> 5 & 1) * kSubWidth + (n & 7); }
SPLAT_HD int pixel_row(int n) { return (n >> 6) * kSubHeight + (n >> 3 & 3); }

// Centre of column or row i relative to the tile's middle.
SPLAT_HD float centre(int i) { return float(i) + (0.5f - float(kTile / 2)); }

// Unrolls the loop that follows.
#ifdef __CUDACC__
#define SPLAT_PRAGMA(text) _Pragma(#text)
#define SPLAT_UNROLL(n) SPLAT_PRAGMA(unroll n)
#else
#define SPLAT_UNROLL(n)
#endif

constexpr int planes(bool geometry) { return geometry ? 2 : 1; }

SPLAT_HD int64_t state_place(uint32_t tile_begin, uint32_t bucket, int plane, int all_planes, int pixel) {
    return ((int64_t(tile_begin / kBucket) + bucket - 1) * all_planes + plane) * kTilePixels + pixel;
}

// Rays through pixels: camera frame, z = 1.
struct RayGrid {
    float inverse_fx, inverse_fy, cx, cy;

    SPLAT_HD float x(float pixel) const { return (pixel - cx) * inverse_fx; }
    SPLAT_HD float y(float pixel) const { return (pixel - cy) * inverse_fy; }
};

inline RayGrid ray_grid(const FrameInput& in) { return {1.f / in.fx, 1.f / in.fy, in.cx, in.cy}; }

}  // namespace splat::gpu
