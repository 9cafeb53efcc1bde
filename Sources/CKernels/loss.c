#include "CKernels.h"
#include "exponential.h"
#include <math.h>

CK_MULTIVERSION
void ck_cross_entropy(float *restrict loss, float *restrict logits, const int32_t *restrict target, size_t rows,
                      size_t cols, int gradient, float scale) {
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
        if (gradient) {
            for (size_t c = 0; c < cols; ++c) {
                const float e = ck_exp(row[c] - top);
                row[c] = e;
                sum += e;
            }
            const float k = scale / sum;
            for (size_t c = 0; c < cols; ++c) row[c] *= k;
            row[target[r]] -= scale;
        } else {
            for (size_t c = 0; c < cols; ++c) sum += ck_exp(row[c] - top);
        }
        loss[r] = logf(sum) - chosen;
    }
}
