// Where the pixels of a block lie in an image.
#pragma once

#include "block.h"

SPLAT_BEGIN

// Offsets of a block's lanes from its first pixel, for one and for three channels.
struct ImageLanes {
    alignas(64) int32_t one[16], three[16];

    explicit ImageLanes(int width) {
        for (int l = 0; l < 16; ++l) one[l] = (l >> 2) * width + (l & 3), three[l] = 3 * one[l];
    }
};

// A block of a tile at (x0, y0): its first pixel, and which of its lanes are in the image.
struct BlockAt {
    int x, y;
    int64_t pixel;
    bool whole;

    BlockAt(const FrameInput& in, int x0, int y0, int b)
        : x(x0 + (b & 3) * 4), y(y0 + (b >> 2) * 4), pixel(int64_t(y) * in.width + x),
          whole(x + 4 <= in.width && y + 4 <= in.height) {}
    bool inside(const FrameInput& in, int lane) const { return x + (lane & 3) < in.width && y + (lane >> 2) < in.height; }
};

// image[lanes] = value where the lane is inside
SPLAT_HD void put_block(float* image, const int32_t* lanes, const BlockAt& at, const FrameInput& in, int part, vf value) {
    if (at.whole) return value.scatter(image, lanes + part * W);
    alignas(64) float t[W];
    value.store(t);
    for (int l = 0; l < W; ++l)
        if (at.inside(in, part * W + l)) image[lanes[part * W + l]] = t[l];
}

// image[lanes], 0 where the lane is outside
SPLAT_HD vf get_block(const float* image, const int32_t* lanes, const BlockAt& at, const FrameInput& in, int part) {
    if (at.whole) return vf::gather(image, lanes + part * W);
    alignas(64) float t[W];
    for (int l = 0; l < W; ++l) t[l] = at.inside(in, part * W + l) ? image[lanes[part * W + l]] : 0.f;
    return vf::load(t);
}

SPLAT_END
