/* SPDX-License-Identifier: MIT */
/* 3x3 convolution at stride 1 with a quarter of the multiplications:
 * F(4x4, 3x3) of A. Lavin and S. Gray, "Fast Algorithms for Convolutional
 * Neural Networks", arXiv:1509.09308. A tile of 4x4 outputs is computed from 6x6
 * inputs in three steps: the inputs are transformed to 36 points, each point is a
 * matrix product over the channels with the transformed weights, and the products are
 * transformed back. A block of tiles goes through all three steps while it is in the
 * second-level cache.
 *
 * With YOLO_INT8 all numbers are whole, and the sums are exactly those of the
 * definition. Transformed bytes fit into int16, being 17340 at most. The rows of the
 * weights' transform are multiplied by 4, 6, 6, 24, 24 and 1, which makes them whole;
 * transformed weights are 49 * 128 at most. The transform back multiplies each row, and
 * then each column, by what its factor lacks to 24, so that its result is 576 times the
 * sum, modulo 2^32: numbers may overflow on the way. Times the inverse of 9 modulo 2^32
 * that is 64 times the sum, and shifted by 6 bits the sum, provided that the sum has at
 * most 26 bits. supports() refuses layers whose sums could have more. */

#include "cpu/conv.h"
#include "cpu/finish.h"

#define POINTS 36u
#define CACHE (576u << 10)      /* bytes of a block's transformed inputs and sums */

#ifdef YOLO_INT8
typedef gint16 Input;           /* a transformed input; two of them are an element of a product */
typedef gint16 InputVec __attribute__ ((vector_size (YOLO_LANES * 4)));
typedef guint8 InputBytes __attribute__ ((vector_size (YOLO_LANES * 2)));
typedef YoloUintVec SumVec;
# define PRODUCT ELEMENT_S16
# define MOST_SUM (1u << 25)    /* sums must be smaller */
# define INVERSE_OF_9 954437177u /* modulo 2^32 */
#else
typedef float Input;
typedef YoloVec InputVec, SumVec;
# define PRODUCT ELEMENT_F32
#endif
#define VECTOR_CHANNELS (sizeof (InputVec) / sizeof (Input))
#define ELEMENT_CHANNELS (sizeof (float) / sizeof (Input))

/* How many input channels there are when they are filled up to whole vectors. */
static guint
channels_in (const YoloConv *conv)
{
  return (conv->in_channels + VECTOR_CHANNELS - 1) / VECTOR_CHANNELS * VECTOR_CHANNELS;
}

static gsize
panel_size (const YoloConv *conv)
{
  return (gsize) POINTS * channels_in (conv) * YOLO_PANEL * sizeof (Input);
}

/* Whether the sums of all output channels fit into the 26 bits that the transform back leaves. */
static gboolean
sums_fit (G_GNUC_UNUSED const YoloConv *conv)
{
#ifdef YOLO_INT8
  gsize each = 9 * (gsize) conv->in_channels;

  for (guint o = 0; o < conv->out_channels; o++) {
    guint64 most = 0;
    for (gsize k = 0; k < each; k++)
      most += 255 * (guint64) ABS (conv->int8->weights[o * each + k]);
    if (most >= MOST_SUM)
      return FALSE;
  }
#endif
  return TRUE;
}

static gboolean
supports (const YoloConv *conv)
{
  for (guint i = 0; i < 2; i++)
    if (conv->kernel[i] != 3 || conv->stride[i] != 1 || conv->pad[i] != 1 || conv->dilation[i] != 1)
      return FALSE;
  return conv->groups == 1 && sums_fit (conv);
}

/* What lies before the panels of packed weights: for each output channel the bias and, in int8,
 * the multiplier and the number that the sum begins with; then a pixel of padding. */
typedef struct {
  float *bias;                  /* [panels][YOLO_PANEL] */
#ifdef YOLO_INT8
  float *multiplier;
  gint32 *start;
  gint16 *padding;              /* [channels_in] */
#endif
  char *panels;
} Header;

static gsize
header_size (const YoloConv *conv)
{
  gsize columns = gemm_panels (conv) * YOLO_PANEL * 4;
#ifdef YOLO_INT8
  return 3 * columns + channels_in (conv) * sizeof (gint16);
#else
  return columns;
#endif
}

static Header
header_of (const YoloConv *conv, const void *packed)
{
  return (Header) {
    .bias = (float *) packed,
#ifdef YOLO_INT8
    .multiplier = (float *) packed + gemm_panels (conv) * YOLO_PANEL,
    .start = (gint32 *) packed + 2 * gemm_panels (conv) * YOLO_PANEL,
    .padding = (gint16 *) ((gint32 *) packed + 3 * gemm_panels (conv) * YOLO_PANEL),
#endif
    .panels = (char *) packed + header_size (conv),
  };
}

static gsize
packed_size (const YoloConv *conv)
{
  return header_size (conv) + gemm_panels (conv) * panel_size (conv);
}

/* Transforms one 3x3 kernel g, by G g G'; in int8 the rows of G are multiplied to be whole. */
static void
transform_weights (const YoloConv *conv, gsize kernel, Input u[POINTS])
{
#ifdef YOLO_INT8
  static const gint G[6][3] = { { 1, 0, 0 }, { -1, -1, -1 }, { -1, 1, -1 }, { 1, 2, 4 },
    { 1, -2, 4 }, { 0, 0, 1 } };
  const gint8 *g = conv->int8->weights + kernel * 9;
#else
  static const double G[6][3] = {
    { 1 / 4., 0, 0 }, { -1 / 6., -1 / 6., -1 / 6. }, { -1 / 6., 1 / 6., -1 / 6. },
    { 1 / 24., 1 / 12., 1 / 6. }, { 1 / 24., -1 / 12., 1 / 6. }, { 0, 0, 1 }
  };
  const float *g = conv->weights + kernel * 9;
#endif

  for (guint i = 0; i < 6; i++)
    for (guint j = 0; j < 6; j++) {
      double sum = 0;
      for (guint a = 0; a < 3; a++)
        for (guint b = 0; b < 3; b++)
          sum += G[i][a] * g[a * 3 + b] * G[j][b];
      u[i * 6 + j] = (Input) sum;
    }
}

static void
pack_header (const YoloConv *conv, Header h)
{
  memcpy (h.bias, conv->bias, conv->out_channels * 4);
#ifdef YOLO_INT8
  memcpy (h.multiplier, conv->int8->multiplier, conv->out_channels * 4);
  for (guint o = 0; o < conv->out_channels; o++)
    h.start[o] = -conv->int8->offset[o];
  for (guint i = 0; i < conv->in_channels; i++)
    h.padding[i] = (gint16) conv->int8->zero[i];
#endif
}

/* Packed weights are the header, then elements [panel][point][input element][vectors * lanes]. */
static void
pack (const YoloConv *conv, void *packed)
{
  gsize depth = channels_in (conv) / ELEMENT_CHANNELS;
  Header h = header_of (conv, packed);

  memset (packed, 0, packed_size (conv));
  pack_header (conv, h);
  for (guint c = 0; c < conv->out_channels; c++) {
    guint p = c / YOLO_PANEL, columns = gemm_panel_vectors (conv, p * YOLO_PANEL) * YOLO_LANES;
    Input *panel = (Input *) (h.panels + p * panel_size (conv));

    for (guint i = 0; i < conv->in_channels; i++) {
      Input u[POINTS];
      transform_weights (conv, (gsize) c * conv->in_channels + i, u);
      for (guint q = 0; q < POINTS; q++)
        panel[((q * depth + i / ELEMENT_CHANNELS) * columns + c % YOLO_PANEL) * ELEMENT_CHANNELS
            + i % ELEMENT_CHANNELS] = u[q];
    }
  }
}

/* Bytes of scratch memory that a tile takes: its transformed inputs, and a panel's sums. */
static gsize
tile_size (const YoloConv *conv)
{
  return POINTS * (sizeof (Input) * channels_in (conv) + sizeof (float) * YOLO_PANEL);
}

static guint
most_tiles (const YoloConv *conv)
{
  return MAX (CACHE / tile_size (conv), YOLO_ROWS);
}

/* How many tiles a block has: what fits into the cache, or less, so that the blocks of @n images
 * come out even for the threads. */
static guint
block_tiles (const YoloConv *conv, guint tiles, guint n, guint threads)
{
  guint most = most_tiles (conv), blocks = (tiles + most - 1) / most;

  if (n % threads)
    blocks = (blocks + threads - 1) / threads * threads;
  return (tiles + blocks - 1) / blocks;
}

static gsize
scratch (const YoloConv *conv, G_GNUC_UNUSED const YoloTensor *in)
{
  return most_tiles (conv) * tile_size (conv);
}

/* Transforms six vectors of inputs, by B' d; results are @stride vectors apart. */
static ALWAYS_INLINE void
transform6 (const InputVec d[6], InputVec *t, const guint stride)
{
  InputVec a = d[4] - 4 * d[2], b = d[3] - 4 * d[1], c = d[4] - d[2], e = 2 * (d[3] - d[1]);

  t[0] = 4 * d[0] - 5 * d[2] + d[4];
  t[stride] = a + b;
  t[2 * stride] = a - b;
  t[3 * stride] = c + e;
  t[4 * stride] = c - e;
  t[5 * stride] = 4 * d[1] - 5 * d[3] + d[5];
}

/* Transforms six vectors of products back, by A' m; in int8 the result is 24 times that. */
static ALWAYS_INLINE void
transform4 (const SumVec m[6], SumVec *t, const guint stride)
{
  SumVec a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];

#ifdef YOLO_INT8
  t[0] = 2 * m[0] + 4 * (m[0] + a) + c;
  t[stride] = 4 * b + 2 * d;
  t[2 * stride] = 4 * (a + c);
  t[3 * stride] = 4 * (b + 2 * (d + m[5])) + 16 * m[5];
#else
  t[0] = m[0] + a + c;
  t[stride] = b + 2 * d;
  t[2 * stride] = a + 4 * c;
  t[3 * stride] = b + 8 * d + m[5];
#endif
}

/* Loads the channels of a pixel that @lanes describes, in the type that is transformed. */
static ALWAYS_INLINE InputVec
load_input (const YoloLanes *lanes, const char *p)
{
#ifdef YOLO_INT8
  InputBytes bytes = { 0 };

  if (lanes->lanes == VECTOR_CHANNELS)
    memcpy (&bytes, p, VECTOR_CHANNELS);
  else
    memcpy (&bytes, p, lanes->lanes);
  return __builtin_convertvector (bytes, InputVec);
#else
  return load_lanes (lanes, p);
#endif
}

/* Transforms the inputs of a tile, whose first pixel is (y0, x0) and may be outside of the
 * image. Point q of all channels goes to to + q * step. */
static void
input_tile (const YoloTensor *in, const Header *h, guint image, gint y0, gint x0, guint depth,
    Input *to, gsize step)
{
  gsize size = yolo_dtype_size (in->dtype);
  gboolean inside = y0 >= 0 && x0 >= 0 && y0 + 6 <= (gint) in->height && x0 + 6 <= (gint) in->width;

  for (guint c = 0; c < depth; c += VECTOR_CHANNELS) {
    guint channels = in->channels - MIN (c, in->channels);
    InputVec d[6], t[POINTS], v[6], padding = { 0 };
#ifdef YOLO_INT8
    YoloLanes l = { .lanes = MIN (channels, VECTOR_CHANNELS) };

    memcpy (&padding, h->padding + c, sizeof padding);
#else
    YoloLanes l = lanes_of (in, c, channels, FALSE);
#endif

    for (gint x = 0; x < 6; x++) {
      for (gint y = 0; y < 6; y++)
        d[y] = inside
                || (y0 + y >= 0 && x0 + x >= 0 && y0 + y < (gint) in->height
                    && x0 + x < (gint) in->width)
            ? load_input (&l, yolo_tensor_at (in, image, y0 + y, x0 + x) + c * size)
            : padding;
      transform6 (d, t + x, 6);
    }
    for (guint y = 0; y < 6; y++) {
      transform6 (t + y * 6, v, 1);
      for (guint x = 0; x < 6; x++)
        memcpy (to + (y * 6 + x) * step + c, &v[x], sizeof v[x]);
    }
  }
}

/* Where the outputs of one panel's channels go. */
typedef struct {
  const YoloConv *conv;
  const YoloTensor *residual, *out;
  guint c0, vectors;
  Finish finish[2];
} Output;

/* The sum out of what the transform back gives, as finish.h takes it. @start: what sums begin
 * with. */
static ALWAYS_INLINE YoloVec
sum_of (SumVec o, const void *start)
{
#ifdef YOLO_INT8
  return (YoloVec) (((YoloIntVec) (o * INVERSE_OF_9) >> 6) + (YoloIntVec) vec_load (start));
#else
  return o + vec_load (start);
#endif
}

/* Transforms the products of a tile back and stores its 4x4 outputs, for one panel's channels. */
static void
output_tile (const Output *output, const Header *h, const float *from, gsize step, guint image,
    guint y0, guint x0)
{
  const YoloTensor *out = output->out, *residual = output->residual;
  gsize out_size = yolo_dtype_size (out->dtype), residual_size = yolo_dtype_size (residual->dtype);
  guint height = MIN (4, out->height - y0), width = MIN (4, out->width - x0);

  for (guint v = 0; v < output->vectors; v++) {
    guint c = output->c0 + v * YOLO_LANES;
    Finish f = output->finish[v];
    SumVec m[6], t[24], o[4];

    for (guint x = 0; x < 6; x++) {
      for (guint y = 0; y < 6; y++)
        m[y] = (SumVec) vec_load (from + (y * 6 + x) * step + v * YOLO_LANES);
      transform4 (m, t + x, 6);
    }
    for (guint y = 0; y < height; y++) {
      YoloVec acc[YOLO_ROWS][2];

      transform4 (t + y * 6, o, 1);
      for (guint x = 0; x < 4; x++)
#ifdef YOLO_INT8
        acc[x][v] = sum_of (o[x], h->start + c);
#else
        acc[x][v] = sum_of (o[x], h->bias + c);
#endif
      f.plus_at =
          residual->data ? yolo_tensor_at (residual, image, y0 + y, x0) + c * residual_size : NULL;
      f.to_at = yolo_tensor_at (out, image, y0 + y, x0) + c * out_size;
      finish (&f, acc, v, width, output->conv);
    }
  }
}

static void
tile (YoloVec acc[YOLO_ROWS][2], const YoloSum *s, guint rows, guint vectors)
{
#define BODY(m, v) gemm_tile (acc, s, m, v, PRODUCT)
  GEMM_DISPATCH (BODY, rows, vectors);
#undef BODY
}

/* sums[tiles][columns] of one point = inputs[tiles][depth] x panel[elements][columns]. */
static void
multiply (const Input *inputs, guint depth, guint elements, const char *panel, guint vectors,
    float *sums, guint tiles)
{
  static const gsize taps[1] = { 0 };
  static const YoloVec zero[2];
  guint step = gemm_tile_rows (tiles);

  for (guint m = 0; m < tiles; m += step) {
    guint rows = MIN (step, tiles - m);
    YoloSum s = { (const char *) (inputs + (gsize) m * depth), depth * sizeof (Input), taps, 1,
      elements, panel, zero };
    YoloVec acc[YOLO_ROWS][2];

    tile (acc, &s, rows, vectors);
    for (guint r = 0; r < rows; r++)
      for (guint v = 0; v < vectors; v++)
        vec_store (sums + (m + r) * YOLO_PANEL + v * YOLO_LANES, acc[r][v]);
  }
}

/* What all blocks of one run share. */
typedef struct {
  const YoloConv *conv;
  const char *packed;
  const YoloTensor *in, *residual, *out;
  guint across, tiles;          /* tiles in a row of an image, and in all of it */
  guint block, blocks;          /* tiles of a block, blocks of an image */
  gsize scratch;                /* bytes of a thread */
  char *memory;
} Run;

static Output
output_of (const Run *r, const Header *h, guint panel)
{
  guint c0 = panel * YOLO_PANEL;
  Output output = {
    .conv = r->conv,
    .residual = r->residual,
    .out = r->out,
    .c0 = c0,
    .vectors = gemm_panel_vectors (r->conv, c0),
  };

  for (guint v = 0; v < output.vectors; v++)
#ifdef YOLO_INT8
    output.finish[v] =
        finish_of (r->conv, h->multiplier, h->bias, c0 + v * YOLO_LANES, r->residual, r->out);
#else
    output.finish[v] = finish_of (r->conv, NULL, h->bias, c0 + v * YOLO_LANES, r->residual, r->out);
#endif
  return output;
}

/* Computes a block of tiles. Runs on the pool's threads. */
static void
run_block (gpointer data, guint index, guint thread)
{
  const Run *r = data;
  const YoloConv *conv = r->conv;
  guint image = index / r->blocks, first = index % r->blocks * r->block,
        count = MIN (r->block, r->tiles - first);
  guint depth = channels_in (conv),
        elements = (conv->in_channels + ELEMENT_CHANNELS - 1) / ELEMENT_CHANNELS;
  Input *inputs = (Input *) (r->memory + thread * r->scratch);
  float *sums = (float *) (inputs + (gsize) POINTS * r->block * depth);
  Header h = header_of (conv, r->packed);

  for (guint t = 0; t < count; t++)
    input_tile (r->in, &h, image, (gint) ((first + t) / r->across * 4) - 1,
        (gint) ((first + t) % r->across * 4) - 1, depth, inputs + (gsize) t * depth,
        (gsize) r->block * depth);
  for (guint p = 0; p < gemm_panels (conv); p++) {
    Output output = output_of (r, &h, p);
    const char *panel = h.panels + p * panel_size (conv);
    gsize point = depth * sizeof (Input) * output.vectors * YOLO_LANES;

    for (guint q = 0; q < POINTS; q++)
      multiply (inputs + (gsize) q * r->block * depth, depth, elements, panel + q * point,
          output.vectors, sums + (gsize) q * r->block * YOLO_PANEL, count);
    for (guint t = 0; t < count; t++)
      output_tile (&output, &h, sums + t * YOLO_PANEL, (gsize) r->block * YOLO_PANEL, image,
          (first + t) / r->across * 4, (first + t) % r->across * 4);
  }
}

static void
run (YoloPool *pool, const YoloConv *conv, const void *packed, const YoloTensor *in,
    const YoloTensor *residual, const YoloTensor *out, guint n, char *memory)
{
  Run r = { conv, packed, in, residual, out, .across = (out->width + 3) / 4,
    .scratch = scratch (conv, in), .memory = memory };

  r.tiles = r.across * ((out->height + 3) / 4);
  r.block = block_tiles (conv, r.tiles, n, yolo_pool_threads (pool));
  r.blocks = (r.tiles + r.block - 1) / r.block;
  yolo_pool_run (pool, n * r.blocks, run_block, &r);
}

#ifdef YOLO_INT8
extern const YoloConvKernel YOLO_NAME (yolo_winograd_int8);
const YoloConvKernel YOLO_NAME (yolo_winograd_int8) = {
  "winograd int8", supports, packed_size, pack, scratch, run
};
#else
extern const YoloConvKernel YOLO_NAME (yolo_winograd);
const YoloConvKernel YOLO_NAME (yolo_winograd) = {
  "winograd f32", supports, packed_size, pack, scratch, run
};
#endif
