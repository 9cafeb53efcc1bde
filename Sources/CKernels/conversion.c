#include "CKernels.h"
#include "multiversion.h"
#include <string.h>

CK_MULTIVERSION
void ck_bf16_to_f32(float *restrict y, const uint16_t *restrict x, size_t n) {
    for (size_t i = 0; i < n; ++i) {
        const uint32_t bits = (uint32_t)x[i] << 16;
        memcpy(&y[i], &bits, sizeof bits);
    }
}

CK_MULTIVERSION
void ck_f32_to_bf16(uint16_t *restrict y, const float *restrict x, size_t n) {
    for (size_t i = 0; i < n; ++i) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
        const uint32_t quiet = (bits >> 16) | 0x40u;
        y[i] = (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
    }
}

CK_MULTIVERSION
uint32_t ck_largest_f32(const float *restrict x, size_t n) {
    uint32_t largest = 0;
    for (size_t i = 0; i < n; ++i) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= 0x7fffffffu;
        largest = bits > largest ? bits : largest;
    }
    return largest;
}

CK_MULTIVERSION
uint32_t ck_largest_16(const uint16_t *restrict x, size_t n) {
    uint16_t largest = 0;
    for (size_t i = 0; i < n; ++i) {
        const uint16_t bits = x[i] & 0x7fffu;
        largest = bits > largest ? bits : largest;
    }
    return largest;
}
