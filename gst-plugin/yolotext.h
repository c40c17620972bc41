/* SPDX-License-Identifier: MIT */
/* Text as masks: each string is rendered once and kept. */

#ifndef YOLO_TEXT_H
#define YOLO_TEXT_H

#include "image/canvas.h"

G_BEGIN_DECLS

/* A rendered string. Its mask's corner lies at (left, -top) of the point where
 * the pen starts on the baseline; the pen moves on by `advance`. Pixels, of the
 * upright picture; the mask is turned as it lies in the frame. */
typedef struct {
  YoloMask mask;
  gint left, top, advance;
} YoloGlyphs;

/* Used by one thread: each streaming thread has one of its own. */
typedef struct _YoloText YoloText;
YoloText *yolo_text_new (void);
void yolo_text_free (YoloText *text);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloText, yolo_text_free)

/**
 * yolo_text_set_font:
 * @description: as pango_font_description_from_string() takes it
 * @size: height of the font in pixels, where @description has no size
 * @max_width: longer strings are cut with an ellipsis, pixels
 *
 * Does nothing if all is as before, else forgets what was rendered.
 */
void yolo_text_set_font (YoloText *text, const char *description, gint size, gint max_width);

/* @turn: YOLO_TURN_* of image/frame.h, how the frame becomes upright, 0 at
 * first. What was rendered otherwise is forgotten. */
void yolo_text_set_turn (YoloText *text, guint turn);

/* How far the font reaches above and below the baseline, in pixels. */
gint yolo_text_ascent (YoloText *text);
gint yolo_text_descent (YoloText *text);
/* Width of a space, pixels. */
gint yolo_text_space (YoloText *text);

/**
 * yolo_text_get:
 * @string: any bytes; what is not UTF-8 is shown as the replacement character
 *
 * Returns: (transfer none): valid until 8 other strings have been asked for
 */
const YoloGlyphs *yolo_text_get (YoloText *text, const char *string);

/* Bytes held by rendered strings: at most 4 MiB, unless the last 8 alone take more. */
gsize yolo_text_cached (YoloText *text);

G_END_DECLS

#endif
