// CUDA's vector types, aligned as on the device.
#pragma once

#include <cstdint>

#define SPLAT_VECTOR2(T, name, bytes) \
    struct alignas(bytes) name { \
        T x, y; \
    }; \
    constexpr name make_##name(T x, T y) { return {x, y}; }
#define SPLAT_VECTOR3(T, name) \
    struct name { \
        T x, y, z; \
    }; \
    constexpr name make_##name(T x, T y, T z) { return {x, y, z}; }
#define SPLAT_VECTOR4(T, name, bytes) \
    struct alignas(bytes) name { \
        T x, y, z, w; \
    }; \
    constexpr name make_##name(T x, T y, T z, T w) { return {x, y, z, w}; }

SPLAT_VECTOR2(float, float2, 8)
SPLAT_VECTOR3(float, float3)
SPLAT_VECTOR4(float, float4, 16)
SPLAT_VECTOR2(int, int2, 8)
SPLAT_VECTOR3(int, int3)
SPLAT_VECTOR4(int, int4, 16)
SPLAT_VECTOR2(unsigned, uint2, 8)
SPLAT_VECTOR3(unsigned, uint3)
SPLAT_VECTOR4(unsigned, uint4, 16)
SPLAT_VECTOR2(double, double2, 16)
SPLAT_VECTOR2(unsigned short, ushort2, 4)
SPLAT_VECTOR4(unsigned short, ushort4, 8)
SPLAT_VECTOR2(unsigned char, uchar2, 2)
SPLAT_VECTOR3(unsigned char, uchar3)
SPLAT_VECTOR4(unsigned char, uchar4, 4)
SPLAT_VECTOR2(unsigned long long, ulonglong2, 16)

#undef SPLAT_VECTOR2
#undef SPLAT_VECTOR3
#undef SPLAT_VECTOR4

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
};
