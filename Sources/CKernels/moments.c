#include "CKernels.h"
#include "multiversion.h"
#include <string.h>

/* 24 bits that look random, the same for the same index and key. Murmur3's finalizer, shortened. */
CK_INLINE uint32_t ck_dither(uint32_t index, uint32_t key) {
    uint32_t h = index * 0x9E3779B9u + key;
    h ^= h >> 16;
    h *= 0x85EBCA6Bu;
    h ^= h >> 13;
    return h >> 8;
}

CK_MULTIVERSION
void ck_pack_bf16(uint16_t *restrict y, const float *restrict x, size_t n, uint32_t first, uint32_t key) {
    for (size_t i = 0; i < n; ++i) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        y[i] = (uint16_t)((bits + (ck_dither(first + (uint32_t)i, key) >> 8)) >> 16);
    }
}

/* The largest magnitude of x(n). */
CK_INLINE float ck_largest(const float *restrict x, size_t n) {
#pragma clang fp reassociate(on)
    float top = 0;
    for (size_t i = 0; i < n; ++i) {
        const float a = __builtin_fabsf(x[i]);
        top = a > top ? a : top;
    }
    return top;
}

CK_MULTIVERSION
float ck_pack_mean(int8_t *restrict y, const float *restrict x, size_t n, uint32_t first, uint32_t key) {
    const float top = ck_largest(x, n);
    const float inverse = top > 0 ? 1 / top : 0;
    for (size_t i = 0; i < n; ++i) {
        const float share = __builtin_elementwise_sqrt(__builtin_fabsf(x[i]) * inverse) * 127;
        const float dither = (float)ck_dither(first + (uint32_t)i, key) * 0x1p-24f;
        int32_t code = (int32_t)(share + dither);
        code = code > 127 ? 127 : code;
        y[i] = (int8_t)(x[i] < 0 ? -code : code);
    }
    return top;
}

CK_MULTIVERSION
void ck_unpack_mean(float *restrict y, const int8_t *restrict x, size_t n, float scale) {
    const float unit = scale / (127.0f * 127.0f);
    for (size_t i = 0; i < n; ++i) {
        const float code = (float)x[i];
        y[i] = code * __builtin_fabsf(code) * unit;
    }
}

CK_MULTIVERSION
float ck_pack_square(uint8_t *restrict y, const float *restrict x, size_t n, uint32_t first, uint32_t key) {
    const float top = ck_largest(x, n);
    const float inverse = top > 0 ? 1 / top : 0;
    for (size_t i = 0; i < n; ++i) {
        const float root = __builtin_elementwise_sqrt(__builtin_elementwise_sqrt(x[i] * inverse));
        const float dither = (float)ck_dither(first + (uint32_t)i, key) * 0x1p-24f;
        const int32_t code = (int32_t)(root * 255 + dither);
        y[i] = (uint8_t)(code > 255 ? 255 : code);
    }
    return top;
}

CK_MULTIVERSION
void ck_unpack_square(float *restrict y, const uint8_t *restrict x, size_t n, float scale) {
    const float unit = 1.0f / 255;
    for (size_t i = 0; i < n; ++i) {
        const float share = (x[i] == 0 ? 0.5f : (float)x[i]) * unit;
        y[i] = share * share * (share * share) * scale;
    }
}
