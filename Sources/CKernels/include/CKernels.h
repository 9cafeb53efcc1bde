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
/* The largest magnitude of x(n) as bits, sign left out: one of an infinity or NaN is larger than any other. */
uint32_t ck_largest_f32(const float *x, size_t n);
uint32_t ck_largest_16(const uint16_t *x, size_t n);
/* y(n) = x(n) rounded to odd, float64 to float32, for a second rounding to 16 bits. */
void ck_f64_to_f32_odd(float *y, const double *x, size_t n);

/* --- products.c, normal.c: sums over many rows with random weights. Every product and sum is rounded, and in one
   order: the same bits on every CPU --- */
enum { CK_TILE = 64 }; /* rows, and columns, of one part of the sums */
/* sums(R, 64) += z(S, 64)' x(S, 64) for the first R columns of z, a multiple of 4, in the order of S. */
void ck_add_products(float *sums, const float *z, const float *x, size_t rows, size_t count);
/* tile(S, 64) = the columns from `first` on of x(S, width) - mean(width), and zeros where there are fewer. */
void ck_center_tile(float *tile, const float *x, const float *mean, size_t count, size_t width, size_t first);
/* z(S, 64): standard normal numbers, the cosine's in z(s, r) and the sine's in z(s, 32 + r), that follow from keys(32)
   and first + s. Box and Muller, A Note on the Generation of Random Normal Deviates (1958). */
void ck_normals(float *z, const uint64_t *keys, uint64_t first, size_t count);

/* --- merging.c: sums of models' tensors. Every product and sum is rounded: the same bits on every CPU --- */
/* y(n) = (add ? y : 0) + weight x(n). */
void ck_weigh(float *y, const float *x, float weight, size_t n, int add);
/* y(n) -= x(n). */
void ck_subtract(float *y, const float *x, size_t n);
/* The sum of x(n) y(n), in double precision, in eight lanes. */
double ck_dot(const float *x, const float *y, size_t n);
/* The sum of those magnitudes of x(n) whose bits are above `above`, likewise; equal = how many are just these bits. */
double ck_sum_magnitudes(const float *x, size_t n, uint32_t above, size_t *equal);
/* counts(32768), counts(65536): adds how often the upper half of a magnitude's bits, sign left out, is each number; and how
   often the lower half is, where the upper one is `high`. */
void ck_count_high(uint32_t *counts, const float *x, size_t n);
void ck_count_low(uint32_t *counts, const float *x, size_t n, uint32_t high);
/* x(n) = 0 where the magnitude's bits are below `least`, and where they are just these, but for the first `equal`. */
void ck_keep_largest(float *x, size_t n, uint32_t least, size_t equal);
/* x(n) = 0 but where the upper half of the random number that follows from key + first + i is below `limit`. */
void ck_keep_random(float *x, size_t n, uint64_t key, uint64_t first, uint64_t limit);
/* y(n) = the sum over models of those x(models, n) that have the sign of their sum, or with `counts` of most of them, divided
   with `normalizes` by the sum of their weights(models). https://arxiv.org/abs/2306.01708, section 3. */
void ck_elect(float *y, const float *x, const float *weights, size_t models, size_t n, int counts, int normalizes);

/* --- norm.c: RMSNorm, https://arxiv.org/abs/1910.07467; LayerNorm, https://arxiv.org/abs/1607.06450 ---
   A row is G groups of C values. n = (x - m) s with s = 1 / sqrt(mean((x - m)^2) + eps), where m is the group's mean
   or 0; y = w n + b, (1 + w) n + b, or n + b without w. */
typedef struct {
    size_t groups, cols;           /* G, C */
    size_t in_stride, out_stride;  /* floats from one row of x, and of y, to the next */
    int centers;                   /* whether m is the mean: LayerNorm */
    int adds_one, own_scales;      /* whether 1 + w multiplies; whether w and b are (G, C) in place of (C) */
    float eps;
} ck_norm;
/* y from x, which is first sum = x + factor delta where there is a delta; sum may be x or delta. rstd(R, G) = s,
   mean(R, G) = m where rows are centered. */
void ck_norm_forward(float *y, float *rstd, float *mean, const float *x, float *sum, const float *delta,
                     float factor, const float *w, const float *b, size_t rows, const ck_norm *a);
/* y again from x, rstd and mean. */
void ck_norm_apply(float *y, const float *x, const float *rstd, const float *mean, const float *w, const float *b,
                   size_t rows, const ck_norm *a);
/* dx = (add ? dx : 0) + s (w dy - mean(w dy) - n mean(w dy n)), without the first mean where rows are not centered;
   dw = the sum of dy n, db = the sum of dy, each where it is wanted. dx may be dy unless it is added to. */
void ck_norm_backward(float *dx, float *dw, float *db, const float *dy, const float *x, const float *w,
                      const float *rstd, const float *mean, size_t rows, int add, const ck_norm *a);

/* --- activation.c --- */
/* silu: x sigmoid(x). gelu: x Phi(x), https://arxiv.org/abs/1606.08415, and its approximations by tanh and by
   sigmoid(1.702 x). relu: max(0, x), and its square. The last one is a gated unit's only:
   min(g, limit) sigmoid(alpha min(g, limit)) (clamp(u, limit) + 1). */
enum { CK_SILU, CK_GELU, CK_GELU_TANH, CK_GELU_QUICK, CK_RELU, CK_RELU_SQUARED, CK_CLAMPED };
typedef struct {
    int kind, in_turn; /* whether gates g and what they gate, u, come in turn, in place of g(F) | u(F) */
    float alpha, limit;
} ck_unit;
/* y(R, F) = activation(g) u, with both in x(R, 2F). https://arxiv.org/abs/2002.05202. */
void ck_glu(float *y, const float *x, size_t rows, size_t cols, const ck_unit *a);
/* y(R, F) as above, and x(R, 2F) becomes its gradient, given dy(R, F). */
void ck_glu_backward(float *y, float *x, const float *dy, size_t rows, size_t cols, const ck_unit *a);
/* y(n) = activation(x); y may be x. */
void ck_activate(float *y, const float *x, size_t n, int kind);
/* y(n) as above, and x(n) becomes its gradient, given dy(n). */
void ck_activate_backward(float *y, float *x, const float *dy, size_t n, int kind);

/* --- elementwise.c --- */
/* Rotates `pairs` pairs of each of `heads` heads of D = `size` channels by the angles whose cosine and sine are given;
   sign -1 turns back. Pairs are (i, i + pairs), the order of GPT-NeoX and Llama, or (2i, 2i + 1).
   https://arxiv.org/abs/2104.09864, section 3.4.2. */
void ck_rotate(float *x, const float *cosine, const float *sine, size_t heads, size_t size, size_t pairs, float sign,
               int in_turn);
/* y(R, C) += bias(C). */
void ck_add_bias(float *y, const float *bias, size_t rows, size_t cols);
/* y(n) = (add ? y : 0) + the sum over rows of x[row * stride + i]. */
void ck_sum_rows(float *y, const float *x, size_t rows, size_t stride, size_t n, int add);
/* y(n) = x(n) + factor delta(n); y may be x or delta. */
void ck_add_scaled(float *y, const float *x, const float *delta, float factor, size_t n);
/* y(n) = factor x(n); y may be x. */
void ck_scale(float *y, const float *x, float factor, size_t n);
/* The sum of squares of x(n), in double precision over blocks of 1,024. */
double ck_sum_of_squares(const float *x, size_t n);

/* --- vectors.c: products with few rows, whose time is that of reading the weights --- */
enum { CK_F32, CK_BF16, CK_F16 };
/* y(R, start ..< end) = (add ? y : 0) + x(R, I) w(O, I)^T for R = `rows`, I = `inputs`, O = `outputs`; w is kept as `kind`.
   A row's result is the same beside any others. */
void ck_multiply_vectors(float *y, const float *x, const void *w, size_t start, size_t end, size_t inputs,
                         size_t outputs, size_t rows, int kind, int add);

/* --- attention.c --- */
typedef struct {
    long time, heads, kv_heads, size; /* T, H, key-value heads, D */
    long stride;                      /* floats from one token's queries, keys and values to the next's */
    long query_group;                 /* floats from a key-value head's queries to the next one's */
    long key, value, key_group;       /* where the first key and value begin, and floats to the next one's */
    float scale;                      /* of the products of queries and keys */
    float soft_cap;                   /* scores s become soft_cap tanh(s / soft_cap), unless it is 0 */
} ck_attention;
enum { CK_ATTENTION_TILE = 64 }; /* queries, and keys, that are worked on at once */
/* Floats that one call of the two functions below may scribble on. */
size_t ck_attention_scratch(const ck_attention *a);
/* Causal attention of one head of one sequence for the queries [start, end), at most a tile of them.
   qkv: the sequence's (T, stride); out: (T, H D); lse: (T, H), the log of the sum of exponentials;
   first: (T), the first key that each query sees; bias: (H, T) or null, added to the scores after the cap, column j
   for the key first + j; sinks: (H) or null, a score more that belongs to no key.
   https://arxiv.org/abs/2307.08691, algorithm 1. */
void ck_attention_forward(float *out, float *lse, const float *qkv, const int32_t *first, const float *bias,
                          const float *sinks, const ck_attention *a, long head, long start, long end,
                          float *scratch);
/* The gradient of the above for one key-value head and all queries that share it; writes that head's columns of
   dqkv (T, stride) and, unless it is null, its heads of dsinks (H), this sequence's share. Algorithm 2. */
void ck_attention_backward(float *dqkv, float *dsinks, const float *dout, const float *qkv, const float *out,
                           const float *lse, const int32_t *first, const float *bias, const float *sinks,
                           const ck_attention *a, long kv_head, float *scratch);

/* Attention of one head of one token: out(D) from q(D), and keys(n, D) and values(n, D) that it sees, each token's behind
   the other's. bias: (n) or null, added to the scores after the cap; sink: one score more that belongs to no key, or null.
   scores: (n) floats to scribble on. */
void ck_attend(float *out, const float *q, const float *keys, const float *values, const float *bias,
               const float *sink, const ck_attention *a, long n, float *scores);

/* --- experts.c: mixtures of E experts of which each row chooses K; slots are choices, expert by expert --- */
enum { CK_SOFTMAX, CK_SOFTMAX_OF_CHOSEN, CK_SIGMOID };
typedef struct {
    size_t experts, chosen;     /* E, K */
    int kind, normalizes;       /* whether weights are divided by their sum */
    float factor;               /* of the weights */
    float floor;                /* added to the sum */
} ck_routing;
/* scores(R, E), logits at first, become scores; the K experts of the largest score + correction(E), which may be null,
   and their weights. Of equal ones the lower comes first. */
void ck_route(int32_t *chosen, float *weights, float *scores, const float *correction, size_t rows,
              const ck_routing *a);
/* dlogits(R, E), which may be scores, from dweights(R, K) and balance(E), the gradient of each row's scores, or null. */
void ck_route_backward(float *dlogits, const float *dweights, const int32_t *chosen, const float *weights,
                       const float *scores, const float *balance, size_t rows, const ck_routing *a);
/* Orders choices by expert, keeping their order within one: choice(S) is what lies in a slot, slot(S) where a choice
   lies, offsets(E + 1) where each expert's slots begin. */
void ck_sort_by_expert(int32_t *choice, int32_t *slot, int32_t *offsets, const int32_t *chosen, size_t slots,
                       size_t experts);
/* y(R, C) = (add ? y : 0) + the sum over k of weights(R, K) x[slot(R, K)]; weights may be null: 1. */
void ck_combine_rows(float *y, const float *x, const float *weights, const int32_t *slot, size_t rows, size_t chosen,
                     size_t cols, int add);
/* For the slots [start, end): dweights[choice] = hidden(S, F) dhidden(S, F) + dout(S, C) bias(E, C), where there is
   one; then dhidden and dout are multiplied by weights[choice]. */
void ck_weigh_rows_backward(float *dweights, float *dhidden, float *dout, const float *hidden, const float *bias,
                            const float *weights, const int32_t *choice, const int32_t *offsets, size_t start,
                            size_t end, size_t size, size_t cols);
/* y(R, C) += sigmoid(gate(R)) x(R, C). */
void ck_add_gated(float *y, const float *x, const float *gate, size_t rows, size_t cols);
/* dgate(R) from hidden(R, F) dhidden(R, F); then dhidden and dout(R, C) are multiplied by sigmoid(gate). */
void ck_add_gated_backward(float *dgate, float *dhidden, float *dout, const float *hidden, const float *gate,
                           size_t rows, size_t size, size_t cols);
/* load(2, E): adds how often one expert is among chosen(R, K), and the sum of its scores(R, E). */
void ck_add_load(float *load, const int32_t *chosen, const float *scores, size_t rows, size_t experts,
                 size_t choices, size_t expert);

/* --- loss.c --- */
/* x(n) = cap tanh(factor x / cap). */
void ck_cap(float *x, size_t n, float factor, float cap);
/* loss(R) = log(sum(exp(logits))) - logits[target], 0 where target < 0; with `gradient`, logits (R, V) become
   (softmax - one-hot) scale, or 0 where target < 0, times the slope at which they came to be what they are: factor,
   and where cap is not 0, 1 - (logits / cap)^2. */
void ck_cross_entropy(float *loss, float *logits, const int32_t *target, size_t rows, size_t cols, int gradient,
                      float scale, float factor, float cap);

/* loss(R) = (1 - weight) cross entropy + weight temperature^2 divergence, and both by themselves: entropy(R),
   divergence(R) = KL(teacher || student) of the softmaxes at this temperature over the tokens that both have.
   teacher(N, U) are its logits, place(R) the row of them that a row has, token(V) its token for each, < 0 for none;
   a row without a place has its cross entropy alone. Logits become the gradient as ck_cross_entropy makes it. */
void ck_distill(float *loss, float *entropy, float *divergence, float *logits, const int32_t *target, size_t rows,
                size_t cols, const float *teacher, size_t teacher_cols, const int32_t *place, const int32_t *token,
                float weight, float temperature, float scale, float factor, float cap);

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

/* --- hashing.c: what texts are compared by --- */
/* hash(n): XXH64 with seed 0 of bytes[start[i] ..< end[i]]. */
void ck_xxh64(uint64_t *hash, const uint8_t *bytes, const uint32_t *start, const uint32_t *end, size_t n);
/* minimum(m) = the least of itself and of ((x a + b) mod 2^64) mod (2^61 - 1) over x(n). */
void ck_minhash(uint64_t *minimum, size_t m, const uint64_t *x, size_t n, const uint64_t *a, const uint64_t *b);
#endif
