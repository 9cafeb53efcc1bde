#include "CKernels.h"
#include "exponential.h"
#include <math.h>

CK_INLINE float sigmoid(float x) { return 1 / (1 + ck_exp(-x)); }

/* y(n) = softmax(x); y may be x. */
CK_INLINE void softmax(float *y, const float *x, size_t n) {
#pragma clang fp reassociate(on)
    float top = x[0], sum = 0;
    for (size_t i = 1; i < n; ++i) top = x[i] > top ? x[i] : top;
#pragma clang loop vectorize(assume_safety)
    for (size_t i = 0; i < n; ++i) {
        const float e = ck_exp(x[i] - top);
        y[i] = e;
        sum += e;
    }
    const float k = 1 / sum;
    for (size_t i = 0; i < n; ++i) y[i] *= k;
}

/* What an expert is chosen by; what is not a number comes last. */
CK_INLINE float preference(const float *x, const float *correction, size_t e) {
    const float v = correction ? x[e] + correction[e] : x[e];
    return v == v ? v : -INFINITY;
}

/* The k largest of x(n) + correction(n), the lower place first where two are equal. */
CK_INLINE void choose(int32_t *chosen, const float *x, const float *correction, size_t n, size_t k) {
    for (size_t i = 0; i < k; ++i) {
        const float last = i ? preference(x, correction, (size_t)chosen[i - 1]) : 0;
        float best = 0;
        long place = -1;
        for (size_t e = 0; e < n; ++e) {
            const float v = preference(x, correction, e);
            const int is_left = !i || v < last || (v == last && (long)e > chosen[i - 1]);
            if (is_left && (place < 0 || v > best)) {
                best = v;
                place = (long)e;
            }
        }
        chosen[i] = (int32_t)place;
    }
}

CK_MULTIVERSION
void ck_route(int32_t *restrict chosen, float *restrict weights, float *restrict scores,
              const float *restrict correction, size_t rows, const ck_routing *a) {
    const size_t E = a->experts, K = a->chosen;
    for (size_t r = 0; r < rows; ++r) {
        float *x = scores + r * E, *w = weights + r * K;
        int32_t *c = chosen + r * K;
        if (a->kind == CK_SOFTMAX_OF_CHOSEN) {
            choose(c, x, correction, E, K);
            for (size_t k = 0; k < K; ++k) w[k] = x[c[k]];
            softmax(w, w, K);
            softmax(x, x, E);
            continue;
        }
        if (a->kind == CK_SIGMOID)
            for (size_t e = 0; e < E; ++e) x[e] = sigmoid(x[e]);
        else
            softmax(x, x, E);
        choose(c, x, correction, E, K);
        float sum = a->floor;
        for (size_t k = 0; k < K; ++k) sum += x[c[k]];
        /* Divided, so that a single share is one to the last bit. */
        for (size_t k = 0; k < K; ++k) w[k] = a->factor * (a->normalizes ? x[c[k]] / sum : x[c[k]]);
    }
}

CK_MULTIVERSION
void ck_route_backward(float *dlogits, const float *dweights, const int32_t *chosen, const float *weights,
                       const float *scores, const float *balance, size_t rows, const ck_routing *a) {
    const size_t E = a->experts, K = a->chosen;
    for (size_t r = 0; r < rows; ++r) {
        const float *s = scores + r * E, *w = weights + r * K, *dw = dweights + r * K;
        const int32_t *c = chosen + r * K;
        float *dx = dlogits + r * E;
        float dot = 0, sum = a->floor, mean = 0; /* of dw w, of the chosen scores, of balance s */
        for (size_t k = 0; k < K; ++k) {
            dot += dw[k] * w[k];
            sum += s[c[k]];
        }
        for (size_t e = 0; balance && e < E; ++e) mean += balance[e] * s[e];
        /* A softmax over the chosen ones, whether all were in it before or not, moves these alone. */
        const int among_chosen = a->kind == CK_SOFTMAX_OF_CHOSEN || a->normalizes;
        for (size_t e = 0; e < E; ++e) {
            const float score = s[e];
            const float slope = a->kind == CK_SIGMOID ? score * (1 - score) : score;
            float d = balance ? balance[e] : 0, own = 0;
            if (a->kind != CK_SIGMOID) d -= mean + (among_chosen ? 0 : dot);
            for (size_t k = 0; k < K; ++k) {
                if ((size_t)c[k] != e) continue;
                const float weighed = a->factor * dw[k]; /* rounded like dot, so that one choice alone has no gradient */
                if (a->kind == CK_SIGMOID) d += a->normalizes ? (weighed - dot) / sum : weighed;
                else if (among_chosen) own = w[k] * (dw[k] - dot);
                else d += dw[k];
            }
            dx[e] = slope * d + own;
        }
    }
}

void ck_sort_by_expert(int32_t *choice, int32_t *slot, int32_t *offsets, const int32_t *chosen, size_t slots,
                       size_t experts) {
    memset(offsets, 0, (experts + 1) * sizeof *offsets);
    for (size_t i = 0; i < slots; ++i) offsets[chosen[i] + 1] += 1;
    for (size_t e = 0; e < experts; ++e) offsets[e + 1] += offsets[e];
    for (size_t i = 0; i < slots; ++i) {
        const int32_t place = offsets[chosen[i]]++;
        choice[place] = (int32_t)i;
        slot[i] = place;
    }
    /* Each expert's offset has moved on to where the next one begins. */
    for (size_t e = experts; e > 0; --e) offsets[e] = offsets[e - 1];
    offsets[0] = 0;
}

CK_MULTIVERSION
void ck_combine_rows(float *restrict y, const float *restrict x, const float *restrict weights,
                     const int32_t *restrict slot, size_t rows, size_t chosen, size_t cols, int add) {
    for (size_t r = 0; r < rows; ++r) {
        float *yr = y + r * cols;
        for (size_t k = 0; k < chosen; ++k) {
            const float *xs = x + (size_t)slot[r * chosen + k] * cols;
            const float w = weights ? weights[r * chosen + k] : 1;
            if (add || k > 0)
                for (size_t c = 0; c < cols; ++c) yr[c] += w * xs[c];
            else
                for (size_t c = 0; c < cols; ++c) yr[c] = w * xs[c];
        }
    }
}

CK_INLINE float product(const float *restrict x, const float *restrict y, size_t n) {
#pragma clang fp reassociate(on)
    float sum = 0;
    for (size_t i = 0; i < n; ++i) sum += x[i] * y[i];
    return sum;
}

CK_INLINE void multiply(float *x, float factor, size_t n) {
    for (size_t i = 0; i < n; ++i) x[i] *= factor;
}

CK_MULTIVERSION
void ck_weigh_rows_backward(float *restrict dweights, float *restrict dhidden, float *restrict dout,
                            const float *restrict hidden, const float *restrict bias, const float *restrict weights,
                            const int32_t *restrict choice, const int32_t *restrict offsets, size_t start, size_t end,
                            size_t size, size_t cols) {
    size_t expert = 0;
    for (size_t s = start; s < end; ++s) {
        while ((size_t)offsets[expert + 1] <= s) ++expert;
        float d = product(hidden + s * size, dhidden + s * size, size);
        if (bias) d += product(dout + s * cols, bias + expert * cols, cols);
        dweights[choice[s]] = d;
        multiply(dhidden + s * size, weights[choice[s]], size);
        multiply(dout + s * cols, weights[choice[s]], cols);
    }
}

CK_MULTIVERSION
void ck_add_gated(float *restrict y, const float *restrict x, const float *restrict gate, size_t rows, size_t cols) {
    for (size_t r = 0; r < rows; ++r) {
        const float w = sigmoid(gate[r]);
        for (size_t c = 0; c < cols; ++c) y[r * cols + c] += w * x[r * cols + c];
    }
}

CK_MULTIVERSION
void ck_add_gated_backward(float *restrict dgate, float *restrict dhidden, float *restrict dout,
                           const float *restrict hidden, const float *restrict gate, size_t rows, size_t size,
                           size_t cols) {
    for (size_t r = 0; r < rows; ++r) {
        const float w = sigmoid(gate[r]);
        dgate[r] = product(hidden + r * size, dhidden + r * size, size) * w * (1 - w);
        multiply(dhidden + r * size, w, size);
        multiply(dout + r * cols, w, cols);
    }
}

void ck_add_load(float *load, const int32_t *chosen, const float *scores, size_t rows, size_t experts,
                 size_t choices, size_t expert) {
    int64_t count = 0;
    double sum = 0;
    for (size_t i = 0; i < rows * choices; ++i) count += (size_t)chosen[i] == expert;
    for (size_t r = 0; r < rows; ++r) sum += (double)scores[r * experts + expert];
    load[expert] += (float)count;
    load[experts + expert] += (float)sum;
}
