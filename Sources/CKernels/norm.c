#include "CKernels.h"
#include "multiversion.h"

CK_MULTIVERSION
void ck_add_rmsnorm(float *restrict sum, float *restrict y, float *restrict rstd, const float *restrict x,
                    const float *restrict delta, const float *restrict w, size_t rows, size_t cols, float eps) {
#pragma clang fp reassociate(on) /* lets the sums below become vector sums */
    for (size_t r = 0; r < rows; ++r) {
        const float *xr = x + r * cols;
        if (delta) {
            float *sr = sum + r * cols;
            for (size_t c = 0; c < cols; ++c) sr[c] = xr[c] + delta[r * cols + c];
            xr = sr;
        }
        float squares = 0;
        for (size_t c = 0; c < cols; ++c) squares += xr[c] * xr[c];
        const float s = 1 / __builtin_elementwise_sqrt(squares / (float)cols + eps);
        for (size_t c = 0; c < cols; ++c) y[r * cols + c] = w[c] * (xr[c] * s);
        rstd[r] = s; /* the backward pass reads it */
    }
}

CK_MULTIVERSION
void ck_rmsnorm_apply(float *restrict y, const float *restrict x, const float *restrict rstd,
                      const float *restrict w, size_t rows, size_t cols) {
    for (size_t r = 0; r < rows; ++r) {
        const float s = rstd[r];
        for (size_t c = 0; c < cols; ++c) y[r * cols + c] = w[c] * (x[r * cols + c] * s);
    }
}

CK_MULTIVERSION
void ck_rmsnorm_backward(float *restrict dx, float *restrict dw, const float *restrict dy, const float *restrict x,
                         const float *restrict w, const float *restrict rstd, size_t rows, size_t cols, int add) {
#pragma clang fp reassociate(on)
    for (size_t c = 0; c < cols; ++c) dw[c] = 0;
    for (size_t r = 0; r < rows; ++r) {
        const float *xr = x + r * cols, *dyr = dy + r * cols;
        float *dxr = dx + r * cols;
        const float s = rstd[r];
        float dot = 0; /* sum over c of w dy x */
        for (size_t c = 0; c < cols; ++c) dot += w[c] * dyr[c] * xr[c];
        const float k = dot * s * s / (float)cols; /* mean(w dy n) rstd, to be multiplied by x */
        if (add)
            for (size_t c = 0; c < cols; ++c) dxr[c] += s * (w[c] * dyr[c] - k * xr[c]);
        else
            for (size_t c = 0; c < cols; ++c) dxr[c] = s * (w[c] * dyr[c] - k * xr[c]);
        for (size_t c = 0; c < cols; ++c) dw[c] += dyr[c] * (xr[c] * s);
    }
}
