#include "multiversion.h"
#include "CKernels.h"
#pragma STDC FP_CONTRACT OFF

enum { HEIGHT = 4, WIDTH = 32, DEPTH = 128 };

/* A part of the sums stays in registers while z and x go by. */
CK_INLINE void part(float *sums, const float *z, const float *x, size_t count) {
    float sum[HEIGHT][WIDTH];
    for (size_t r = 0; r < HEIGHT; r++)
        for (size_t c = 0; c < WIDTH; c++) sum[r][c] = sums[r * CK_TILE + c];
    for (size_t s = 0; s < count; s++)
        for (size_t r = 0; r < HEIGHT; r++) {
            float factor = z[s * CK_TILE + r];
            for (size_t c = 0; c < WIDTH; c++) sum[r][c] += factor * x[s * CK_TILE + c];
        }
    for (size_t r = 0; r < HEIGHT; r++)
        for (size_t c = 0; c < WIDTH; c++) sums[r * CK_TILE + c] = sum[r][c];
}

CK_MULTIVERSION
void ck_add_products(float *sums, const float *z, const float *x, size_t rows, size_t count) {
    /* So much of z and x as stays in the first-level cache. */
    for (size_t s = 0; s < count; s += DEPTH) {
        size_t depth = count - s < DEPTH ? count - s : DEPTH;
        for (size_t c = 0; c < CK_TILE; c += WIDTH)
            for (size_t r = 0; r < rows; r += HEIGHT)
                part(sums + r * CK_TILE + c, z + s * CK_TILE + r, x + s * CK_TILE + c, depth);
    }
}

CK_MULTIVERSION
void ck_center_tile(float *tile, const float *x, const float *mean, size_t count, size_t width, size_t first) {
    size_t cols = width - first < CK_TILE ? width - first : CK_TILE;
    for (size_t s = 0; s < count; s++) {
        for (size_t c = 0; c < cols; c++) tile[s * CK_TILE + c] = x[s * width + first + c] - mean[first + c];
        for (size_t c = cols; c < CK_TILE; c++) tile[s * CK_TILE + c] = 0;
    }
}
