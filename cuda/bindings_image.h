// A splat on the image, behind the projection, for bindings_filters.cpp and bindings_windows.cpp: 7
// numbers mean x, y, covariance a, b, c (before the filter), opacity logit, shape t = 2/beta.
#pragma once

#include "bindings_arrays.h"
#include "include/splat/filter.h"

constexpr int kSplat = 7;

struct OnImage {
    splat::View<double> view{};
    splat::Projection<double> p{};
    double t;

    explicit OnImage(const double* x) : t(x[6]) {
        view.fx = view.fy = 1, view.near = 0, view.far = 10, view.width = view.height = 1e9;
        p.t = {x[0], x[1], 1}, p.inverse_z = 1;
        p.a0 = x[2], p.b = x[3], p.c0 = x[4], p.det0 = x[2] * x[4] - x[3] * x[3];
        p.sigmoid = splat::sigmoid_(x[5]);
    }

    void write(const splat::FilteredGradient<double>& g, double* out) const {
        const double row[kSplat] = {g.mean2d.x, g.mean2d.y, g.a, g.b, g.c, g.log_opacity * (1 - p.sigmoid), g.t};
        for (int k = 0; k < kSplat; ++k) out[k] = row[k];
    }
};
