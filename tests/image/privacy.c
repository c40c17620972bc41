/* SPDX-License-Identifier: MIT */
/* What is redacted depends on the means of few blocks and on nothing else; what a shape touches is
 * redacted, to the last sample of chroma; all else is as it was. */

#include "image/privacy.h"

#include <math.h>
#include <string.h>

#define MAX_PLANE (1 << 17)

/* A component of the layouts below: of plane 0 to 2, its samples so many bytes apart. */
typedef struct {
  guint plane, offset, step, shift, depth_shift;
  gboolean wide;
} Part;

typedef struct {
  const char *name;
  gint width, height;
  guint n_fields, n;
  Part part[4];
} Layout;

static const Layout layouts[] = {
  { "nv12", 130, 70, 1, 3, { { 0, 0, 1, 0, 0, 0 }, { 1, 0, 2, 1, 0, 0 }, { 1, 1, 2, 1, 0, 0 } } },
  { "nv12-odd", 131, 71, 1, 3,
    { { 0, 0, 1, 0, 0, 0 }, { 1, 0, 2, 1, 0, 0 }, { 1, 1, 2, 1, 0, 0 } } },
  { "i420-interlaced", 93, 77, 2, 3,
    { { 0, 0, 1, 0, 0, 0 }, { 1, 0, 1, 1, 0, 0 }, { 2, 0, 1, 1, 0, 0 } } },
  { "p010", 67, 61, 1, 3, { { 0, 0, 2, 0, 6, 1 }, { 1, 0, 4, 1, 6, 1 }, { 1, 2, 4, 1, 6, 1 } } },
  { "i420-10", 66, 62, 1, 3,
    { { 0, 0, 2, 0, 0, 1 }, { 1, 0, 2, 1, 0, 1 }, { 2, 0, 2, 1, 0, 1 } } },
  { "rgba", 61, 90, 1, 4,
    { { 0, 0, 4, 0, 0, 0 }, { 0, 1, 4, 0, 0, 0 }, { 0, 2, 4, 0, 0, 0 }, { 0, 3, 4, 0, 0, 0 } } },
  { "bgr", 49, 33, 1, 3, { { 0, 2, 3, 0, 0, 0 }, { 0, 1, 3, 0, 0, 0 }, { 0, 0, 3, 0, 0, 0 } } },
  { "gray", 3, 2, 1, 1, { { 0, 0, 1, 0, 0, 0 } } },
};

typedef struct {
  YoloCanvas canvas;
  guint8 *planes;               /* 3 of MAX_PLANE bytes */
} Frame;

static void
frame_init (Frame *frame, const Layout *layout)
{
  frame->planes = g_malloc0 (3 * MAX_PLANE);
  frame->canvas = (YoloCanvas){ .width = layout->width, .height = layout->height,
    .clip = { 0, 0, layout->width, layout->height }, .n_fields = layout->n_fields,
    .n_components = layout->n };
  for (guint i = 0; i < layout->n; i++) {
    const Part *part = &layout->part[i];
    const gint columns = (layout->width + (1 << part->shift) - 1) >> part->shift;

    frame->canvas.component[i] = (YoloComponent){
      .data = frame->planes + part->plane * MAX_PLANE + part->offset,
      .stride = columns * (gint) part->step + 5, .pixel_stride = (gint) part->step,
      .rows = (layout->height + (1 << part->shift) - 1) >> part->shift,
      .shift_x = part->shift, .shift_y = part->shift, .depth_shift = part->depth_shift,
      .wide = part->wide,
    };
    g_assert_cmpint (
        frame->canvas.component[i].stride * frame->canvas.component[i].rows, <, MAX_PLANE);
  }
}

static gint
columns_of (const Frame *frame, const YoloComponent *c)
{
  return (frame->canvas.width + (1 << c->shift_x) - 1) >> c->shift_x;
}

static guint8 *
at (const YoloComponent *c, gint x, gint y)
{
  return c->data + y * c->stride + x * c->pixel_stride;
}

static guint
get (const YoloComponent *c, gint x, gint y)
{
  const guint8 *p = at (c, x, y);

  return c->wide ? (p[0] | p[1] << 8) >> c->depth_shift : *p;
}

static void
put (const YoloComponent *c, gint x, gint y, guint value)
{
  guint8 *p = at (c, x, y);

  p[0] = (guint8) (c->wide ? value << c->depth_shift : value);
  if (c->wide)
    p[1] = (guint8) (value << c->depth_shift >> 8);
}

static void
fill_with_noise (Frame *frame, GRand *rand)
{
  for (guint i = 0; i < frame->canvas.n_components; i++) {
    const YoloComponent *c = &frame->canvas.component[i];

    for (gint y = 0; y < c->rows; y++)
      for (gint x = 0; x < columns_of (frame, c); x++)
        put (c, x, y, (guint) g_rand_int_range (rand, 0, c->wide ? 1024 : 256));
  }
}

static void
copy (Frame *to, const Frame *from)
{
  memcpy (to->planes, from->planes, 3 * MAX_PLANE);
}

/* Whether a sample is one of a cell that is redacted. */
static gboolean
is_redacted (const YoloPrivacy *privacy, const Frame *frame, const YoloComponent *c, gint x,
    gint y, guint *number)
{
  const gint cell_x = x / (4 >> c->shift_x),
             cell_y = y / ((4 >> c->shift_y) * (gint) frame->canvas.n_fields);

  for (guint i = privacy->redactions->len; i-- > 0;) {
    const YoloRedaction *r = &g_array_index (privacy->redactions, YoloRedaction, i);

    if (cell_x < r->cells.x0 || cell_x >= r->cells.x1 || cell_y < r->cells.y0
        || cell_y >= r->cells.y1)
      continue;
    if (r->mask >= 0
        && !privacy->masks->data[r->mask + (cell_y - r->cells.y0) * (r->cells.x1 - r->cells.x0)
            + cell_x - r->cells.x0])
      continue;
    *number = i;
    return TRUE;
  }
  return FALSE;
}

/* Other detail with the same means: the samples of each block of the redaction in the opposite
 * order. */
static void
reverse_blocks (Frame *frame, const YoloRedaction *r)
{
  for (guint i = 0; i < frame->canvas.n_components; i++) {
    const YoloComponent *c = &frame->canvas.component[i];
    const gint w = (4 >> c->shift_x) * r->block_width,
               h = (4 >> c->shift_y) * r->block_height * (gint) frame->canvas.n_fields;
    const gint left = r->cells.x0 * (4 >> c->shift_x),
               top = r->cells.y0 * (4 >> c->shift_y) * (gint) frame->canvas.n_fields;
    const gint right = MIN (r->cells.x1 * (4 >> c->shift_x), columns_of (frame, c)),
               bottom = MIN (r->cells.y1 * (4 >> c->shift_y) * (gint) frame->canvas.n_fields,
                   c->rows);

    for (gint y0 = top; y0 < bottom; y0 += h)
      for (gint x0 = left; x0 < right; x0 += w) {
        const gint across = MIN (w, right - x0), down = MIN (h, bottom - y0), n = across * down;

        for (gint k = 0; k < n / 2; k++) {
          const gint xa = x0 + k % across, ya = y0 + k / across;
          const gint xb = x0 + (n - 1 - k) % across, yb = y0 + (n - 1 - k) / across;
          const guint a = get (c, xa, ya), b = get (c, xb, yb);

          put (c, xa, ya, b);
          put (c, xb, yb, a);
        }
      }
  }
}

static YoloPrivacyStyle
style_of (YoloRedactionMode mode, guint blocks)
{
  return (YoloPrivacyStyle){ .mode = mode, .blocks = blocks, .color = { { 16, 77, 200, 255 } } };
}

/* Boxes inside, at the border, partly outside, tiny, and the whole frame. */
static const gdouble boxes[][4] = {
  { 9.5, 7.25, 48, 29 }, { -20, -30, 25, 14.5 }, { 30, 20, 1e9, 1e9 }, { 17, 13, 17.5, 13.5 },
  { 0, 0, 3000, 3000 }, { 5, 0, 8, 3000 }, { NAN, 10, 21, INFINITY },
};

static void
test_independent (gconstpointer data)
{
  const Layout *layout = data;
  GRand *rand = g_rand_new_with_seed (7);
  YoloPrivacy privacy;
  Frame first, second, before;

  yolo_privacy_init (&privacy);
  frame_init (&first, layout);
  frame_init (&second, layout);
  frame_init (&before, layout);
  for (guint b = 0; b < G_N_ELEMENTS (boxes); b++)
    for (guint mode = YOLO_REDACTION_BLUR; mode <= YOLO_REDACTION_FILL; mode++)
      for (guint blocks = 1; blocks <= 8; blocks += 3) {
        const YoloPrivacyStyle style = style_of (mode, blocks);
        const YoloRedaction *r;

        fill_with_noise (&before, rand);
        copy (&first, &before);
        copy (&second, &before);
        yolo_privacy_reset (&privacy);
        if (!yolo_privacy_add_box (&privacy, &first.canvas, &style, boxes[b])) {
          g_assert_cmpstr (layout->name, ==, "gray");
          continue;
        }
        r = &g_array_index (privacy.redactions, YoloRedaction, 0);
        g_assert_cmpint (r->columns, <=, blocks);
        g_assert_cmpint (r->rows, <=, blocks);
        g_assert_cmpint (r->block_width, >=, 2);
        reverse_blocks (&second, r);
        g_assert_cmpint (memcmp (first.planes, second.planes, 3 * MAX_PLANE), !=, 0);
        yolo_privacy_apply (&privacy, &first.canvas);
        yolo_privacy_apply (&privacy, &second.canvas);
        g_assert_cmpmem (first.planes, 3 * MAX_PLANE, second.planes, 3 * MAX_PLANE);

        /* the samples of the redaction, and no byte beside them, have changed */
        for (guint i = 0; i < first.canvas.n_components; i++) {
          const YoloComponent *c = &first.canvas.component[i], *old = &before.canvas.component[i];
          guint number, same = 0, n = 0;

          for (gint y = 0; y < c->rows; y++)
            for (gint x = 0; x < columns_of (&first, c); x++) {
              if (!is_redacted (&privacy, &first, c, x, y, &number)) {
                g_assert_cmpuint (get (c, x, y), ==, get (old, x, y));
                continue;
              }
              n++;
              same += get (c, x, y) == get (old, x, y);
              put (c, x, y, get (old, x, y));
            }
          g_assert_cmpuint (same, <=, n / 8 + 2);
        }
        g_assert_cmpmem (first.planes, 3 * MAX_PLANE, before.planes, 3 * MAX_PLANE);
      }
  g_free (first.planes);
  g_free (second.planes);
  g_free (before.planes);
  yolo_privacy_clear (&privacy);
  g_rand_free (rand);
}

/* The straightforward way: what each mode makes of a sample. */
static gdouble
expected (const Frame *before, const YoloRedaction *r, guint component, gint x, gint y)
{
  const YoloComponent *c = &before->canvas.component[component];
  const gint w = (4 >> c->shift_x) * r->block_width,
             h = (4 >> c->shift_y) * r->block_height * (gint) before->canvas.n_fields;
  const gint left = r->cells.x0 * (4 >> c->shift_x),
             top = r->cells.y0 * (4 >> c->shift_y) * (gint) before->canvas.n_fields;
  const gint right = MIN (r->cells.x1 * (4 >> c->shift_x), columns_of (before, c)),
             bottom =
                 MIN (r->cells.y1 * (4 >> c->shift_y) * (gint) before->canvas.n_fields, c->rows);
  const gdouble u = (x - left + .5) / w, v = (y - top + .5) / h;
  gdouble sum = 0;

  if (r->mode == YOLO_REDACTION_FILL)
    return r->value[component];
  for (gint j = -1; j <= 1; j++)
    for (gint i = -1; i <= 1; i++) {
      const gdouble fu = u - floor (u), fv = v - floor (v);
      const gdouble wu = i == 0 ? 1 - ((1 - fu) * (1 - fu) + fu * fu) / 2
          : i < 0 ? (1 - fu) * (1 - fu) / 2 : fu * fu / 2;
      const gdouble wv = j == 0 ? 1 - ((1 - fv) * (1 - fv) + fv * fv) / 2
          : j < 0 ? (1 - fv) * (1 - fv) / 2 : fv * fv / 2;
      const gint bx = CLAMP ((gint) floor (u) + i, 0, r->columns - 1),
                 by = CLAMP ((gint) floor (v) + j, 0, r->rows - 1);
      gdouble mean = 0, n = 0;

      if (r->mode == YOLO_REDACTION_PIXELATE && (i != 0 || j != 0))
        continue;
      for (gint yy = top + by * h; yy < MIN (top + (by + 1) * h, bottom); yy++)
        for (gint xx = left + bx * w; xx < MIN (left + (bx + 1) * w, right); xx++, n++)
          mean += get (c, xx, yy);
      sum += mean / MAX (n, 1) * (r->mode == YOLO_REDACTION_PIXELATE ? 1 : wu * wv);
    }
  return sum;
}

static void
test_values (gconstpointer data)
{
  const Layout *layout = data;
  GRand *rand = g_rand_new_with_seed (11);
  YoloPrivacy privacy;
  Frame frame, before;

  yolo_privacy_init (&privacy);
  frame_init (&frame, layout);
  frame_init (&before, layout);
  fill_with_noise (&before, rand);
  for (guint mode = YOLO_REDACTION_BLUR; mode <= YOLO_REDACTION_FILL; mode++) {
    /* they overlap: the last one is seen, made of the pixels that were there before the first */
    static const gdouble two[2][4] = { { 6, 5, 41, 33 }, { 21, 18, 58, 57 } };
    const YoloPrivacyStyle style = style_of (mode, 3);

    copy (&frame, &before);
    yolo_privacy_reset (&privacy);
    for (guint i = 0; i < 2; i++)
      yolo_privacy_add_box (&privacy, &frame.canvas, &style, two[i]);
    yolo_privacy_apply (&privacy, &frame.canvas);
    for (guint i = 0; i < frame.canvas.n_components; i++) {
      const YoloComponent *c = &frame.canvas.component[i];

      for (gint y = 0; y < c->rows; y++)
        for (gint x = 0; x < columns_of (&frame, c); x++) {
          guint number;

          if (is_redacted (&privacy, &frame, c, x, y, &number))
            /* positions are rounded to 128ths of a block, of noise that is nearly a level */
            g_assert_cmpfloat (fabs (get (c, x, y) - expected (&before,
                &g_array_index (privacy.redactions, YoloRedaction, number), i, x, y)), <=,
                mode == YOLO_REDACTION_BLUR ? (c->wide ? 6 : 1.6) : 1);
        }
    }
  }
  g_free (frame.planes);
  g_free (before.planes);
  yolo_privacy_clear (&privacy);
  g_rand_free (rand);
}

/* Whether a place is inside of a polygon: by the sum of the angles under which its edges are
 * seen. */
static gboolean
is_inside (const gfloat *p, guint n, gdouble x, gdouble y)
{
  gdouble sum = 0;

  for (guint i = 0; i < n; i++) {
    const gdouble ax = p[2 * i] - x, ay = p[2 * i + 1] - y, bx = p[2 * ((i + 1) % n)] - x,
                  by = p[2 * ((i + 1) % n) + 1] - y;

    sum += atan2 (ax * by - ay * bx, ax * bx + ay * by);
  }
  return fabs (sum) > 1;
}

/* Of each polygon all is filled, with the chroma of its pixels, and what is further away than a
 * cell is not. */
static void
test_polygons (gconstpointer data)
{
  static const gfloat triangle[] = { 11.5f, 3.25f, 47, 30, 8, 29.75f },
                      partly[] = { -40, 20, 33, -25, 60, 44 },
                      star[] = { 24, 2, 36, 38, 4, 15, 44, 15, 12, 38 },
                      thin[] = { 3, 3, 46, 29, 46, 29.1f, 3, 3.1f };
  static const struct {
    const gfloat *points;
    guint n;
  } polygons[] = { { triangle, 3 }, { partly, 3 }, { star, 5 }, { thin, 4 } };
  const Layout *layout = data;
  const YoloPrivacyStyle style = style_of (YOLO_REDACTION_FILL, 4);
  GRand *rand = g_rand_new_with_seed (3);
  YoloPrivacy privacy;
  Frame frame;

  yolo_privacy_init (&privacy);
  frame_init (&frame, layout);
  for (guint p = 0; p < G_N_ELEMENTS (polygons); p++) {
    const gfloat *points = polygons[p].points;
    const guint n = polygons[p].n;

    memset (frame.planes, 0, 3 * MAX_PLANE);
    yolo_privacy_reset (&privacy);
    g_assert_true (
        yolo_privacy_add_polygon (&privacy, &frame.canvas, &style, points, n));
    yolo_privacy_apply (&privacy, &frame.canvas);
    for (guint k = 0; k < 1500; k++) {
      const gdouble x = g_rand_double_range (rand, 0, layout->width),
                    y = g_rand_double_range (rand, 0, layout->height);
      gboolean near = FALSE;

      for (gdouble dy = -9; dy <= 9 && !near; dy += 3)
        for (gdouble dx = -5; dx <= 5 && !near; dx += 2.5)
          near = is_inside (points, n, x + dx, y + dy);
      for (guint i = 0; i < frame.canvas.n_components; i++) {
        const YoloComponent *c = &frame.canvas.component[i];
        gint row = (gint) y >> c->shift_y;

        if (layout->n_fields == 2)      /* a row of chroma covers two rows of one field */
          row = ((gint) y / 2 >> c->shift_y) * 2 + (gint) y % 2;
        if (row >= c->rows)
          continue;
        if (is_inside (points, n, x, y))
          g_assert_cmpuint (get (c, (gint) x >> c->shift_x, row), ==, style.color.value[i]);
        else if (!near && points != thin)
          g_assert_cmpuint (get (c, (gint) x >> c->shift_x, row), ==, 0);
      }
    }
  }
  g_free (frame.planes);
  yolo_privacy_clear (&privacy);
  g_rand_free (rand);
}

/* An object's pixels and the margin around them are filled, and not what is beyond. */
static void
test_pixels (void)
{
  enum { W = 37, H = 29 };
  const YoloPrivacyStyle style = style_of (YOLO_REDACTION_FILL, 4);
  GRand *rand = g_rand_new_with_seed (5);
  guint8 pixels[W * H];
  YoloPrivacy privacy;
  Frame frame;

  yolo_privacy_init (&privacy);
  frame_init (&frame, &layouts[1]);
  for (guint k = 0; k < 40; k++) {
    const gint x0 = g_rand_int_range (rand, -W, 131), y0 = g_rand_int_range (rand, -H, 71),
               grow = g_rand_int_range (rand, 0, 10);
    const YoloComponent *c = frame.canvas.component;
    gboolean any = FALSE;

    memset (frame.planes, 0, 3 * MAX_PLANE);
    for (guint i = 0; i < W * H; i++) {
      pixels[i] = g_rand_int_range (rand, 0, 60) == 0;
      any |= pixels[i] && x0 + (gint) i % W >= 0 && x0 + (gint) i % W < 131
          && y0 + (gint) i / W >= 0 && y0 + (gint) i / W < 71;
    }
    yolo_privacy_reset (&privacy);
    g_assert_cmpint (yolo_privacy_add_pixels (&privacy, &frame.canvas, &style, pixels, x0, y0, W,
                         H, grow, grow), ==, any);
    g_assert_cmpuint (privacy.redactions->len, ==, any);
    yolo_privacy_apply (&privacy, &frame.canvas);
    for (gint y = 0; y < 71; y++)
      for (gint x = 0; x < 131; x++) {
        gint nearest = 1000;

        for (gint i = 0; i < W * H; i++) {
          const gint px = x0 + i % W, py = y0 + i / W;

          if (pixels[i] && px >= 0 && px < 131 && py >= 0 && py < 71)
            nearest = MIN (nearest, MAX (ABS (px - x), ABS (py - y)));
        }
        if (nearest <= grow)
          g_assert_cmpuint (get (c, x, y), ==, 16);
        else if (nearest > grow + 6)
          g_assert_cmpuint (get (c, x, y), ==, 0);
      }
  }
  g_free (frame.planes);
  yolo_privacy_clear (&privacy);
  g_rand_free (rand);
}

/* Blur has no step where blocks meet. */
static void
test_smooth (void)
{
  static const Layout layout = { "gray", 800, 90, 1, 1, { { 0, 0, 1, 0, 0, 0 } } };
  const YoloPrivacyStyle style = style_of (YOLO_REDACTION_BLUR, 8);
  YoloPrivacy privacy;
  Frame frame;

  yolo_privacy_init (&privacy);
  frame_init (&frame, &layout);
  for (gint y = 0; y < 90; y++)
    memset (at (frame.canvas.component, 400, y), 255, 400);
  g_assert_true (yolo_privacy_add_box (
      &privacy, &frame.canvas, &style, (gdouble[4]){ 0, 0, 800, 90 }));
  yolo_privacy_apply (&privacy, &frame.canvas);
  for (gint x = 1; x < 800; x++) {
    const gint step = (gint) get (frame.canvas.component, x, 45)
        - (gint) get (frame.canvas.component, x - 1, 45);

    g_assert_cmpint (step, >=, 0);
    g_assert_cmpint (step, <=, 4);
  }
  g_assert_cmpuint (get (frame.canvas.component, 0, 0), ==, 0);
  g_assert_cmpuint (get (frame.canvas.component, 799, 89), ==, 255);
  g_free (frame.planes);
  yolo_privacy_clear (&privacy);
}

/* Shapes that touch no pixel, and numbers that are none. */
static void
test_nothing (void)
{
  static const gdouble none[][4] = { { 10, 10, 10, 20 }, { 10, 30, 20, 20 }, { -9, 3, 0, 8 },
    { 131, 3, 140, 8 }, { 3, 71, 8, 90 }, { 4, -8, 9, 0 }, { INFINITY, 0, INFINITY, 9 } };
  static const gfloat outside[] = { 200, 10, 300, 10, 250, 60 }, bad[] = { NAN, 0, 9, 9, 0, 9 },
                      /* its box reaches into the frame, the polygon does not */
                      corner[] = { -30, 20, 20, -30, -30, -30 };
  const YoloPrivacyStyle style = style_of (YOLO_REDACTION_BLUR, 8);
  YoloPrivacy privacy;
  YoloRect cells;
  gint y0, y1;
  Frame frame;

  yolo_privacy_init (&privacy);
  frame_init (&frame, &layouts[1]);
  for (guint i = 0; i < G_N_ELEMENTS (none); i++)
    g_assert_false (yolo_privacy_add_box (&privacy, &frame.canvas, &style, none[i]));
  g_assert_false (yolo_privacy_add_polygon (&privacy, &frame.canvas, &style, outside, 3));
  g_assert_false (yolo_privacy_add_polygon (&privacy, &frame.canvas, &style, bad, 3));
  g_assert_false (yolo_privacy_add_polygon (&privacy, &frame.canvas, &style, corner, 3));
  g_assert_cmpuint (privacy.redactions->len, ==, 0);
  g_assert_cmpuint (privacy.masks->len, ==, 0);
  g_assert_cmpuint (privacy.n_levels, ==, 0);
  g_assert_false (yolo_privacy_rows (&privacy, &frame.canvas, &y0, &y1));
  yolo_privacy_apply (&privacy, &frame.canvas);
  g_assert_true (yolo_privacy_add_box (
      &privacy, &frame.canvas, &style, (gdouble[4]){ 3, 50, 9, 1000 }));
  g_assert_true (yolo_privacy_rows (&privacy, &frame.canvas, &y0, &y1));
  g_assert_cmpint (y0, ==, 48);
  g_assert_cmpint (y1, ==, 71);
  /* a part of a pixel is a pixel */
  yolo_privacy_reset (&privacy);
  g_assert_true (yolo_privacy_add_box (
      &privacy, &frame.canvas, &style, (gdouble[4]){ 3.9, 7.9, 12.1, 56.1 }));
  cells = g_array_index (privacy.redactions, YoloRedaction, 0).cells;
  g_assert_cmpint (cells.x0, ==, 0);
  g_assert_cmpint (cells.y0, ==, 1);
  g_assert_cmpint (cells.x1, ==, 4);
  g_assert_cmpint (cells.y1, ==, 15);
  g_free (frame.planes);
  yolo_privacy_clear (&privacy);
}

/* Not in the tests' plan: with -m perf, what a frame costs. */
static void
test_time (void)
{
  static const Layout layout = { "gray", 1920, 1080, 1, 1, { { 0, 0, 1, 0, 0, 0 } } };
  static guint8 plane[1924 * 1080 + 8];
  YoloPrivacy privacy;
  YoloCanvas canvas = { .width = 1920, .height = 1080, .clip = { 0, 0, 1920, 1080 },
    .n_fields = 1, .n_components = 1 };

  if (!g_test_perf ())
    return;
  canvas.component[0] = (YoloComponent){ .data = plane, .stride = 1924, .pixel_stride = 1,
    .rows = layout.height };
  yolo_privacy_init (&privacy);
  for (guint mode = YOLO_REDACTION_BLUR; mode <= YOLO_REDACTION_FILL; mode++) {
    const YoloPrivacyStyle style = style_of (mode, 8);
    gdouble least = 1;

    for (guint k = 0; k < 50; k++) {
      g_test_timer_start ();
      yolo_privacy_reset (&privacy);
      yolo_privacy_add_box (&privacy, &canvas, &style, (gdouble[4]){ 0, 0, 1920, 1080 });
      yolo_privacy_apply (&privacy, &canvas);
      least = MIN (least, g_test_timer_elapsed ());
    }
    g_test_minimized_result (
        least * 1e6, "mode %u: %.0f us for 1920x1080 bytes", mode, least * 1e6);
  }
  yolo_privacy_clear (&privacy);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (layouts); i++) {
    g_autofree char *independent = g_strdup_printf ("/privacy/independent/%s", layouts[i].name);
    g_autofree char *values = g_strdup_printf ("/privacy/values/%s", layouts[i].name);
    g_autofree char *polygons = g_strdup_printf ("/privacy/polygons/%s", layouts[i].name);

    g_test_add_data_func (independent, &layouts[i], test_independent);
    g_test_add_data_func (values, &layouts[i], test_values);
    if (layouts[i].width >= 48 && layouts[i].height >= 32)
      g_test_add_data_func (polygons, &layouts[i], test_polygons);
  }
  g_test_add_func ("/privacy/pixels", test_pixels);
  g_test_add_func ("/privacy/smooth", test_smooth);
  g_test_add_func ("/privacy/nothing", test_nothing);
  g_test_add_func ("/privacy/time", test_time);
  return g_test_run ();
}
