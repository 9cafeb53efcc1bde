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

CK_MULTIVERSION
void ck_distill(float *restrict loss, float *restrict entropy, float *restrict divergence, float *restrict logits,
                const int32_t *restrict target, size_t rows, size_t cols, const float *restrict teacher,
                size_t teacher_cols, const int32_t *restrict place, const int32_t *restrict token, float weight,
                float temperature, float scale, float factor, float cap) {
#pragma clang fp reassociate(on)
    const float inverse = 1 / temperature;
    for (size_t r = 0; r < rows; ++r) {
        float *row = logits + r * cols;
        divergence[r] = 0;
        if (target[r] < 0 || place[r] < 0) {
            ck_cross_entropy(loss + r, row, target + r, 1, cols, 1, scale, factor, cap);
            entropy[r] = loss[r];
            continue;
        }
        const float *other = teacher + (size_t)place[r] * teacher_cols;
        /* The largest logit of all, and of the tokens that both have: the student's and the teacher's. */
        float top = row[0], own = -INFINITY, its = -INFINITY;
        for (size_t c = 0; c < cols; ++c) {
            top = row[c] > top ? row[c] : top;
            if (token[c] < 0) continue;
            own = row[c] > own ? row[c] : own;
            its = other[token[c]] > its ? other[token[c]] : its;
        }
        float sum = 0, own_sum = 0, its_sum = 0, cross = 0;
        for (size_t c = 0; c < cols; ++c) sum += ck_exp(row[c] - top);
        for (size_t c = 0; c < cols; ++c) {
            if (token[c] < 0) continue;
            const float s = (row[c] - own) * inverse, t = (other[token[c]] - its) * inverse;
            const float e = ck_exp(t);
            own_sum += ck_exp(s);
            its_sum += e;
            cross += e * (t - s);
        }
        entropy[r] = logf(sum) - (row[target[r]] - top);
        divergence[r] = cross / its_sum - logf(its_sum) + logf(own_sum);
        loss[r] = (1 - weight) * entropy[r] + weight * temperature * temperature * divergence[r];
        const float k = scale * (1 - weight) / sum, taught = scale * weight * temperature;
        const float own_k = taught / own_sum, its_k = taught / its_sum;
        const float slope = cap > 0 ? 1 / cap : 0;
        const float chosen = row[target[r]] * slope;
        for (size_t c = 0; c < cols; ++c) {
            const float s = row[c], capped = s * slope;
            float d = ck_exp(s - top) * k;
            if (token[c] >= 0)
                d += ck_exp((s - own) * inverse) * own_k - ck_exp((other[token[c]] - its) * inverse) * its_k;
            row[c] = d * (factor * (1 - capped * capped));
        }
        row[target[r]] -= scale * (1 - weight) * (factor * (1 - chosen * chosen));
    }
}
