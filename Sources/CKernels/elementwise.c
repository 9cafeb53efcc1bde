#include "CKernels.h"
#include "exponential.h"

CK_MULTIVERSION
void ck_rotate(float *restrict x, const float *restrict cosine, const float *restrict sine, size_t rows,
               size_t heads, size_t size, size_t stride, float sign) {
    const size_t half = size / 2;
    for (size_t r = 0; r < rows; ++r) {
        const float *cr = cosine + r * half, *sr = sine + r * half;
        for (size_t h = 0; h < heads; ++h) {
            float *low = x + r * stride + h * size;
            float *high = low + half;
#pragma clang loop vectorize(assume_safety)
            for (size_t i = 0; i < half; ++i) {
                const float a = low[i], b = high[i], s = sign * sr[i];
                low[i] = a * cr[i] - b * s;
                high[i] = b * cr[i] + a * s;
            }
        }
    }
}

CK_MULTIVERSION
void ck_swiglu(float *restrict y, const float *restrict x, size_t rows, size_t cols) {
    for (size_t r = 0; r < rows; ++r) {
        const float *gate = x + r * 2 * cols, *up = gate + cols;
        for (size_t c = 0; c < cols; ++c) y[r * cols + c] = gate[c] / (1 + ck_exp(-gate[c])) * up[c];
    }
}

CK_MULTIVERSION
void ck_swiglu_backward(float *restrict y, float *restrict x, const float *restrict dy, size_t rows, size_t cols) {
    for (size_t r = 0; r < rows; ++r) {
        float *gate = x + r * 2 * cols, *up = gate + cols;
        const float *dyr = dy + r * cols;
        float *yr = y + r * cols;
#pragma clang loop vectorize(assume_safety)
        for (size_t c = 0; c < cols; ++c) {
            const float g = gate[c], u = up[c], d = dyr[c];
            const float sigmoid = 1 / (1 + ck_exp(-g));
            const float silu = g * sigmoid;
            yr[c] = silu * u;
            up[c] = d * silu;
            gate[c] = d * u * sigmoid * (1 + g - silu);
        }
    }
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
void ck_add(float *restrict y, const float *restrict x, size_t n) {
    for (size_t i = 0; i < n; ++i) y[i] += x[i];
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
