// Arrays of double that the bindings of the shared formulas take and fill.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cmath>

namespace nb = nanobind;
using namespace nb::literals;

template <int64_t... Shape>
using In = nb::ndarray<const double, nb::shape<Shape...>, nb::c_contig, nb::device::cpu>;
template <int64_t... Shape>
using Out = nb::ndarray<double, nb::shape<Shape...>, nb::c_contig, nb::device::cpu>;

inline void require(bool ok, const char* problem = "arrays of shapes that do not belong together") {
    if (!ok) throw nb::value_error(problem);
}
