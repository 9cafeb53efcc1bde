#include "CKernels.h"
#include "multiversion.h"
#include <string.h>

/* Without branches, so that every instruction set vectorises it: a normal number moves to float32's
   exponent range by an addition, a subnormal one counts float16's smallest steps. No float32 on the
   way is subnormal, so it is right in threads that flush those to zero. */
CK_MULTIVERSION
void ck_f16_to_f32(float *restrict y, const uint16_t *restrict x, size_t n) {
    for (size_t i = 0; i < n; ++i) {
        const uint32_t sign = (uint32_t)(x[i] & 0x8000u) << 16;
        const uint32_t rest = x[i] & 0x7fffu;
        const float steps = (float)(int32_t)rest * 0x1p-24f;
        uint32_t subnormal;
        memcpy(&subnormal, &steps, sizeof subnormal);
        const uint32_t normal = (rest << 13) + 0x38000000u;
        const uint32_t special = (rest << 13) | 0x7f800000u;
        uint32_t bits = rest < 0x400u ? subnormal : normal;
        bits = (rest >= 0x7c00u ? special : bits) | sign;
        memcpy(&y[i], &bits, sizeof bits);
    }
}

/* A normal result is rounded on the bits; a subnormal one by adding the power of two whose last
   place is float16's smallest step, which lets the addition round to nearest even. */
CK_MULTIVERSION
size_t ck_f32_to_f16(uint16_t *restrict y, const float *restrict x, size_t n) {
    size_t overflows = 0;
    for (size_t i = 0; i < n; ++i) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        const uint32_t sign = (bits >> 16) & 0x8000u;
        const uint32_t magnitude = bits & 0x7fffffffu;
        const uint32_t normal = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
        float small;
        memcpy(&small, &magnitude, sizeof small);
        small += 0.5f;
        uint32_t subnormal;
        memcpy(&subnormal, &small, sizeof subnormal);
        subnormal -= 0x3f000000u;
        const uint32_t quiet = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
        uint32_t result = magnitude < 0x38800000u ? subnormal : normal;
        result = magnitude >= 0x477ff000u ? 0x7c00u : result;
        result = magnitude > 0x7f800000u ? quiet : result;
        overflows += (magnitude >= 0x477ff000u) & (magnitude < 0x7f800000u);
        y[i] = (uint16_t)(result | sign);
    }
    return overflows;
}

CK_MULTIVERSION
size_t ck_count_bf16_overflows(const float *x, size_t n) {
    size_t overflows = 0;
    for (size_t i = 0; i < n; ++i) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        const uint32_t magnitude = bits & 0x7fffffffu;
        overflows += (magnitude >= 0x7f7f8000u) & (magnitude < 0x7f800000u);
    }
    return overflows;
}

/* Rounds to odd: what float32 cannot hold is remembered in the last bit, so that a second rounding
   to a 16-bit type gives what one rounding would have. A value beyond float32 stays its largest. */
CK_MULTIVERSION
void ck_f64_to_f32_odd(float *restrict y, const double *restrict x, size_t n) {
    for (size_t i = 0; i < n; ++i) {
        const float nearest = (float)x[i];
        uint32_t bits;
        memcpy(&bits, &nearest, sizeof bits);
        const double magnitude = x[i] < 0 ? -x[i] : x[i];
        const double back = nearest < 0 ? -(double)nearest : (double)nearest;
        const uint32_t truncated = bits - (back > magnitude);
        const uint32_t odd = truncated | 1u;
        bits = back == magnitude || x[i] != x[i] ? bits : odd;
        memcpy(&y[i], &bits, sizeof bits);
    }
}
