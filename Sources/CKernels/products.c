#include "multiversion.h"
#include "CKernels.h"
#pragma STDC FP_CONTRACT OFF

enum { HEIGHT = 4, WIDTH = 32 };

/* A tile of sums stays in registers while all of x goes by. */
CK_INLINE void tile(float *sums, const float *z, const float *x, size_t count, size_t cols, size_t height,
                    size_t width) {
    float sum[HEIGHT][WIDTH];
    for (size_t r = 0; r < height; r++)
        for (size_t c = 0; c < width; c++) sum[r][c] = sums[r * cols + c];
    for (size_t s = 0; s < count; s++)
        for (size_t r = 0; r < height; r++) {
            float factor = z[r * count + s];
            for (size_t c = 0; c < width; c++) sum[r][c] += factor * x[s * cols + c];
        }
    for (size_t r = 0; r < height; r++)
        for (size_t c = 0; c < width; c++) sums[r * cols + c] = sum[r][c];
}

CK_MULTIVERSION
void ck_add_products(float *sums, const float *z, const float *x, size_t rows, size_t count, size_t cols) {
    for (size_t c = 0; c < cols; c += WIDTH)
        for (size_t r = 0; r < rows; r += HEIGHT) {
            size_t height = rows - r < HEIGHT ? rows - r : HEIGHT, width = cols - c < WIDTH ? cols - c : WIDTH;
            float *to = sums + r * cols + c;
            if (height == HEIGHT && width == WIDTH)
                tile(to, z + r * count, x + c, count, cols, HEIGHT, WIDTH);
            else
                tile(to, z + r * count, x + c, count, cols, height, width);
        }
}
