#include "CKernels.h"
#include "multiversion.h"

CK_MULTIVERSION
void ck_adamw_step(float *restrict p, const float *restrict g, float *restrict m, float *restrict v, size_t n,
                   const ck_adamw *h) {
    const ck_adamw a = *h;
    const float keep = 1 - a.rate * a.decay;
    const float rate = a.rate * a.correction1;
    for (size_t i = 0; i < n; ++i) {
        const float gi = g[i] * a.gradient_scale;
        const float mi = a.beta1 * m[i] + (1 - a.beta1) * gi;
        const float vi = a.beta2 * v[i] + (1 - a.beta2) * gi * gi;
        m[i] = mi;
        v[i] = vi;
        p[i] = p[i] * keep - rate * mi / (__builtin_elementwise_sqrt(vi * a.correction2) + a.epsilon);
    }
}
