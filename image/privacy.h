/* SPDX-License-Identifier: MIT */
/* Making parts of a frame unrecognisable where it lies, in its own format.
 *
 * What a redacted sample becomes depends on the means of blocks and on nothing else, and across a
 * redaction there are few blocks: what was finer is not in the frame any more, whatever is
 * computed from it. All means are taken before the first sample is written; where redactions
 * overlap, the last one is seen. */

#ifndef YOLO_IMAGE_PRIVACY_H
#define YOLO_IMAGE_PRIVACY_H

#include <glib.h>

#include "image/canvas.h"
#include "image/redaction.h"

G_BEGIN_DECLS

/* Blocks across the longer side of a redaction, at most. */
#define YOLO_PRIVACY_MAX_BLOCKS 64

/* How a part is redacted. */
typedef struct {
  YoloRedactionMode mode;
  guint blocks;                 /* across the longer side, 1 to YOLO_PRIVACY_MAX_BLOCKS; a block
                                 * has 8 pixels at least */
  YoloColor color;              /* of YOLO_REDACTION_FILL */
} YoloPrivacyStyle;

/* The redactions of one frame, with memory that is kept from frame to frame. One thread at a
 * time. */
typedef struct {
  GArray *redactions;           /* YoloRedaction, in order */
  GByteArray *masks;            /* of the redactions */
  gsize n_levels;               /* that the redactions need, all together */
  GArray *levels;               /* guint16 */
  GArray *weights;              /* guint: of YoloRedactionTap, for the samples of a block */
  GArray *line;                 /* guint16: the levels of a row */
  GArray *row;                  /* gint: numbers of one row */
} YoloPrivacy;

void yolo_privacy_init (YoloPrivacy *privacy);
void yolo_privacy_clear (YoloPrivacy *privacy);
/* Forgets the redactions, keeps the memory. */
void yolo_privacy_reset (YoloPrivacy *privacy);

/* How many redactions there are, and what they need. */
typedef struct {
  guint redactions, masks;
  gsize n_levels;
} YoloPrivacyMark;

YoloPrivacyMark yolo_privacy_mark (const YoloPrivacy *privacy);
/* Forgets the redactions that were added after the mark was taken; those before it must be there
 * still. */
void yolo_privacy_back_to (YoloPrivacy *privacy, const YoloPrivacyMark *mark);

/* The functions below add a redaction of all cells that a shape touches, so that none of its
 * pixels is left. What lies outside of the frame in memory is cut off; the canvas's clip is not
 * heeded. FALSE: the shape touches no pixel, and nothing was added. */

/* @box: x1, y1, x2, y2 in pixels; a number that is none stands for the border of the frame. */
gboolean yolo_privacy_add_box (YoloPrivacy *privacy, const YoloCanvas *canvas,
    const YoloPrivacyStyle *style, const gdouble box[4]);

/* @points: [n][2] pixels, 3 points or more; a part that the outline goes around twice counts, in
 * whatever direction. */
gboolean yolo_privacy_add_polygon (YoloPrivacy *privacy, const YoloCanvas *canvas,
    const YoloPrivacyStyle *style, const gfloat *points, guint n);

/* @pixels: [height][width], not 0 where they are the object's, whose corner is pixel @x, @y;
 * @grow_x, @grow_y: how many pixels beyond it are redacted too. */
gboolean yolo_privacy_add_pixels (YoloPrivacy *privacy, const YoloCanvas *canvas,
    const YoloPrivacyStyle *style, const guint8 *pixels, gint x, gint y, gint width, gint height,
    gint grow_x, gint grow_y);

/* The definition: redacts a frame in memory of the host. */
void yolo_privacy_apply (YoloPrivacy *privacy, const YoloCanvas *canvas);

/* The rows of pixels that the redactions lie in. FALSE: there are none. */
gboolean yolo_privacy_rows (const YoloPrivacy *privacy, const YoloCanvas *canvas, gint *y0,
    gint *y1);

G_END_DECLS

#endif
