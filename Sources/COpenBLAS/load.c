#include "COpenBLAS.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

typedef void sgemm_function(int, int, int, int, int, int, float, const float *, int, const float *, int, float,
                            float *, int);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *failure = "not loaded";
static const char *core = "";
static sgemm_function *sgemm;

#if defined(__x86_64__)
/* Measured (GFLOP/s, one thread, 512 x 768 x 768): Intel Emerald Rapids 152 with SkylakeX, 82 with Haswell;
   AMD EPYC of the fourth generation, whose 512-bit units are 256 bits wide, 97 with SkylakeX, 106 with Haswell. */
static const char *core_for_this_cpu(void) {
    __builtin_cpu_init();
    const int wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                     __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
    if (wide && __builtin_cpu_is("intel")) return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "Haswell";
    return NULL;
}
#else
static const char *core_for_this_cpu(void) { return NULL; }
#endif

static void load(void) {
    const char *chosen = core_for_this_cpu();
    if (chosen) setenv("OPENBLAS_CORETYPE", chosen, 0 /* the user's choice stands */);
    setenv("OPENBLAS_NUM_THREADS", "1", 1); /* or it starts threads of its own, which would lie idle */
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        failure = dlerror();
        return;
    }
    sgemm = (sgemm_function *)dlsym(library, "cblas_sgemm");
    char *(*name)(void) = (char *(*)(void))dlsym(library, "openblas_get_corename");
    void (*set_threads)(int) = (void (*)(int))dlsym(library, "openblas_set_num_threads");
    if (!sgemm || !name || !set_threads) {
        failure = "libopenblas.so.0 lacks cblas_sgemm, openblas_get_corename or openblas_set_num_threads";
        return;
    }
    set_threads(1);
    core = name();
    failure = NULL;
}

const char *cob_load(void) {
    pthread_once(&once, load);
    return failure;
}

const char *cob_core(void) { return core; }

void cob_sgemm(int transpose_a, int transpose_b, long m, long n, long k, float alpha, const float *a, long lda,
               const float *b, long ldb, float beta, float *c, long ldc) {
    enum { row_major = 101, plain = 111, transposed = 112 };
    sgemm(row_major, transpose_a ? transposed : plain, transpose_b ? transposed : plain, (int)m, (int)n, (int)k,
          alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
}
