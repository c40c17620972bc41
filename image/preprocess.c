/* SPDX-License-Identifier: MIT */
/* Preprocess, a row at a time.
 *
 * For each row of the source that an output row needs: the samples of the
 * needed columns are gathered into a dense array, a 32-bit word a column,
 * converted to R G B in place, and scaled along the row to 15-bit sums; two
 * such rows make an output row. All arrays fit into the first two levels of
 * the cache, and all but the gather is vectorised by the compiler. The results
 * are those of yolo_preprocess_reference(), bit for bit. */

#include "image/preprocess.h"
#include "image/crop.h"
#include "image/grow.h"
#include "image/sample.h"
#include "base/simd.h"
#include "image/tensor.h"

#include <stdlib.h>
#include <string.h>

/* A word holds R G B 0 as bytes in memory, or Y U V from the lowest bit on. */
_Static_assert (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read as bytes");

/* What the tables of columns depend on: they are made anew when any of it changes. */
typedef struct {
  YoloPixelFormat format;
  unsigned turn;                /* YOLO_TURN_* */
  /* the column of the frame where rows of the visible part begin; of a transposed frame, whose
   * upright rows are its columns, the row where they begin */
  int start;
  /* pixels of the visible part, and of what it is scaled to, as the picture stands upright */
  int src_width, src_height, width, height;
} Geometry;

struct _YoloPreprocess {
  YoloPool *pool;               /* or NULL: the caller works alone */
  Geometry geometry;
  YoloScale scale;
  bool one_tap;                 /* a column of the output is a column of the source */
  bool dense;                   /* every column of the source is fetched */
  bool reversed;                /* `dense`, and the last column comes first in memory */
  int n_taps;                   /* how many columns of the source are fetched ("taps") */
  /* [n_taps] where a tap lies in a row, in bytes: in component 0, and in components 1 and 2.
   * In a transposed frame `first` are numbers of rows of the frame. */
  int32_t *first, *others;
  /* [width] if `dense`: the left tap of each column of the output, whose right tap is the next
   * one. Otherwise it is not used: taps i and width + i belong to column i. */
  int32_t *pick;
  /* [4 * width] of the left and of the right taps, in 2048ths; the same number stands four
   * times, for the four bytes of a word. */
  int16_t *weight[2];
  void *tables;
  size_t tables_size;
  void *scratch;                /* one Scratch for each thread, one behind the other */
  size_t scratch_size;
  YoloCrop *crop;               /* owned; NULL until a box of yolo_letterbox_crop() comes */
  /* all rows of a transposed frame that has to be unpacked, since one upright row needs a
   * pixel of each of them */
  void *unpacked;
  size_t unpacked_size;
};

/* One frame's run, the same for all threads. */
typedef struct {
  const YoloPreprocess *pre;
  const YoloFrame *frame;
  const YoloLayout *layout;
  const YoloLetterbox *box;
  YoloColour colour;
  int x, y;                     /* pixels; where the visible part begins in the frame */
  bool transposed;              /* upright rows are columns of the frame */
  bool flipped;                 /* the first upright row is the last in the frame */
  uint8_t *dst;
  YoloDType type;
  int channels;
  size_t scratch;               /* bytes that one thread has of pre->scratch */
} Run;

/* The memory that one thread works in. Rows of pixels are words of R G B 0. */
typedef struct {
  uint8_t *unpacked;            /* a source row, of a frame that has to be unpacked */
  /* [n_taps + 1] the taps of a source row; YOLO_SCALE_HALF needs two rows at once */
  uint32_t *taps[2];
  uint32_t *pair[2];            /* [width] the left and the right taps of the output's columns */
  int16_t *sums[2];             /* [4 * width] two source rows, scaled along the row */
  int row[2];                   /* which source rows `sums` holds; -1: none */
  uint32_t *line;               /* [net_width] a row of the output with its borders */
  uint32_t *border;             /* [net_width] a row of the output that is nothing but border */
  uint8_t *packed;              /* [3 * net_width + 1] a row of the output as R G B R G B ... */
} Scratch;

YoloPreprocess *
yolo_preprocess_new (YoloPool *pool)
{
  YoloPreprocess *pre = calloc (1, sizeof (YoloPreprocess));

  if (pre)
    pre->pool = pool;
  return pre;
}

void
yolo_preprocess_free (YoloPreprocess *pre)
{
  if (!pre)
    return;
  free (pre->tables);
  free (pre->scratch);
  free (pre->unpacked);
  yolo_crop_free (pre->crop);
  free (pre);
}

/* Takes `size` bytes from *at, aligned for vectors; with base NULL only counts. */
static void *
take (uint8_t *base, size_t *at, size_t size)
{
  void *p = base ? base + *at : NULL;
  *at += (size + 63) & ~(size_t) 63;
  return p;
}

static size_t
place_tables (YoloPreprocess *pre, uint8_t *base, int width)
{
  size_t size = 0;

  pre->first = take (base, &size, (size_t) pre->n_taps * sizeof (int32_t));
  pre->others = take (base, &size, (size_t) pre->n_taps * sizeof (int32_t));
  pre->pick = take (base, &size, (size_t) width * sizeof (int32_t));
  for (int k = 0; k < 2; k++)
    pre->weight[k] = take (base, &size, 4 * (size_t) width * sizeof (int16_t));
  return size;
}

/* How many columns can be copied and converted, vectorised, in the time that
 * it takes to gather one. */
#define COLUMNS_PER_GATHER 3

static bool
make_tables (YoloPreprocess *pre, const Geometry *g)
{
  const YoloLayout *layout = &yolo_layouts[g->format];
  int width = g->width;
  bool transposed = g->turn & YOLO_TURN_TRANSPOSE;
  bool mirrored = g->turn & (transposed ? YOLO_TURN_MIRROR_Y : YOLO_TURN_MIRROR_X);

  pre->geometry = (Geometry) { .width = 0 };    /* not valid until all is done */
  pre->scale = yolo_scale (g->src_width, g->src_height, width, g->height);
  pre->one_tap = pre->scale != YOLO_SCALE_HALF;
  for (int x = 0; x < width && pre->one_tap && pre->scale == YOLO_SCALE_LINEAR; x++)
    pre->one_tap = yolo_tap_column (x, g->src_width, width).weight[1] == 0;
  pre->n_taps = pre->one_tap ? width : 2 * width;
  /* down a column of the frame, nothing can be copied as vectors */
  pre->dense = transposed ? pre->scale == YOLO_SCALE_HALF
      : (int64_t) pre->n_taps * COLUMNS_PER_GATHER >= g->src_width;
  pre->reversed = pre->dense && !transposed && mirrored;
  if (pre->dense)
    pre->n_taps = g->src_width;

  if (!yolo_grow (&pre->tables, &pre->tables_size, place_tables (pre, NULL, width)))
    return false;
  place_tables (pre, pre->tables, width);

  for (int x = 0; x < width; x++) {
    YoloTap t = yolo_tap_column (x, g->src_width, width);
    for (int c = 0; c < 4; c++) {
      pre->weight[0][4 * x + c] = t.weight[0];
      pre->weight[1][4 * x + c] = t.weight[1];
    }
    pre->pick[x] = t.index[0];
    if (!pre->dense) {
      pre->first[x] = t.index[0];
      if (!pre->one_tap)
        pre->first[width + x] = t.index[1];
    }
  }
  for (int i = 0; i < pre->n_taps; i++) {
    int column = pre->dense ? i : pre->first[i];
    if (mirrored && !pre->reversed)
      column = g->src_width - 1 - column;
    column += g->start;
    pre->first[i] =
        transposed ? column : (column >> layout->component[0].x_shift) * layout->component[0].step;
    pre->others[i] = (column >> layout->component[1].x_shift) * layout->component[1].step;
  }
  pre->geometry = *g;
  return true;
}

static size_t
place_scratch (const Run *run, uint8_t *base, Scratch *s)
{
  const YoloPreprocess *pre = run->pre;
  size_t size = 0, n = (size_t) pre->n_taps + 1;
  size_t width = (size_t) pre->geometry.width, line = (size_t) run->box->net_width;

  for (int k = 0; k < 2; k++) {
    s->taps[k] = take (base, &size, n * sizeof (uint32_t));
    s->pair[k] = take (base, &size, width * sizeof (uint32_t));
    s->sums[k] = take (base, &size, 4 * width * sizeof (int16_t));
    s->row[k] = -1;
  }
  s->line = take (base, &size, line * sizeof (uint32_t));
  s->border = take (base, &size, line * sizeof (uint32_t));
  s->packed = take (base, &size, 3 * line + 1);
  s->unpacked = take (base, &size, run->frame->unpack ? yolo_unpacked_row (run->frame) : 0);
  return size;
}

/* -- along a source row -- */

/* Puts the three samples of each tap into a word, 8 bits each, wherever in the row they lie.
 * @c0, @c1, @c2: the rows of the three components; @first, @others: [n] bytes into them. */
static void
gather_bytes (int n, const uint8_t *c0, const uint8_t *c1, const uint8_t *c2,
    const int32_t *restrict first, const int32_t *restrict others, uint32_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = c0[first[i]] | (uint32_t) c1[others[i]] << 8 | (uint32_t) c2[others[i]] << 16;
}

static inline uint32_t
ten_bits (const uint8_t *p, int shift)
{
  uint16_t word;
  memcpy (&word, p, sizeof word);       /* rows may be unaligned */
  return word >> shift & 1023;
}

static void
gather_words (int n, int shift, const uint8_t *c0, const uint8_t *c1, const uint8_t *c2,
    const int32_t *restrict first, const int32_t *restrict others, uint32_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = ten_bits (c0 + first[i], shift) | ten_bits (c1 + others[i], shift) << 10
        | ten_bits (c2 + others[i], shift) << 20;
}

/* The same for neighbouring columns, from the pointers on, which is vectorised: for formats
 * whose every pixel has samples of all components ... */
static inline void
copy_pixels (int n, const uint8_t *c0, const uint8_t *c1, const uint8_t *c2, int step,
    uint32_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = c0[step * i] | (uint32_t) c1[step * i] << 8 | (uint32_t) c2[step * i] << 16;
}

static inline void
copy_words (int n, const uint8_t *c0, const uint8_t *c1, const uint8_t *c2, int step, int shift,
    uint32_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = ten_bits (c0 + step * i, shift) | ten_bits (c1 + step * i, shift) << 10
        | ten_bits (c2 + step * i, shift) << 20;
}

/* ... and for formats where two columns share their chroma; the first column is the left one
 * of such a pair. */
static inline void
copy_pairs (int n, const uint8_t *c0, const uint8_t *c1, const uint8_t *c2, int step,
    int chroma_step, uint32_t *restrict out)
{
  for (int i = 0; i < n / 2; i++) {
    uint32_t chroma = (uint32_t) c1[chroma_step * i] << 8 | (uint32_t) c2[chroma_step * i] << 16;
    out[2 * i] = c0[step * 2 * i] | chroma;
    out[2 * i + 1] = c0[step * (2 * i + 1)] | chroma;
  }
}

static inline void
copy_word_pairs (int n, const uint8_t *c0, const uint8_t *c1, const uint8_t *c2,
    int chroma_step, int shift, uint32_t *restrict out)
{
  for (int i = 0; i < n / 2; i++) {
    uint32_t chroma =
        ten_bits (c1 + chroma_step * i, shift) << 10 | ten_bits (c2 + chroma_step * i, shift) << 20;
    out[2 * i] = ten_bits (c0 + 4 * i, shift) | chroma;
    out[2 * i + 1] = ten_bits (c0 + 4 * i + 2, shift) | chroma;
  }
}

static inline void
copy_grey (int n, const uint8_t *c0, uint32_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = c0[i] | 128 << 8 | 128 << 16;
}

/* Steps are written out as constants, so that the compiler vectorises each case for itself. */
YOLO_SIMD static void
copy_columns (YoloPixelFormat format, int n, const uint8_t *c0, const uint8_t *c1,
    const uint8_t *c2, uint32_t *restrict out)
{
  switch (format) {
    case YOLO_FORMAT_RGB:
    case YOLO_FORMAT_BGR:
      copy_pixels (n, c0, c1, c2, 3, out);
      break;
    case YOLO_FORMAT_RGBA:
    case YOLO_FORMAT_BGRA:
    case YOLO_FORMAT_ARGB:
    case YOLO_FORMAT_AYUV:
      copy_pixels (n, c0, c1, c2, 4, out);
      break;
    case YOLO_FORMAT_Y444:
      copy_pixels (n, c0, c1, c2, 1, out);
      break;
    case YOLO_FORMAT_ARGB64:
      copy_pixels (n, c0, c1, c2, 8, out);
      break;
    case YOLO_FORMAT_AYUV64:
      copy_words (n, c0, c1, c2, 8, 6, out);
      break;
    case YOLO_FORMAT_GRAY8:
      copy_grey (n, c0, out);
      break;
    case YOLO_FORMAT_NV12:
    case YOLO_FORMAT_NV21:
      copy_pairs (n, c0, c1, c2, 1, 2, out);
      break;
    case YOLO_FORMAT_I420:
    case YOLO_FORMAT_Y42B:
      copy_pairs (n, c0, c1, c2, 1, 1, out);
      break;
    case YOLO_FORMAT_YUY2:
    case YOLO_FORMAT_UYVY:
      copy_pairs (n, c0, c1, c2, 2, 4, out);
      break;
    case YOLO_FORMAT_P010:
      copy_word_pairs (n, c0, c1, c2, 4, 6, out);
      break;
    case YOLO_FORMAT_I420_10:
      copy_word_pairs (n, c0, c1, c2, 2, 0, out);
      break;
    case YOLO_N_FORMATS:
      break;
  }
}

static inline uint32_t
clamp_level (int32_t v)
{
  return (uint32_t) (v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Y U V of `bits` bits each to R G B, in place. */
YOLO_SIMD static void
convert_yuv (const YoloColour *colour, int n, int bits, uint32_t *restrict words)
{
  const int32_t (*m)[3] = colour->factor;
  const int32_t luma = m[0][0], rv = m[0][2], gu = m[1][1], gv = m[1][2], bu = m[2][1];
  const int32_t r0 = colour->offset[0], g0 = colour->offset[1], b0 = colour->offset[2];
  const uint32_t mask = (1u << bits) - 1;

  for (int i = 0; i < n; i++) {
    int32_t y = (int32_t) (words[i] & mask);
    int32_t u = (int32_t) (words[i] >> bits & mask);
    int32_t v = (int32_t) (words[i] >> 2 * bits & mask);
    uint32_t r = clamp_level ((luma * y + rv * v + r0) >> 16);
    uint32_t g = clamp_level ((luma * y + gu * u + gv * v + g0) >> 16);
    uint32_t b = clamp_level ((luma * y + bu * u + b0) >> 16);
    words[i] = r | g << 8 | b << 16;
  }
}

static void
gather (const Run *run, const uint8_t *const c[3], int from, int to, uint32_t *taps)
{
  const int32_t *first = run->pre->first + from, *others = run->pre->others + from;

  if (run->layout->bits == 8)
    gather_bytes (to - from, c[0], c[1], c[2], first, others, taps + from);
  else
    gather_words (to - from, run->layout->shift, c[0], c[1], c[2], first, others, taps + from);
}

/* The same down a column of a transposed frame: the samples of the needed rows. */
static void
gather_bytes_down (int n, const uint8_t *const c[3], const ptrdiff_t stride[3],
    const int y_shift[3], const int32_t *restrict rows, uint32_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = c[0][(rows[i] >> y_shift[0]) * stride[0]]
        | (uint32_t) c[1][(rows[i] >> y_shift[1]) * stride[1]] << 8
        | (uint32_t) c[2][(rows[i] >> y_shift[2]) * stride[2]] << 16;
}

static void
gather_words_down (int n, int shift, const uint8_t *const c[3], const ptrdiff_t stride[3],
    const int y_shift[3], const int32_t *restrict rows, uint32_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = ten_bits (c[0] + (rows[i] >> y_shift[0]) * stride[0], shift)
        | ten_bits (c[1] + (rows[i] >> y_shift[1]) * stride[1], shift) << 10
        | ten_bits (c[2] + (rows[i] >> y_shift[2]) * stride[2], shift) << 20;
}

static void
fetch_column (const Run *run, int column, uint32_t *taps)
{
  static const uint8_t middle = 128;    /* the chroma of all rows of a grey frame */
  const YoloLayout *layout = run->layout;
  const uint8_t *c[3] = { NULL, &middle, &middle };
  ptrdiff_t stride[3] = { 0 };
  int y_shift[3] = { 0 };

  for (int i = 0; i < layout->n_components; i++) {
    int plane = layout->component[i].plane;
    c[i] = (const uint8_t *) run->frame->plane[plane] + layout->component[i].offset
        + (ptrdiff_t) (column >> layout->component[i].x_shift) * layout->component[i].step;
    stride[i] = run->frame->stride[plane];
    y_shift[i] = layout->component[i].y_shift;
  }
  if (layout->bits == 8)
    gather_bytes_down (run->pre->n_taps, c, stride, y_shift, run->pre->first, taps);
  else
    gather_words_down (run->pre->n_taps, layout->shift, c, stride, y_shift, run->pre->first, taps);
}

YOLO_SIMD static void
reverse (int n, uint32_t *words)
{
  for (int i = 0; i < n / 2; i++) {
    uint32_t word = words[i];
    words[i] = words[n - 1 - i];
    words[n - 1 - i] = word;
  }
}

/* The samples of the needed columns of a row of the visible part, upright. */
static void
fetch (const Run *run, int row, uint8_t *unpacked, uint32_t *taps)
{
  static const uint8_t middle = 128;    /* the chroma of all columns of a grey frame */
  const YoloPreprocess *pre = run->pre;
  const YoloLayout *layout = run->layout;
  const uint8_t *c[3] = { NULL, &middle, &middle };
  int n = pre->n_taps;

  if (run->flipped)
    row = pre->geometry.src_height - 1 - row;
  if (run->transposed) {
    fetch_column (run, run->x + row, taps);
    return;
  }
  row += run->y;
  if (run->frame->unpack)
    run->frame->unpack (run->frame->source, row, unpacked);
  for (int i = 0; i < layout->n_components; i++) {
    int plane = layout->component[i].plane;
    const uint8_t *line = run->frame->unpack ? unpacked : (const uint8_t *) run->frame->plane[plane]
        + (row >> layout->component[i].y_shift) * run->frame->stride[plane];
    c[i] = line + layout->component[i].offset;
  }

  if (pre->dense) {
    bool pairs = layout->component[1].x_shift;
    int before = pairs && run->x % 2;   /* 1: the first column is the right one of a pair */
    int copied = pairs ? (n - before) & ~1 : n;
    gather (run, c, 0, before, taps);
    if (copied)
      copy_columns (run->frame->format, copied, c[0] + pre->first[before],
          c[1] + pre->others[before], c[2] + pre->others[before], taps + before);
    gather (run, c, before + copied, n, taps);
    if (pre->reversed)
      reverse (n, taps);
  } else {
    gather (run, c, 0, n, taps);
  }
}

static void
convert (const Run *run, int n, uint32_t *words)
{
  if (run->layout->yuv)
    convert_yuv (&run->colour, n, run->layout->bits, words);
}

YOLO_SIMD static void
weigh (int n, const uint8_t *restrict a, const uint8_t *restrict b,
    const int16_t *restrict wa, const int16_t *restrict wb, int16_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = (int16_t) ((a[i] * wa[i] + b[i] * wb[i]) >> 4);
}

static void
pick (int n, const uint32_t *restrict from, const int32_t *restrict at, uint32_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = from[at[i]];
}

/* A source row scaled along the row, into s->sums[slot]. */
static void
scale_row (const Run *run, int row, Scratch *s, int slot)
{
  const YoloPreprocess *pre = run->pre;
  int n = pre->geometry.width, n_taps = pre->n_taps;
  uint32_t *taps = s->taps[0], *left = taps, *right = taps + (pre->one_tap ? 0 : n);
  /* whether it is less work to convert all taps than those that are picked of them */
  bool convert_first = !pre->dense || n_taps <= 2 * n;

  fetch (run, row, s->unpacked, taps);
  if (convert_first)
    convert (run, n_taps, taps);
  if (pre->dense) {
    left = s->pair[0];
    right = s->pair[1];
    taps[n_taps] = 0;           /* right of the last column, of weight 0 */
    pick (n, taps, pre->pick, left);
    pick (n, taps + 1, pre->pick, right);
  }
  if (!convert_first) {
    convert (run, n, left);
    convert (run, n, right);
  }
  weigh (4 * n, (const uint8_t *) left, (const uint8_t *) right, pre->weight[0], pre->weight[1],
      s->sums[slot]);
  s->row[slot] = row;
}

/* -- across rows -- */

/* The mean of four pixels for each of n: every second byte of the words at a time, so that a sum
 * of four levels has room and does not run over into the next one. */
YOLO_SIMD static void
mean_of_four (
    int n, const uint32_t *restrict top, const uint32_t *restrict bottom, uint32_t *restrict out)
{
  const uint32_t mask = 0x00ff00ff, half = 0x00020002;

  for (int i = 0; i < n; i++) {
    uint32_t a = top[2 * i], b = top[2 * i + 1], c = bottom[2 * i], d = bottom[2 * i + 1];
    uint32_t even = (a & mask) + (b & mask) + (c & mask) + (d & mask) + half;
    uint32_t odd = (a >> 8 & mask) + (b >> 8 & mask) + (c >> 8 & mask) + (d >> 8 & mask) + half;
    out[i] = (even >> 2 & mask) | (odd >> 2 & mask) << 8;
  }
}

YOLO_SIMD static void
blend (int n, const int16_t *restrict a, const int16_t *restrict b, int16_t wa, int16_t wb,
    uint8_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = (uint8_t) ((((a[i] * wa) >> 16) + ((b[i] * wb) >> 16) + 2) >> 2);
}

/* Sees to it that two source rows are scaled along the row; slot[k]: which of s->sums is
 * rows[k]. */
static void
need_rows (const Run *run, const int rows[2], Scratch *s, int slot[2])
{
  for (int k = 0; k < 2; k++) {
    slot[k] = s->row[0] == rows[k] ? 0 : s->row[1] == rows[k] ? 1 : -1;
    if (slot[k] >= 0)
      continue;
    slot[k] = s->row[0] == rows[1 - k] ? 1 : 0;
    scale_row (run, rows[k], s, slot[k]);
  }
}

/* The row y of the scaled frame. */
static void
make_row (const Run *run, int y, Scratch *s, uint32_t *out)
{
  const YoloPreprocess *pre = run->pre;
  const Geometry *g = &pre->geometry;
  int slot[2];

  if (pre->scale == YOLO_SCALE_HALF) {
    fetch (run, 2 * y, s->unpacked, s->taps[0]);
    fetch (run, 2 * y + 1, s->unpacked, s->taps[1]);
    convert (run, pre->n_taps, s->taps[0]);
    convert (run, pre->n_taps, s->taps[1]);
    mean_of_four (g->width, s->taps[0], s->taps[1], out);
    return;
  }

  YoloTap t = yolo_tap_row (y, g->src_height, g->height);
  if (t.weight[1] == 0)
    t.index[1] = t.index[0];
  if (t.weight[1] == 0 && pre->one_tap) {       /* weights of 2048 alone change nothing */
    fetch (run, t.index[0], s->unpacked, pre->n_taps == g->width ? out : s->taps[0]);
    if (pre->n_taps != g->width)
      pick (g->width, s->taps[0], pre->pick, out);
    convert (run, g->width, out);
    return;
  }
  need_rows (run, t.index, s, slot);
  blend (
      4 * g->width, s->sums[slot[0]], s->sums[slot[1]], t.weight[0], t.weight[1], (uint8_t *) out);
}

/* -- into the tensor -- */

YOLO_SIMD static void
store_f32 (int n, const uint8_t *restrict in, float *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = (float) in[i];
}

YOLO_SIMD static void
store_f16 (int n, const uint8_t *restrict in, uint16_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = yolo_f16_from_level (in[i]);
}

YOLO_SIMD static void
store_bf16 (int n, const uint8_t *restrict in, uint16_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = yolo_bf16_from_level (in[i]);
}

static void
store (int n, const uint8_t *in, void *out, YoloDType type)
{
  switch (type) {
    case YOLO_U8:
      memcpy (out, in, (size_t) n);
      break;
    case YOLO_F32:
      store_f32 (n, in, out);
      break;
    case YOLO_F16:
      store_f16 (n, in, out);
      break;
    case YOLO_BF16:
      store_bf16 (n, in, out);
      break;
    case YOLO_S8:              /* has no place for levels above 127 */
      break;
  }
}

/* From R G B 0 to R G B: each word is written over the fourth byte of the word before it. */
static void
pack (int n, const uint32_t *restrict words, uint8_t *restrict out)
{
  for (int i = 0; i < n; i++)
    memcpy (out + 3 * i, &words[i], sizeof words[i]);
}

static void
store_row (const Run *run, int y, const uint32_t *words, Scratch *s)
{
  int n = run->box->net_width, channels = run->channels;
  size_t row = (size_t) n * channels * yolo_dtype_size (run->type);
  uint8_t *out = run->dst + (size_t) y * row;
  const uint8_t *levels = (const uint8_t *) words;

  if (channels == 3) {
    pack (n, words, s->packed);
    store (3 * n, s->packed, out, run->type);
  } else if (channels == 4) {
    store (4 * n, levels, out, run->type);
  } else {
    memset (out, 0, row);
    for (int x = 0; x < n; x++)
      for (int c = 0; c < 3; c++)
        yolo_tensor_set (out, run->type, (size_t) x * channels + c, levels[4 * x + c]);
  }
}

#define BLOCK 16                /* rows of the output; few, so that threads end together */

static void
make_block (void *data, unsigned index, unsigned thread)
{
  const Run *run = data;
  const YoloLetterbox *box = run->box;
  int first = (int) index * BLOCK,
      end = first + BLOCK < box->net_height ? first + BLOCK : box->net_height;
  Scratch s;

  place_scratch (run, (uint8_t *) run->pre->scratch + thread * run->scratch, &s);
  for (int x = 0; x < box->net_width; x++)
    s.line[x] = s.border[x] = YOLO_BORDER * 0x010101;
  for (int y = first; y < end; y++) {
    if (y < box->top || y >= box->top + box->height) {
      store_row (run, y, s.border, &s);
    } else {
      make_row (run, y - box->top, &s, s.line + box->left);
      store_row (run, y, s.line, &s);
    }
  }
}

typedef struct {
  const YoloFrame *frame;
  uint8_t *pixels;
  size_t row;                   /* bytes */
} Unpacking;

static void
unpack_block (void *data, unsigned index, unsigned thread)
{
  const Unpacking *u = data;
  int first = (int) index * BLOCK,
      end = first + BLOCK < u->frame->height ? first + BLOCK : u->frame->height;

  for (int y = first; y < end; y++)
    u->frame->unpack (u->frame->source, y, u->pixels + (size_t) y * u->row);
}

/* Unpacks all rows of a frame, for transposed ones, and describes them in @unpacked. FALSE: out
 * of memory. */
static bool
unpack_all (YoloPreprocess *pre, const YoloFrame *frame, YoloFrame *unpacked)
{
  Unpacking u = { .frame = frame, .row = (yolo_unpacked_row (frame) + 63) & ~(size_t) 63 };

  if (!yolo_grow (&pre->unpacked, &pre->unpacked_size, u.row * (size_t) frame->height))
    return false;
  u.pixels = pre->unpacked;
  yolo_pool_run (pre->pool, (unsigned) (frame->height + BLOCK - 1) / BLOCK, unpack_block, &u);
  *unpacked = *frame;
  unpacked->unpack = NULL;
  unpacked->plane[0] = u.pixels;
  unpacked->stride[0] = (ptrdiff_t) u.row;
  return true;
}

/**
 * yolo_preprocess_run:
 * @pre: of one thread at a time
 * @frame: in memory of the host; formats' planes as GStreamer lays them out
 * @box: of the frame's visible part, which lies inside the frame
 * @dst: (out): [net_height][net_width][channels] of @type
 * @type: of the elements
 * @channels: 3 or more
 *
 * Returns: false when out of memory; @dst is then undefined
 */
bool
yolo_preprocess_run (YoloPreprocess *pre, const YoloFrame *frame,
    const YoloLetterbox *box, void *dst, YoloDType type, int channels)
{
  bool transposed = box->turn & YOLO_TURN_TRANSPOSE;
  YoloFrame unpacked;

  if (box->crop)
    return yolo_crop_run (&pre->crop, pre, pre->pool, frame, box, dst, type, channels);
  if (frame->unpack && transposed) {
    if (!unpack_all (pre, frame, &unpacked))
      return false;
    frame = &unpacked;
  }

  Run run = {
    .pre = pre,
    .frame = frame,
    .layout = &yolo_layouts[frame->format],
    .box = box,
    .x = box->x,
    .y = box->y,
    .transposed = transposed,
    .flipped = box->turn & (transposed ? YOLO_TURN_MIRROR_X : YOLO_TURN_MIRROR_Y),
    .dst = dst,
    .type = type,
    .channels = channels,
  };
  Geometry g = {
    .format = frame->format,
    .turn = box->turn,
    .start = transposed ? run.y : run.x,
    .src_width = box->src_width,
    .src_height = box->src_height,
    .width = box->width,
    .height = box->height,
  };
  if (memcmp (&g, &pre->geometry, sizeof g) != 0 && !make_tables (pre, &g))
    return false;
  yolo_colour_init (&run.colour, frame->matrix, frame->full_range, run.layout->bits);

  Scratch unused;
  run.scratch = place_scratch (&run, NULL, &unused);
  if (!yolo_grow (&pre->scratch, &pre->scratch_size,
          run.scratch * (pre->pool ? yolo_pool_threads (pre->pool) : 1)))
    return false;

  yolo_pool_run (pre->pool, (unsigned) (box->net_height + BLOCK - 1) / BLOCK, make_block, &run);
  return true;
}
