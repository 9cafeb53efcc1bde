#include "CKernels.h"
#include "multiversion.h"

/* What a group is multiplied by: nothing, w, or 1 + w. */
enum { NO_SCALE, SCALE, ONE_PLUS_SCALE };

CK_INLINE float sum_of_values(const float *x, size_t n) {
#pragma clang fp reassociate(on) /* lets the sum become a vector sum */
    float sum = 0;
    for (size_t c = 0; c < n; ++c) sum += x[c];
    return sum;
}

CK_INLINE float sum_of_squares(const float *x, size_t n, float m, int centers) {
#pragma clang fp reassociate(on)
    float sum = 0;
    for (size_t c = 0; c < n; ++c) {
        const float d = centers ? x[c] - m : x[c];
        sum += d * d;
    }
    return sum;
}

/* What is normalised at c, less the mean. */
CK_INLINE float centered(const float *x, size_t c, float m, int centers) { return centers ? x[c] - m : x[c]; }

/* v times the scale at c. */
CK_INLINE float scaled(const float *w, size_t c, float v, int scale) {
    return scale == NO_SCALE ? v : scale == SCALE ? w[c] * v : (1 + w[c]) * v;
}

/* y = the group of mean m and factor s. */
CK_INLINE void apply(float *y, const float *x, const float *w, const float *b, size_t n, float m, float s,
                     int centers, int scale, int biased) {
#pragma clang loop vectorize(assume_safety)
    for (size_t c = 0; c < n; ++c) {
        const float v = scaled(w, c, centered(x, c, m, centers) * s, scale);
        y[c] = biased ? v + b[c] : v;
    }
}

/* Calls `work` with what a norm centers and scales, and with `flag`, as constants: its loops know what they compute. */
#define CK_FOR_NORM(a, w, flag, work)                                     \
    do {                                                                  \
        const int scale_ = !(w) ? NO_SCALE : (a)->adds_one ? ONE_PLUS_SCALE : SCALE; \
        if ((a)->centers) CK_FOR_SCALE(scale_, flag, work, 1);            \
        else CK_FOR_SCALE(scale_, flag, work, 0);                         \
    } while (0)
#define CK_FOR_SCALE(scale, flag, work, centers)                          \
    do {                                                                  \
        if ((scale) == SCALE) CK_FOR_FLAG(flag, work, centers, SCALE);    \
        else if ((scale) == NO_SCALE) CK_FOR_FLAG(flag, work, centers, NO_SCALE); \
        else CK_FOR_FLAG(flag, work, centers, ONE_PLUS_SCALE);            \
    } while (0)
#define CK_FOR_FLAG(flag, work, centers, scale)                           \
    do {                                                                  \
        if (flag) work(centers, scale, 1);                                \
        else work(centers, scale, 0);                                     \
    } while (0)

CK_INLINE void forward(float *y, float *rstd, float *mean, const float *x, float *sum, const float *delta,
                       float factor, const float *w, const float *b, size_t rows, ck_norm a, size_t G, int centers,
                       int scale, int biased) {
    const size_t n = a.cols;
    for (size_t r = 0; r < rows; ++r) {
        const float *xr = x + r * a.in_stride;
        if (delta) {
            float *sr = sum + r * a.in_stride;
            const float *dr = delta + r * a.in_stride;
#pragma clang loop vectorize(assume_safety) /* the sum may be x or delta itself */
            for (size_t c = 0; c < G * n; ++c) sr[c] = xr[c] + factor * dr[c];
            xr = sr;
        }
        for (size_t g = 0; g < G; ++g) {
            const float *xg = xr + g * n;
            const size_t own = a.own_scales ? g * n : 0;
            const float m = centers ? sum_of_values(xg, n) / (float)n : 0;
            const float squares = sum_of_squares(xg, n, m, centers);
            const float s = 1 / __builtin_elementwise_sqrt(squares / (float)n + a.eps);
            apply(y + r * a.out_stride + g * n, xg, w ? w + own : w, b ? b + own : b, n, m, s, centers, scale, biased);
            rstd[r * G + g] = s; /* the backward pass reads it */
            if (centers) mean[r * G + g] = m;
        }
    }
}

CK_MULTIVERSION
void ck_norm_forward(float *y, float *rstd, float *mean, const float *x, float *sum, const float *delta,
                     float factor, const float *w, const float *b, size_t rows, const ck_norm *a) {
#define CK_ONE(centers, scale, biased) \
    forward(y, rstd, mean, x, sum, delta, factor, w, b, rows, *a, 1, centers, scale, biased)
#define CK_MANY(centers, scale, biased) \
    forward(y, rstd, mean, x, sum, delta, factor, w, b, rows, *a, a->groups, centers, scale, biased)
    if (a->groups == 1) CK_FOR_NORM(a, w, b, CK_ONE); /* without what a loop over groups costs each row */
    else CK_FOR_NORM(a, w, b, CK_MANY);
#undef CK_ONE
#undef CK_MANY
}

CK_INLINE void apply_rows(float *y, const float *x, const float *rstd, const float *mean, const float *w,
                          const float *b, size_t rows, ck_norm a, size_t G, int centers, int scale, int biased) {
    const size_t n = a.cols;
    for (size_t r = 0; r < rows; ++r)
        for (size_t g = 0; g < G; ++g) {
            const size_t own = a.own_scales ? g * n : 0;
            apply(y + r * a.out_stride + g * n, x + r * a.in_stride + g * n, w ? w + own : w,
                  b ? b + own : b, n,
                  centers ? mean[r * G + g] : 0, rstd[r * G + g], centers, scale, biased);
        }
}

CK_MULTIVERSION
void ck_norm_apply(float *y, const float *x, const float *rstd, const float *mean, const float *w, const float *b,
                   size_t rows, const ck_norm *a) {
#define CK_ONE(centers, scale, biased) \
    apply_rows(y, x, rstd, mean, w, b, rows, *a, 1, centers, scale, biased)
#define CK_MANY(centers, scale, biased) \
    apply_rows(y, x, rstd, mean, w, b, rows, *a, a->groups, centers, scale, biased)
    if (a->groups == 1) CK_FOR_NORM(a, w, b, CK_ONE); /* without what a loop over groups costs each row */
    else CK_FOR_NORM(a, w, b, CK_MANY);
#undef CK_ONE
#undef CK_MANY
}

/* dx = s (w dy - a - k (x - m)), and the share of dw where it is wanted; dx may be dy. */
CK_INLINE void gradients(float *dx, float *dw, const float *dy, const float *x, const float *w, size_t n, float m,
                         float s, float k, float a, int centers, int scale, int add, int shares) {
#pragma clang loop vectorize(assume_safety)
    for (size_t c = 0; c < n; ++c) {
        if (shares) dw[c] += dy[c] * (centered(x, c, m, centers) * s);
        if (!centers && scale == SCALE) { /* in one expression, so that it is rounded as it always was */
            if (add) dx[c] += s * (w[c] * dy[c] - k * x[c]);
            else dx[c] = s * (w[c] * dy[c] - k * x[c]);
        } else {
            const float d = s * (scaled(w, c, dy[c], scale) - a - k * centered(x, c, m, centers));
            dx[c] = add ? dx[c] + d : d;
        }
    }
}

CK_INLINE void backward(float *dx, float *dw, float *db, const float *dy, const float *x, const float *w,
                        const float *rstd, const float *mean, size_t rows, ck_norm a, size_t G, int centers,
                        int scale, int add) {
#pragma clang fp reassociate(on)
    const size_t n = a.cols;
    for (size_t r = 0; r < rows; ++r)
        for (size_t g = 0; g < G; ++g) {
            const size_t own = a.own_scales ? g * n : 0, place = r * a.out_stride + g * n;
            const float *dyg = dy + place, *xg = x + r * a.in_stride + g * n, *wg = w ? w + own : w;
            const float s = rstd[r * G + g], m = centers ? mean[r * G + g] : 0;
            float dot = 0, sum = 0; /* sums over c of w dy (x - m) and of w dy */
            for (size_t c = 0; c < n; ++c) {
                const float d = scaled(wg, c, dyg[c], scale);
                dot += d * centered(xg, c, m, centers);
                if (centers) sum += d;
            }
            const float k = dot * s * s / (float)n; /* mean(w dy n) rstd, to be multiplied by x - m */
            const float mean_of_sum = sum / (float)n;
            if (db) {
                float *dbg = db + own;
#pragma clang loop vectorize(assume_safety)
                for (size_t c = 0; c < n; ++c) dbg[c] += dyg[c];
            }
            if (dw) gradients(dx + place, dw + own, dyg, xg, wg, n, m, s, k, mean_of_sum, centers, scale, add, 1);
            else gradients(dx + place, dw, dyg, xg, wg, n, m, s, k, mean_of_sum, centers, scale, add, 0);
        }
}

CK_MULTIVERSION
void ck_norm_backward(float *dx, float *dw, float *db, const float *dy, const float *x, const float *w,
                      const float *rstd, const float *mean, size_t rows, int add, const ck_norm *a) {
    const size_t scales = a->own_scales ? a->groups * a->cols : a->cols;
    for (size_t c = 0; dw && c < scales; ++c) dw[c] = 0;
    for (size_t c = 0; db && c < scales; ++c) db[c] = 0;
#define CK_ONE(centers, scale, add) \
    backward(dx, dw, db, dy, x, w, rstd, mean, rows, *a, 1, centers, scale, add)
#define CK_MANY(centers, scale, add) \
    backward(dx, dw, db, dy, x, w, rstd, mean, rows, *a, a->groups, centers, scale, add)
    if (a->groups == 1) CK_FOR_NORM(a, w, add, CK_ONE); /* without what a loop over groups costs each row */
    else CK_FOR_NORM(a, w, add, CK_MANY);
#undef CK_ONE
#undef CK_MANY
}
