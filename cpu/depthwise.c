/* SPDX-License-Identifier: MIT */
/* Depthwise convolution: each channel has a kernel of its own. There is no matrix to multiply:
 * an input takes part in as many products as the kernel has taps, so that a layer's time is
 * that of loads, stores and the activation.
 *
 * A tile of 2 x 4 output pixels is computed from the input where it lies, for one vector of
 * channels after the other, as they lie in memory. Its sums stay in registers, and each input
 * is loaded once for all taps of the tile. A tile whose window is not all inside of the image,
 * or not in TYPE, is computed in the same way from a copy of that window in floats. */

#include "cpu/conv.h"
#include "cpu/finish.h"

#define ROWS 2u                 /* of a tile's outputs */
#define COLUMNS 4u
#define BLOCK 16u               /* output rows that a thread works on at a time */

/* A tile's loops are written out, so that its sums stay in registers; where each access to memory
 * is checked, the checks of all of them together take the compiler minutes. */
#ifdef __SANITIZE_ADDRESS__
# define UNROLL(n)
#else
# define PRAGMA(text) _Pragma (#text)
# define UNROLL(n) PRAGMA (GCC unroll n)
#endif

static gboolean
supports (const YoloConv *conv)
{
  guint kernel = conv->kernel[0], stride = conv->stride[0];

  return conv->groups == conv->in_channels && conv->groups == conv->out_channels
      && (kernel == 3 || kernel == 5 || kernel == 7) && conv->kernel[1] == kernel
      && (stride == 1 || stride == 2) && conv->stride[1] == stride && conv->dilation[0] == 1
      && conv->dilation[1] == 1;
}

static guint
n_vectors (const YoloConv *conv)
{
  return (conv->out_channels + YOLO_LANES - 1) / YOLO_LANES;
}

/* The first channel of vector @v. The last vector ends where the channels end and computes
 * some channels of the one before it again, since parts of vectors are loaded and stored
 * number by number. */
static guint
first_channel (const YoloConv *conv, guint v)
{
  return MIN (v * YOLO_LANES, MAX (conv->out_channels, YOLO_LANES) - YOLO_LANES);
}

/* Floats of a vector's packed weights. */
static gsize
vector_size (const YoloConv *conv)
{
  return (1 + (gsize) conv->kernel[0] * conv->kernel[1]) * YOLO_LANES;
}

static gsize
packed_size (const YoloConv *conv)
{
  return n_vectors (conv) * vector_size (conv) * sizeof (float);
}

/* Packed weights are [vector][bias, then the taps][lanes]; lanes without a channel are 0. */
static void
pack (const YoloConv *conv, void *packed)
{
  gsize taps = (gsize) conv->kernel[0] * conv->kernel[1];

  memset (packed, 0, packed_size (conv));
  for (guint v = 0; v < n_vectors (conv); v++) {
    float *to = (float *) packed + v * vector_size (conv);
    guint c = first_channel (conv, v);

    for (guint i = 0; i < MIN (YOLO_LANES, conv->out_channels - c); i++) {
      to[i] = conv->bias[c + i];
      for (gsize t = 0; t < taps; t++)
        to[(1 + t) * YOLO_LANES + i] = conv->weights[(c + i) * taps + t];
    }
  }
}

/* Rows or columns of the inputs that @n rows or columns of outputs are computed from. */
static ALWAYS_INLINE guint
window (guint n, guint kernel, guint stride)
{
  return (n - 1) * stride + kernel;
}

/* Bytes of a copied window: floats [rows][columns][lanes]. */
static gsize
window_size (const YoloConv *conv)
{
  return window (ROWS, conv->kernel[0], conv->stride[0])
      * window (COLUMNS, conv->kernel[1], conv->stride[1]) * sizeof (YoloVec);
}

/* A thread has a copied window, and a Finish for each vector. */
static gsize
scratch (const YoloConv *conv, G_GNUC_UNUSED const YoloTensor *in)
{
  return (window_size (conv) + n_vectors (conv) * sizeof (Finish) + 63) & ~(gsize) 63;
}

/* Where inputs or outputs of a tile are: one vector of channels of each pixel. */
typedef struct {
  char *at;                     /* the first pixel */
  gsize pixel, row;             /* bytes from one to the next */
  YoloDType type;               /* YOLO_F32 or YOLO_BF16 */
} Place;

/* Computes the sums of a tile from the packed weights of a vector. The compiler must know
 * @type, which is that of the input, @kernel and @stride. */
static ALWAYS_INLINE void
sum_tile (const Place *to, const Place *in, const float *packed, const YoloDType type,
    const guint kernel, const guint stride)
{
  YoloVec acc[COLUMNS][ROWS], bias = vec_load (packed);

  UNROLL (4)
  for (guint x = 0; x < COLUMNS; x++)
    UNROLL (2)
    for (guint y = 0; y < ROWS; y++)
      acc[x][y] = bias;
  UNROLL (9)
  for (guint i = 0; i < window (ROWS, kernel, stride); i++)
    UNROLL (13)
    for (guint j = 0; j < window (COLUMNS, kernel, stride); j++) {
      const char *p = in->at + i * in->row + j * in->pixel;
      YoloVec value = type == YOLO_F32 ? vec_load (p) : vec_load_bf16 (p);

      UNROLL (4)
      for (guint x = 0; x < COLUMNS; x++)
        UNROLL (2)
        for (guint y = 0; y < ROWS; y++) {
          /* those of an output that the input is no part of are beyond the kernel */
          guint ky = i - y * stride, kx = j - x * stride;

          if (ky < kernel && kx < kernel)
            acc[x][y] += value * vec_load (packed + (1 + ky * kernel + kx) * YOLO_LANES);
        }
    }
  UNROLL (4)
  for (guint x = 0; x < COLUMNS; x++)
    UNROLL (2)
    for (guint y = 0; y < ROWS; y++)
      if (to->type == YOLO_F32)
        vec_store (to->at + x * to->pixel + y * to->row, acc[x][y]);
      else
        vec_store_bf16 (to->at + x * to->pixel + y * to->row, acc[x][y]);
}

typedef void TileFunc (const Place *to, const Place *in, const float *packed);

#define TILE(name, type, kernel, stride) \
  static void name##_##kernel##_##stride (const Place *to, const Place *in, const float *packed) \
  { \
    sum_tile (to, in, packed, type, kernel, stride); \
  }
#define TILES(name, type) \
  TILE (name, type, 3, 1) TILE (name, type, 5, 1) TILE (name, type, 7, 1) \
  TILE (name, type, 3, 2) TILE (name, type, 5, 2) TILE (name, type, 7, 2) \
  static TileFunc *const name[2][3] = { \
    { name##_3_1, name##_5_1, name##_7_1 }, { name##_3_2, name##_5_2, name##_7_2 } \
  };
TILES (float_tiles, YOLO_F32)
#ifdef __AVX512BF16__
TILES (tiles, YOLO_BF16)
#else
# define tiles float_tiles
#endif

/* What all blocks of one run share. */
typedef struct {
  const YoloConv *conv;
  const float *packed;
  const YoloTensor *in, *residual, *out;
  TileFunc *tile, *copied_tile; /* from the input where it lies, and from a copy of a window */
  guint rows, columns;          /* inputs of a tile */
  gboolean known;               /* the input has whole vectors in TYPE, as in nearly all layers */
  gboolean plain;               /* sums are the outputs */
  gsize in_size, out_size, residual_size;       /* bytes of a number */
  guint block, blocks;          /* output rows of a block, blocks of an image */
  gsize scratch;                /* bytes of a thread */
  char *memory;
} Run;

/* Copies the channels that @lanes describes of @rows x @columns inputs, the first at @from. */
static ALWAYS_INLINE void
copy_inputs (YoloLanes lanes, YoloTensor in, const char *from, gint rows, gint columns,
    const Place *to, char *at)
{
  lanes.t = &in;
  for (gint y = 0; y < rows; y++, from += in.row, at += to->row)
    for (gint x = 0; x < columns; x++)
      vec_store (at + (gsize) x * to->pixel, load_lanes (&lanes, from + (gsize) x * in.pixel));
}

/* Copies what is inside of the image of the window whose first pixel is (y0, x0), as floats.
 * The zeros around it are there already. */
static void
copy_window (const Run *r, guint image, gint y0, gint x0, guint c, const Place *to)
{
  gint top = MAX (y0, 0), left = MAX (x0, 0),
       rows = MIN (y0 + (gint) r->rows, (gint) r->in->height) - top,
       columns = MIN (x0 + (gint) r->columns, (gint) r->in->width) - left;
  const char *from = yolo_tensor_at (r->in, image, (guint) top, (guint) left) + c * r->in_size;
  char *at = to->at + (guint) (top - y0) * to->row + (guint) (left - x0) * to->pixel;
  YoloTensor known = *r->in;

  known.dtype = TYPE;
  if (r->known)
    copy_inputs ((YoloLanes) { .lanes = YOLO_LANES }, known, from, rows, columns, to, at);
  else
    copy_inputs (lanes_of (r->in, c, r->conv->in_channels - c, FALSE), *r->in, from, rows, columns,
        to, at);
}

/* Computes the tile at (y, x) of the output, or what there is of it, for all channels.
 * @f: [vectors] */
static void
run_tile (const Run *r, guint image, guint y, guint x, char *memory, Finish *f)
{
  const YoloConv *conv = r->conv;
  const YoloTensor *in = r->in, *residual = r->residual, *out = r->out;
  gint y0 = (gint) (y * conv->stride[0]) - (gint) conv->pad[0],
       x0 = (gint) (x * conv->stride[1]) - (gint) conv->pad[1];
  guint rows = MIN (ROWS, out->height - y), columns = MIN (COLUMNS, out->width - x);
  gboolean inside = y0 >= 0 && x0 >= 0 && y0 + (gint) r->rows <= (gint) in->height
      && x0 + (gint) r->columns <= (gint) in->width;
  gboolean in_place = r->known && inside;
  gboolean plain = r->plain && rows == ROWS && columns == COLUMNS;
  Place copy = { memory, sizeof (YoloVec), r->columns * sizeof (YoloVec), YOLO_F32 };

  if (!in_place)
    memset (memory, 0, r->rows * copy.row);
  for (guint v = 0; v < n_vectors (conv); v++) {
    guint c = first_channel (conv, v);
    const float *packed = r->packed + v * vector_size (conv);
    char *to = yolo_tensor_at (out, image, y, x) + c * r->out_size;
    YoloVec acc[YOLO_ROWS][2];
    Place sums = { (char *) acc, sizeof acc[0], sizeof acc[0][0], YOLO_F32 };

    if (plain)
      sums = (Place) { to, out->pixel, out->row, out->dtype };
    if (in_place) {
      const char *from = yolo_tensor_at (in, image, (guint) y0, (guint) x0) + c * r->in_size;
      r->tile (&sums, &(Place) { (char *) from, in->pixel, in->row, TYPE }, packed);
    } else {
      copy_window (r, image, y0, x0, c, &copy);
      r->copied_tile (&sums, &copy, packed);
    }
    for (guint k = 0; k < rows && !plain; k++) {
      f[v].to_at = to + k * out->row;
      if (residual->data)
        f[v].plus_at = yolo_tensor_at (residual, image, y + k, x) + c * r->residual_size;
      finish (&f[v], acc, k, columns, conv);
    }
  }
}

/* Computes a block of output rows. Runs on the pool's threads. */
static void
run_block (gpointer data, guint index, guint thread)
{
  const Run *r = data;
  guint y0 = index % r->blocks * r->block, y1 = MIN (y0 + r->block, r->out->height);
  char *memory = r->memory + thread * r->scratch;
  Finish *f = (Finish *) (memory + window_size (r->conv));

  for (guint v = 0; v < n_vectors (r->conv); v++)
    f[v] = finish_of (r->conv, NULL, NULL, first_channel (r->conv, v), r->residual, r->out);
  for (guint y = y0; y < y1; y += ROWS)
    for (guint x = 0; x < r->out->width; x += COLUMNS)
      run_tile (r, index / r->blocks, y, x, memory, f);
}

static void
run (YoloPool *pool, const YoloConv *conv, const void *packed, const YoloTensor *in,
    const YoloTensor *residual, const YoloTensor *out, guint n, char *memory)
{
  guint stride = conv->stride[0] - 1, kernel = conv->kernel[0] / 2 - 1;
  gboolean whole = conv->out_channels >= YOLO_LANES;
  Run r = { conv, packed, in, residual, out, tiles[stride][kernel], float_tiles[stride][kernel],
    .rows = window (ROWS, conv->kernel[0], conv->stride[0]),
    .columns = window (COLUMNS, conv->kernel[1], conv->stride[1]),
    .known = whole && in->dtype == TYPE,
    .plain = whole && conv->act == YOLO_ACT_NONE && !residual->data && out->dtype != YOLO_U8,
    .in_size = yolo_dtype_size (in->dtype),
    .out_size = yolo_dtype_size (out->dtype),
    .residual_size = yolo_dtype_size (residual->dtype),
    .scratch = scratch (conv, in),
    .memory = memory };

  r.block = even_block (out->height, BLOCK, n, yolo_pool_threads (pool));
  /* whole tiles, so that no two threads write the same row */
  r.block = (r.block + ROWS - 1) / ROWS * ROWS;
  r.blocks = (out->height + r.block - 1) / r.block;
  yolo_pool_run (pool, n * r.blocks, run_block, &r);
}

extern const YoloConvKernel YOLO_NAME (yolo_depthwise);
const YoloConvKernel YOLO_NAME (yolo_depthwise) = {
  TYPE == YOLO_BF16 ? "depthwise bf16" : "depthwise f32", supports, packed_size, pack, scratch, run
};
