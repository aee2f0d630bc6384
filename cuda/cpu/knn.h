// Exact nearest neighbours of a point cloud.
#pragma once

#include <cstdint>

namespace splat {

constexpr int kMaxNeighbours = 64;

// out[i] = mean squared distance from point i of `points` [count, 3] to its `k` nearest other points;
// to all others if there are fewer than k; 0 if there is none. Coordinates must be finite;
// 1 <= k <= kMaxNeighbours.
void knn_mean_squared(const float* points, int64_t count, int k, float* out);

}  // namespace splat
