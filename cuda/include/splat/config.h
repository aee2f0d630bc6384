// Macros every header of the native core starts from.
//
// SPLAT_HD marks a formula that compiles for the host and for a CUDA device.
// SPLAT_ISA names the instruction set of the translation unit. The CPU driver compiles the same
// templates several times with different flags; the inline namespace keeps the linker from
// merging them (a portable build must never call code compiled for AVX-512).
#pragma once

#ifndef SPLAT_ISA
#define SPLAT_ISA portable
#endif

#if defined(__CUDACC__)
#define SPLAT_HD __host__ __device__ __forceinline__
#elif defined(_MSC_VER)
#define SPLAT_HD __forceinline
#else
#define SPLAT_HD inline __attribute__((always_inline))
#endif

#define SPLAT_BEGIN \
    namespace splat { \
    inline namespace SPLAT_ISA {
#define SPLAT_END \
    } \
    }
