#include "multiversion.h"
#include "CKernels.h"
#include <string.h>

/* Vectors that every instruction set has in some form: the compiler splits them into registers of its own. */
enum { LANES = 16, MOST = 4 /* rows, and outputs, at once */ };
typedef float floats __attribute__((vector_size(4 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef int32_t integers __attribute__((vector_size(4 * LANES)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));

/* v = w[i ..< i + LANES] as float32. A float16 is finite, and widened as in half.c. */
CK_INLINE void load(floats *v, const void *w, size_t i, int kind) {
    if (kind == CK_F32) {
        memcpy(v, (const float *)w + i, sizeof *v);
        return;
    }
    halves half;
    memcpy(&half, (const uint16_t *)w + i, sizeof half);
    words bits = __builtin_convertvector(half, words);
    if (kind == CK_BF16) {
        bits <<= 16;
    } else {
        const words sign = (bits & 0x8000u) << 16, rest = bits & 0x7fffu;
        const floats steps = __builtin_convertvector((integers)rest, floats) * 0x1p-24f;
        const words is_small = (words)(rest < 0x400u), normal = (rest << 13) + 0x38000000u;
        bits = (((words)steps & is_small) | (normal & ~is_small)) | sign;
    }
    memcpy(v, &bits, sizeof *v);
}

CK_INLINE float one(const void *w, size_t i, int kind) {
    if (kind == CK_F32) return ((const float *)w)[i];
    const uint32_t bits = ((const uint16_t *)w)[i];
    uint32_t wide = bits << 16;
    if (kind == CK_F16) {
        const uint32_t sign = (bits & 0x8000u) << 16, rest = bits & 0x7fffu;
        const float steps = (float)(int32_t)rest * 0x1p-24f;
        memcpy(&wide, &steps, sizeof wide);
        wide = (rest < 0x400u ? wide : (rest << 13) + 0x38000000u) | sign;
    }
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

CK_INLINE float sum_of(const floats *v) {
    typedef float eight __attribute__((vector_size(32)));
    typedef float four __attribute__((vector_size(16)));
    const eight a = __builtin_shufflevector(*v, *v, 0, 1, 2, 3, 4, 5, 6, 7)
                    + __builtin_shufflevector(*v, *v, 8, 9, 10, 11, 12, 13, 14, 15);
    const four b = __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
    return (b[0] + b[2]) + (b[1] + b[3]);
}

/* y(r, O) = (add ? y : 0) + x(r, I) w(outs, I)^T for numbers of rows and outputs that are known when this is compiled. Each
   sum has one vector of its own, whatever is beside it, so that it is the same bits; several hide each other's latency.
   Meanwhile the weights of the next outputs are asked for, line by line: rows are too short for a processor to foresee that
   others follow. */
CK_INLINE void products(float *y, const float *x, const void *w, size_t first, size_t I, size_t O, size_t outs,
                        size_t rows, int kind, int add) {
    floats sums[MOST][MOST];
    for (size_t o = 0; o < outs; ++o)
        for (size_t r = 0; r < rows; ++r) sums[o][r] = (floats){0};
    const size_t size = kind == CK_F32 ? 4 : 2;
    size_t i = 0;
    for (; i + LANES <= I; i += LANES) {
        const char *next = (const char *)w + (first + outs * (I + i)) * size;
        for (size_t line = 0; line < outs * LANES * size; line += 64) __builtin_prefetch(next + line);
        floats weight[MOST];
        for (size_t o = 0; o < outs; ++o) load(&weight[o], w, first + o * I + i, kind);
        for (size_t r = 0; r < rows; ++r) {
            floats value;
            memcpy(&value, x + r * I + i, sizeof value);
            for (size_t o = 0; o < outs; ++o) sums[o][r] += weight[o] * value;
        }
    }
    for (size_t o = 0; o < outs; ++o)
        for (size_t r = 0; r < rows; ++r) {
            float sum = sum_of(&sums[o][r]);
            for (size_t j = i; j < I; ++j) sum += one(w, first + o * I + j, kind) * x[r * I + j];
            y[r * O + o] = add ? y[r * O + o] + sum : sum;
        }
}

CK_INLINE void outputs_of(float *y, const float *x, const void *w, size_t o, size_t I, size_t O, size_t outs,
                          size_t rows, int kind, int add) {
    size_t r = 0;
    for (; r + MOST <= rows; r += MOST) products(y + r * O + o, x + r * I, w, o * I, I, O, outs, MOST, kind, add);
    switch (rows - r) {
    case 3: products(y + r * O + o, x + r * I, w, o * I, I, O, outs, 3, kind, add); break;
    case 2: products(y + r * O + o, x + r * I, w, o * I, I, O, outs, 2, kind, add); break;
    case 1: products(y + r * O + o, x + r * I, w, o * I, I, O, outs, 1, kind, add); break;
    default: break;
    }
}

CK_INLINE void rows_of(float *y, const float *x, const void *w, size_t start, size_t end, size_t I, size_t O,
                       size_t rows, int kind, int add) {
    size_t o = start;
    for (; o + MOST <= end; o += MOST) outputs_of(y, x, w, o, I, O, MOST, rows, kind, add);
    for (; o < end; ++o) outputs_of(y, x, w, o, I, O, 1, rows, kind, add);
}

CK_MULTIVERSION
void ck_multiply_vectors(float *y, const float *x, const void *w, size_t start, size_t end, size_t inputs,
                         size_t outputs, size_t rows, int kind, int add) {
    if (kind == CK_F32) rows_of(y, x, w, start, end, inputs, outputs, rows, CK_F32, add);
    else if (kind == CK_BF16) rows_of(y, x, w, start, end, inputs, outputs, rows, CK_BF16, add);
    else rows_of(y, x, w, start, end, inputs, outputs, rows, CK_F16, add);
}
