/* SPDX-License-Identifier: MIT */
/* The operations that plans are made of: one list, from which each room that
 * runs, names or counts them takes its own. Back ends have tables of functions by
 * operation; what is missing in one, the back end does not run. */

#ifndef YOLO_BASE_OPERATION_H
#define YOLO_BASE_OPERATION_H

/* X (suffix of the constant, name). `in`, `out` and `residual` are the views of YoloOp; words in
 * backquotes are the members of YoloOpNumbers that the operation goes by. */
#define YOLO_OPERATIONS(X) \
    /* out = act (conv (in) + bias) [+ residual]; in int8 if conv->int8 */ \
    X (CONV, "conv") \
    /* out = the largest number under each window: `kernel`, `stride`, `pad`. Where `repeat` is \
     * above 1 it is a chain of poolings at stride 1 (SPPF), and out holds in pooled once, in \
     * pooled twice, ... side by side */ \
    X (MAX_POOL, "max-pool") \
    /* each pixel becomes `scale` x `scale` pixels like it */ \
    X (UPSAMPLE, "upsample") \
    /* out = in + residual */ \
    X (ADD, "add") \
    /* out = `act` (in), with `alpha` and `beta` */ \
    X (ACT, "act") \
    /* out = in; where one tensor is needed in two buffers, in two types or on two grids */ \
    X (COPY, "copy") \
    /* `heads`, `key`, `areas`: each position of a map takes the mean of all positions' \
     * values, weighted by how well their keys suit its query, for each head apart */ \
    X (ATTENTION, "attention") \
    /* `scale`: the channels of a pixel become scale x scale pixels: a transposed convolution \
     * whose windows do not overlap is a convolution of one pixel and this */ \
    X (SHUFFLE, "shuffle") \
    /* the mean over all positions of the image: one pixel */ \
    X (GLOBAL_POOL, "global-pool")

/* X (suffix of the constant, name). What an activation makes of a number x; `alpha` and `beta` are
 * numbers that stand beside the constant. Those down to SIGMOID are what nearly all networks have,
 * for which back ends may have faster ways. */
#define YOLO_ACTIVATIONS(X) \
    /* x */ \
    X (NONE, "none") \
    /* x * sigmoid (x) */ \
    X (SILU, "silu") \
    /* max (x, 0) */ \
    X (RELU, "relu") \
    /* 1 / (1 + e^-x) */ \
    X (SIGMOID, "sigmoid") \
    /* x, or `alpha` * x below 0 */ \
    X (LEAKY_RELU, "leaky-relu") \
    /* min (max (x, `alpha`), `beta`) */ \
    X (CLIP, "clip") \
    /* `alpha` * x + `beta`, cut to 0 ... 1 */ \
    X (HARD_SIGMOID, "hard-sigmoid") \
    /* x * (x / 6 + 1 / 2, cut to 0 ... 1) */ \
    X (HARD_SWISH, "hard-swish") \
    /* x * P, where P is how likely a standard normal number is below x */ \
    X (GELU, "gelu") \
    /* GELU by its approximation with tanh */ \
    X (GELU_TANH, "gelu-tanh") \
    /* x, or `alpha` * (e^x - 1) below 0 */ \
    X (ELU, "elu") \
    /* x * tanh (log (1 + e^x)) */ \
    X (MISH, "mish")

#define YOLO_ACTIVATION_CONSTANT(suffix, name) YOLO_ACT_##suffix,
typedef enum {
  YOLO_ACTIVATIONS (YOLO_ACTIVATION_CONSTANT)
} YoloActivation;
#undef YOLO_ACTIVATION_CONSTANT

#define YOLO_ACTIVATION_ONE(suffix, name) + 1
enum { YOLO_N_ACTIVATIONS = 0 YOLO_ACTIVATIONS (YOLO_ACTIVATION_ONE) };
#undef YOLO_ACTIVATION_ONE

#define YOLO_OPERATION_CONSTANT(suffix, name) YOLO_OP_##suffix,
typedef enum {
  YOLO_OPERATIONS (YOLO_OPERATION_CONSTANT)
} YoloOpType;
#undef YOLO_OPERATION_CONSTANT

#define YOLO_OPERATION_ONE(suffix, name) + 1
enum { YOLO_N_OPERATIONS = 0 YOLO_OPERATIONS (YOLO_OPERATION_ONE) };
#undef YOLO_OPERATION_ONE

/* The numbers that tell what an operation does. Each kind uses some of them. */
typedef struct {
  unsigned kernel, stride, pad; /* MAX_POOL: pixels; the padding is on all four sides */
  unsigned repeat;              /* MAX_POOL: poolings in a chain, 1 or more */
  unsigned scale; /* UPSAMPLE, SHUFFLE: pixels that a pixel becomes, in both directions */
  YoloActivation act;           /* ACT */
  float alpha, beta;            /* ACT: the activation's own numbers */
  unsigned heads;               /* ATTENTION: 1 or more */
  unsigned key;                 /* ATTENTION: channels of a head's query, and of its key */
  unsigned areas;               /* ATTENTION: equal runs of positions that see themselves only */
} YoloOpNumbers;

/* "max-pool". For messages and profiles. */
const char *yolo_op_name (YoloOpType type);

#endif
