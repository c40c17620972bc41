/* SPDX-License-Identifier: MIT */
/* All formats are the same here: up to four components, each a grid of
 * samples that cover one or more pixels. Costs nothing per frame but the
 * pixels that are drawn. */

#include "image/canvas.h"
#include "image/frame.h"

#include <string.h>

#define OPAQUE YOLO_OPAQUE

YoloRect
yolo_rect_intersect (YoloRect a, YoloRect b)
{
  return (YoloRect) {
    MAX (a.x0, b.x0), MAX (a.y0, b.y0), MIN (a.x1, b.x1), MIN (a.y1, b.y1)
  };
}

static gboolean
is_empty (YoloRect r)
{
  return r.x1 <= r.x0 || r.y1 <= r.y0;
}

static YoloRect
mirror (YoloRect r, guint turn, gint width, gint height)
{
  if (turn & YOLO_TURN_MIRROR_X)
    r = (YoloRect) { width - r.x1, r.y0, width - r.x0, r.y1 };
  if (turn & YOLO_TURN_MIRROR_Y)
    r = (YoloRect) { r.x0, height - r.y1, r.x1, height - r.y0 };
  return r;
}

static YoloRect
transpose (YoloRect r, guint turn)
{
  return turn & YOLO_TURN_TRANSPOSE ? (YoloRect) { r.y0, r.x0, r.y1, r.x1 } : r;
}

YoloRect
yolo_rect_to_frame (YoloRect rect, guint turn, gint width, gint height)
{
  return mirror (transpose (rect, turn), turn, width, height);
}

YoloRect
yolo_rect_to_upright (YoloRect rect, guint turn, gint width, gint height)
{
  return transpose (mirror (rect, turn, width, height), turn);
}

static inline void
blend_sample (const YoloComponent *c, guint8 *p, guint value, guint opacity)
{
  guint16 word;

  if (!c->wide) {
    *p = yolo_draw_mix (*p, value, opacity);
    return;
  }
  memcpy (&word, p, sizeof word);
  word = yolo_draw_mix (GUINT16_FROM_LE (word) >> c->depth_shift, value, opacity) << c->depth_shift;
  word = GUINT16_TO_LE (word);
  memcpy (p, &word, sizeof word);
}

static void
blend_run (const YoloComponent *c, guint8 *p, gint n, guint value, guint opacity)
{
  gint i;

  if (opacity == 0)
    return;
  if (opacity == OPAQUE && c->pixel_stride == 1)
    memset (p, value, n);
  else if (opacity == OPAQUE && !c->wide)
    for (i = 0; i < n; i++)
      p[i * c->pixel_stride] = value;
  else
    for (i = 0; i < n; i++)
      blend_sample (c, p + i * c->pixel_stride, value, opacity);
}

/* Row y of a field of a component; NULL: the row is not in memory. Whether an interlaced frame
 * of, say, 6 rows has 3 or 4 rows of chroma depends on the format and on who made it; the last
 * row is left alone. */
static inline guint8 *
row_of (const YoloComponent *c, gint row, guint field, guint n_fields)
{
  const gint number = row * (gint) n_fields + (gint) field;

  return number < c->rows ? c->data + (gssize) number * c->stride : NULL;
}

/* One row of samples; `rows` pixel rows high, of which `in_outer` and
 * `in_inner` lie in the rectangles. */
static void
fill_row (const YoloComponent *c, guint8 *row, gint width, const YoloRect *outer,
    const YoloRect *inner, gint rows, gint in_outer, gint in_inner, guint value)
{
  const guint s = c->shift_x;
  const gint end = ((outer->x1 - 1) >> s) + 1;
  gint x = outer->x0 >> s;

  while (x < end) {
    const gint x0 = x << s, x1 = MIN ((x + 1) << s, width);
    const gint filled = in_outer * yolo_draw_overlap (x0, x1, outer->x0, outer->x1)
        - in_inner * yolo_draw_overlap (x0, x1, inner->x0, inner->x1);
    gint edge = outer->x1, n = 1;

    /* up to the next edge all samples are filled alike */
    if (inner->x1 > x0)
      edge = MIN (edge, inner->x1);
    if (inner->x0 > x0)
      edge = MIN (edge, inner->x0);
    if (outer->x0 <= x0)
      n = MAX ((edge >> s) - x, 1);
    blend_run (c, row + (gssize) x * c->pixel_stride, n, value,
        OPAQUE * filled / (rows * (x1 - x0)));
    x += n;
  }
}

static void
fill_field (const YoloCanvas *canvas, const YoloComponent *c, guint field, YoloRect outer,
    YoloRect inner, guint value)
{
  const guint n_fields = canvas->n_fields, s = c->shift_y;
  const gint height = (canvas->height + (gint) (n_fields - 1 - field)) / (gint) n_fields;
  gint y;

  outer = yolo_draw_to_field (outer, field, n_fields);
  inner = yolo_draw_to_field (inner, field, n_fields);
  for (y = outer.y0 >> s; y << s < outer.y1; y++) {
    const gint y0 = y << s, y1 = MIN ((y + 1) << s, height);
    guint8 *row = row_of (c, y, field, n_fields);

    if (row)
      fill_row (c, row, canvas->width, &outer, &inner, y1 - y0,
          yolo_draw_overlap (y0, y1, outer.y0, outer.y1),
          yolo_draw_overlap (y0, y1, inner.y0, inner.y1), value);
  }
}

/* -- strokes that are kept instead of being drawn -- */

void
yolo_drawing_init (YoloDrawing *drawing)
{
  drawing->strokes = g_array_new (FALSE, FALSE, sizeof (YoloStroke));
  drawing->masks = g_byte_array_new ();
}

void
yolo_drawing_clear (YoloDrawing *drawing)
{
  g_array_unref (drawing->strokes);
  g_byte_array_unref (drawing->masks);
}

void
yolo_drawing_reset (YoloDrawing *drawing)
{
  g_array_set_size (drawing->strokes, 0);
  g_byte_array_set_size (drawing->masks, 0);
}

static YoloStroke *
keep_stroke (YoloDrawing *drawing, YoloRect outer, YoloRect inner, const YoloColor *color)
{
  YoloStroke stroke = { .outer = outer, .inner = inner, .mask = -1 };
  guint i;

  for (i = 0; i < YOLO_DRAW_COMPONENTS; i++)
    stroke.value[i] = color->value[i];
  g_array_append_val (drawing->strokes, stroke);
  return &g_array_index (drawing->strokes, YoloStroke, drawing->strokes->len - 1);
}

/* The text's cache may drop the mask before it is drawn. */
static void
keep_mask (YoloStroke *stroke, YoloDrawing *drawing, const YoloMask *mask, gint x, gint y)
{
  stroke->mask = drawing->masks->len;
  stroke->mask_x = x;
  stroke->mask_y = y;
  stroke->mask_stride = mask->stride;
  g_byte_array_append (drawing->masks, mask->alpha, mask->stride * mask->height);
}

void
yolo_canvas_fill (YoloCanvas *canvas, YoloRect outer, YoloRect inner, const YoloColor *color)
{
  guint i, field;

  outer = yolo_rect_intersect (outer, canvas->clip);
  if (is_empty (outer))
    return;
  inner = yolo_rect_intersect (inner, outer);
  if (is_empty (inner))
    inner = (YoloRect) { outer.x0, outer.y0, outer.x0, outer.y0 };

  if (canvas->drawing) {
    keep_stroke (canvas->drawing, outer, inner, color);
    return;
  }
  for (i = 0; i < canvas->n_components; i++)
    for (field = 0; field < canvas->n_fields; field++)
      fill_field (canvas, &canvas->component[i], field, outer, inner, color->value[i]);
}

/* The mask's sum over the pixels of a sample, [x0, x1) by rows [y0, y1) of a
 * field, that lie in `rect`; all in pixels of the field. */
static inline guint
mask_sum (const YoloMask *mask, YoloRect rect, gint x0, gint x1, gint y0, gint y1,
    gint mask_x, gint mask_y, guint field, guint n_fields)
{
  guint sum = 0;
  gint x, y;

  for (y = MAX (y0, rect.y0); y < MIN (y1, rect.y1); y++) {
    const gint mask_row = y * (gint) n_fields + (gint) field - mask_y;
    const guint8 *alpha = mask->alpha + (gssize) mask_row * mask->stride - mask_x;

    for (x = MAX (x0, rect.x0); x < MIN (x1, rect.x1); x++)
      sum += alpha[x];
  }
  return sum;
}

/* Samples of one pixel each: most of what a label is made of. */
static void
blend_row (const YoloComponent *c, guint8 *row, const guint8 *alpha, gint x0, gint x1, guint value)
{
  gint x;

  for (x = x0; x < x1; x++)
    if (alpha[x])
      blend_sample (c, row + (gssize) x * c->pixel_stride, value, alpha[x] * (OPAQUE / 255));
}

static void
blend_field (const YoloCanvas *canvas, const YoloComponent *c, guint field,
    const YoloMask *mask, YoloRect rect, gint mask_x, gint mask_y, guint value)
{
  const guint n_fields = canvas->n_fields;
  const gint height = (canvas->height + (gint) (n_fields - 1 - field)) / (gint) n_fields;
  gint x, y;

  rect = yolo_draw_to_field (rect, field, n_fields);
  for (y = rect.y0 >> c->shift_y; y << c->shift_y < rect.y1; y++) {
    const gint y0 = y << c->shift_y, y1 = MIN ((y + 1) << c->shift_y, height);
    guint8 *row = row_of (c, y, field, n_fields);

    if (row && c->shift_x == 0 && c->shift_y == 0) {
      const gint mask_row = y * (gint) n_fields + (gint) field - mask_y;

      blend_row (c, row, mask->alpha + (gssize) mask_row * mask->stride - mask_x, rect.x0, rect.x1,
          value);
      continue;
    }
    for (x = rect.x0 >> c->shift_x; row && x << c->shift_x < rect.x1; x++) {
      const gint x0 = x << c->shift_x, x1 = MIN ((x + 1) << c->shift_x, canvas->width);
      const guint sum = mask_sum (mask, rect, x0, x1, y0, y1, mask_x, mask_y, field, n_fields);

      /* 4 / pixels is whole: a sample covers 1, 2 or 4 */
      if (sum)
        blend_sample (c, row + (gssize) x * c->pixel_stride, value,
            sum * (4 / ((x1 - x0) * (y1 - y0))));
    }
  }
}

void
yolo_canvas_blend (YoloCanvas *canvas, const YoloMask *mask, gint x, gint y,
    const YoloColor *color)
{
  const YoloRect rect = yolo_rect_intersect ((YoloRect) { x, y, x + mask->width, y + mask->height },
      canvas->clip);
  guint i, field;

  if (is_empty (rect))
    return;
  if (canvas->drawing) {
    keep_mask (
        keep_stroke (canvas->drawing, rect, (YoloRect){ 0 }, color), canvas->drawing, mask, x, y);
    return;
  }
  for (i = 0; i < canvas->n_components; i++)
    for (field = 0; field < canvas->n_fields; field++)
      blend_field (canvas, &canvas->component[i], field, mask, rect, x, y, color->value[i]);
}
