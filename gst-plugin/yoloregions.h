/* SPDX-License-Identifier: MIT */
/* The parts of a frame that yoloinfer looks at: what the properties roi and tiles say. */

#ifndef YOLO_REGIONS_H
#define YOLO_REGIONS_H

#include <glib.h>

G_BEGIN_DECLS

/* Limits, so that no string makes a frame more requests than memory holds. */
#define YOLO_MAX_AREAS 32
#define YOLO_MAX_TILES 8        /* in a row, and in a column */

typedef struct {
  gint x, y, width, height;     /* pixels; width 0: no region */
} YoloRegion;

/* Cuts @a down to what @b covers; FALSE: nothing is left, and @a is as it was. */
gboolean yolo_region_intersect (YoloRegion *a, const YoloRegion *b);

/* What is said of a roi that yolo_areas_parse() does not take, behind the roi. */
#define YOLO_ROI_IS_WRONG \
    "is not a region: give x,y,width,height in pixels, or x1,y1,x2,y2,x3,y3 and so on for a " \
    "polygon; up to " G_STRINGIFY (YOLO_MAX_AREAS) " of them with semicolons between"

/* A rectangle or a polygon, in pixels of the frame that the caps describe. */
typedef struct {
  YoloRegion box;               /* around it */
  guint n_points;               /* of the polygon; 0: a rectangle */
  gint *points;                 /* owned; [n_points][2]: x, y */
} YoloArea;

/**
 * yolo_areas_parse:
 * @string: (nullable): areas with semicolons between: "x,y,width,height", or "x1,y1,x2,y2,x3,y3"
 * and so on for a polygon
 * @areas: (out) (transfer full) (element-type YoloArea): an array that is not written to any
 * more; NULL: there is none, since @string is NULL or "", or is something else
 *
 * Returns: FALSE: @string is something else
 */
gboolean yolo_areas_parse (const gchar *string, GArray **areas);

/* Returns: (transfer full): the area as the property has it. */
gchar *yolo_area_text (const YoloArea *area);

/* Whether a point lies in the area, in pixels: in a rectangle always, since what is found there
 * was looked for there alone; in a polygon by the even-odd rule. */
gboolean yolo_area_contains (const YoloArea *area, gdouble x, gdouble y);

/* How regions are cut into tiles. */
typedef struct {
  guint columns, rows;          /* 0: not at all */
} YoloTiling;

/* Reads "COLUMNSxROWS"; NULL, "" and "1x1" are no tiles. FALSE: @string is something else, and
 * @tiling none. */
gboolean yolo_tiling_parse (const gchar *string, YoloTiling *tiling);

/**
 * yolo_tile:
 * @overlap: share of a tile that the next one shows as well, 0 to less than 1
 * @number: of the tile, row by row, below columns * rows
 *
 * All tiles are of one size, give or take a pixel, and begin at even pixels of @region, so that
 * no sample of chroma is shared; together they cover @region.
 */
YoloRegion yolo_tile (
    const YoloRegion *region, const YoloTiling *tiling, gdouble overlap, guint number);

G_END_DECLS

#endif
