/* OpenBLAS, loaded at run time.

   OpenBLAS chooses its kernels by CPU model when it is loaded and falls back to SSE3 for a model it does not
   know. It reads OPENBLAS_CORETYPE at that moment, so the variable must be set before: linking is too early. */
#ifndef COPENBLAS_H
#define COPENBLAS_H

/* Loads the library once for the process, choosing its kernel by what the CPU can do unless the user has set
   OPENBLAS_CORETYPE. Null when all is well, else what went wrong, in the loader's words. */
const char *cob_load(void);
/* The kernel family that runs, as OpenBLAS names it; "" before cob_load. */
const char *cob_core(void);
/* C(m, n) = alpha op(A)(m, k) op(B)(k, n) + beta C, row-major, on the calling thread alone.
   transpose_a: A is stored (k, m); transpose_b: B is stored (n, k). */
void cob_sgemm(int transpose_a, int transpose_b, long m, long n, long k, float alpha, const float *a, long lda,
               const float *b, long ldb, float beta, float *c, long ldc);
#endif
