#include "CKernels.h"
#include "exponential.h"

/* The normal distribution's share below x, by erfc(z) = t (a1 + t (a2 + …)) e^(-z^2), t = 1 / (1 + p z): Abramowitz
   and Stegun, Handbook of Mathematical Functions, 7.1.26; within 1.5e-7. */
CK_INLINE float ck_share_below(float x, float density) {
    const float z = __builtin_fabsf(x) * 0.70710678f;
    const float t = 1 / (1 + 0.3275911f * z);
    float q = 1.061405429f;
    q = q * t - 1.453152027f;
    q = q * t + 1.421413741f;
    q = q * t - 0.284496736f;
    q = q * t + 0.254829592f;
    const float above = 0.5f * q * t * density;
    return x < 0 ? above : 1 - above;
}

/* e^(-x^2 / 2) */
CK_INLINE float ck_bell(float x) { return ck_exp(-0.5f * x * x); }

/* sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)) */
CK_INLINE float ck_share_below_tanh(float x) {
    return 1 / (1 + ck_exp(-1.59576912f * (x + 0.044715f * x * x * x)));
}

CK_INLINE float activation(float x, int kind) {
    switch (kind) {
    case CK_SILU: return x / (1 + ck_exp(-x));
    case CK_GELU: return x * ck_share_below(x, ck_bell(x));
    case CK_GELU_TANH: return x * ck_share_below_tanh(x);
    case CK_GELU_QUICK: return x / (1 + ck_exp(-1.702f * x));
    case CK_RELU: return x < 0 ? 0 : x; /* so that NaN stays */
    default: {
        const float positive = x < 0 ? 0 : x;
        return positive * positive;
    }
    }
}

/* What a unit makes of a gate g and what it gates, u. */
CK_INLINE float unit(float g, float u, int kind, float alpha, float limit) {
    if (kind != CK_CLAMPED) return activation(g, kind) * u;
    const float gate = g > limit ? limit : g;
    const float up = u > limit ? limit : u < -limit ? -limit : u;
    return gate / (1 + ck_exp(-alpha * gate)) * (up + 1);
}

/* y = the unit's result; g and u become their gradients, given y's gradient d. */
CK_INLINE void unit_backward(float *y, float *gate, float *up, float d, int kind, float alpha, float limit) {
    const float g = *gate, u = *up;
    switch (kind) {
    case CK_SILU: {
        const float sigmoid = 1 / (1 + ck_exp(-g));
        const float silu = g * sigmoid;
        *y = silu * u;
        *up = d * silu;
        *gate = d * u * sigmoid * (1 + g - silu);
        return;
    }
    case CK_GELU: {
        const float bell = ck_bell(g), s = ck_share_below(g, bell);
        *y = g * s * u;
        *up = d * g * s;
        *gate = d * u * (s + g * bell * 0.39894228f);
        return;
    }
    case CK_GELU_TANH: {
        const float s = ck_share_below_tanh(g);
        const float slope = s + g * s * (1 - s) * 1.59576912f * (1 + 0.134145f * g * g);
        *y = g * s * u;
        *up = d * g * s;
        *gate = d * u * slope;
        return;
    }
    case CK_GELU_QUICK: {
        const float s = 1 / (1 + ck_exp(-1.702f * g));
        *y = g * s * u;
        *up = d * g * s;
        *gate = d * u * (s + 1.702f * g * s * (1 - s));
        return;
    }
    case CK_RELU: {
        const float positive = g < 0 ? 0 : g;
        *y = positive * u;
        *up = d * positive;
        *gate = g > 0 ? d * u : positive; /* 0, or NaN */
        return;
    }
    case CK_RELU_SQUARED: {
        const float positive = g < 0 ? 0 : g;
        *y = positive * positive * u;
        *up = d * positive * positive;
        *gate = 2 * d * u * positive;
        return;
    }
    default: {
        const float c = g > limit ? limit : g, v = u > limit ? limit : u < -limit ? -limit : u;
        const float s = 1 / (1 + ck_exp(-alpha * c));
        const float slope = s + alpha * c * s * (1 - s);
        *y = c * s * (v + 1);
        *up = u > limit || u < -limit ? 0 : d * c * s;
        *gate = g > limit ? 0 : d * (v + 1) * slope;
    }
    }
}

/* Calls `work` with each kind as a constant, so that the loop in it knows what it computes. */
#define CK_FOR_KIND(kind, work)                    \
    switch (kind) {                                \
    case CK_SILU: work(CK_SILU); break;            \
    case CK_GELU: work(CK_GELU); break;            \
    case CK_GELU_TANH: work(CK_GELU_TANH); break;  \
    case CK_GELU_QUICK: work(CK_GELU_QUICK); break; \
    case CK_RELU: work(CK_RELU); break;            \
    case CK_RELU_SQUARED: work(CK_RELU_SQUARED); break; \
    default: work(CK_CLAMPED); break;              \
    }

/* Gates and what they gate: side by side, or in turn. */
CK_INLINE void glu(float *restrict y, const float *restrict x, size_t rows, size_t cols, int kind, int in_turn,
                   float alpha, float limit) {
    const size_t step = in_turn ? 2 : 1;
    for (size_t r = 0; r < rows; ++r) {
        const float *gate = x + r * 2 * cols, *up = gate + (in_turn ? 1 : cols);
        float *yr = y + r * cols;
        for (size_t c = 0; c < cols; ++c) yr[c] = unit(gate[c * step], up[c * step], kind, alpha, limit);
    }
}

CK_MULTIVERSION
void ck_glu(float *restrict y, const float *restrict x, size_t rows, size_t cols, const ck_unit *a) {
    const float alpha = a->alpha, limit = a->limit;
#define CK_SIDE_BY_SIDE(kind) glu(y, x, rows, cols, kind, 0, alpha, limit)
#define CK_IN_TURN(kind) glu(y, x, rows, cols, kind, 1, alpha, limit)
    if (a->in_turn) {
        CK_FOR_KIND(a->kind, CK_IN_TURN)
    } else {
        CK_FOR_KIND(a->kind, CK_SIDE_BY_SIDE)
    }
#undef CK_SIDE_BY_SIDE
#undef CK_IN_TURN
}

CK_INLINE void glu_backward(float *restrict y, float *restrict x, const float *restrict dy, size_t rows, size_t cols,
                            int kind, int in_turn, float alpha, float limit) {
    const size_t step = in_turn ? 2 : 1;
    for (size_t r = 0; r < rows; ++r) {
        float *gate = x + r * 2 * cols, *up = gate + (in_turn ? 1 : cols);
        const float *dyr = dy + r * cols;
        float *yr = y + r * cols;
#pragma clang loop vectorize(assume_safety)
        for (size_t c = 0; c < cols; ++c) {
            float value, g = gate[c * step], u = up[c * step];
            unit_backward(&value, &g, &u, dyr[c], kind, alpha, limit);
            yr[c] = value;
            up[c * step] = u;
            gate[c * step] = g;
        }
    }
}

CK_MULTIVERSION
void ck_glu_backward(float *restrict y, float *restrict x, const float *restrict dy, size_t rows, size_t cols,
                     const ck_unit *a) {
    const float alpha = a->alpha, limit = a->limit;
#define CK_SIDE_BY_SIDE(kind) glu_backward(y, x, dy, rows, cols, kind, 0, alpha, limit)
#define CK_IN_TURN(kind) glu_backward(y, x, dy, rows, cols, kind, 1, alpha, limit)
    if (a->in_turn) {
        CK_FOR_KIND(a->kind, CK_IN_TURN)
    } else {
        CK_FOR_KIND(a->kind, CK_SIDE_BY_SIDE)
    }
#undef CK_SIDE_BY_SIDE
#undef CK_IN_TURN
}

CK_INLINE void activate(float *y, const float *x, size_t n, int kind) {
#pragma clang loop vectorize(assume_safety)
    for (size_t i = 0; i < n; ++i) y[i] = activation(x[i], kind);
}

CK_MULTIVERSION
void ck_activate(float *y, const float *x, size_t n, int kind) {
#define CK_ACTIVATE(kind) activate(y, x, n, kind)
    CK_FOR_KIND(kind, CK_ACTIVATE)
#undef CK_ACTIVATE
}

CK_INLINE void activate_backward(float *restrict y, float *restrict x, const float *restrict dy, size_t n,
                                 int kind) {
    for (size_t i = 0; i < n; ++i) {
        float value, g = x[i], one = 1;
        unit_backward(&value, &g, &one, dy[i], kind, 0, 0);
        y[i] = value;
        x[i] = g;
    }
}

CK_MULTIVERSION
void ck_activate_backward(float *restrict y, float *restrict x, const float *restrict dy, size_t n, int kind) {
#define CK_ACTIVATE(kind) activate_backward(y, x, dy, n, kind)
    CK_FOR_KIND(kind, CK_ACTIVATE)
#undef CK_ACTIVATE
}
