#include "multiversion.h"
#include "CKernels.h"
#include <string.h>
#pragma STDC FP_CONTRACT OFF

/* Steele, Lea and Flood, SplitMix (2014), section 4. */
CK_INLINE uint64_t mix(uint64_t z) {
    z += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* log(x) of an ordinary x: exponent log 2 + log m with m from sqrt(1/2) to sqrt(2), whose logarithm is
   2 (s + s^3/3 + s^5/5 + ...) with s = (m - 1) / (m + 1). */
CK_INLINE double logarithm(double x) {
    const uint64_t one = 0x3FF0000000000000u, root = 0x3FE6A09E667F3BCDu, fraction = 0x000FFFFFFFFFFFFFu;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits += one - root;
    double exponent = (double)((int32_t)(bits >> 52) - 1023), m;
    bits = (bits & fraction) + root;
    memcpy(&m, &bits, sizeof m);
    double s = (m - 1) / (m + 1), t = s * s, sum = 1.0 / 17;
    sum = sum * t + 1.0 / 15;
    sum = sum * t + 1.0 / 13;
    sum = sum * t + 1.0 / 11;
    sum = sum * t + 1.0 / 9;
    sum = sum * t + 1.0 / 7;
    sum = sum * t + 1.0 / 5;
    sum = sum * t + 1.0 / 3;
    sum = sum * t + 1;
    return exponent * 0.6931471805599453 + 2 * s * sum;
}

/* The cosine of an angle up to pi / 4, by its power series. */
CK_INLINE double small_cosine(double x) {
    double t = x * x, sum = 1.0 / 479001600;
    sum = sum * t - 1.0 / 3628800;
    sum = sum * t + 1.0 / 40320;
    sum = sum * t - 1.0 / 720;
    sum = sum * t + 1.0 / 24;
    sum = sum * t - 1.0 / 2;
    return sum * t + 1;
}

CK_INLINE double small_sine(double x) {
    double t = x * x, sum = 1.0 / 6227020800;
    sum = sum * t - 1.0 / 39916800;
    sum = sum * t + 1.0 / 362880;
    sum = sum * t - 1.0 / 5040;
    sum = sum * t + 1.0 / 120;
    sum = sum * t - 1.0 / 6;
    return sum * t * x + x;
}

CK_MULTIVERSION
void ck_normals(float *z, const uint64_t *keys, uint64_t first, size_t count) {
    const size_t half = CK_TILE / 2;
    for (size_t s = 0; s < count; s++)
        for (size_t r = 0; r < half; r++) {
            uint64_t bits = mix(keys[r] + first + s);
            double uniform = ((double)(int32_t)(bits >> 33) + 1) * 0x1p-31;
            double radius = __builtin_elementwise_sqrt(-2 * logarithm(uniform));
            /* The angle is so many quarters of a turn, and what remains, from -1/8 to 1/8 of a turn. */
            uint32_t angle = (uint32_t)bits, quarters = (angle + 0x20000000u) >> 30;
            double rest = (double)(int32_t)(angle - (quarters << 30)) * (3.141592653589793 * 0x1p-31);
            double cosine = small_cosine(rest), sine = small_sine(rest);
            double x = quarters & 1 ? sine : cosine, y = quarters & 1 ? cosine : sine;
            x = quarters == 1 || quarters == 2 ? -x : x;
            y = quarters >= 2 ? -y : y;
            z[s * CK_TILE + r] = (float)(radius * x);
            z[s * CK_TILE + half + r] = (float)(radius * y);
        }
}
