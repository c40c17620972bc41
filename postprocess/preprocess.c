/* Preprocess, a row at a time.
 *
 * For each row of the source that an output row needs: the samples of the
 * needed columns are gathered into dense arrays, converted to R G B, and
 * scaled along the row to 15-bit sums; two such rows make an output row. All
 * but the gather runs on arrays that lie in the first-level cache and is
 * vectorised by the compiler. The results are those of
 * yolo_preprocess_reference(), bit for bit. */

#include "postprocess/preprocess.h"
#include "postprocess/sample.h"
#include "postprocess/simd.h"
#include "postprocess/tensor.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* What the tables depend on. */
typedef struct {
  YoloPixelFormat format;
  int x, src_width, src_height, width, height;
} Geometry;

struct _YoloPreprocess {
  Geometry geometry;
  YoloScale scale;
  bool one_tap;                 /* a column of the output is a column of the source */
  int n_taps;                   /* columns that are gathered */
  int32_t *first, *others;      /* [n_taps] bytes into the row: of component 0, of 1 and 2 */
  int32_t *pick[2];             /* [width] the two taps of a column of the output; NULL: itself, and itself + width */
  int16_t *weight[2];           /* [width] in 2048ths */
  void *tables;
  size_t tables_size;
  uint8_t *scratch;             /* of all threads */
  size_t scratch_size;
};

/* One frame's run, the same for all threads. */
typedef struct {
  const YoloPreprocess *pre;
  const YoloFrame *frame;
  const YoloLayout *layout;
  const YoloLetterbox *box;
  YoloColour colour;
  int x, y;                     /* of the visible part */
  uint8_t *dst;
  YoloTensorType type;
  int channels;
} Run;

/* Of one thread. */
typedef struct {
  uint16_t *samples[3];         /* [n_taps] Y U V */
  uint8_t *taps[3];             /* [n_taps] R G B */
  int16_t *sums[2][3];          /* [width] two source rows scaled along the row */
  int row[2];                   /* which they are, or -1 */
  uint8_t *levels[3];           /* [width] an output row, R G B */
  uint8_t *packed;              /* [3 * width] the same, RGBRGB */
} Scratch;

YoloPreprocess *
yolo_preprocess_new (void)
{
  return calloc (1, sizeof (YoloPreprocess));
}

void
yolo_preprocess_free (YoloPreprocess *pre)
{
  if (!pre)
    return;
  free (pre->tables);
  free (pre->scratch);
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

static bool
grow (void **mem, size_t *have, size_t need)
{
  if (need <= *have)
    return true;
  void *p = aligned_alloc (64, (need + 63) & ~(size_t) 63);
  if (!p)
    return false;
  free (*mem);
  *mem = p;
  *have = need;
  return true;
}

static void
place_tables (YoloPreprocess *pre, uint8_t *base, size_t *size, int width, bool picks)
{
  size_t n = (size_t) pre->n_taps;

  *size = 0;
  pre->first = take (base, size, n * sizeof (int32_t));
  pre->others = take (base, size, n * sizeof (int32_t));
  for (int k = 0; k < 2; k++) {
    pre->pick[k] = picks ? take (base, size, (size_t) width * sizeof (int32_t)) : NULL;
    pre->weight[k] = take (base, size, (size_t) width * sizeof (int16_t));
  }
}

/* Columns closer than two source pixels share taps: every column of the
 * source is gathered and converted once, then picked from. */
static bool
make_tables (YoloPreprocess *pre, const Geometry *g)
{
  const YoloLayout *layout = &yolo_layouts[g->format];
  int width = g->width;
  size_t size;

  pre->geometry = (Geometry) { .width = 0 };
  pre->scale = yolo_scale (g->src_width, g->src_height, width, g->height);
  pre->one_tap = pre->scale != YOLO_SCALE_HALF;
  if (pre->scale == YOLO_SCALE_LINEAR)
    for (int x = 0; x < width && pre->one_tap; x++)
      pre->one_tap = yolo_tap_column (x, g->src_width, width).weight[1] == 0;

  int sparse = pre->one_tap ? width : 2 * width;
  bool picks = sparse > g->src_width;
  pre->n_taps = picks ? g->src_width : sparse;

  place_tables (pre, NULL, &size, width, picks);
  if (!grow (&pre->tables, &pre->tables_size, size))
    return false;
  place_tables (pre, pre->tables, &size, width, picks);

  for (int x = 0; x < width; x++) {
    YoloTap t = { .index = { x, x }, .weight = { 2048, 0 } };
    if (pre->scale == YOLO_SCALE_HALF)
      t = (YoloTap) { .index = { 2 * x, 2 * x + 1 } };
    else if (pre->scale == YOLO_SCALE_LINEAR)
      t = yolo_tap_column (x, g->src_width, width);
    for (int k = 0; k < 2; k++) {
      pre->weight[k][x] = t.weight[k];
      if (picks)
        pre->pick[k][x] = t.index[k];
      else if (k == 0 || !pre->one_tap)
        pre->first[k * width + x] = t.index[k];
    }
  }
  for (int i = 0; i < pre->n_taps; i++) {
    int column = g->x + (picks ? i : pre->first[i]);
    pre->first[i] = (column >> layout->component[0].x_shift) * layout->component[0].step;
    pre->others[i] = (column >> layout->component[1].x_shift) * layout->component[1].step;
  }
  pre->geometry = *g;
  return true;
}

static size_t
place_scratch (const YoloPreprocess *pre, uint8_t *base, Scratch *s)
{
  size_t size = 0, n = (size_t) pre->n_taps, width = (size_t) pre->geometry.width;

  for (int c = 0; c < 3; c++) {
    s->samples[c] = take (base, &size, n * sizeof (uint16_t));
    s->taps[c] = take (base, &size, n);
    for (int k = 0; k < 2; k++)
      s->sums[k][c] = take (base, &size, width * sizeof (int16_t));
    s->levels[c] = take (base, &size, width);
  }
  s->packed = take (base, &size, 3 * width);
  s->row[0] = s->row[1] = -1;
  return size;
}

/* -- along a source row -- */

static void
gather_levels (const uint8_t *row, const int32_t *at, int n, uint8_t *out)
{
  for (int i = 0; i < n; i++)
    out[i] = row[at[i]];
}

static void
gather_samples (const uint8_t *row, const int32_t *at, int n, uint16_t *out)
{
  for (int i = 0; i < n; i++)
    out[i] = row[at[i]];
}

static void
gather_words (const uint8_t *row, const int32_t *at, int n, uint16_t *out)
{
  for (int i = 0; i < n; i++) {
    uint16_t word;
    memcpy (&word, row + at[i], sizeof word);   /* rows may be unaligned */
    out[i] = word >> 6;
  }
}

static inline uint8_t
clamp_level (int32_t v)
{
  return (uint8_t) (v < 0 ? 0 : v > 255 ? 255 : v);
}

YOLO_SIMD static void
convert (const YoloColour *colour, int n, const uint16_t *restrict y,
    const uint16_t *restrict u, const uint16_t *restrict v, uint8_t *restrict r,
    uint8_t *restrict g, uint8_t *restrict b)
{
  const int32_t (*m)[3] = colour->factor;
  const int32_t luma = m[0][0], rv = m[0][2], gu = m[1][1], gv = m[1][2], bu = m[2][1];
  const int32_t r0 = colour->offset[0], g0 = colour->offset[1], b0 = colour->offset[2];

  for (int i = 0; i < n; i++) {
    int32_t l = luma * y[i];
    r[i] = clamp_level ((l + rv * v[i] + r0) >> 16);
    g[i] = clamp_level ((l + gu * u[i] + gv * v[i] + g0) >> 16);
    b[i] = clamp_level ((l + bu * u[i] + b0) >> 16);
  }
}

YOLO_SIMD static void
convert_grey (const YoloColour *colour, int n, const uint16_t *restrict y, uint8_t *restrict level)
{
  const int32_t *m = colour->factor[0];
  const int32_t luma = m[0], offset = colour->offset[0] + (m[1] + m[2]) * 128;

  for (int i = 0; i < n; i++)
    level[i] = clamp_level ((luma * y[i] + offset) >> 16);
}

YOLO_SIMD static void
add_pairs (int n, const uint8_t *restrict a, const uint8_t *restrict b, int16_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = (int16_t) (a[i] + b[i]);
}

YOLO_SIMD static void
weigh_pairs (int n, const uint8_t *restrict a, const uint8_t *restrict b,
    const int16_t *restrict wa, const int16_t *restrict wb, int16_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = (int16_t) ((a[i] * wa[i] + b[i] * wb[i]) >> 4);
}

static void
pick_and_weigh (int n, const uint8_t *taps, int32_t *const pick[2], int16_t *const weight[2],
    int16_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = (int16_t) ((taps[pick[0][i]] * weight[0][i] + taps[pick[1][i]] * weight[1][i]) >> 4);
}

YOLO_SIMD static void
widen (int n, const uint8_t *restrict a, int16_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = (int16_t) (a[i] << 7);     /* times 2048, >> 4 */
}

/* R G B of the needed columns of a row of the visible part into s->taps. */
static void
fetch (const Run *run, int row, Scratch *s)
{
  const YoloPreprocess *pre = run->pre;
  const YoloLayout *layout = run->layout;
  int n = pre->n_taps;

  row += run->y;
  for (int c = 0; c < layout->n_components; c++) {
    int plane = layout->component[c].plane;
    const uint8_t *p = (const uint8_t *) run->frame->plane[plane]
        + (row >> layout->component[c].y_shift) * run->frame->stride[plane]
        + layout->component[c].offset;
    const int32_t *at = c == 0 ? pre->first : pre->others;
    if (!layout->yuv)
      gather_levels (p, at, n, s->taps[c]);
    else if (layout->bits == 8)
      gather_samples (p, at, n, s->samples[c]);
    else
      gather_words (p, at, n, s->samples[c]);
  }
  if (layout->n_components == 1) {
    convert_grey (&run->colour, n, s->samples[0], s->taps[0]);
    memcpy (s->taps[1], s->taps[0], (size_t) n);
    memcpy (s->taps[2], s->taps[0], (size_t) n);
  } else if (layout->yuv) {
    convert (&run->colour, n, s->samples[0], s->samples[1], s->samples[2],
        s->taps[0], s->taps[1], s->taps[2]);
  }
}

/* A source row scaled along the row, into s->sums[slot]. */
static void
scale_row (const Run *run, int row, Scratch *s, int slot)
{
  const YoloPreprocess *pre = run->pre;
  int n = pre->geometry.width;

  fetch (run, row, s);
  for (int c = 0; c < 3; c++) {
    const uint8_t *taps = s->taps[c];
    int16_t *out = s->sums[slot][c];
    if (pre->scale == YOLO_SCALE_HALF)
      add_pairs (n, taps, taps + n, out);
    else if (pre->pick[0])
      pick_and_weigh (n, taps, pre->pick, pre->weight, out);
    else if (pre->one_tap)
      widen (n, taps, out);
    else
      weigh_pairs (n, taps, taps + n, pre->weight[0], pre->weight[1], out);
  }
  s->row[slot] = row;
}

/* -- across rows -- */

YOLO_SIMD static void
mean_of_sums (int n, const int16_t *restrict a, const int16_t *restrict b, uint8_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = (uint8_t) ((a[i] + b[i] + 2) >> 2);
}

YOLO_SIMD static void
blend (int n, const int16_t *restrict a, const int16_t *restrict b, int16_t wa, int16_t wb,
    uint8_t *restrict out)
{
  for (int i = 0; i < n; i++)
    out[i] = (uint8_t) ((((a[i] * wa) >> 16) + ((b[i] * wb) >> 16) + 2) >> 2);
}

/* Makes the two source rows present; says where they are. */
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

/* The row y of the scaled frame into s->levels. */
static void
make_row (const Run *run, int y, Scratch *s)
{
  const YoloPreprocess *pre = run->pre;
  const Geometry *g = &pre->geometry;
  int n = g->width, slot[2];

  if (pre->scale == YOLO_SCALE_HALF) {
    need_rows (run, (int[2]) { 2 * y, 2 * y + 1 }, s, slot);
    for (int c = 0; c < 3; c++)
      mean_of_sums (n, s->sums[slot[0]][c], s->sums[slot[1]][c], s->levels[c]);
    return;
  }

  YoloTap t = { .index = { y, y }, .weight = { 2048, 0 } };
  if (pre->scale == YOLO_SCALE_LINEAR)
    t = yolo_tap_row (y, g->src_height, g->height);
  if (pre->one_tap && !pre->pick[0] && t.weight[1] == 0) {
    fetch (run, t.index[0], s);
    for (int c = 0; c < 3; c++)
      memcpy (s->levels[c], s->taps[c], (size_t) n);
    return;
  }
  if (t.weight[1] == 0)
    t.index[1] = t.index[0];
  need_rows (run, t.index, s, slot);
  for (int c = 0; c < 3; c++)
    blend (n, s->sums[slot[0]][c], s->sums[slot[1]][c], t.weight[0], t.weight[1], s->levels[c]);
}

/* -- into the tensor -- */

YOLO_SIMD static void
interleave (int n, const uint8_t *restrict r, const uint8_t *restrict g,
    const uint8_t *restrict b, uint8_t *restrict out)
{
  for (int i = 0; i < n; i++) {
    out[3 * i] = r[i];
    out[3 * i + 1] = g[i];
    out[3 * i + 2] = b[i];
  }
}

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
store (int n, const uint8_t *in, void *out, YoloTensorType type)
{
  switch (type) {
    case YOLO_TENSOR_U8:
      memcpy (out, in, (size_t) n);
      break;
    case YOLO_TENSOR_F32:
      store_f32 (n, in, out);
      break;
    case YOLO_TENSOR_F16:
      store_f16 (n, in, out);
      break;
    case YOLO_TENSOR_BF16:
      store_bf16 (n, in, out);
      break;
  }
}

static uint8_t *
pixel (const Run *run, int x, int y)
{
  size_t i = ((size_t) y * run->box->net_width + x) * run->channels;
  return run->dst + i * yolo_tensor_element_size (run->type);
}

static void
store_row (const Run *run, int y, Scratch *s)
{
  int n = run->pre->geometry.width;
  uint8_t *out = pixel (run, run->box->left, y);

  if (run->channels == 3) {
    interleave (n, s->levels[0], s->levels[1], s->levels[2], s->packed);
    store (3 * n, s->packed, out, run->type);
    return;
  }
  for (int x = 0; x < n; x++)
    for (int c = 0; c < run->channels; c++)
      yolo_tensor_set (out, run->type, (size_t) x * run->channels + c, c < 3 ? s->levels[c][x] : 0);
}

static void
store_border (const Run *run, int x, int y, int n)
{
  uint8_t *out = pixel (run, x, y);

  for (int i = 0; i < n; i++)
    for (int c = 0; c < run->channels; c++)
      yolo_tensor_set (out, run->type, (size_t) i * run->channels + c, c < 3 ? YOLO_BORDER : 0);
}

/**
 * yolo_preprocess_run:
 * @pre: of one thread at a time
 * @frame: the crop, where it has one, inside the frame; formats' planes as GStreamer lays them out
 * @box: made for the size of the frame's visible part
 * @dst: (out): [net_height][net_width][channels] of @type
 * @type: of the elements
 * @channels: 3 or more
 *
 * Returns: false when out of memory; @dst is then undefined
 */
bool
yolo_preprocess_run (YoloPreprocess *pre, const YoloFrame *frame,
    const YoloLetterbox *box, void *dst, YoloTensorType type, int channels)
{
  Run run = {
    .pre = pre, .frame = frame, .layout = &yolo_layouts[frame->format], .box = box,
    .x = frame->crop.x, .y = frame->crop.y,
    .dst = dst, .type = type, .channels = channels,
  };
  Geometry g = {
    .format = frame->format, .x = run.x,
    .src_width = frame->crop.width, .src_height = frame->crop.height,
    .width = box->width, .height = box->height,
  };
  if (g.src_width == 0 && g.src_height == 0) {
    run.x = run.y = g.x = 0;
    g.src_width = frame->width;
    g.src_height = frame->height;
  }
  if (memcmp (&g, &pre->geometry, sizeof g) != 0 && !make_tables (pre, &g))
    return false;
  yolo_colour_init (&run.colour, frame->matrix, frame->full_range, run.layout->bits);

  Scratch unused;
  size_t per_thread = place_scratch (pre, NULL, &unused);
  int threads = omp_get_max_threads ();
  void *scratch = pre->scratch;
  if (!grow (&scratch, &pre->scratch_size, per_thread * (size_t) threads))
    return false;
  pre->scratch = scratch;

  int right = box->left + box->width, bottom = box->top + box->height;
#pragma omp parallel num_threads (threads)
  {
    Scratch s;
    place_scratch (pre, pre->scratch + (size_t) omp_get_thread_num () * per_thread, &s);

#pragma omp for schedule (static) nowait
    for (int y = box->top; y < bottom; y++) {
      make_row (&run, y - box->top, &s);
      store_border (&run, 0, y, box->left);
      store_row (&run, y, &s);
      store_border (&run, right, y, box->net_width - right);
    }
#pragma omp for schedule (static)
    for (int i = 0; i < box->net_height - box->height; i++)
      store_border (&run, 0, i < box->top ? i : i + box->height, box->net_width);
  }
  return true;
}
