/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolofigure.h"

#include <math.h>
#include <string.h>

/* Lines are drawn in pieces of so many pixels, whose masks are small. */
#define PIECE 64
#define FAR 1e5f                /* pixels from which on nothing is drawn */

void
yolo_figures_clear (YoloFigures *figures)
{
  g_clear_pointer (&figures->alpha, g_byte_array_unref);
  g_clear_pointer (&figures->pixels, g_byte_array_unref);
}

static guint8 *
reserve (GByteArray **array, gsize size)
{
  if (*array == NULL)
    *array = g_byte_array_new ();
  if ((*array)->len < size)
    g_byte_array_set_size (*array, (guint) size);
  return (*array)->data;
}

/* One piece: the pixels whose middles are within half the thickness of it. */
static void
draw_piece (YoloFigures *figures, YoloCanvas *canvas, gfloat x1, gfloat y1, gfloat x2, gfloat y2,
    gfloat radius, const YoloColor *color)
{
  YoloRect rect = { (gint) floorf (MIN (x1, x2) - radius), (gint) floorf (MIN (y1, y2) - radius),
    (gint) ceilf (MAX (x1, x2) + radius), (gint) ceilf (MAX (y1, y2) + radius) };
  gfloat dx = x2 - x1, dy = y2 - y1, length = dx * dx + dy * dy;
  YoloMask mask;

  rect = yolo_rect_intersect (rect, canvas->clip);
  mask = (YoloMask) { .width = rect.x1 - rect.x0, .height = rect.y1 - rect.y0 };
  if (mask.width <= 0 || mask.height <= 0)
    return;
  mask.stride = mask.width;
  mask.alpha = reserve (&figures->alpha, (gsize) mask.stride * (gsize) mask.height);
  for (gint y = 0; y < mask.height; y++) {
    for (gint x = 0; x < mask.width; x++) {
      gfloat px = (gfloat) (rect.x0 + x) + .5f - x1, py = (gfloat) (rect.y0 + y) + .5f - y1;
      gfloat along = length > 0 ? CLAMP ((px * dx + py * dy) / length, 0, 1) : 0;
      gfloat ex = px - along * dx, ey = py - along * dy;

      mask.alpha[y * mask.stride + x] = ex * ex + ey * ey <= radius * radius ? 255 : 0;
    }
  }
  yolo_canvas_blend (canvas, &mask, rect.x0, rect.y0, color);
}

void
yolo_figure_line (YoloFigures *figures, YoloCanvas *canvas, gfloat x1, gfloat y1, gfloat x2,
    gfloat y2, gfloat thickness, const YoloColor *color)
{
  gint pieces;

  /* NaN fails too */
  if (!(fabsf (x1) < FAR && fabsf (y1) < FAR && fabsf (x2) < FAR && fabsf (y2) < FAR))
    return;
  pieces = (gint) MAX (fabsf (x2 - x1), fabsf (y2 - y1)) / PIECE + 1;
  for (gint i = 0; i < pieces; i++) {
    gfloat a = (gfloat) i / (gfloat) pieces, b = (gfloat) (i + 1) / (gfloat) pieces;

    draw_piece (figures, canvas, x1 + a * (x2 - x1), y1 + a * (y2 - y1), x1 + b * (x2 - x1),
        y1 + b * (y2 - y1), thickness / 2, color);
  }
}

/* Whether all pixels within @line of a pixel are set; those outside of the mask are not. */
static gboolean
is_inside (const guint8 *set, gint width, gint height, gint x, gint y, gint line)
{
  for (gint d = 1; d <= line; d++) {
    if (x < d || y < d || x + d >= width || y + d >= height || !set[y * width + x - d]
        || !set[y * width + x + d] || !set[(y - d) * width + x] || !set[(y + d) * width + x])
      return FALSE;
  }
  return TRUE;
}

void
yolo_figure_mask (YoloFigures *figures, YoloCanvas *canvas, const YoloShape *shape,
    const gfloat box[4], gint x, gint y, gint width, gint height, guint opacity, gint line,
    const YoloColor *color)
{
  YoloBitmap bitmap;
  YoloMask mask;

  if (figures->pixels == NULL)
    figures->pixels = g_byte_array_new ();
  bitmap = yolo_shape_bitmap (shape, box, width, height, figures->pixels);
  mask = (YoloMask) { .width = bitmap.width, .height = bitmap.height, .stride = bitmap.width };
  if (mask.width <= 0 || mask.height <= 0)
    return;
  mask.alpha = reserve (&figures->alpha, (gsize) mask.width * (gsize) mask.height);
  for (gint row = 0; row < mask.height; row++) {
    for (gint column = 0; column < mask.width; column++) {
      gint i = row * mask.width + column;

      mask.alpha[i] = !bitmap.pixels[i] ? 0
          : is_inside (bitmap.pixels, mask.width, mask.height, column, row, line)
          ? (guint8) opacity : 255;
    }
  }
  yolo_canvas_blend (canvas, &mask, x + bitmap.x, y + bitmap.y, color);
}
