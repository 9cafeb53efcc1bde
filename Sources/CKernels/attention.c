#include "CKernels.h"
#include "COpenBLAS.h"
#include "exponential.h"
#include <math.h>

enum { tile = CK_ATTENTION_TILE };

static long least(long a, long b) { return a < b ? a : b; }
static long most(long a, long b) { return a > b ? a : b; }

/* The first key that any query in [start, end) sees. */
static long first_of(const int32_t *first, long start, long end) {
    long result = first[start];
    for (long i = start + 1; i < end; ++i) result = least(result, first[i]);
    return result;
}

size_t ck_attention_scratch(const ck_attention *a) {
    return 2 * tile * tile + 2 * tile + (size_t)(a->time * a->heads);
}

/* Turns one row of scores s(n) for the keys key ..< key + n into weights e^(s - top) in place, 0 outside
   [low, high], and carries the row's running maximum and sum on. Returns what older results shrink by. */
CK_MULTIVERSION
static float softmax_step(float *restrict s, long n, long low, long high, float *restrict top,
                          float *restrict sum) {
#pragma clang fp reassociate(on)
    if (low > high) {
        for (long j = 0; j < n; ++j) s[j] = 0;
        return 1;
    }
    float largest = *top;
    for (long j = low; j <= high; ++j) largest = s[j] > largest ? s[j] : largest;
    float added = 0;
    for (long j = 0; j < low; ++j) s[j] = 0;
    for (long j = low; j <= high; ++j) {
        const float e = ck_exp(s[j] - largest);
        s[j] = e;
        added += e;
    }
    for (long j = high + 1; j < n; ++j) s[j] = 0;
    const float shrink = ck_exp(*top - largest);
    *sum = *sum * shrink + added;
    *top = largest;
    return shrink;
}

CK_MULTIVERSION
static void scale_row(float *x, long n, float k) {
    for (long i = 0; i < n; ++i) x[i] *= k;
}

void ck_attention_forward(float *out, float *lse, const float *qkv, const int32_t *first, const ck_attention *a,
                          long head, long start, long end, float *scratch) {
    const long D = a->size, rows = end - start, width = a->heads * D;
    const long kv_head = head / (a->heads / a->kv_heads);
    const float *q = qkv + start * a->stride + head * D;
    const float *k = qkv + (a->heads + kv_head) * D;
    const float *v = k + a->kv_heads * D;
    float *o = out + start * width + head * D;
    float *s = scratch, *top = s + 2 * tile * tile, *sum = top + tile; /* s: (rows, tile) */
    for (long i = 0; i < rows; ++i) {
        top[i] = -INFINITY;
        sum[i] = 0;
    }
    const long begin = first_of(first, start, end) / tile * tile;
    for (long key = begin; key < end; key += tile) {
        const long n = least(tile, end - key);
        cob_sgemm(0, 1, rows, n, D, a->scale, q, a->stride, k + key * a->stride, a->stride, 0, s, tile);
        for (long i = 0; i < rows; ++i) {
            const long low = most(0, first[start + i] - key), high = least(n - 1, start + i - key);
            const float shrink = softmax_step(s + i * tile, n, low, high, top + i, sum + i);
            if (key > begin && shrink != 1) scale_row(o + i * width, D, shrink);
        }
        cob_sgemm(0, 0, rows, D, n, 1, s, tile, v + key * a->stride, a->stride, key > begin, o, width);
    }
    for (long i = 0; i < rows; ++i) {
        scale_row(o + i * width, D, 1 / sum[i]);
        lse[(start + i) * a->heads + head] = top[i] + logf(sum[i]);
    }
}

/* s(n) scores become weights p = e^(s - lse), dp(n) becomes ds = p (dp - delta) scale; 0 outside [low, high]. */
CK_MULTIVERSION
static void softmax_gradient(float *restrict s, float *restrict dp, long n, long low, long high, float lse,
                             float delta, float scale) {
    const long until = least(low, n), after = most(until, high + 1);
    for (long j = 0; j < until; ++j) s[j] = dp[j] = 0;
    for (long j = until; j < after; ++j) {
        const float p = ck_exp(s[j] - lse);
        s[j] = p;
        dp[j] = p * (dp[j] - delta) * scale;
    }
    for (long j = after; j < n; ++j) s[j] = dp[j] = 0;
}

CK_MULTIVERSION
static float dot(const float *restrict x, const float *restrict y, long n) {
#pragma clang fp reassociate(on)
    float sum = 0;
    for (long i = 0; i < n; ++i) sum += x[i] * y[i];
    return sum;
}

/* One tile of queries [start, end) against one tile of keys [key, key + n). */
static void backward_tile(float *dqkv, const float *dout, const float *qkv, const float *lse, const float *delta,
                          const int32_t *first, const ck_attention *a, long head, long kv_head, long start,
                          long end, long key, long n, float *s, float *dp) {
    const long D = a->size, W = a->stride, rows = end - start, width = a->heads * D;
    const long k = key * W + (a->heads + kv_head) * D, v = k + a->kv_heads * D, q = start * W + head * D;
    const float *dor = dout + start * width + head * D;
    cob_sgemm(0, 1, rows, n, D, a->scale, qkv + q, W, qkv + k, W, 0, s, tile);
    cob_sgemm(0, 1, rows, n, D, 1, dor, width, qkv + v, W, 0, dp, tile);
    for (long i = 0; i < rows; ++i) {
        const long low = most(0, first[start + i] - key), high = least(n - 1, start + i - key);
        softmax_gradient(s + i * tile, dp + i * tile, n, low, high, lse[(start + i) * a->heads + head],
                         delta[(start + i) * a->heads + head], a->scale);
    }
    cob_sgemm(1, 0, n, D, rows, 1, s, tile, dor, width, 1, dqkv + v, W);
    cob_sgemm(1, 0, n, D, rows, 1, dp, tile, qkv + q, W, 1, dqkv + k, W);
    cob_sgemm(0, 0, rows, D, n, 1, dp, tile, qkv + k, W, 1, dqkv + q, W);
}

void ck_attention_backward(float *dqkv, const float *dout, const float *qkv, const float *out, const float *lse,
                           const int32_t *first, const ck_attention *a, long kv_head, float *scratch) {
    const long D = a->size, T = a->time, group = a->heads / a->kv_heads, width = a->heads * D;
    float *s = scratch, *dp = s + tile * tile, *delta = dp + tile * tile + 2 * tile; /* delta: (T, H) */
    for (long t = 0; t < T; ++t) {
        float *row = dqkv + t * a->stride;
        memset(row + kv_head * group * D, 0, (size_t)(group * D) * sizeof *row);
        memset(row + (a->heads + kv_head) * D, 0, (size_t)D * sizeof *row);
        memset(row + (a->heads + a->kv_heads + kv_head) * D, 0, (size_t)D * sizeof *row);
        for (long h = kv_head * group; h < (kv_head + 1) * group; ++h)
            delta[t * a->heads + h] = dot(dout + t * width + h * D, out + t * width + h * D, D);
    }
    for (long h = kv_head * group; h < (kv_head + 1) * group; ++h)
        for (long start = 0; start < T; start += tile) {
            const long end = least(start + tile, T);
            for (long key = first_of(first, start, end) / tile * tile; key < end; key += tile)
                backward_tile(dqkv, dout, qkv, lse, delta, first, a, h, kv_head, start, end, key,
                              least(tile, T - key), s, dp);
        }
}
