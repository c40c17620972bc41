/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolozonesdraw.h"

#include "gst-plugin/yolocanvas.h"
#include "gst-plugin/yolozonesmeta.h"
#include "image/frame.h"

#include <math.h>

#define MAX_WORDS 7             /* of a label; yolo_text_get() keeps one more */

void
yolo_zones_colors_init (YoloZonesColors *colors, const GstVideoInfo *info)
{
  yolo_color_init (&colors->line, info, 0xffd400);
  yolo_color_init (&colors->zone, info, 0x40d8ff);
  yolo_color_init (&colors->alarm, info, 0xff4040);
  yolo_color_init (&colors->text, info, 0x000000);
}

/* From shares of the frame to pixels in memory. */
static void
to_pixels (const YoloZonesPen *pen, gdouble x, gdouble y, gfloat at[2])
{
  at[0] = (gfloat) (pen->x + x * pen->width);
  at[1] = (gfloat) (pen->y + y * pen->height);
}

/* Whether a place that somebody else may have written is a number that a gint holds, and that
 * something near the frame can have. */
static gboolean
is_near (const gfloat at[2])
{
  return fabsf (at[0]) < 1e6f && fabsf (at[1]) < 1e6f;
}

static void
stroke (const YoloZonesPen *pen, const gfloat from[2], const gfloat to[2], const YoloColor *color)
{
  yolo_figure_line (pen->figures, pen->canvas, from[0], from[1], to[0], to[1],
      (gfloat) pen->thickness, color);
}

/* Writes words side by side on a plate of the colour, whose upper left corner in the upright
 * picture is as near to a place as the picture lets it. */
static void
write_label (const YoloZonesPen *pen, const gfloat at[2], gchar words[][64], guint n,
    const YoloColor *color)
{
  YoloCanvas *canvas = pen->canvas;
  const YoloRect visible =
      yolo_rect_to_upright (canvas->clip, pen->turn, canvas->width, canvas->height);
  const YoloRect spot = yolo_rect_to_upright (
      (YoloRect){ (gint) at[0], (gint) at[1], (gint) at[0] + 1, (gint) at[1] + 1 }, pen->turn,
      canvas->width, canvas->height);
  const gint ascent = yolo_text_ascent (pen->text), descent = yolo_text_descent (pen->text);
  const gint space = yolo_text_space (pen->text), margin = MAX (space / 2, 1);
  const gboolean transposed = pen->turn & YOLO_TURN_TRANSPOSE;
  const YoloGlyphs *glyphs[MAX_WORDS];
  gint width = 2 * margin + ((gint) n - 1) * space, x;
  YoloRect plate;

  for (guint i = 0; i < n; i++) {
    glyphs[i] = yolo_text_get (pen->text, words[i]);
    width += glyphs[i]->advance;
  }
  plate.x0 = MAX (MIN (spot.x0, visible.x1 - width), visible.x0);
  plate.y0 = MAX (MIN (spot.y0, visible.y1 - ascent - descent), visible.y0);
  plate.x1 = plate.x0 + width;
  plate.y1 = plate.y0 + ascent + descent;
  yolo_canvas_fill (canvas, yolo_rect_to_frame (plate, pen->turn, canvas->width, canvas->height),
      (YoloRect){ 0 }, color);
  x = plate.x0 + margin;
  for (guint i = 0; i < n; i++) {
    const YoloMask *mask = &glyphs[i]->mask;
    const gint left = x + glyphs[i]->left, top = plate.y0 + ascent - glyphs[i]->top;
    /* the mask is turned already */
    const YoloRect rect = yolo_rect_to_frame (
        (YoloRect){ left, top, left + (transposed ? mask->height : mask->width),
          top + (transposed ? mask->width : mask->height) },
        pen->turn, canvas->width, canvas->height);

    yolo_canvas_blend (canvas, mask, rect.x0, rect.y0, &pen->colors->text);
    x += glyphs[i]->advance + space;
  }
}

/* An arrow from the middle of a line to its right, which is side b. */
static void
draw_arrow (const YoloZonesPen *pen, const gfloat from[2], const gfloat to[2], gfloat tip[2])
{
  const gfloat dx = to[0] - from[0], dy = to[1] - from[1], length = hypotf (dx, dy);
  const gfloat reach = (gfloat) (6 * pen->thickness + 12), barb = reach / 2.5f;
  const gfloat middle[2] = { (from[0] + to[0]) / 2, (from[1] + to[1]) / 2 };
  gfloat ux, uy;

  if (!(length > 0)) {
    tip[0] = middle[0];
    tip[1] = middle[1];
    return;
  }
  ux = dx / length;
  uy = dy / length;
  tip[0] = middle[0] - uy * reach;
  tip[1] = middle[1] + ux * reach;
  stroke (pen, middle, tip, &pen->colors->line);
  for (gint side = -1; side <= 1; side += 2) {
    const gfloat back[2] = { tip[0] + uy * barb + (gfloat) side * ux * barb,
      tip[1] - ux * barb + (gfloat) side * uy * barb };

    stroke (pen, tip, back, &pen->colors->line);
  }
}

static const gchar *
text_of (const GstStructure *structure, const gchar *field)
{
  const gchar *text = gst_structure_get_string (structure, field);

  return text != NULL ? text : "";
}

static void
draw_line (const YoloZonesPen *pen, const GstStructure *line)
{
  gfloat from[2], to[2], tip[2];
  gchar words[MAX_WORDS][64];

  to_pixels (pen, yolo_zones_meta_number (line, "x1", NAN),
      yolo_zones_meta_number (line, "y1", NAN), from);
  to_pixels (
      pen, yolo_zones_meta_number (line, "x2", NAN), yolo_zones_meta_number (line, "y2", NAN), to);
  if (!is_near (from) || !is_near (to))
    return;
  stroke (pen, from, to, &pen->colors->line);
  draw_arrow (pen, from, to, tip);
  g_strlcpy (words[0], text_of (line, "name"), sizeof (words[0]));
  g_strlcpy (words[1], text_of (line, "forward-name"), sizeof (words[1]));
  g_snprintf (words[2], sizeof (words[2]), "%.0f", yolo_zones_meta_number (line, "forward", 0));
  g_strlcpy (words[3], text_of (line, "backward-name"), sizeof (words[3]));
  g_snprintf (words[4], sizeof (words[4]), "%.0f", yolo_zones_meta_number (line, "backward", 0));
  tip[0] += (gfloat) (2 * pen->thickness);
  tip[1] += (gfloat) (2 * pen->thickness);
  write_label (pen, tip, words, 5, &pen->colors->line);
}

static void
draw_zone (const YoloZonesPen *pen, const GstStructure *zone)
{
  const GValue *points = gst_structure_get_value (zone, "points");
  const gdouble loitering = yolo_zones_meta_number (zone, "loitering", 0);
  const YoloColor *color = &pen->colors->zone;
  gfloat last[2], at[2], top[2] = { 0, INFINITY };
  gboolean crowded = FALSE;
  gchar words[MAX_WORDS][64];
  guint n = 2, n_points;

  gst_structure_get_boolean (zone, "crowded", &crowded);
  if (crowded || loitering > 0)
    color = &pen->colors->alarm;
  if (points == NULL || !GST_VALUE_HOLDS_ARRAY (points))
    return;
  n_points = gst_value_array_get_size (points) / 2;
  for (guint i = 0; i <= n_points; i++) {
    const guint k = 2 * (i % MAX (n_points, 1));
    const GValue *x = gst_value_array_get_value (points, k),
                 *y = gst_value_array_get_value (points, k + 1);

    if (n_points == 0 || !G_VALUE_HOLDS_DOUBLE (x) || !G_VALUE_HOLDS_DOUBLE (y))
      return;
    to_pixels (pen, g_value_get_double (x), g_value_get_double (y), at);
    if (i > 0)
      stroke (pen, last, at, color);
    if (at[1] < top[1]) {
      top[0] = at[0];
      top[1] = at[1];
    }
    last[0] = at[0];
    last[1] = at[1];
  }
  if (!is_near (top))
    return;
  g_strlcpy (words[0], text_of (zone, "name"), sizeof (words[0]));
  g_snprintf (words[1], sizeof (words[1]), "%.0f", yolo_zones_meta_number (zone, "occupancy", 0));
  if (crowded)
    g_strlcpy (words[n++], "crowded", sizeof (words[0]));
  if (loitering > 0) {
    g_strlcpy (words[n++], "loitering", sizeof (words[0]));
    g_snprintf (words[n++], sizeof (words[0]), "%.0f", loitering);
  }
  write_label (pen, top, words, n, color);
}

void
yolo_zones_draw (const YoloZonesPen *pen, const GstStructure *zones)
{
  const GstStructure *shape;

  for (guint i = 0; (shape = yolo_zones_meta_element (zones, "zones", i)) != NULL; i++)
    draw_zone (pen, shape);
  for (guint i = 0; (shape = yolo_zones_meta_element (zones, "lines", i)) != NULL; i++)
    draw_line (pen, shape);
}
