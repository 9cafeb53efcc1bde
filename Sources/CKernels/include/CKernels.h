#ifndef CKERNELS_H
#define CKERNELS_H
#include <stddef.h>
#include <stdint.h>

/* y(n) = x(n), bfloat16 to float32. */
void ck_bf16_to_f32(float *y, const uint16_t *x, size_t n);
/* y(n) = x(n) rounded to the nearest bfloat16, ties to even; NaN stays NaN. */
void ck_f32_to_bf16(uint16_t *y, const float *x, size_t n);
/* y(n) = x(n), float16 to float32. */
void ck_f16_to_f32(float *y, const uint16_t *x, size_t n);
/* y(n) = x(n) rounded to the nearest float16, ties to even; NaN stays NaN. Returns how many finite
   values became infinite. */
size_t ck_f32_to_f16(uint16_t *y, const float *x, size_t n);
/* How many finite values of x(n) become infinite as bfloat16. */
size_t ck_count_bf16_overflows(const float *x, size_t n);
/* y(n) = x(n) rounded to odd, float64 to float32, for a second rounding to 16 bits. */
void ck_f64_to_f32_odd(float *y, const double *x, size_t n);
#endif
