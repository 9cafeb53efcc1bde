#include "multiversion.h"
#include <stdint.h>
#include <string.h>

/* e^x within two units in the last place for x <= 88; 0 below -87. Range reduction by ln 2 in two parts, then
   the degree-6 polynomial of Cephes' expf, without a branch so that loops over it become vector code. */
CK_INLINE float ck_exp(float x) {
    const float clamped = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    const float n = __builtin_rintf(clamped * 1.44269504f);
    float r = clamped - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    float q = 1.9875691500e-4f;
    q = q * r + 1.3981999507e-3f;
    q = q * r + 8.3334519073e-3f;
    q = q * r + 4.1665795894e-2f;
    q = q * r + 1.6666665459e-1f;
    q = q * r + 5.0000001201e-1f;
    q = q * (r * r) + r + 1.0f;
    const int32_t bits = ((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return x < -87.0f ? 0.0f : q * power;
}

/* tanh(x): the polynomial of Cephes' tanhf near zero, where 1 - 2 / (e^(2x) + 1) would lose digits. NaN stays. */
CK_INLINE float ck_tanh(float x) {
    const float z = x * x;
    float q = -5.70498872745e-3f;
    q = q * z + 2.06390887954e-2f;
    q = q * z - 5.37397155531e-2f;
    q = q * z + 1.33314422036e-1f;
    q = q * z - 3.33332819422e-1f;
    const float near = q * z * x + x;
    const float far = 1 - 2 / (ck_exp(2 * __builtin_fabsf(x)) + 1);
    return __builtin_fabsf(x) < 0.625f ? near : x < 0 ? -far : far;
}
