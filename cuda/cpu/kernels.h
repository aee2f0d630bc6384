// The table of CPU kernels: one per instruction set, chosen at run time (dispatch.cpp).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace splat {

struct Frame;          // frame.h: one render and what its backward needs
struct FrameInput;
struct FrameOutput;
struct FrameGradients;

struct SsimInput;  // training.h
struct SsimResult;
struct AdamTensor;
struct AdamConstants;

struct Kernels {
    const char* name;  // "avx512", "avx2", "portable"
    int lanes;

    // rasteriser
    void (*render)(Frame&, const FrameInput&, const FrameOutput&);
    void (*render_backward)(Frame&, const FrameInput&, const FrameOutput&, const FrameGradients&);

    int64_t (*count_useful)(Frame&, const FrameInput&);
    double (*fma_rate)();

    // training (training.h, bindings_training.cpp)
    SsimResult (*l1_ssim)(const SsimInput&);
    void (*adam)(const AdamTensor*, const AdamConstants*, int count);
};

// The kernels in use. The best set the processor supports, or what set_isa() or the environment
// variable SPLAT_ISA asked for.
const Kernels& kernels();
bool set_isa(const std::string& name);       // false: not built or not supported here
std::vector<std::string> built_isas();
std::vector<std::string> supported_isas();   // best first

}  // namespace splat
