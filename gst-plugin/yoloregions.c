/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yoloregions.h"

#include <math.h>
#include <string.h>

/* Of a polygon; so many that drawing them by hand ends before. */
#define MAX_POINTS 256
/* Pixels, from the frame's corner: widths and heights between two such places are whole numbers. */
#define MAX_PLACE (G_MAXINT / 2)

gboolean
yolo_region_intersect (YoloRegion *a, const YoloRegion *b)
{
  const gint64 x1 = MAX (a->x, b->x), y1 = MAX (a->y, b->y);
  const gint64 x2 = MIN ((gint64) a->x + a->width, (gint64) b->x + b->width);
  const gint64 y2 = MIN ((gint64) a->y + a->height, (gint64) b->y + b->height);

  if (x1 >= x2 || y1 >= y2)
    return FALSE;
  *a = (YoloRegion) { x1, y1, x2 - x1, y2 - y1 };
  return TRUE;
}

static gboolean
parse_number (gchar *string, gint64 min, gint64 max, gint *number)
{
  gint64 value;

  if (!g_ascii_string_to_signed (g_strstrip (string), 10, min, max, &value, NULL))
    return FALSE;
  *number = (gint) value;
  return TRUE;
}

static gboolean
parse_rectangle (gchar **parts, YoloRegion *box)
{
  return parse_number (parts[0], -G_MAXINT, G_MAXINT, &box->x)
      && parse_number (parts[1], -G_MAXINT, G_MAXINT, &box->y)
      && parse_number (parts[2], 1, G_MAXINT, &box->width)
      && parse_number (parts[3], 1, G_MAXINT, &box->height);
}

/* A polygon whose points all lie on one row or column of pixels is refused. */
static gboolean
parse_polygon (gchar **parts, guint n, YoloArea *area)
{
  gint x1 = G_MAXINT, y1 = G_MAXINT, x2 = G_MININT, y2 = G_MININT;
  g_autofree gint *points = g_new (gint, 2 * n);
  guint i;

  for (i = 0; i < n; i++) {
    if (!parse_number (parts[2 * i], -MAX_PLACE, MAX_PLACE, &points[2 * i])
        || !parse_number (parts[2 * i + 1], -MAX_PLACE, MAX_PLACE, &points[2 * i + 1]))
      return FALSE;
    x1 = MIN (x1, points[2 * i]);
    x2 = MAX (x2, points[2 * i]);
    y1 = MIN (y1, points[2 * i + 1]);
    y2 = MAX (y2, points[2 * i + 1]);
  }
  if (x1 == x2 || y1 == y2)
    return FALSE;
  area->box = (YoloRegion) { x1, y1, x2 - x1, y2 - y1 };
  area->n_points = n;
  area->points = g_steal_pointer (&points);
  return TRUE;
}

static gboolean
parse_area (const gchar *string, YoloArea *area)
{
  g_auto (GStrv) parts = g_strsplit (string, ",", 2 * MAX_POINTS + 1);
  const guint n = g_strv_length (parts);

  *area = (YoloArea) { .points = NULL };
  if (n == 4)
    return parse_rectangle (parts, &area->box);
  return n >= 6 && n % 2 == 0 && n <= 2 * MAX_POINTS && parse_polygon (parts, n / 2, area);
}

static void
clear_area (gpointer area)
{
  g_clear_pointer (&((YoloArea *) area)->points, g_free);
}

gboolean
yolo_areas_parse (const gchar *string, GArray **areas)
{
  g_auto (GStrv) parts = NULL;
  g_autoptr (GArray) found = NULL;
  guint i;

  *areas = NULL;
  if (string == NULL || *string == '\0')
    return TRUE;
  parts = g_strsplit (string, ";", YOLO_MAX_AREAS + 1);
  if (g_strv_length (parts) > YOLO_MAX_AREAS)
    return FALSE;
  found = g_array_new (FALSE, FALSE, sizeof (YoloArea));
  g_array_set_clear_func (found, clear_area);
  for (i = 0; parts[i] != NULL; i++) {
    YoloArea area;

    if (!parse_area (parts[i], &area))
      return FALSE;
    g_array_append_val (found, area);
  }
  *areas = g_steal_pointer (&found);
  return TRUE;
}

gchar *
yolo_area_text (const YoloArea *area)
{
  GString *text = g_string_new (NULL);
  guint i;

  if (area->n_points == 0)
    g_string_append_printf (text, "%d,%d,%d,%d", area->box.x, area->box.y, area->box.width,
        area->box.height);
  for (i = 0; i < 2 * area->n_points; i++)
    g_string_append_printf (text, i > 0 ? ",%d" : "%d", area->points[i]);
  return g_string_free (text, FALSE);
}

/* Source of the even-odd rule by crossings of a ray: M. Shimrat, "Algorithm 112: Position of
 * point relative to polygon", Communications of the ACM, 1962. */
gboolean
yolo_area_contains (const YoloArea *area, gdouble x, gdouble y)
{
  gboolean inside = FALSE;
  guint i;

  if (area->n_points == 0)
    return TRUE;
  for (i = 0; i < area->n_points; i++) {
    const gint *a = area->points + 2 * i,
               *b = area->points + 2 * ((i + 1) % area->n_points);

    if ((a[1] > y) != (b[1] > y)
        && x < a[0] + (y - a[1]) * ((gdouble) b[0] - a[0]) / ((gdouble) b[1] - a[1]))
      inside = !inside;
  }
  return inside;
}

gboolean
yolo_tiling_parse (const gchar *string, YoloTiling *tiling)
{
  g_auto (GStrv) parts = NULL;
  gint columns, rows;

  *tiling = (YoloTiling) { 0, 0 };
  if (string == NULL || *string == '\0')
    return TRUE;
  parts = g_strsplit (string, "x", 3);
  if (g_strv_length (parts) != 2 || !parse_number (parts[0], 1, YOLO_MAX_TILES, &columns)
      || !parse_number (parts[1], 1, YOLO_MAX_TILES, &rows))
    return FALSE;
  if (columns > 1 || rows > 1)
    *tiling = (YoloTiling) { (guint) columns, (guint) rows };
  return TRUE;
}

/* Tile number @i of @n along an axis of @size pixels. Where n tiles of length t overlap by o * t
 * they are n * t - (n - 1) * o * t long together, which is @size. */
static void
tile_axis (gint size, guint n, gdouble overlap, guint i, gint *start, gint *length)
{
  const gdouble tile = size / (n - (n - 1) * overlap), begin = i * tile * (1 - overlap);
  const gint end = i + 1 == n ? size : MIN ((gint) ceil (begin + tile), size);

  *start = MIN ((gint) begin & ~1, size - 1);
  *length = MAX (end - *start, 1);
}

YoloRegion
yolo_tile (const YoloRegion *region, const YoloTiling *tiling, gdouble overlap, guint number)
{
  YoloRegion tile;

  tile_axis (region->width, tiling->columns, overlap, number % tiling->columns, &tile.x,
      &tile.width);
  tile_axis (region->height, tiling->rows, overlap, number / tiling->columns, &tile.y,
      &tile.height);
  tile.x += region->x;
  tile.y += region->y;
  return tile;
}
