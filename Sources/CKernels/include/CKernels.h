#ifndef CKERNELS_H
#define CKERNELS_H
#include <stddef.h>
#include <stdint.h>

/* y(n) = x(n), bfloat16 to float32. */
void ck_bf16_to_f32(float *y, const uint16_t *x, size_t n);
/* y(n) = x(n) rounded to the nearest bfloat16, ties to even; NaN stays NaN. */
void ck_f32_to_bf16(uint16_t *y, const float *x, size_t n);
#endif
