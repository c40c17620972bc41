/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolotext.h"

#include "image/frame.h"
#include "image/pixel.h"

#include <pango/pangocairo.h>

#define MAX_CACHED (4 << 20)    /* bytes */
#define MIN_STRINGS 8           /* so many are kept, however large */

typedef struct {
  YoloGlyphs glyphs;
  GList link;                   /* in text->used */
  gsize size;                   /* bytes */
  char *string;
} Entry;

struct _YoloText {
  char *description;
  gint size, max_width;
  guint turn;
  gint ascent, descent, space;
  PangoContext *context;
  PangoLayout *layout;
  GHashTable *entries;          /* string to Entry */
  GQueue used;                  /* Entry, the last used first */
  gsize cached;
};

static void
entry_free (gpointer data)
{
  Entry *entry = data;

  g_free (entry->glyphs.mask.alpha);
  g_free (entry->string);
  g_free (entry);
}

YoloText *
yolo_text_new (void)
{
  YoloText *text = g_new0 (YoloText, 1);
  /* not the default font map, which belongs to a thread */
  PangoFontMap *map = pango_cairo_font_map_new ();
  cairo_font_options_t *options = cairo_font_options_create ();

  text->context = pango_font_map_create_context (map);
  cairo_font_options_set_antialias (options, CAIRO_ANTIALIAS_GRAY);
  pango_cairo_context_set_font_options (text->context, options);
  cairo_font_options_destroy (options);
  g_object_unref (map);

  text->layout = pango_layout_new (text->context);
  pango_layout_set_single_paragraph_mode (text->layout, TRUE);
  pango_layout_set_ellipsize (text->layout, PANGO_ELLIPSIZE_END);
  text->entries = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, entry_free);
  g_queue_init (&text->used);
  return text;
}

static void
forget_all (YoloText *text)
{
  g_queue_init (&text->used);   /* its links are parts of the entries */
  g_hash_table_remove_all (text->entries);
  text->cached = 0;
}

void
yolo_text_free (YoloText *text)
{
  if (text == NULL)
    return;
  forget_all (text);
  g_hash_table_unref (text->entries);
  g_object_unref (text->layout);
  g_object_unref (text->context);
  g_free (text->description);
  g_free (text);
}

void
yolo_text_set_font (YoloText *text, const char *description, gint size, gint max_width)
{
  PangoFontDescription *font;
  PangoFontMetrics *metrics;

  if (g_strcmp0 (description, text->description) == 0 && size == text->size
      && max_width == text->max_width)
    return;
  forget_all (text);
  g_free (text->description);
  text->description = g_strdup (description);
  text->size = size;
  text->max_width = max_width;

  font = pango_font_description_from_string (description);
  if (!(pango_font_description_get_set_fields (font) & PANGO_FONT_MASK_SIZE))
    pango_font_description_set_absolute_size (font, (gdouble) size * PANGO_SCALE);
  pango_layout_set_font_description (text->layout, font);

  metrics = pango_context_get_metrics (text->context, font, NULL);
  text->ascent = PANGO_PIXELS_CEIL (pango_font_metrics_get_ascent (metrics));
  text->descent = PANGO_PIXELS_CEIL (pango_font_metrics_get_descent (metrics));
  pango_font_metrics_unref (metrics);
  pango_font_description_free (font);

  pango_layout_set_width (text->layout, -1);
  pango_layout_set_text (text->layout, " ", 1);
  pango_layout_get_pixel_size (text->layout, &text->space, NULL);
  pango_layout_set_width (text->layout, max_width * PANGO_SCALE);
}

void
yolo_text_set_turn (YoloText *text, guint turn)
{
  if (turn == text->turn)
    return;
  forget_all (text);
  text->turn = turn;
}

gint
yolo_text_ascent (YoloText *text)
{
  return text->ascent;
}

gint
yolo_text_descent (YoloText *text)
{
  return text->descent;
}

gint
yolo_text_space (YoloText *text)
{
  return text->space;
}

gsize
yolo_text_cached (YoloText *text)
{
  return text->cached;
}

static void
turn_mask (YoloMask *mask, guint turn)
{
  const gboolean transposed = turn & YOLO_TURN_TRANSPOSE;
  YoloMask turned = { .width = transposed ? mask->height : mask->width,
    .height = transposed ? mask->width : mask->height };
  gint x, y;

  turned.stride = MAX (turned.width, 1);
  turned.alpha = g_malloc0 ((gsize) turned.stride * MAX (turned.height, 1));
  for (y = 0; y < mask->height; y++)
    for (x = 0; x < mask->width; x++) {
      gint to_x = x, to_y = y;

      yolo_turn_pixel (turn, mask->width, mask->height, &to_x, &to_y);
      turned.alpha[(gsize) to_y * turned.stride + to_x] = mask->alpha[(gsize) y * mask->stride + x];
    }
  g_free (mask->alpha);
  *mask = turned;
}

static void
render (YoloText *text, const char *string, YoloGlyphs *glyphs)
{
  g_autofree char *valid = g_utf8_make_valid (string, -1);
  YoloMask *mask = &glyphs->mask;
  PangoRectangle ink, logical;
  cairo_surface_t *surface;
  cairo_t *cairo;

  pango_layout_set_text (text->layout, valid, -1);
  pango_layout_get_pixel_extents (text->layout, &ink, &logical);
  glyphs->left = ink.x;
  glyphs->top = PANGO_PIXELS (pango_layout_get_baseline (text->layout)) - ink.y;
  glyphs->advance = logical.x + logical.width;
  mask->width = ink.width;
  mask->height = ink.height;
  mask->stride = cairo_format_stride_for_width (CAIRO_FORMAT_A8, MAX (mask->width, 1));
  mask->alpha = g_malloc0 ((gsize) mask->stride * MAX (mask->height, 1));

  surface = cairo_image_surface_create_for_data (mask->alpha, CAIRO_FORMAT_A8, mask->width,
      mask->height, mask->stride);
  cairo = cairo_create (surface);
  cairo_move_to (cairo, -ink.x, -ink.y);
  pango_cairo_show_layout (cairo, text->layout);
  cairo_destroy (cairo);
  cairo_surface_flush (surface);
  cairo_surface_destroy (surface);
  if (text->turn != 0)
    turn_mask (mask, text->turn);
}

static void
forget_oldest (YoloText *text)
{
  Entry *entry = text->used.tail->data;

  g_queue_unlink (&text->used, &entry->link);
  text->cached -= entry->size;
  g_hash_table_remove (text->entries, entry->string);
}

const YoloGlyphs *
yolo_text_get (YoloText *text, const char *string)
{
  Entry *entry = g_hash_table_lookup (text->entries, string);

  if (entry) {
    g_queue_unlink (&text->used, &entry->link);
  } else {
    entry = g_new0 (Entry, 1);
    entry->link.data = entry;
    entry->string = g_strdup (string);
    render (text, string, &entry->glyphs);
    entry->size = sizeof (Entry) + strlen (string) + 1
        + (gsize) entry->glyphs.mask.stride * entry->glyphs.mask.height;
    g_hash_table_insert (text->entries, entry->string, entry);
    text->cached += entry->size;
  }
  g_queue_push_head_link (&text->used, &entry->link);
  while (text->cached > MAX_CACHED && text->used.length > MIN_STRINGS)
    forget_oldest (text);
  return &entry->glyphs;
}
