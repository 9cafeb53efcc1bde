#include "CKernels.h"
#include "multiversion.h"
#pragma STDC FP_CONTRACT OFF

CK_MULTIVERSION
void ck_weigh(float *restrict y, const float *restrict x, float weight, size_t n, int add) {
    if (add)
        for (size_t i = 0; i < n; ++i) y[i] += weight * x[i];
    else
        for (size_t i = 0; i < n; ++i) y[i] = weight * x[i];
}
