/* SPDX-License-Identifier: MIT */
/* Convolution as a matrix product (implicit GEMM): a row of the left matrix, A, is the
 * window of one output pixel, and is read where it lies in the input. Where the input
 * needs padding or another type, some of its rows at a time are first copied into
 * scratch memory that stays in the second-level cache. */

#include "cpu/conv.h"
#include "cpu/finish.h"
#ifdef __AMX_TILE__
# include "cpu/amx.h"
#endif

/* whether the channels of an input of TYPE are multiplied as they lie in memory */
#define IN_ELEMENTS (ELEMENT != ELEMENT_S16)

/* Taps of which a kernel may have, neighbours in a row counting as one; 15x15 with dilation. */
#define MAX_TAPS 255u
/* bytes of copied rows that a thread works on; second-level caches have 512 KiB or more */
#define SCRATCH (192u << 10)
#define CHUNK 8u                /* tiles that a thread works on at a time where A is the image */

/* Elements of a tap. An element is PER channels (gemm.h). */
static guint
depth (const YoloConv *conv)
{
  return (conv->in_channels + PER - 1) / PER;
}

static guint
n_taps (const YoloConv *conv)
{
  return conv->kernel[0] * conv->kernel[1];
}

static gsize
panel_size (const YoloConv *conv)
{
  return (gsize) n_taps (conv) * depth (conv) * YOLO_PANEL * 4;
}

/* What lies before the panels of packed weights: for each output channel the bias and, used
 * in int8 alone, the multiplier and the number that the sum begins with; then a pixel of
 * padding. */
typedef struct {
  float *bias, *multiplier;     /* [panels][YOLO_PANEL] */
  gint32 *start;                /* [panels][YOLO_PANEL] what sums begin with: minus the offset */
  char *padding;                /* [depth] elements */
  char *panels;
} Header;

static gsize
header_size (const YoloConv *conv)
{
  return 3 * sizeof (float) * gemm_panels (conv) * YOLO_PANEL
      + ((depth (conv) * (gsize) 4 + 63) & ~(gsize) 63);
}

static Header
header_of (const YoloConv *conv, const void *packed)
{
  gsize n = gemm_panels (conv) * YOLO_PANEL;
  float *bias = (float *) packed;

  return (Header){
    .bias = bias,
    .multiplier = bias + n,
    .start = (gint32 *) (bias + 2 * n),
    .padding = (char *) (bias + 3 * n),
    .panels = (char *) packed + header_size (conv),
  };
}

/* Functions whose names begin with `one` are of a convolution without groups. */
static gsize
one_packed_size (const YoloConv *conv)
{
  return header_size (conv) + gemm_panels (conv) * panel_size (conv);
}

#ifdef YOLO_INT8
static void
pack_header (const YoloConv *conv, Header h)
{
  gsize per_channel = (gsize) conv->in_channels * n_taps (conv);

  memcpy (h.multiplier, conv->int8->multiplier, conv->out_channels * sizeof (float));
  for (guint o = 0; o < conv->out_channels; o++) {
    h.start[o] = -conv->int8->offset[o];
    for (gsize k = 0; k < per_channel; k++)
      h.start[o] += BYTE_BIAS * conv->int8->weights[o * per_channel + k];
  }
  for (guint i = 0; i < conv->in_channels; i++) {
    if (PER == 4)
      ((guint8 *) h.padding)[i] = (guint8) conv->int8->zero[i];
    else
      ((gint16 *) h.padding)[i] = (gint16) conv->int8->zero[i];
  }
}

/* Writes weight number @weight into an element as its channel @i. */
static void
pack_weight (const YoloConv *conv, char *element, guint i, gsize weight)
{
  if (PER == 4)
    ((gint8 *) element)[i] = conv->int8->weights[weight];
  else
    ((gint16 *) element)[i] = conv->int8->weights[weight];
}
#else
static void
pack_header (const YoloConv *conv, Header h)
{
}

static void
pack_weight (const YoloConv *conv, char *element, guint i, gsize weight)
{
  if (PER == 2)
    ((guint16 *) element)[i] = f32_to_bf16 (conv->weights[weight]);
  else
    *(float *) element = conv->weights[weight];
}
#endif

/* Packed weights are the header, then elements [panel][tap][depth][vectors * lanes]. */
static void
one_pack (const YoloConv *conv, void *packed)
{
  guint taps = n_taps (conv), panels = gemm_panels (conv);
  Header h = header_of (conv, packed);

  memset (packed, 0, one_packed_size (conv));
  memcpy (h.bias, conv->bias, conv->out_channels * sizeof (float));
  pack_header (conv, h);
  for (guint p = 0; p < panels; p++) {
    guint c0 = p * YOLO_PANEL, columns = gemm_panel_vectors (conv, c0) * YOLO_LANES;
    char *panel = h.panels + p * panel_size (conv);

    for (guint c = c0; c < MIN (c0 + columns, conv->out_channels); c++)
      for (guint i = 0; i < conv->in_channels; i++)
        for (guint t = 0; t < taps; t++)
          pack_weight (conv, panel + (((gsize) t * depth (conv) + i / PER) * columns + c - c0) * 4,
              i % PER, ((gsize) c * conv->in_channels + i) * taps + t);
  }
}

/* Whether the rows of A are pixels of the input as they lie in memory. */
static gboolean
in_place (const YoloConv *conv, const YoloTensor *in)
{
  return n_taps (conv) == 1 && conv->pad[0] == 0 && conv->pad[1] == 0 && in->dtype == TYPE
      && IN_ELEMENTS && conv->in_channels % PER == 0;
}

static gsize
padded_row (const YoloConv *conv, const YoloTensor *in)
{
  return (in->width + 2 * conv->pad[1]) * (gsize) depth (conv) * 4;
}

/* How many input rows are needed for @rows output rows. */
static guint
rows_in (const YoloConv *conv, guint rows)
{
  return (rows - 1) * conv->stride[0] + (conv->kernel[0] - 1) * conv->dilation[0] + 1;
}

/* How many output rows a thread works on at a time. */
static guint
block_rows (const YoloConv *conv, const YoloTensor *in)
{
  gsize row = padded_row (conv, in);
  guint rows = 1;

  while (rows < 8 && rows_in (conv, rows + 1) * row <= SCRATCH)
    rows++;
  return rows;
}

static gsize
one_scratch (const YoloConv *conv, const YoloTensor *in)
{
  return in_place (conv, in)
      ? 0
      : (rows_in (conv, block_rows (conv, in)) * padded_row (conv, in) + 63) & ~(gsize) 63;
}

/* Widens @n bytes to int16, by 16 at a time and no more, since a pixel has few channels. */
static ALWAYS_INLINE void
widen (gint16 *restrict to, const guint8 *restrict from, guint n)
{
  typedef guint8 Bytes __attribute__ ((vector_size (16)));
  typedef gint16 Shorts __attribute__ ((vector_size (32)));
  guint i = 0;

  for (; i + 16 <= n; i += 16) {
    Bytes bytes;
    memcpy (&bytes, from + i, sizeof bytes);
    Shorts shorts = __builtin_convertvector (bytes, Shorts);
    memcpy (to + i, &shorts, sizeof shorts);
  }
  for (; i < n; i++)
    to[i] = from[i];
}

/* Copies the channels of a pixel as elements; the last element is filled up with zeros. */
static inline void
copy_pixel (char *to, const char *from, YoloDType type, guint channels)
{
#if defined (YOLO_INT8)
  if (PER == 4)
    memcpy (to, from, channels);
  else
    widen ((gint16 *) to, (const guint8 *) from, channels);
#elif defined (__AVX512BF16__)
  guint16 *p = (guint16 *) to;

  if (type == YOLO_BF16)
    memcpy (to, from, channels * 2);
  else if (type == YOLO_F32)
    for (guint c = 0; c < channels; c++)
      p[c] = f32_to_bf16 (((const float *) from)[c]);
  else
    for (guint c = 0; c < channels; c++)
      p[c] = f32_to_bf16 (((const guint8 *) from)[c]);
#else
  load_f32 ((float *) to, from, channels, type);
#endif
  if (channels % PER)
    memset (to + channels * (4 / PER), 0, (PER - channels % PER) * (4 / PER));
}

/* Copies @n pixels of the network's input, whose three channels become four. */
#if !defined (YOLO_INT8) && defined (__AVX512BF16__)
static inline void
copy_image_row (char *to, const char *from, guint n)
{
  const __m128i four = _mm_setr_epi8 (0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
  guint x = 0;

  /* Sixteen bytes are read, of which twelve are four pixels. */
  for (; x + 6 <= n; x += 4) {
    __m128i bytes = _mm_shuffle_epi8 (_mm_loadu_si128 ((const void *) (from + 3 * x)), four);

    vec_store_bf16 (to + 8 * x, vec_load_u8 (&bytes));
  }
  for (; x < n; x++)
    copy_pixel (to + 8 * x, from + 3 * x, YOLO_U8, 3);
}
#else
static inline void
copy_image_row (char *to, const char *from, guint n)
{
  if (PER == 2) {
    gint16 *p = (gint16 *) to;

    for (guint x = 0; x < n; x++, p += 4) {
      const guint8 *pixel = (const guint8 *) from + 3 * x;

      p[0] = pixel[0];
      p[1] = pixel[1];
      p[2] = pixel[2];
      p[3] = 0;
    }
    return;
  }
  /* each pixel takes a load, a mask and a store */
  for (guint x = 0; x + 1 < n; x++) {
    guint32 pixel;

    memcpy (&pixel, from + 3 * x, 4);
    pixel = GUINT32_TO_LE (GUINT32_FROM_LE (pixel) & 0xffffff);
    memcpy (to + 4 * x, &pixel, 4);
  }
  copy_pixel (to + 4 * (n - 1), from + 3 * (n - 1), YOLO_U8, 3);
}
#endif

/* Writes @n pixels of padding. */
static inline void
pad_pixels (char *to, guint n, const char *padding, gsize pixel)
{
  if (TYPE != YOLO_U8)
    memset (to, 0, n * pixel);
  else
    for (guint x = 0; x < n; x++)
      memcpy (to + x * pixel, padding, pixel);
}

/* Copies @rows input rows from row @y0 on, which may be outside of the image, with the padding
 * around them. */
static void
copy_rows (const YoloConv *conv, const char *padding, const YoloTensor *in, guint image, gint y0,
    guint rows, char *to)
{
  gsize pixel = (gsize) depth (conv) * 4, row = padded_row (conv, in), pad = conv->pad[1] * pixel;

  for (guint r = 0; r < rows; r++, to += row) {
    gint y = y0 + (gint) r;

    if (y < 0 || y >= (gint) in->height) {
      pad_pixels (to, in->width + 2 * conv->pad[1], padding, pixel);
      continue;
    }
    pad_pixels (to, conv->pad[1], padding, pixel);
    if (yolo_tensor_dense (in) && in->dtype == TYPE && IN_ELEMENTS && conv->in_channels % PER == 0)
      memcpy (to + pad, yolo_tensor_at (in, image, y, 0), in->width * pixel);
    else if (yolo_tensor_dense (in) && ELEMENT == ELEMENT_S16 && conv->in_channels % PER == 0)
      widen ((gint16 *) (to + pad), (const guint8 *) yolo_tensor_at (in, image, y, 0),
          in->width * conv->in_channels);
    else if (yolo_tensor_dense (in) && in->dtype == YOLO_U8 && PER > 1 && conv->in_channels == 3)
      copy_image_row (to + pad, yolo_tensor_at (in, image, y, 0), in->width);
    else if (yolo_tensor_dense (in) && PER == 1)
      load_f32 ((float *) (to + pad), yolo_tensor_at (in, image, y, 0),
          in->width * conv->in_channels, in->dtype);
    else
      for (guint x = 0; x < in->width; x++)
        copy_pixel (
            to + pad + x * pixel, yolo_tensor_at (in, image, y, x), in->dtype, conv->in_channels);
    pad_pixels (to + row - pad, conv->pad[1], padding, pixel);
  }
}

/* A tile, and what a thread does at the end of a block, whose tiles share a @shape: with AMX it
 * releases its tile registers, without there is nothing to release. */
#ifdef __AMX_TILE__
# define tile amx_tile
# define end_of_block() _tile_release ()
#else
static void
tile (YoloVec acc[YOLO_ROWS][2], const YoloSum *s, guint rows, guint vectors,
    G_GNUC_UNUSED guint *shape)
{
# define BODY(m, v) gemm_tile (acc, s, m, v, ELEMENT)
  GEMM_DISPATCH (BODY, rows, vectors);
# undef BODY
}

# define end_of_block()
#endif

/* Computes @count pixels that lie side by side in the output, for the channels of one panel.
 * @s: where their rows of A are; the rest of it is set here. @shape: as in amx_tile(). */
static void
line (const YoloConv *conv, const char *packed, guint panel, YoloSum *s, guint count,
    const char *residual, const YoloTensor *residual_tensor, char *out,
    const YoloTensor *out_tensor, guint *shape)
{
  guint c0 = panel * YOLO_PANEL, vectors = gemm_panel_vectors (conv, c0),
        step = gemm_tile_rows (count);
  gsize out_size = yolo_dtype_size (out_tensor->dtype),
        residual_size = yolo_dtype_size (residual_tensor->dtype);
  Header h = header_of (conv, packed);
  Finish f[2];

  for (guint v = 0; v < vectors; v++) {
    guint c = c0 + v * YOLO_LANES;

    f[v] = finish_of (conv, h.multiplier, h.bias, c, residual_tensor, out_tensor);
    f[v].plus_at = residual ? residual + c * residual_size : NULL;
    f[v].to_at = out + c * out_size;
  }
  s->panel = h.panels + panel * panel_size (conv);
  s->start = TYPE == YOLO_U8 ? (const void *) (h.start + c0) : h.bias + c0;
  for (guint x = 0; x < count; x += step) {
    guint rows = MIN (step, count - x);
    YoloVec acc[YOLO_ROWS][2];

    tile (acc, s, rows, vectors, shape);
    for (guint v = 0; v < vectors; v++) {
      finish (&f[v], acc, v, rows, conv);
      f[v].to_at += rows * f[v].to_pixel;
      if (residual)
        f[v].plus_at += rows * f[v].plus_pixel;
    }
    s->a += step * s->row;
  }
}

/* What all blocks of one run share. */
typedef struct {
  const YoloConv *conv;
  const char *packed;
  const YoloTensor *in, *residual, *out;
  guint blocks;                 /* that an image is cut into */
  gboolean direct;              /* A is the input; else copied rows of it */
  guint block;                  /* output rows of a block; pixels where A is the image */
  gsize pixel, row;             /* bytes from one pixel or row of A's memory to the next */
  gsize scratch;                /* bytes of a thread */
  char *memory;
  guint n_taps, k;              /* as in YoloSum */
  gsize taps[MAX_TAPS];
} Run;

/* Computes a block of an image whose pixels are the rows of A. Runs on the pool's threads. */
static void
flat_block (gpointer data, guint index, G_GNUC_UNUSED guint thread)
{
  const Run *r = data;
  guint image = index / r->blocks, pixels = r->out->height * r->out->width;
  gsize x = (gsize) (index % r->blocks) * r->block;
  guint shape = 0;

  for (guint p = 0; p < gemm_panels (r->conv); p++) {
    YoloSum s = { yolo_tensor_at (r->in, image, 0, x), r->in->pixel, r->taps, 1, depth (r->conv),
      NULL, NULL };

    line (r->conv, r->packed, p, &s, MIN (r->block, pixels - x),
        r->residual->data ? yolo_tensor_at (r->residual, image, 0, x) : NULL, r->residual,
        yolo_tensor_at (r->out, image, 0, x), r->out, &shape);
  }
  end_of_block ();
}

/* Computes a block of whole output rows. Runs on the pool's threads. */
static void
row_block (gpointer data, guint index, guint thread)
{
  const Run *r = data;
  const YoloConv *conv = r->conv;
  guint image = index / r->blocks, y0 = index % r->blocks * r->block,
        rows = MIN (r->block, r->out->height - y0);
  const char *from = r->memory + thread * r->scratch;
  guint shape = 0;

  if (r->direct)
    from = yolo_tensor_at (r->in, image, y0 * conv->stride[0], 0);
  else
    copy_rows (conv, header_of (conv, r->packed).padding, r->in, image,
        (gint) (y0 * conv->stride[0]) - (gint) conv->pad[0], rows_in (conv, rows), (char *) from);
  for (guint p = 0; p < gemm_panels (conv); p++)
    for (guint y = 0; y < rows; y++) {
      YoloSum s = { from + y * conv->stride[0] * r->row, conv->stride[1] * r->pixel, r->taps,
        r->n_taps, r->k, NULL, NULL };

      line (conv, r->packed, p, &s, r->out->width,
          r->residual->data ? yolo_tensor_at (r->residual, image, y0 + y, 0) : NULL, r->residual,
          yolo_tensor_at (r->out, image, y0 + y, 0), r->out, &shape);
    }
  end_of_block ();
}

static void
one_run (YoloPool *pool, const YoloConv *conv, const void *packed, const YoloTensor *in,
    const YoloTensor *residual, const YoloTensor *out, guint n, char *memory)
{
  Run r = { conv, packed, in, residual, out, .direct = in_place (conv, in), .memory = memory };

  if (r.direct && conv->stride[0] == 1 && conv->stride[1] == 1) {
    r.block = even_block (out->height * out->width, CHUNK * YOLO_ROWS, n, yolo_pool_threads (pool));
    r.block = (r.block + YOLO_ROWS - 1) / YOLO_ROWS * YOLO_ROWS;        /* whole tiles */
    r.blocks = (out->height * out->width + r.block - 1) / r.block;
    yolo_pool_run (pool, n * r.blocks, flat_block, &r);
    return;
  }
  r.pixel = r.direct ? in->pixel : (gsize) depth (conv) * 4;
  r.row = r.direct ? in->row : padded_row (conv, in);
  r.scratch = one_scratch (conv, in);
  /* taps that lie side by side in memory are taken as one tap of all their elements */
  guint side = conv->dilation[1] == 1 ? conv->kernel[1] : 1;
  r.k = side * depth (conv);
  for (guint ky = 0; ky < conv->kernel[0]; ky++)
    for (guint kx = 0; kx < conv->kernel[1]; kx += side)
      r.taps[r.n_taps++] = ky * conv->dilation[0] * r.row + kx * conv->dilation[1] * r.pixel;
  r.block = even_block (out->height, block_rows (conv, in), n, yolo_pool_threads (pool));
  r.blocks = (out->height + r.block - 1) / r.block;
  yolo_pool_run (pool, n * r.blocks, row_block, &r);
}

/* Whether a convolution is run: in floats with groups as well, each as a convolution of its own
 * on a view of its channels. A group of one channel leaves most lanes empty; where networks have
 * such groups depthwise.c runs them. */
static gboolean
supports (const YoloConv *conv)
{
  if (TYPE == YOLO_U8 && conv->groups > 1)
    return FALSE;
  return conv->kernel[0] * (conv->dilation[1] == 1 ? 1 : conv->kernel[1]) <= MAX_TAPS;
}

static YoloConv
group_of (const YoloConv *conv, guint group)
{
  YoloConv one = *conv;

  one.groups = 1;
  one.in_channels /= conv->groups;
  one.out_channels /= conv->groups;
  one.bias += group * one.out_channels;
  if (conv->groups > 1)         /* in int8 there are no weights in floats */
    one.weights += (gsize) group * one.out_channels * one.in_channels * n_taps (conv);
  return one;
}

/* The channels of a group, of which there are @channels. */
static YoloTensor
channels_of (const YoloTensor *t, guint group, guint channels)
{
  YoloTensor part = *t;

  part.channels = channels;
  if (t->data != NULL)
    part.data = (char *) t->data + (gsize) group * channels * yolo_dtype_size (t->dtype);
  if (t->scale != NULL) {
    part.scale += group * channels;
    part.zero += group * channels;
  }
  return part;
}

static gsize
group_size (const YoloConv *conv)
{
  const YoloConv one = group_of (conv, 0);

  return (one_packed_size (&one) + 63) & ~(gsize) 63;
}

static gsize
packed_size (const YoloConv *conv)
{
  return conv->groups * group_size (conv);
}

static void
pack (const YoloConv *conv, void *packed)
{
  for (guint g = 0; g < conv->groups; g++) {
    const YoloConv one = group_of (conv, g);

    one_pack (&one, (char *) packed + g * group_size (conv));
  }
}

static gsize
scratch (const YoloConv *conv, const YoloTensor *in)
{
  const YoloConv one = group_of (conv, 0);
  const YoloTensor part = channels_of (in, 0, one.in_channels);

  return one_scratch (&one, &part);
}

static void
run (YoloPool *pool, const YoloConv *conv, const void *packed, const YoloTensor *in,
    const YoloTensor *residual, const YoloTensor *out, guint n, char *memory)
{
  for (guint g = 0; g < conv->groups; g++) {
    const YoloConv one = group_of (conv, g);
    const YoloTensor from = channels_of (in, g, one.in_channels),
                     plus = channels_of (residual, g, one.out_channels),
                     to = channels_of (out, g, one.out_channels);

    one_run (pool, &one, (const char *) packed + g * group_size (conv), &from, &plus, &to, n,
        memory);
  }
}

#ifdef YOLO_INT8
extern const YoloConvKernel YOLO_NAME (yolo_direct_int8);
const YoloConvKernel YOLO_NAME (yolo_direct_int8) = {
  "direct int8", supports, packed_size, pack, scratch, run
};
#else
extern const YoloConvKernel YOLO_NAME (yolo_direct);
const YoloConvKernel YOLO_NAME (yolo_direct) = {
  ELEMENT == ELEMENT_BF16 ? "direct bf16" : "direct f32", supports, packed_size, pack, scratch, run
};
#endif
