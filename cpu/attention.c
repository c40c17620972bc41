/* SPDX-License-Identifier: MIT */
/* Attention: a vector's lanes are queries. A block of them goes over the keys and values of its
 * head and area, some at a time: products of matrices without a sum across lanes, and without a
 * matrix of all scores. The softmax is kept up on the way: whenever a query's largest score grows,
 * what has been added up is made smaller.
 * Source: M. Milakov, N. Gimelshein, "Online normalizer calculation for softmax",
 * arXiv:1805.02867, algorithm 3. */

#include "base/pool.h"
#include "cpu/kernels.h"
#include "cpu/vector.h"

#if YOLO_LANES == 16
# define ROWS 8u                /* of a tile: with two vectors each, sums stay in registers */
#else
# define ROWS 6u
#endif
#define QUERIES (2 * YOLO_LANES)        /* of a block */
#define KEYS (8 * ROWS)         /* keys and values of a step */
#define VALUES 128u             /* channels of values that a block adds up at a time */

/* What all blocks share. */
typedef struct {
  const YoloTensor *in, *out;
  YoloOpNumbers numbers;
  guint value;                  /* channels of a head's value */
  guint count;                  /* positions of an area */
  guint blocks, parts;          /* of an area's queries; of a value's channels */
} Run;

/* A block's part of the work. Positions are those of the whole map. */
typedef struct {
  const Run *run;
  guint image, head, area;      /* area: its first position */
  guint channel, channels;      /* of the values: the first one in its head, how many */
  YoloVec largest[2], sum[2];   /* scores, and their exponentials, of the keys so far */
  float queries[YOLO_ATTENTION_MAX_KEY][QUERIES], scores[KEYS][QUERIES], means[VALUES][QUERIES];
  /* real numbers of tensors that are not floats */
  float keys[ROWS * YOLO_ATTENTION_MAX_KEY], values[KEYS * VALUES];
} Block;

/* Adds the products of @n columns of a matrix of ROWS rows, whose elements lie @row and @column
 * floats from each other, and as many rows of QUERIES floats. */
static ALWAYS_INLINE void
multiply (YoloVec acc[ROWS][2], const float *const left[ROWS], gsize column,
    const float (*right)[QUERIES], guint n)
{
  for (guint k = 0; k < n; k++) {
    YoloVec a = vec_load (right[k]), b = vec_load (right[k] + YOLO_LANES);

    for (guint m = 0; m < ROWS; m++) {
      float x = left[m][k * column];
      acc[m][0] += x * a;
      acc[m][1] += x * b;
    }
  }
}

/* @n channels from @channel on of neighbouring positions, as floats: where they lie, or copied to
 * @copy. *step: floats from one position to the next. */
static const float *
floats_of (const Block *b, guint position, guint positions, guint channel, guint n, float *copy,
    gsize *step)
{
  const YoloTensor *in = b->run->in;
  gsize size = yolo_dtype_size (in->dtype);
  const char *from = in->data + b->image * in->image + position * in->pixel + channel * size;

  if (in->dtype == YOLO_F32) {
    *step = in->pixel / sizeof (float);
    return (const float *) from;
  }
  *step = n;
  for (guint i = 0; i < positions; i++)
    load_real (copy + i * n, in, from + i * in->pixel, channel, n);
  return copy;
}

/* Puts the queries of a block side by side, for powers of two. Those that are too many are 0. */
static void
load_queries (Block *b, guint first, guint n)
{
  guint key = b->run->numbers.key;

  for (guint i = 0; i < QUERIES; i++) {
    gsize step;
    const float *q =
        floats_of (b, b->area + first + MIN (i, n - 1), 1, b->head * key, key, b->keys, &step);

    for (guint c = 0; c < key; c++)
      b->queries[c][i] = i < n ? q[c] * 1.44269504f : 0;
  }
}

/* Scores of @n keys. */
static void
score (Block *b, guint first, guint n)
{
  guint key = b->run->numbers.key, channel = (b->run->numbers.heads + b->head) * key;

  for (guint j = 0; j < n; j += ROWS) {
    guint rows = MIN (ROWS, n - j);
    YoloVec acc[ROWS][2] = { { { 0 } } };
    const float *left[ROWS];
    gsize step;
    const float *keys =
        floats_of (b, b->area + first + j, rows, channel, key, b->keys, &step);

    for (guint m = 0; m < ROWS; m++)
      left[m] = keys + MIN (m, rows - 1) * step;
    multiply (acc, left, 1, b->queries, key);
    for (guint m = 0; m < rows; m++) {
      vec_store (b->scores[j + m], acc[m][0]);
      vec_store (b->scores[j + m] + YOLO_LANES, acc[m][1]);
    }
  }
}

/* Makes weights of @n scores: powers of two of what they are below the largest score of the query.
 * What has been added up so far is made smaller as that grows. */
static void
weigh (Block *b, guint n)
{
  for (guint v = 0; v < 2; v++) {
    YoloVec largest = b->largest[v], sum = { 0 }, smaller;

    for (guint j = 0; j < n; j++)
      largest = vec_max (vec_load (b->scores[j] + v * YOLO_LANES), largest);
    smaller = vec_exp2_below (b->largest[v] - largest);
    for (guint j = 0; j < n; j++) {
      float *at = b->scores[j] + v * YOLO_LANES;
      YoloVec weight = vec_exp2_below (vec_load (at) - largest);

      sum += weight;
      vec_store (at, weight);
    }
    for (guint d = 0; d < b->channels; d++) {
      float *at = b->means[d] + v * YOLO_LANES;
      vec_store (at, vec_load (at) * smaller);
    }
    b->sum[v] = b->sum[v] * smaller + sum;
    b->largest[v] = largest;
  }
}

/* Adds @n values by their weights. */
static void
add_values (Block *b, guint first, guint n)
{
  const YoloOpNumbers *numbers = &b->run->numbers;
  guint channel = 2 * numbers->heads * numbers->key + b->head * b->run->value + b->channel;
  gsize step;
  const float *values =
      floats_of (b, b->area + first, n, channel, b->channels, b->values, &step);

  for (guint d = 0; d < b->channels; d += ROWS) {
    guint rows = MIN (ROWS, b->channels - d);
    YoloVec acc[ROWS][2];
    const float *left[ROWS];

    for (guint m = 0; m < ROWS; m++) {
      guint at = d + MIN (m, rows - 1);

      left[m] = values + at;
      acc[m][0] = vec_load (b->means[at]);
      acc[m][1] = vec_load (b->means[at] + YOLO_LANES);
    }
    multiply (acc, left, step, b->scores, n);
    for (guint m = 0; m < rows; m++) {
      vec_store (b->means[d + m], acc[m][0]);
      vec_store (b->means[d + m] + YOLO_LANES, acc[m][1]);
    }
  }
}

/* Stores the means of @n queries. */
static void
store_means (const Block *b, guint first, guint n)
{
  const YoloTensor *out = b->run->out;
  guint channel = b->head * b->run->value + b->channel;
  float sums[QUERIES], mean[VALUES];

  vec_store (sums, b->sum[0]);
  vec_store (sums + YOLO_LANES, b->sum[1]);
  for (guint i = 0; i < n; i++) {
    float scale = 1 / sums[i];

    for (guint d = 0; d < b->channels; d++)
      mean[d] = b->means[d][i] * scale;
    store_real (out->data + b->image * out->image + (b->area + first + i) * out->pixel
            + channel * yolo_dtype_size (out->dtype),
        out, channel, mean, b->channels);
  }
}

static void
run_block (gpointer data, guint index, G_GNUC_UNUSED guint thread)
{
  const Run *run = data;
  guint part = index % run->parts, rest = index / run->parts;
  guint first = rest % run->blocks * QUERIES, n = MIN (QUERIES, run->count - first);
  Block b;

  rest /= run->blocks;
  b.run = run;
  b.head = rest % run->numbers.heads;
  rest /= run->numbers.heads;
  b.area = rest % run->numbers.areas * run->count;
  b.image = rest / run->numbers.areas;
  b.channel = part * VALUES;
  b.channels = MIN (VALUES, run->value - b.channel);
  for (guint v = 0; v < 2; v++) {
    b.largest[v] = vec_set (-INFINITY);
    b.sum[v] = vec_set (0);
  }
  memset (b.means, 0, b.channels * sizeof *b.means);
  load_queries (&b, first, n);
  for (guint j = 0; j < run->count; j += KEYS) {
    guint keys = MIN (KEYS, run->count - j);

    score (&b, j, keys);
    weigh (&b, keys);
    add_values (&b, j, keys);
  }
  store_means (&b, first, n);
}

extern YoloOpFunc YOLO_NAME (yolo_attention);

void
YOLO_NAME (yolo_attention) (YoloPool *pool, const YoloOpNumbers *numbers, const YoloTensor *in,
    G_GNUC_UNUSED const YoloTensor *residual, const YoloTensor *out, guint n)
{
  Run run = {
    .in = in,
    .out = out,
    .numbers = *numbers,
    .value = out->channels / numbers->heads,
    .count = in->height * in->width / numbers->areas,
  };

  run.blocks = (run.count + QUERIES - 1) / QUERIES;
  run.parts = (run.value + VALUES - 1) / VALUES;
  yolo_pool_run (
      pool, n * numbers->areas * numbers->heads * run.blocks * run.parts, run_block, &run);
}
