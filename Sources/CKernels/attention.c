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
    return 2 * tile * tile + 2 * tile + (size_t)(a->time * (a->heads / a->kv_heads));
}

/* Where a query head, and a key-value head's key and value, begin in a row. */
static long query_of(const ck_attention *a, long head) {
    const long group = a->heads / a->kv_heads;
    return head / group * a->query_group + head % group * a->size;
}
static long key_of(const ck_attention *a, long kv_head) { return a->key + kv_head * a->key_group; }
static long value_of(const ck_attention *a, long kv_head) { return a->value + kv_head * a->key_group; }

/* s(n) = cap tanh(s / cap) */
CK_MULTIVERSION
static void cap_row(float *s, long n, float cap) {
    const float inverse = 1 / cap;
    for (long j = 0; j < n; ++j) s[j] = cap * ck_tanh(s[j] * inverse);
}

CK_MULTIVERSION
static void add_row(float *restrict s, const float *restrict bias, long n) {
    for (long j = 0; j < n; ++j) s[j] += bias[j];
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

void ck_attention_forward(float *out, float *lse, const float *qkv, const int32_t *first, const float *bias,
                          const float *sinks, const ck_attention *a, long head, long start, long end,
                          float *scratch) {
    const long D = a->size, rows = end - start, width = a->heads * D;
    const long kv_head = head / (a->heads / a->kv_heads);
    const float *q = qkv + start * a->stride + query_of(a, head);
    const float *k = qkv + key_of(a, kv_head);
    const float *v = qkv + value_of(a, kv_head);
    float *o = out + start * width + head * D;
    float *s = scratch, *top = s + 2 * tile * tile, *sum = top + tile; /* s: (rows, tile) */
    for (long i = 0; i < rows; ++i) {
        top[i] = sinks ? sinks[head] : -INFINITY;
        sum[i] = sinks ? 1 : 0;
    }
    const long begin = first_of(first, start, end) / tile * tile;
    for (long key = begin; key < end; key += tile) {
        const long n = least(tile, end - key);
        cob_sgemm(0, 1, rows, n, D, a->scale, q, a->stride, k + key * a->stride, a->stride, 0, s, tile);
        for (long i = 0; i < rows; ++i) {
            const long low = most(0, first[start + i] - key), high = least(n - 1, start + i - key);
            float *row = s + i * tile;
            if (a->soft_cap > 0 && low <= high) cap_row(row + low, high - low + 1, a->soft_cap);
            if (bias && low <= high)
                add_row(row + low, bias + head * a->time + key + low - first[start + i], high - low + 1);
            const float shrink = softmax_step(row, n, low, high, top + i, sum + i);
            if (key > begin && shrink != 1) scale_row(o + i * width, D, shrink);
        }
        cob_sgemm(0, 0, rows, D, n, 1, s, tile, v + key * a->stride, a->stride, key > begin, o, width);
    }
    for (long i = 0; i < rows; ++i) {
        scale_row(o + i * width, D, 1 / sum[i]);
        lse[(start + i) * a->heads + head] = top[i] + logf(sum[i]);
    }
}

/* s(n) = scale q(D) k(n, D) */
CK_MULTIVERSION
static void score_row(float *restrict s, const float *restrict q, const float *restrict k, long n, long D,
                      float scale) {
#pragma clang fp reassociate(on)
    for (long j = 0; j < n; ++j) {
        float sum = 0;
        for (long d = 0; d < D; ++d) sum += q[d] * k[j * D + d];
        s[j] = scale * sum;
    }
}

/* out(D) = factor s(n) v(n, D) */
CK_MULTIVERSION
static void weigh_rows(float *restrict out, const float *restrict s, const float *restrict v, long n, long D,
                       float factor) {
    for (long d = 0; d < D; ++d) out[d] = 0;
    for (long j = 0; j < n; ++j)
        for (long d = 0; d < D; ++d) out[d] += s[j] * v[j * D + d];
    for (long d = 0; d < D; ++d) out[d] *= factor;
}

void ck_attend(float *out, const float *q, const float *keys, const float *values, const float *bias,
               const float *sink, const ck_attention *a, long n, float *scores) {
    float top = sink ? *sink : -INFINITY, sum = sink ? 1 : 0;
    score_row(scores, q, keys, n, a->size, a->scale);
    if (a->soft_cap > 0) cap_row(scores, n, a->soft_cap);
    if (bias) add_row(scores, bias, n);
    (void)softmax_step(scores, n, 0, n - 1, &top, &sum);
    weigh_rows(out, scores, values, n, a->size, 1 / sum);
}

/* For j in [low, high): s, capped scores, become weights p = e^(s + bias - lse); dp becomes p (dp - delta) scale,
   times the cap's slope. */
CK_INLINE void gradient_between(float *restrict s, float *restrict dp, const float *restrict bias, long low, long high,
                                float lse, float delta, float scale, float inverse, int biases, int caps) {
    for (long j = low; j < high; ++j) {
        const float capped = s[j] * inverse;
        const float p = ck_exp((biases ? s[j] + bias[j - low] : s[j]) - lse);
        s[j] = p;
        const float d = p * (dp[j] - delta) * scale;
        dp[j] = caps ? d * (1 - capped * capped) : d;
    }
}

/* s(n), capped scores, become weights and dp(n) the gradient of what the cap was given; 0 outside [low, high].
   bias: of the key at the place low, where there is one. */
CK_MULTIVERSION
static void softmax_gradient(float *restrict s, float *restrict dp, const float *bias, long n, long low, long high,
                             float lse, float delta, float scale, float cap) {
    const long until = least(low, n), after = most(until, high + 1);
    const float inverse = cap > 0 ? 1 / cap : 0;
    for (long j = 0; j < until; ++j) s[j] = dp[j] = 0;
    if (bias && cap > 0) gradient_between(s, dp, bias, until, after, lse, delta, scale, inverse, 1, 1);
    else if (bias) gradient_between(s, dp, bias, until, after, lse, delta, scale, inverse, 1, 0);
    else if (cap > 0) gradient_between(s, dp, bias, until, after, lse, delta, scale, inverse, 0, 1);
    else gradient_between(s, dp, bias, until, after, lse, delta, scale, inverse, 0, 0);
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
                          const int32_t *first, const float *bias, const ck_attention *a, long head, long start,
                          long end, long key, long n, float *s, float *dp) {
    const long D = a->size, W = a->stride, rows = end - start, width = a->heads * D;
    const long group = a->heads / a->kv_heads, kv_head = head / group;
    const long k = key * W + key_of(a, kv_head), v = key * W + value_of(a, kv_head);
    const long q = start * W + query_of(a, head);
    const float *dor = dout + start * width + head * D;
    cob_sgemm(0, 1, rows, n, D, a->scale, qkv + q, W, qkv + k, W, 0, s, tile);
    cob_sgemm(0, 1, rows, n, D, 1, dor, width, qkv + v, W, 0, dp, tile);
    for (long i = 0; i < rows; ++i) {
        const long low = most(0, first[start + i] - key), high = least(n - 1, start + i - key);
        float *row = s + i * tile;
        if (a->soft_cap > 0 && low <= high) cap_row(row + low, high - low + 1, a->soft_cap);
        softmax_gradient(row, dp + i * tile,
                         bias && low <= high ? bias + head * a->time + key + low - first[start + i] : NULL, n, low,
                         high, lse[(start + i) * a->heads + head], delta[(start + i) * group + head % group],
                         a->scale, a->soft_cap);
    }
    cob_sgemm(1, 0, n, D, rows, 1, s, tile, dor, width, 1, dqkv + v, W);
    cob_sgemm(1, 0, n, D, rows, 1, dp, tile, qkv + q, W, 1, dqkv + k, W);
    cob_sgemm(0, 0, rows, D, n, 1, dp, tile, qkv + k, W, 1, dqkv + q, W);
}

void ck_attention_backward(float *dqkv, float *dsinks, const float *dout, const float *qkv, const float *out,
                           const float *lse, const int32_t *first, const float *bias, const float *sinks,
                           const ck_attention *a, long kv_head, float *scratch) {
    const long D = a->size, T = a->time, group = a->heads / a->kv_heads, width = a->heads * D;
    float *s = scratch, *dp = s + tile * tile, *delta = dp + tile * tile + 2 * tile; /* delta: (T, group) */
    for (long t = 0; t < T; ++t) {
        float *row = dqkv + t * a->stride;
        memset(row + query_of(a, kv_head * group), 0, (size_t)(group * D) * sizeof *row);
        memset(row + key_of(a, kv_head), 0, (size_t)D * sizeof *row);
        memset(row + value_of(a, kv_head), 0, (size_t)D * sizeof *row);
        for (long i = 0; i < group; ++i) {
            const long place = t * width + (kv_head * group + i) * D;
            delta[t * group + i] = dot(dout + place, out + place, D);
        }
    }
    for (long h = kv_head * group; h < (kv_head + 1) * group; ++h) {
        for (long start = 0; start < T; start += tile) {
            const long end = least(start + tile, T);
            for (long key = first_of(first, start, end) / tile * tile; key < end; key += tile)
                backward_tile(dqkv, dout, qkv, lse, delta, first, bias, a, h, start, end, key,
                              least(tile, T - key), s, dp);
        }
        if (!dsinks) continue;
        double sum = 0;
        for (long t = 0; t < T; ++t)
            sum -= (double)(expf(sinks[h] - lse[t * a->heads + h]) * delta[t * group + h % group]);
        dsinks[h] = (float)sum;
    }
}
