#include "CKernels.h"
#include "multiversion.h"

CK_INLINE void turn(float *x, const float *cosine, const float *sine, size_t pairs, float sign, int in_turn) {
    float *low = x, *high = x + (in_turn ? 1 : pairs);
    const size_t step = in_turn ? 2 : 1;
#pragma clang loop vectorize(assume_safety)
    for (size_t i = 0; i < pairs; ++i) {
        const float a = low[i * step], b = high[i * step], s = sign * sine[i];
        low[i * step] = a * cosine[i] - b * s;
        high[i * step] = b * cosine[i] + a * s;
    }
}

CK_MULTIVERSION
void ck_rotate(float *x, const float *cosine, const float *sine, size_t heads, size_t size, size_t pairs, float sign,
               int in_turn) {
    if (in_turn)
        for (size_t h = 0; h < heads; ++h) turn(x + h * size, cosine, sine, pairs, sign, 1);
    else
        for (size_t h = 0; h < heads; ++h) turn(x + h * size, cosine, sine, pairs, sign, 0);
}

CK_MULTIVERSION
void ck_add_bias(float *restrict y, const float *restrict bias, size_t rows, size_t cols) {
    for (size_t r = 0; r < rows; ++r)
        for (size_t c = 0; c < cols; ++c) y[r * cols + c] += bias[c];
}

CK_MULTIVERSION
void ck_sum_rows(float *restrict y, const float *restrict x, size_t rows, size_t stride, size_t n, int add) {
    if (!add)
        for (size_t i = 0; i < n; ++i) y[i] = 0;
    for (size_t r = 0; r < rows; ++r)
        for (size_t i = 0; i < n; ++i) y[i] += x[r * stride + i];
}

CK_MULTIVERSION
void ck_add_scaled(float *y, const float *x, const float *delta, float factor, size_t n) {
#pragma clang loop vectorize(assume_safety)
    for (size_t i = 0; i < n; ++i) y[i] = x[i] + factor * delta[i];
}

CK_MULTIVERSION
void ck_scale(float *y, const float *x, float factor, size_t n) {
#pragma clang loop vectorize(assume_safety)
    for (size_t i = 0; i < n; ++i) y[i] = factor * x[i];
}

CK_MULTIVERSION
double ck_sum_of_squares(const float *restrict x, size_t n) {
#pragma clang fp reassociate(on)
    double total = 0;
    for (size_t start = 0; start < n; start += 1024) {
        const size_t end = start + 1024 < n ? start + 1024 : n;
        float sum = 0;
        for (size_t i = start; i < end; ++i) sum += x[i] * x[i];
        total += (double)sum;
    }
    return total;
}
