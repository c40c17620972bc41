/* 3x3 convolution at stride 1 with a quarter of the multiplications:
 * F(4x4, 3x3) of A. Lavin and S. Gray, "Fast Algorithms for Convolutional
 * Neural Networks", arXiv:1509.09308. A tile of 4x4 outputs comes of 6x6
 * inputs: both are transformed, and between them lie 36 matrix products over
 * the channels. A block of tiles runs through all three steps while it is in
 * the second-level cache. */

#include "cpu/conv.h"
#include "cpu/epilogue.h"
#include "cpu/gemm.h"

#define POINTS 36u
#define CACHE (576u << 10)      /* bytes of a block's transformed inputs and sums */

static guint
channels_in (const YoloConv *conv)
{
  return (conv->in_channels + YOLO_LANES - 1) / YOLO_LANES * YOLO_LANES;
}

static gsize
panel_size (const YoloConv *conv)
{
  return (gsize) POINTS * channels_in (conv) * YOLO_PANEL * 4;
}

static gboolean
supports (const YoloConv *conv)
{
  for (guint i = 0; i < 2; i++)
    if (conv->kernel[i] != 3 || conv->stride[i] != 1 || conv->pad[i] != 1 || conv->dilation[i] != 1)
      return FALSE;
  return conv->groups == 1;
}

static gsize
packed_size (const YoloConv *conv)
{
  return gemm_panels (conv) * (panel_size (conv) + YOLO_PANEL * 4);
}

/* G g G' of one 3x3 kernel. */
static void
transform_weights (const float *g, float u[POINTS])
{
  static const double G[6][3] = {
    { 1 / 4., 0, 0 }, { -1 / 6., -1 / 6., -1 / 6. }, { -1 / 6., 1 / 6., -1 / 6. },
    { 1 / 24., 1 / 12., 1 / 6. }, { 1 / 24., -1 / 12., 1 / 6. }, { 0, 0, 1 }
  };

  for (guint i = 0; i < 6; i++)
    for (guint j = 0; j < 6; j++) {
      double sum = 0;
      for (guint a = 0; a < 3; a++)
        for (guint b = 0; b < 3; b++)
          sum += G[i][a] * g[a * 3 + b] * G[j][b];
      u[i * 6 + j] = (float) sum;
    }
}

/* [panel] biases, then [panel][point][input channel][vectors * lanes]. */
static void
pack (const YoloConv *conv, void *packed)
{
  guint panels = gemm_panels (conv), depth = channels_in (conv);

  memset (packed, 0, packed_size (conv));
  memcpy (packed, conv->bias, conv->out_channels * 4);
  for (guint c = 0; c < conv->out_channels; c++) {
    guint p = c / YOLO_PANEL, columns = gemm_panel_vectors (conv, p * YOLO_PANEL) * YOLO_LANES;
    float *panel = (float *) ((char *) packed + panels * YOLO_PANEL * 4 + p * panel_size (conv));

    for (guint i = 0; i < conv->in_channels; i++) {
      float u[POINTS];
      transform_weights (conv->weights + ((gsize) c * conv->in_channels + i) * 9, u);
      for (guint q = 0; q < POINTS; q++)
        panel[((gsize) q * depth + i) * columns + c % YOLO_PANEL] = u[q];
    }
  }
}

/* Tiles of a block: what fits the cache, shared out evenly over the threads. */
static guint
block_tiles (const YoloConv *conv, guint tiles, guint n, guint threads)
{
  guint most = MAX (CACHE / (POINTS * 4 * (channels_in (conv) + YOLO_PANEL)), YOLO_ROWS);
  guint blocks = (tiles + most - 1) / most;

  if (n % threads)
    blocks = (blocks + threads - 1) / threads * threads;
  return (tiles + blocks - 1) / blocks;
}

static gsize
scratch (const YoloConv *conv, G_GNUC_UNUSED const YoloTensor *in)
{
  guint most = MAX (CACHE / (POINTS * 4 * (channels_in (conv) + YOLO_PANEL)), YOLO_ROWS);
  return (gsize) most * POINTS * 4 * (channels_in (conv) + YOLO_PANEL);
}

/* B' d of six vectors, stride apart. */
static ALWAYS_INLINE void
transform6 (const YoloVec d[6], YoloVec *t, const guint stride)
{
  YoloVec a = d[4] - 4 * d[2], b = d[3] - 4 * d[1], c = d[4] - d[2], e = 2 * (d[3] - d[1]);

  t[0] = 4 * d[0] - 5 * d[2] + d[4];
  t[stride] = a + b;
  t[2 * stride] = a - b;
  t[3 * stride] = c + e;
  t[4 * stride] = c - e;
  t[5 * stride] = 4 * d[1] - 5 * d[3] + d[5];
}

/* A' m of six vectors. */
static ALWAYS_INLINE void
transform4 (const YoloVec m[6], YoloVec *t, const guint stride)
{
  YoloVec a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];

  t[0] = m[0] + a + c;
  t[stride] = b + 2 * d;
  t[2 * stride] = a + 4 * c;
  t[3 * stride] = b + 8 * d + m[5];
}

/* The transformed inputs of a tile, all channels: point q at to + q * step floats. */
static void
input_tile (const YoloTensor *in, guint image, gint y0, gint x0, guint depth, float *to, gsize step)
{
  gsize size = yolo_dtype_size (in->dtype);
  gboolean inside = y0 >= 0 && x0 >= 0 && y0 + 6 <= (gint) in->height && x0 + 6 <= (gint) in->width;

  for (guint c = 0; c < depth; c += YOLO_LANES) {
    YoloLanes l = lanes_of (in, c, in->channels - MIN (c, in->channels), FALSE);
    YoloVec d[6], t[POINTS], v[6];

    for (gint x = 0; x < 6; x++) {
      for (gint y = 0; y < 6; y++)
        d[y] = inside || (y0 + y >= 0 && x0 + x >= 0 && y0 + y < (gint) in->height && x0 + x < (gint) in->width)
            ? load_lanes (&l, yolo_tensor_at (in, image, y0 + y, x0 + x) + c * size) : vec_set (0);
      transform6 (d, t + x, 6);
    }
    for (guint y = 0; y < 6; y++) {
      transform6 (t + y * 6, v, 1);
      for (guint x = 0; x < 6; x++)
        vec_store (to + (y * 6 + x) * step + c, v[x]);
    }
  }
}

/* The 4x4 outputs of a tile, the channels of one panel. */
static void
output_tile (const YoloConv *conv, const float *bias, guint c0, guint vectors, const float *from, gsize step,
    const YoloTensor *residual, const YoloTensor *out, guint image, guint y0, guint x0)
{
  gsize out_size = yolo_dtype_size (out->dtype), residual_size = yolo_dtype_size (residual->dtype);
  guint height = MIN (4, out->height - y0), width = MIN (4, out->width - x0);

  for (guint v = 0; v < vectors; v++) {
    guint c = c0 + v * YOLO_LANES, lanes = MIN (conv->out_channels - c, YOLO_LANES);
    YoloLanes to = lanes_of (out, c, lanes, TRUE), plus = lanes_of (residual, c, lanes, FALSE);
    YoloVec b = vec_load (bias + c), m[6], t[24], o[4];

    for (guint x = 0; x < 6; x++) {
      for (guint y = 0; y < 6; y++)
        m[y] = vec_load (from + (y * 6 + x) * step + v * YOLO_LANES);
      transform4 (m, t + x, 6);
    }
    for (guint y = 0; y < height; y++) {
      transform4 (t + y * 6, o, 1);
      for (guint x = 0; x < width; x++)
        finish_lanes (o[x] + b, conv->act, NULL, &plus,
            residual->data ? yolo_tensor_at (residual, image, y0 + y, x0 + x) + c * residual_size : NULL,
            &to, yolo_tensor_at (out, image, y0 + y, x0 + x) + c * out_size);
    }
  }
}

static void
tile (YoloVec acc[YOLO_ROWS][2], const YoloSum *s, guint rows, guint vectors)
{
#define BODY(m, v) gemm_tile (acc, s, m, v, ELEMENT_F32)
  GEMM_DISPATCH (BODY, rows, vectors);
#undef BODY
}

/* sums[tiles][columns] of one point = inputs[tiles][depth] x panel[depth][columns]. */
static void
multiply (const float *inputs, guint depth, const char *panel, guint vectors, float *sums, guint tiles)
{
  static const gsize taps[1] = { 0 };
  static const YoloVec zero[2];
  guint step = gemm_tile_rows (tiles);

  for (guint m = 0; m < tiles; m += step) {
    guint rows = MIN (step, tiles - m);
    YoloSum s = { (const char *) (inputs + (gsize) m * depth), depth * 4, taps, 1, depth, panel, zero };
    YoloVec acc[YOLO_ROWS][2];

    tile (acc, &s, rows, vectors);
    for (guint r = 0; r < rows; r++)
      for (guint v = 0; v < vectors; v++)
        vec_store (sums + (m + r) * YOLO_PANEL + v * YOLO_LANES, acc[r][v]);
  }
}

/* One run: what all blocks share. */
typedef struct {
  const YoloConv *conv;
  const char *packed;
  const YoloTensor *in, *residual, *out;
  guint across, tiles;          /* of an image: in a row of tiles, in all */
  guint block, blocks;          /* tiles of a block, blocks of an image */
  gsize scratch;                /* bytes */
  char *memory;
} Run;

static void
run_block (gpointer data, guint index, guint thread)
{
  const Run *r = data;
  const YoloConv *conv = r->conv;
  guint image = index / r->blocks, first = index % r->blocks * r->block, count = MIN (r->block, r->tiles - first);
  guint depth = channels_in (conv), panels = gemm_panels (conv);
  float *inputs = (float *) (r->memory + thread * r->scratch), *sums = inputs + (gsize) POINTS * r->block * depth;

  for (guint t = 0; t < count; t++)
    input_tile (r->in, image, (gint) ((first + t) / r->across * 4) - 1, (gint) ((first + t) % r->across * 4) - 1,
        depth, inputs + (gsize) t * depth, (gsize) r->block * depth);
  for (guint p = 0; p < panels; p++) {
    guint c0 = p * YOLO_PANEL, vectors = gemm_panel_vectors (conv, c0);
    const char *panel = r->packed + panels * YOLO_PANEL * 4 + p * panel_size (conv);

    for (guint q = 0; q < POINTS; q++)
      multiply (inputs + (gsize) q * r->block * depth, depth, panel + (gsize) q * depth * vectors * YOLO_LANES * 4,
          vectors, sums + (gsize) q * r->block * YOLO_PANEL, count);
    for (guint t = 0; t < count; t++)
      output_tile (conv, (const float *) r->packed, c0, vectors, sums + t * YOLO_PANEL,
          (gsize) r->block * YOLO_PANEL, r->residual, r->out, image, (first + t) / r->across * 4,
          (first + t) % r->across * 4);
  }
}

static void
run (YoloPool *pool, const YoloConv *conv, const void *packed, const YoloTensor *in, const YoloTensor *residual,
    const YoloTensor *out, guint n, char *memory)
{
  Run r = { conv, packed, in, residual, out, .across = (out->width + 3) / 4, .scratch = scratch (conv, in),
    .memory = memory };

  r.tiles = r.across * ((out->height + 3) / 4);
  r.block = block_tiles (conv, r.tiles, n, yolo_pool_threads (pool));
  r.blocks = (r.tiles + r.block - 1) / r.block;
  yolo_pool_run (pool, n * r.blocks, run_block, &r);
}

extern const YoloConvKernel YOLO_NAME (yolo_winograd);
const YoloConvKernel YOLO_NAME (yolo_winograd) = {
  "winograd f32", supports, packed_size, pack, scratch, run
};
