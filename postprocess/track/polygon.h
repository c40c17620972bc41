/* SPDX-License-Identifier: MIT */
/* Points, and where they lie to lines and polygons. Nothing here allocates; any thread may
 * call it. */

#ifndef YOLO_POSTPROCESS_TRACK_POLYGON_H
#define YOLO_POSTPROCESS_TRACK_POLYGON_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
  double x, y;                  /* y grows downwards */
} YoloPoint;

/* How far @at lies from the endless line through @from and @to, which are not the same point;
 * positive to the right of who looks from @from to @to. */
double yolo_line_distance (YoloPoint from, YoloPoint to, YoloPoint at);

/* Where the way from @before to @now meets the endless line through @from and @to, as a share of
 * the way between these two: 0 at @from, 1 at @to. The way must begin and end on different sides
 * of the line, or begin on it. */
double yolo_line_meet (YoloPoint from, YoloPoint to, YoloPoint before, YoloPoint now);

/* How far @at lies from the border of a polygon: positive inside, 0 on the border, negative
 * outside. Inside is what a ray to the border's outside leaves through an odd number of edges;
 * the polygon need not be convex. */
double yolo_polygon_depth (const YoloPoint *corners, size_t n, YoloPoint at);

/* Its area, whichever way round the corners go. */
double yolo_polygon_area (const YoloPoint *corners, size_t n);

/* Whether two edges of a polygon meet that do not follow each other: its corners are not in
 * the order of its border then. @edges: (out): these, each by the number of its first corner. */
bool yolo_polygon_crosses_itself (const YoloPoint *corners, size_t n, size_t edges[2]);

#endif
