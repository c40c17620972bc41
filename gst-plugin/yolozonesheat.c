/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolozonesheat.h"

#include <cairo.h>
#include <math.h>
#include <string.h>

#define MAX_SIDE 4096           /* pixels of a picture */

static cairo_status_t
append (void *closure, const unsigned char *data, unsigned int length)
{
  g_byte_array_append (closure, data, length);
  return CAIRO_STATUS_SUCCESS;
}

static gint
compare (gconstpointer a, gconstpointer b)
{
  const gdouble x = *(const gdouble *) a, y = *(const gdouble *) b;

  return x < y ? -1 : x > y;
}

/* Seconds from which on a cell is as hot as can be. */
static gdouble
hot_from (const YoloHeat *heat)
{
  g_autoptr (GArray) warm = g_array_new (FALSE, FALSE, sizeof (gdouble));

  for (gsize i = 0; i < (gsize) heat->columns * heat->rows; i++)
    if (heat->seconds[i] > 0)
      g_array_append_val (warm, heat->seconds[i]);
  g_array_sort (warm, compare);
  return warm->len > 0 ? g_array_index (warm, gdouble, (warm->len - 1) * 95 / 100) : 1;
}

/* A pixel for each cell. */
static cairo_surface_t *
paint_cells (const YoloHeat *heat)
{
  cairo_surface_t *surface = cairo_image_surface_create (
      CAIRO_FORMAT_ARGB32, (int) heat->columns, (int) heat->rows);
  const gdouble hot = hot_from (heat);
  guint8 *data = cairo_image_surface_get_data (surface);

  if (data == NULL)
    return surface;
  cairo_surface_flush (surface);
  for (guint y = 0; y < heat->rows; y++) {
    guint8 *row = data + (gsize) y * (gsize) cairo_image_surface_get_stride (surface);

    for (guint x = 0; x < heat->columns; x++) {
      const gdouble seconds = heat->seconds[(gsize) y * heat->columns + x];
      const guint32 color = yolo_heat_color (sqrt (seconds / hot));

      memcpy (row + 4 * x, &color, sizeof (color));
    }
  }
  cairo_surface_mark_dirty (surface);
  return surface;
}

gboolean
yolo_zones_heat_png (
    const YoloHeat *heat, gint width, gint height, const gchar *path, GError **error)
{
  const gdouble scale = MIN (1., (gdouble) MAX_SIDE / MAX (width, height));
  const gint w = MAX ((gint) (width * scale), 1), h = MAX ((gint) (height * scale), 1);
  cairo_surface_t *cells = paint_cells (heat);
  cairo_surface_t *picture = cairo_image_surface_create (CAIRO_FORMAT_ARGB32, w, h);
  cairo_t *cairo = cairo_create (picture);
  g_autoptr (GByteArray) png = g_byte_array_new ();
  cairo_status_t status;

  cairo_scale (cairo, (gdouble) w / heat->columns, (gdouble) h / heat->rows);
  cairo_set_source_surface (cairo, cells, 0, 0);
  /* cells at the edge go on outside, else they would fade */
  cairo_pattern_set_extend (cairo_get_source (cairo), CAIRO_EXTEND_PAD);
  cairo_pattern_set_filter (cairo_get_source (cairo), CAIRO_FILTER_BILINEAR);
  cairo_paint (cairo);
  status = cairo_status (cairo);
  if (status == CAIRO_STATUS_SUCCESS)
    status = cairo_surface_write_to_png_stream (picture, append, png);
  cairo_destroy (cairo);
  cairo_surface_destroy (picture);
  cairo_surface_destroy (cells);
  if (status != CAIRO_STATUS_SUCCESS) {
    g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s: %s", path,
        cairo_status_to_string (status));
    return FALSE;
  }
  return g_file_set_contents (path, (const gchar *) png->data, png->len, error);
}

gboolean
yolo_zones_heat_csv (const YoloHeat *heat, const gchar *path, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint y = 0; y < heat->rows; y++)
    for (guint x = 0; x < heat->columns; x++) {
      gchar number[G_ASCII_DTOSTR_BUF_SIZE];

      g_string_append (text, g_ascii_formatd (number, sizeof (number), "%.3f",
              heat->seconds[(gsize) y * heat->columns + x]));
      g_string_append_c (text, x + 1 < heat->columns ? ',' : '\n');
    }
  return g_file_set_contents (path, text->str, (gssize) text->len, error);
}

gchar *
yolo_zones_heat_path (const gchar *location, gboolean several, guint source)
{
  const gchar *name = strrchr (location, G_DIR_SEPARATOR);
  const gchar *ending = strrchr (name != NULL ? name : location, '.');

  if (!several)
    return g_strdup (location);
  if (ending == NULL)
    return g_strdup_printf ("%s-%u", location, source);
  return g_strdup_printf ("%.*s-%u%s", (gint) (ending - location), location, source, ending);
}
