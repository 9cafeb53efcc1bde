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

CK_MULTIVERSION
void ck_geglu(float *restrict y, const float *restrict x, size_t rows, size_t cols, int approximate) {
    for (size_t r = 0; r < rows; ++r) {
        const float *gate = x + r * 2 * cols, *up = gate + cols;
        float *yr = y + r * cols;
        if (approximate)
            for (size_t c = 0; c < cols; ++c) yr[c] = gate[c] * ck_share_below_tanh(gate[c]) * up[c];
        else
            for (size_t c = 0; c < cols; ++c) yr[c] = gate[c] * ck_share_below(gate[c], ck_bell(gate[c])) * up[c];
    }
}

CK_MULTIVERSION
void ck_geglu_backward(float *restrict y, float *restrict x, const float *restrict dy, size_t rows, size_t cols,
                       int approximate) {
    for (size_t r = 0; r < rows; ++r) {
        float *gate = x + r * 2 * cols, *up = gate + cols;
        const float *dyr = dy + r * cols;
        float *yr = y + r * cols;
        if (approximate) {
#pragma clang loop vectorize(assume_safety)
            for (size_t c = 0; c < cols; ++c) {
                const float g = gate[c], u = up[c], d = dyr[c], s = ck_share_below_tanh(g);
                const float slope = s + g * s * (1 - s) * 1.59576912f * (1 + 0.134145f * g * g);
                yr[c] = g * s * u;
                up[c] = d * g * s;
                gate[c] = d * u * slope;
            }
        } else {
#pragma clang loop vectorize(assume_safety)
            for (size_t c = 0; c < cols; ++c) {
                const float g = gate[c], u = up[c], d = dyr[c], bell = ck_bell(g), s = ck_share_below(g, bell);
                yr[c] = g * s * u;
                up[c] = d * g * s;
                gate[c] = d * u * (s + g * bell * 0.39894228f);
            }
        }
    }
}
