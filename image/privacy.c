/* SPDX-License-Identifier: MIT */
#include "image/privacy.h"

#include <math.h>
#include <string.h>

#include "base/simd.h"

#define CELL YOLO_REDACTION_CELL

void
yolo_privacy_init (YoloPrivacy *privacy)
{
  privacy->redactions = g_array_new (FALSE, FALSE, sizeof (YoloRedaction));
  privacy->masks = g_byte_array_new ();
  privacy->levels = g_array_new (FALSE, FALSE, sizeof (guint16));
  privacy->weights = g_array_new (FALSE, FALSE, sizeof (guint));
  privacy->line = g_array_new (FALSE, FALSE, sizeof (guint16));
  privacy->row = g_array_new (FALSE, FALSE, sizeof (gint));
  privacy->n_levels = 0;
}

void
yolo_privacy_clear (YoloPrivacy *privacy)
{
  g_array_unref (privacy->redactions);
  g_byte_array_unref (privacy->masks);
  g_array_unref (privacy->levels);
  g_array_unref (privacy->weights);
  g_array_unref (privacy->line);
  g_array_unref (privacy->row);
}

void
yolo_privacy_reset (YoloPrivacy *privacy)
{
  yolo_privacy_back_to (privacy, &(YoloPrivacyMark){ 0 });
}

YoloPrivacyMark
yolo_privacy_mark (const YoloPrivacy *privacy)
{
  return (YoloPrivacyMark){ privacy->redactions->len, privacy->masks->len, privacy->n_levels };
}

void
yolo_privacy_back_to (YoloPrivacy *privacy, const YoloPrivacyMark *mark)
{
  g_array_set_size (privacy->redactions, mark->redactions);
  g_byte_array_set_size (privacy->masks, mark->masks);
  privacy->n_levels = mark->n_levels;
}

/* Pixel rows of a cell. */
static gint
cell_height (const YoloCanvas *canvas)
{
  return CELL * (gint) canvas->n_fields;
}

/* The cells from the one that holds pixel @from up to the one that holds the last pixel before
 * @to, of @size pixels; what is not a number is the border. */
static void
cells_between (gdouble from, gdouble to, gint size, gint cell, gint *first, gint *end)
{
  const gint a = from > 0 ? (gint) floor (MIN (from, (gdouble) size)) : 0;
  const gint b = to < size ? (gint) ceil (MAX (to, 0.)) : size;

  *first = a / cell;
  *end = (b + cell - 1) / cell;
}

/* Adds a redaction of a rectangle of cells, which has no mask so far; NULL: the rectangle is
 * empty. */
static YoloRedaction *
add (YoloPrivacy *privacy, const YoloCanvas *canvas, const YoloPrivacyStyle *style,
    YoloRect cells)
{
  const gint width = cells.x1 - cells.x0, height = cells.y1 - cells.y0,
             blocks = CLAMP ((gint) style->blocks, 1, YOLO_PRIVACY_MAX_BLOCKS);
  const gint longer = MAX (width, height * (gint) canvas->n_fields);
  YoloRedaction r = { .mode = style->mode, .cells = cells, .mask = -1 };
  gsize n_levels;

  if (width <= 0 || height <= 0)
    return NULL;
  /* of one cell, a small object would keep its shape */
  r.block_width = MAX ((longer + blocks - 1) / blocks, 2);
  r.block_width += r.block_width % (gint) canvas->n_fields;
  r.block_height = r.block_width / (gint) canvas->n_fields;
  r.columns = (width + r.block_width - 1) / r.block_width;
  r.rows = (height + r.block_height - 1) / r.block_height;
  r.levels = (gint) privacy->n_levels;
  for (guint i = 0; i < YOLO_DRAW_COMPONENTS; i++)
    r.value[i] = style->color.value[i];
  n_levels = (gsize) canvas->n_components * (gsize) r.columns * (gsize) r.rows;
  /* beyond what can be counted, the colour hides as well */
  if (privacy->n_levels + n_levels > G_MAXINT)
    r.mode = YOLO_REDACTION_FILL;
  if (r.mode != YOLO_REDACTION_FILL)
    privacy->n_levels += n_levels;
  g_array_append_val (privacy->redactions, r);
  return &g_array_index (privacy->redactions, YoloRedaction, privacy->redactions->len - 1);
}

gboolean
yolo_privacy_add_box (YoloPrivacy *privacy, const YoloCanvas *canvas,
    const YoloPrivacyStyle *style, const gdouble box[4])
{
  YoloRect cells;

  if (box[0] >= box[2] || box[1] >= box[3] || box[2] <= 0 || box[3] <= 0
      || box[0] >= canvas->width || box[1] >= canvas->height)
    return FALSE;
  cells_between (box[0], box[2], canvas->width, CELL, &cells.x0, &cells.x1);
  cells_between (box[1], box[3], canvas->height, cell_height (canvas), &cells.y0, &cells.y1);
  return add (privacy, canvas, style, cells) != NULL;
}

/* Gives the redaction a mask of zeros, [rows of cells][columns of cells]. NULL: the masks are more
 * than can be counted, and all of the rectangle stays redacted. */
static guint8 *
add_mask (YoloPrivacy *privacy, YoloRedaction *r)
{
  const gsize size = (gsize) (r->cells.x1 - r->cells.x0) * (gsize) (r->cells.y1 - r->cells.y0);

  if (privacy->masks->len + size > G_MAXINT)
    return NULL;
  r->mask = (gint) privacy->masks->len;
  g_byte_array_set_size (privacy->masks, privacy->masks->len + (guint) size);
  return memset (privacy->masks->data + r->mask, 0, size);
}

/* Takes the redaction that was added last off again, unless its mask has a cell. */
static gboolean
keep_if_any (YoloPrivacy *privacy, guint8 *mask, gsize n_levels)
{
  const guint8 *end = privacy->masks->data + privacy->masks->len;

  for (const guint8 *at = mask; at < end; at++)
    if (*at)
      return TRUE;
  g_byte_array_set_size (privacy->masks, (guint) (mask - privacy->masks->data));
  g_array_set_size (privacy->redactions, privacy->redactions->len - 1);
  privacy->n_levels = n_levels;
  return FALSE;
}

/* Polygons */

/* Marks the cells of one row of the mask, [y0, y1) in pixels, that an edge passes through. */
static void
mark_edge (guint8 *row, gint n, gdouble origin, const gfloat *from, const gfloat *to, gdouble y0,
    gdouble y1)
{
  const gboolean down = from[1] <= to[1];
  const gdouble xa = down ? from[0] : to[0], ya = down ? from[1] : to[1],
                xb = down ? to[0] : from[0], yb = down ? to[1] : from[1];
  gdouble enters = xa, leaves = xb, low, high;

  if (yb < y0 || ya > y1)
    return;
  if (ya < y0)
    enters = xa + (xb - xa) * (y0 - ya) / (yb - ya);
  if (yb > y1)
    leaves = xa + (xb - xa) * (y1 - ya) / (yb - ya);
  low = (MIN (enters, leaves) - origin) / CELL;
  high = (MAX (enters, leaves) - origin) / CELL;
  if (high < 0 || low >= n)
    return;
  low = MAX (floor (low), 0);
  high = MIN (floor (high), n - 1);
  memset (row + (gint) low, 1, (gsize) (high - low) + 1);
}

/* Marks the cells of one row of the mask, whose middles are at @y, that the outline goes around.
 * @turns: [n + 1], to count in. */
static void
mark_inside (guint8 *row, gint n, gdouble origin, const gfloat *points, guint n_points, gdouble y,
    gint *turns)
{
  gint number = 0;

  memset (turns, 0, sizeof (gint) * ((gsize) n + 1));
  for (guint i = 0; i < n_points; i++) {
    const gfloat *a = points + 2 * i, *b = points + 2 * ((i + 1) % n_points);
    gdouble x;

    if ((a[1] <= y) == (b[1] <= y))
      continue;
    x = a[0] + ((gdouble) b[0] - a[0]) * (y - a[1]) / ((gdouble) b[1] - a[1]);
    /* the first cell whose middle is right of the edge */
    turns[(gint) CLAMP (ceil ((x - origin) / CELL - .5), 0, n)] += a[1] <= y ? 1 : -1;
  }
  for (gint i = 0; i < n; i++) {
    number += turns[i];
    row[i] = number != 0;
  }
}

/* A cell that a polygon touches is one that an edge passes through, or lies inside as a whole. */
gboolean
yolo_privacy_add_polygon (YoloPrivacy *privacy, const YoloCanvas *canvas,
    const YoloPrivacyStyle *style, const gfloat *points, guint n)
{
  const gsize n_levels = privacy->n_levels;
  const gint height = cell_height (canvas);
  gdouble box[4] = { G_MAXDOUBLE, G_MAXDOUBLE, -G_MAXDOUBLE, -G_MAXDOUBLE };
  YoloRedaction *r;
  guint8 *mask;
  gint width;

  for (guint i = 0; i < n; i++)
    for (guint k = 0; k < 2; k++) {
      if (!isfinite (points[2 * i + k]))
        return FALSE;
      box[k] = MIN (box[k], points[2 * i + k]);
      box[2 + k] = MAX (box[2 + k], points[2 * i + k]);
    }
  if (n < 3 || !yolo_privacy_add_box (privacy, canvas, style, box))
    return FALSE;

  r = &g_array_index (privacy->redactions, YoloRedaction, privacy->redactions->len - 1);
  mask = add_mask (privacy, r);
  if (mask == NULL)
    return TRUE;
  width = r->cells.x1 - r->cells.x0;
  g_array_set_size (privacy->row, (guint) width + 1);
  for (gint y = r->cells.y0; y < r->cells.y1; y++) {
    guint8 *row = mask + (gsize) (y - r->cells.y0) * (gsize) width;

    mark_inside (row, width, r->cells.x0 * CELL, points, n, (y + .5) * height,
        (gint *) privacy->row->data);
    for (guint i = 0; i < n; i++)
      mark_edge (row, width, r->cells.x0 * CELL, points + 2 * i, points + 2 * ((i + 1) % n),
          y * height, (y + 1) * height);
  }
  return keep_if_any (privacy, mask, n_levels);
}

/* Objects' pixels */

/* Marks the cells around those that are marked: along rows, where cells lie @step bytes apart and
 * rows @stride, [n] of [m], by @grow cells. */
static void
spread (guint8 *mask, gint n, gint step, gint m, gint stride, gint grow)
{
  for (gint k = 0; k < m; k++) {
    guint8 *line = mask + (gsize) k * (gsize) stride;
    gint last = -grow - 1;      /* the last cell that was marked from the beginning */

    /* 2: marked by this */
    for (gint i = 0; i < n; i++) {
      guint8 *cell = line + (gsize) i * (gsize) step;

      if (*cell == 1)
        last = i;
      else if (i - last <= grow)
        *cell = 2;
    }
    last = n + grow + 1;
    for (gint i = n; i-- > 0;) {
      guint8 *cell = line + (gsize) i * (gsize) step;

      if (*cell == 1)
        last = i;
      else if (last - i <= grow)
        *cell = 2;
    }
    for (gint i = 0; i < n; i++)
      line[(gsize) i * (gsize) step] = line[(gsize) i * (gsize) step] != 0;
  }
}

gboolean
yolo_privacy_add_pixels (YoloPrivacy *privacy, const YoloCanvas *canvas,
    const YoloPrivacyStyle *style, const guint8 *pixels, gint x, gint y, gint width, gint height,
    gint grow_x, gint grow_y)
{
  const gsize n_levels = privacy->n_levels;
  const gint down = cell_height (canvas);
  const gdouble box[4] = { (gdouble) x - grow_x, (gdouble) y - grow_y,
    (gdouble) x + width + grow_x, (gdouble) y + height + grow_y };
  YoloRedaction *r;
  guint8 *mask;
  gint columns;

  if (width <= 0 || height <= 0 || !yolo_privacy_add_box (privacy, canvas, style, box))
    return FALSE;
  r = &g_array_index (privacy->redactions, YoloRedaction, privacy->redactions->len - 1);
  mask = add_mask (privacy, r);
  if (mask == NULL)
    return TRUE;
  columns = r->cells.x1 - r->cells.x0;
  for (gint row = MAX (0, -y); row < height && y + row < canvas->height; row++) {
    guint8 *cells = mask + (gsize) ((y + row) / down - r->cells.y0) * (gsize) columns;

    for (gint column = MAX (0, -x); column < width && x + column < canvas->width; column++)
      cells[(x + column) / CELL - r->cells.x0] |= pixels[(gsize) row * (gsize) width
                                                      + (gsize) column] != 0;
  }
  spread (mask, columns, 1, r->cells.y1 - r->cells.y0, columns, (grow_x + CELL - 1) / CELL);
  spread (mask, r->cells.y1 - r->cells.y0, columns, columns, 1, (grow_y + down - 1) / down);
  return keep_if_any (privacy, mask, n_levels);
}

/* What the samples become */

static guint8 *
sample_at (const YoloComponent *c, gint x, gint y)
{
  return c->data + (gssize) y * c->stride + (gssize) x * c->pixel_stride;
}

/* Sums of 32 bits are enough for 2^24 bytes. */
YOLO_SIMD static guint32
sum_bytes (const guint8 *at, gint n)
{
  guint32 sum = 0;

  for (gint x = 0; x < n; x++)
    sum += at[x];
  return sum;
}

/* The sum of a row of samples. */
static guint64
sum_row (const YoloComponent *c, const guint8 *at, gint n)
{
  guint64 sum = 0;

  if (!c->wide && c->pixel_stride == 1)
    return sum_bytes (at, n);
  for (gint x = 0; x < n; x++)
    sum += yolo_redaction_read (c, at + (gssize) x * c->pixel_stride);
  return sum;
}

/* Levels are [components][rows][columns] behind each other. */
static guint16 *
levels_of (YoloPrivacy *privacy, const YoloRedaction *r, guint component)
{
  return (guint16 *) privacy->levels->data + r->levels
      + (gsize) component * (gsize) r->rows * (gsize) r->columns;
}

static void
take_levels (YoloPrivacy *privacy, const YoloCanvas *canvas, const YoloRedaction *r,
    guint component)
{
  const YoloComponent *c = &canvas->component[component];
  guint16 *levels = levels_of (privacy, r, component);

  for (gint row = 0; row < r->rows; row++)
    for (gint column = 0; column < r->columns; column++) {
      const YoloRect s =
          yolo_redaction_samples (canvas, c, yolo_redaction_block (r, column, row));
      guint64 sum = 0, n = 0;

      for (gint y = s.y0; y < s.y1; y++) {
        sum += sum_row (c, sample_at (c, s.x0, y), s.x1 - s.x0);
        n += (guint64) (s.x1 - s.x0);
      }
      *levels++ = yolo_redaction_level (c, sum, n);
    }
}

/* A redaction's samples of one component, and where their levels come from. */
typedef struct {
  const YoloRedaction *r;
  const YoloComponent *c;
  YoloRect samples;             /* of all cells */
  gint across, down;            /* samples of a block */
  const guint16 *levels;        /* [rows][columns] */
  const guint *weights;         /* [3][across]: of the samples of a block; BLUR alone */
  gint *row;                    /* [columns]: the levels between rows of blocks; BLUR alone */
  guint16 *line;                /* [samples.x1 - samples.x0]: the levels of the row in hand */
} Painter;

/* The samples of a block along a row, between levels @a, @b and @c in the middles of the block
 * before it, its own, and that of the one behind it. */
YOLO_SIMD static void
blend_block (guint16 *restrict line, const guint *restrict weights, gint n, gint n_weights,
    guint a, guint b, guint c)
{
  const guint *restrict before = weights, *restrict own = weights + n_weights,
              *restrict behind = weights + 2 * (gsize) n_weights;

  /* yolo_redaction_blend() */
  for (gint i = 0; i < n; i++)
    line[i] = (guint16) ((before[i] * a + own[i] * b + behind[i] * c + 16384) >> 15);
}

YOLO_SIMD static void
write_bytes (guint8 *restrict at, const guint16 *restrict line, gint n)
{
  for (gint i = 0; i < n; i++)
    at[i] = (guint8) ((line[i] + 128u) >> 8);
}

/* The levels of row y, counted from the redaction's first. */
static void
make_line (const Painter *p, guint component, gint y)
{
  const gint width = p->samples.x1 - p->samples.x0, row = y / p->down;
  const gsize n = (gsize) p->r->columns;
  const guint fill = yolo_redaction_fill_level (p->c, p->r->value[component]);
  const YoloRedactionTap tap = yolo_redaction_tap (y, p->down, p->r->rows);

  for (gsize i = 0; p->r->mode == YOLO_REDACTION_BLUR && i < n; i++)
    p->row[i] = (gint) yolo_redaction_blend (&tap, p->levels[(gsize) tap.index[0] * n + i],
        p->levels[(gsize) tap.index[1] * n + i], p->levels[(gsize) tap.index[2] * n + i]);
  for (gint column = 0; column * p->across < width; column++) {
    guint16 *line = p->line + column * p->across;
    const gint end = MIN (p->across, width - column * p->across);

    switch (p->r->mode) {
      case YOLO_REDACTION_BLUR:
        blend_block (line, p->weights, end, p->across, (guint) p->row[MAX (column - 1, 0)],
            (guint) p->row[column], (guint) p->row[MIN (column + 1, p->r->columns - 1)]);
        break;
      case YOLO_REDACTION_PIXELATE:
        for (gint i = 0; i < end; i++)
          line[i] = p->levels[(gsize) row * n + (gsize) column];
        break;
      case YOLO_REDACTION_FILL:
        for (gint i = 0; i < end; i++)
          line[i] = (guint16) fill;
        break;
    }
  }
}

/* Whether the line of row y differs from that of the row above. */
static gboolean
needs_line (const Painter *p, gint y)
{
  return y == 0 || p->r->mode == YOLO_REDACTION_BLUR
      || (p->r->mode == YOLO_REDACTION_PIXELATE && y % p->down == 0);
}

/* Writes row y: runs of cells, of @cell samples each, that are redacted. */
static void
write_row (const Painter *p, const guint8 *mask, gint cell, gint y)
{
  const gint n_cells = p->r->cells.x1 - p->r->cells.x0, width = p->samples.x1 - p->samples.x0;

  for (gint from = 0, to; from < n_cells; from = to + 1) {
    for (to = from; to < n_cells && (mask == NULL || mask[to]); to++);
    const gint x0 = MIN (from * cell, width), x1 = MIN (to * cell, width);
    guint8 *at = sample_at (p->c, p->samples.x0 + x0, p->samples.y0 + y);

    if (p->c->pixel_stride == 1)
      write_bytes (at, p->line + x0, x1 - x0);
    else
      for (gint x = x0; x < x1; x++, at += p->c->pixel_stride)
        yolo_redaction_write (p->c, at, p->line[x]);
  }
}

static void
paint (YoloPrivacy *privacy, const YoloCanvas *canvas, const YoloRedaction *r, guint component)
{
  const YoloComponent *c = &canvas->component[component];
  const gint cell_x = CELL >> c->shift_x, cell_y = (CELL >> c->shift_y) * (gint) canvas->n_fields;
  const gsize n_cells = (gsize) (r->cells.x1 - r->cells.x0);
  const guint8 *mask = r->mask >= 0 ? privacy->masks->data + r->mask : NULL;
  Painter p = {
    .r = r, .c = c,
    .samples = yolo_redaction_samples (canvas, c, r->cells),
    .across = cell_x * r->block_width, .down = cell_y * r->block_height,
  };
  const gint width = p.samples.x1 - p.samples.x0, height = p.samples.y1 - p.samples.y0;

  if (width <= 0)
    return;
  if (r->mode != YOLO_REDACTION_FILL)
    p.levels = levels_of (privacy, r, component);
  g_array_set_size (privacy->line, (guint) width);
  p.line = (guint16 *) privacy->line->data;
  if (r->mode == YOLO_REDACTION_BLUR) {
    g_array_set_size (privacy->weights, 3 * (guint) p.across);
    g_array_set_size (privacy->row, (guint) r->columns);
    for (gint x = 0; x < p.across; x++)
      for (gint k = 0; k < 3; k++)
        g_array_index (privacy->weights, guint, k * p.across + x) =
            yolo_redaction_tap (x, p.across, 1).weight[k];
    p.weights = (const guint *) privacy->weights->data;
    p.row = (gint *) privacy->row->data;
  }
  for (gint y = 0; y < height; y++) {
    if (needs_line (&p, y))
      make_line (&p, component, y);
    write_row (&p, mask != NULL ? mask + (gsize) (y / cell_y) * n_cells : NULL, cell_x, y);
  }
}

void
yolo_privacy_apply (YoloPrivacy *privacy, const YoloCanvas *canvas)
{
  const YoloRedaction *r = (const YoloRedaction *) privacy->redactions->data;
  guint i, component;

  g_array_set_size (privacy->levels, (guint) privacy->n_levels);
  for (i = 0; i < privacy->redactions->len; i++)
    for (component = 0; component < canvas->n_components; component++)
      if (r[i].mode != YOLO_REDACTION_FILL)
        take_levels (privacy, canvas, &r[i], component);
  for (i = 0; i < privacy->redactions->len; i++)
    for (component = 0; component < canvas->n_components; component++)
      paint (privacy, canvas, &r[i], component);
}

gboolean
yolo_privacy_rows (const YoloPrivacy *privacy, const YoloCanvas *canvas, gint *y0, gint *y1)
{
  *y0 = canvas->height;
  *y1 = 0;
  for (guint i = 0; i < privacy->redactions->len; i++) {
    const YoloRect *cells = &g_array_index (privacy->redactions, YoloRedaction, i).cells;

    *y0 = MIN (*y0, cells->y0 * cell_height (canvas));
    *y1 = MAX (*y1, MIN (cells->y1 * cell_height (canvas), canvas->height));
  }
  return *y0 < *y1;
}
