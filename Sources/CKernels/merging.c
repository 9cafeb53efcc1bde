#include "CKernels.h"
#include "multiversion.h"
#include <string.h>
#pragma STDC FP_CONTRACT OFF

enum { LANES = 8, BLOCK = 1024 };

/* The bits of a magnitude, which are in the order of the magnitudes. */
CK_INLINE uint32_t magnitude(const float *x) {
    uint32_t bits;
    memcpy(&bits, x, sizeof bits);
    return bits & 0x7fffffffu;
}

CK_MULTIVERSION
void ck_weigh(float *restrict y, const float *restrict x, float weight, size_t n, int add) {
    if (add)
        for (size_t i = 0; i < n; ++i) y[i] += weight * x[i];
    else
        for (size_t i = 0; i < n; ++i) y[i] = weight * x[i];
}

CK_MULTIVERSION
void ck_subtract(float *restrict y, const float *restrict x, size_t n) {
    for (size_t i = 0; i < n; ++i) y[i] -= x[i];
}

CK_INLINE double total(const double *lanes) {
    double sum = 0;
    for (size_t l = 0; l < LANES; ++l) sum += lanes[l];
    return sum;
}

CK_MULTIVERSION
double ck_dot(const float *x, const float *y, size_t n) {
    double lanes[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; ++l) lanes[l] += (double)x[i + l] * (double)y[i + l];
    for (size_t l = 0; i < n; ++i, ++l) lanes[l] += (double)x[i] * (double)y[i];
    return total(lanes);
}

CK_MULTIVERSION
double ck_sum_magnitudes(const float *x, size_t n, uint32_t above, size_t *equal) {
    double lanes[LANES] = {0};
    size_t count = 0;
    for (size_t i = 0; i < n; ++i) count += magnitude(x + i) == above;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t l = 0; l < LANES; ++l)
            lanes[l] += magnitude(x + i + l) > above ? __builtin_fabs((double)x[i + l]) : 0;
    for (size_t l = 0; i < n; ++i, ++l) lanes[l] += magnitude(x + i) > above ? __builtin_fabs((double)x[i]) : 0;
    *equal = count;
    return total(lanes);
}

void ck_count_high(uint32_t *counts, const float *x, size_t n) {
    for (size_t i = 0; i < n; ++i) ++counts[magnitude(x + i) >> 16];
}

void ck_count_low(uint32_t *counts, const float *x, size_t n, uint32_t high) {
    for (size_t i = 0; i < n; ++i) {
        const uint32_t bits = magnitude(x + i);
        if (bits >> 16 == high) ++counts[bits & 0xffffu];
    }
}

CK_INLINE void keep(float *x, size_t n, uint32_t least) {
    for (size_t i = 0; i < n; ++i) x[i] = magnitude(x + i) >= least ? x[i] : 0;
}

CK_MULTIVERSION
void ck_keep_largest(float *x, size_t n, uint32_t least, size_t equal) {
    if (equal >= n) return keep(x, n, least);
    for (size_t i = 0; i < n; ++i) {
        const uint32_t bits = magnitude(x + i);
        const int kept = bits > least || (bits == least && equal > 0);
        equal -= kept && bits == least;
        x[i] = kept ? x[i] : 0;
    }
}

CK_MULTIVERSION
void ck_keep_random(float *x, size_t n, uint64_t key, uint64_t first, uint64_t limit) {
    for (size_t i = 0; i < n; ++i) {
        /* Steele, Lea and Flood, SplitMix (2014), section 4. */
        uint64_t z = key + first + i + 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        x[i] = (z >> 32) < limit ? x[i] : 0;
    }
}

CK_MULTIVERSION
void ck_elect(float *y, const float *x, const float *weights, size_t models, size_t n, int counts, int normalizes) {
    for (size_t start = 0; start < n; start += BLOCK) {
        const size_t count = n - start < BLOCK ? n - start : BLOCK;
        float vote[BLOCK] = {0}, sum[BLOCK] = {0}, weight[BLOCK] = {0};
        for (size_t m = 0; m < models; ++m) {
            const float *d = x + m * n + start;
            for (size_t i = 0; i < count; ++i)
                vote[i] += counts ? (float)((d[i] > 0) - (d[i] < 0)) : d[i];
        }
        for (size_t m = 0; m < models; ++m) {
            const float *d = x + m * n + start;
            const float w = weights[m];
            for (size_t i = 0; i < count; ++i) {
                const int agrees = vote[i] >= 0 ? d[i] > 0 : d[i] < 0;
                sum[i] += agrees ? d[i] : 0;
                weight[i] += agrees ? w : 0;
            }
        }
        for (size_t i = 0; i < count; ++i)
            y[start + i] = normalizes ? sum[i] / (weight[i] == 0 ? 1 : weight[i]) : sum[i];
    }
}
