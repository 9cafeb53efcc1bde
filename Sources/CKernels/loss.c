#include "CKernels.h"
#include "exponential.h"
#include <math.h>

CK_MULTIVERSION
void ck_cap(float *x, size_t n, float factor, float cap) {
    const float share = factor / cap;
    for (size_t i = 0; i < n; ++i) x[i] = cap * ck_tanh(share * x[i]);
}

CK_MULTIVERSION
void ck_cross_entropy(float *restrict loss, float *restrict logits, const int32_t *restrict target, size_t rows,
                      size_t cols, int gradient, float scale, float factor, float cap) {
#pragma clang fp reassociate(on)
    for (size_t r = 0; r < rows; ++r) {
        float *row = logits + r * cols;
        loss[r] = 0;
        if (target[r] < 0) {
            if (gradient) memset(row, 0, cols * sizeof *row);
            continue;
        }
        float top = row[0];
        for (size_t c = 1; c < cols; ++c) top = row[c] > top ? row[c] : top;
        const float chosen = row[target[r]] - top;
        float sum = 0;
        if (gradient && cap > 0) {
            /* The capped logits are needed until their gradient is known, so e^x is computed twice. */
            for (size_t c = 0; c < cols; ++c) sum += ck_exp(row[c] - top);
            const float k = scale / sum, inverse = 1 / cap;
            const float capped = row[target[r]] * inverse;
            for (size_t c = 0; c < cols; ++c) {
                const float t = row[c] * inverse;
                row[c] = ck_exp(row[c] - top) * k * (factor * (1 - t * t));
            }
            row[target[r]] -= scale * (factor * (1 - capped * capped));
        } else if (gradient) {
            for (size_t c = 0; c < cols; ++c) {
                const float e = ck_exp(row[c] - top);
                row[c] = e;
                sum += e;
            }
            const float k = scale / sum;
            for (size_t c = 0; c < cols; ++c) row[c] *= k;
            row[target[r]] -= scale;
            if (factor != 1)
                for (size_t c = 0; c < cols; ++c) row[c] *= factor;
        } else {
            for (size_t c = 0; c < cols; ++c) sum += ck_exp(row[c] - top);
        }
        loss[r] = logf(sum) - chosen;
    }
}
