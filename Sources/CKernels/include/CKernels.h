/* The loops that Swift does not vectorise well, compiled for three instruction sets (multiversion.h).

   Letters, as the papers use them: R rows (batch x time), T time, C channels, H heads, D channels of a head,
   F channels of the feed-forward layer, V vocabulary. Arrays are row-major; `d` before a name is a gradient.
   Every function works on the rows or elements that it is given, so that a caller can split a loop in pieces;
   a piece's result does not depend on the other pieces. */
#ifndef CKERNELS_H
#define CKERNELS_H
#include <stddef.h>
#include <stdint.h>

/* --- conversion.c --- */
/* y(n) = x(n), bfloat16 to float32. */
void ck_bf16_to_f32(float *y, const uint16_t *x, size_t n);
/* y(n) = x(n) rounded to the nearest bfloat16, ties to even; NaN stays NaN. */
void ck_f32_to_bf16(uint16_t *y, const float *x, size_t n);
/* y(n) = x(n), float16 to float32. */
void ck_f16_to_f32(float *y, const uint16_t *x, size_t n);
/* y(n) = x(n) rounded to the nearest float16, ties to even; NaN stays NaN. Returns how many finite
   values became infinite. */
size_t ck_f32_to_f16(uint16_t *y, const float *x, size_t n);
/* How many finite values of x(n) become infinite as bfloat16. */
size_t ck_count_bf16_overflows(const float *x, size_t n);
/* y(n) = x(n) rounded to odd, float64 to float32, for a second rounding to 16 bits. */
void ck_f64_to_f32_odd(float *y, const double *x, size_t n);

/* --- products.c --- */
/* sums(R, C) += z(R, S) x(S, C), in the order of S, every product and sum rounded: the same bits on every CPU. */
void ck_add_products(float *sums, const float *z, const float *x, size_t rows, size_t count, size_t cols);

/* --- norm.c: y = w x / sqrt(mean(x^2) + eps), https://arxiv.org/abs/1910.07467, equation 4 --- */
/* sum(R, C) = x + delta (delta may be null, then sum is not written); y(R, C) = the norm of that sum; rstd(R). */
void ck_add_rmsnorm(float *sum, float *y, float *rstd, const float *x, const float *delta, const float *w,
                    size_t rows, size_t cols, float eps);
/* y(R, C) again from x(R, C) and rstd(R). */
void ck_rmsnorm_apply(float *y, const float *x, const float *rstd, const float *w, size_t rows, size_t cols);
/* dx(R, C) = (add ? dx : 0) + rstd (w dy - n mean(w dy n)), n = x rstd; dw(C) = sum over the rows of dy n. */
void ck_rmsnorm_backward(float *dx, float *dw, const float *dy, const float *x, const float *w, const float *rstd,
                         size_t rows, size_t cols, int add);

/* --- elementwise.c --- */
/* Rotates pairs (i, i + D/2) of `heads` heads of D channels, each row's first head at x + row * stride, by the
   angles whose cosine and sine stand in cosine, sine (rows, D/2); sign -1 turns back.
   https://arxiv.org/abs/2104.09864, section 3.4.2, in the half-split order of GPT-NeoX and Llama. */
void ck_rotate(float *x, const float *cosine, const float *sine, size_t rows, size_t heads, size_t size,
               size_t stride, float sign);
/* y(R, F) = silu(gate) up, with gate | up side by side in x(R, 2F). https://arxiv.org/abs/2002.05202. */
void ck_swiglu(float *y, const float *x, size_t rows, size_t cols);
/* y(R, F) as above, and x(R, 2F) becomes its gradient dgate | dup, given dy(R, F). */
void ck_swiglu_backward(float *y, float *x, const float *dy, size_t rows, size_t cols);
/* The same two with gelu(gate), https://arxiv.org/abs/1606.08415, or its approximation by tanh (gelu.c). */
void ck_geglu(float *y, const float *x, size_t rows, size_t cols, int approximate);
void ck_geglu_backward(float *y, float *x, const float *dy, size_t rows, size_t cols, int approximate);
/* y(R, C) += bias(C). */
void ck_add_bias(float *y, const float *bias, size_t rows, size_t cols);
/* y(n) = (add ? y : 0) + the sum over rows of x[row * stride + i]. */
void ck_sum_rows(float *y, const float *x, size_t rows, size_t stride, size_t n, int add);
/* y(n) += x(n). */
void ck_add(float *y, const float *x, size_t n);
/* The sum of squares of x(n), in double precision over blocks of 1,024. */
double ck_sum_of_squares(const float *x, size_t n);

/* --- attention.c --- */
typedef struct {
    long time, heads, kv_heads, size; /* T, H, key-value heads, D */
    long stride;                      /* floats from one token's q | k | v to the next's */
    float scale;                      /* of the scores: 1 / sqrt(D) */
} ck_attention;
enum { CK_ATTENTION_TILE = 64 }; /* queries, and keys, that are worked on at once */
/* Floats that one call of the two functions below may scribble on. */
size_t ck_attention_scratch(const ck_attention *a);
/* Causal attention of one head of one sequence for the queries [start, end), at most a tile of them.
   qkv: the sequence's (T, stride); out: (T, H D); lse: (T, H), the log of the sum of exponentials;
   first: (T), the first key that each query sees. https://arxiv.org/abs/2307.08691, algorithm 1. */
void ck_attention_forward(float *out, float *lse, const float *qkv, const int32_t *first, const ck_attention *a,
                          long head, long start, long end, float *scratch);
/* The gradient of the above for one key-value head and all queries that share it; writes that head's columns of
   dqkv (T, stride). Algorithm 2. */
void ck_attention_backward(float *dqkv, const float *dout, const float *qkv, const float *out, const float *lse,
                           const int32_t *first, const ck_attention *a, long kv_head, float *scratch);

/* --- loss.c --- */
/* loss(R) = log(sum(exp(logits))) - logits[target], 0 where target < 0; with `gradient`, logits (R, V) become
   (softmax - one-hot) scale, or 0 where target < 0. */
void ck_cross_entropy(float *loss, float *logits, const int32_t *target, size_t rows, size_t cols, int gradient,
                      float scale);

/* --- moments.c: AdamW's moments in fewer bits, rounded up or down by chance so that they are right on average ---
   The chance is a hash of `first` + i, a value's place among all, and `key`, so it is the same in every run. */
/* y(n) = x(n) as bfloat16. */
void ck_pack_bf16(uint16_t *y, const float *x, size_t n, uint32_t first, uint32_t key);
/* A block of first moments: y = sign(x) sqrt(|x| / s) 127, where s is the block's largest magnitude, returned. */
float ck_pack_mean(int8_t *y, const float *x, size_t n, uint32_t first, uint32_t key);
void ck_unpack_mean(float *y, const int8_t *x, size_t n, float scale);
/* A block of second moments, which span more orders of magnitude: y = (x / s)^(1/4) 255. A code of zero reads as
   half of the smallest, for the moment is a divisor. */
float ck_pack_square(uint8_t *y, const float *x, size_t n, uint32_t first, uint32_t key);
void ck_unpack_square(float *y, const uint8_t *x, size_t n, float scale);

/* --- adamw.c --- */
typedef struct {
    float rate, beta1, beta2, epsilon, decay;
    float correction1, correction2; /* 1 / (1 - beta^step) */
    float gradient_scale;           /* what clipping leaves of the gradient */
} ck_adamw;
/* One step on n parameters. https://arxiv.org/abs/1711.05101, algorithm 2, as PyTorch computes it. */
void ck_adamw_step(float *p, const float *g, float *m, float *v, size_t n, const ck_adamw *h);
#endif
