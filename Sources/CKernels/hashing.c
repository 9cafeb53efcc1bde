#include "CKernels.h"
#include "multiversion.h"
#include <string.h>

/* XXH64, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md */
#define P1 0x9E3779B185EBCA87u
#define P2 0xC2B2AE3D27D4EB4Fu
#define P3 0x165667B19E3779F9u
#define P4 0x85EBCA77C2B2AE63u
#define P5 0x27D4EB2F165667C5u

CK_INLINE uint64_t ck_turned(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

CK_INLINE uint64_t ck_read64(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

CK_INLINE uint64_t ck_round(uint64_t lane, uint64_t x) { return ck_turned(lane + x * P2, 31) * P1; }

CK_INLINE uint64_t ck_merged(uint64_t h, uint64_t lane) { return (h ^ ck_round(0, lane)) * P1 + P4; }

CK_INLINE uint64_t ck_xxh64_one(const uint8_t *p, size_t n) {
    const uint8_t *const end = p + n;
    uint64_t h = P5;
    if (n >= 32) {
        uint64_t a = P1 + P2, b = P2, c = 0, d = 0 - P1;
        for (; end - p >= 32; p += 32) {
            a = ck_round(a, ck_read64(p));
            b = ck_round(b, ck_read64(p + 8));
            c = ck_round(c, ck_read64(p + 16));
            d = ck_round(d, ck_read64(p + 24));
        }
        h = ck_turned(a, 1) + ck_turned(b, 7) + ck_turned(c, 12) + ck_turned(d, 18);
        h = ck_merged(ck_merged(ck_merged(ck_merged(h, a), b), c), d);
    }
    h += n;
    for (; end - p >= 8; p += 8) h = ck_turned(h ^ ck_round(0, ck_read64(p)), 27) * P1 + P4;
    if (end - p >= 4) {
        uint32_t x;
        memcpy(&x, p, sizeof x);
        h = ck_turned(h ^ x * P1, 23) * P2 + P3;
        p += 4;
    }
    for (; p < end; ++p) h = ck_turned(h ^ *p * P5, 11) * P1;
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}

void ck_xxh64(uint64_t *restrict hash, const uint8_t *restrict bytes, const uint32_t *restrict start,
              const uint32_t *restrict end, size_t n) {
    for (size_t i = 0; i < n; ++i) hash[i] = ck_xxh64_one(bytes + start[i], end[i] - start[i]);
}

CK_MULTIVERSION
void ck_minhash(uint64_t *restrict minimum, size_t m, const uint64_t *restrict x, size_t n,
                const uint64_t *restrict a, const uint64_t *restrict b) {
    const uint64_t prime = ((uint64_t)1 << 61) - 1;
    for (size_t i = 0; i < n; ++i) {
        const uint64_t value = x[i];
        for (size_t j = 0; j < m; ++j) {
            const uint64_t y = value * a[j] + b[j];
            uint64_t rest = (y & prime) + (y >> 61);
            rest = rest >= prime ? rest - prime : rest;
            minimum[j] = rest < minimum[j] ? rest : minimum[j];
        }
    }
}
