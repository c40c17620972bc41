/* SPDX-License-Identifier: MIT */
/* Lines and zones, with what is counted there, on a canvas. */

#ifndef YOLO_ZONES_DRAW_H
#define YOLO_ZONES_DRAW_H

#include <gst/video/video.h>

#include "gst-plugin/yolofigure.h"
#include "gst-plugin/yolotext.h"

G_BEGIN_DECLS

/* In the format that is drawn on. */
typedef struct {
  YoloColor line, zone, alarm;  /* alarm: a crowded zone, or one where somebody loiters */
  YoloColor text;
} YoloZonesColors;

void yolo_zones_colors_init (YoloZonesColors *colors, const GstVideoInfo *info);

/* What is drawn on and with. Pixels. */
typedef struct {
  YoloCanvas *canvas;
  YoloFigures *figures;
  YoloText *text;
  const YoloZonesColors *colors;
  guint turn;                   /* YOLO_TURN_* of image/frame.h */
  gint x, y, width, height;     /* the frame that the caps describe, in memory */
  gint thickness;
} YoloZonesPen;

/* Draws what yolozones attached: lines with an arrow to side b and the counts of both directions,
 * zones with their occupancy. @zones: what yolo_zones_meta_next() gives; fields that are missing
 * or of another type leave out what they are of. */
void yolo_zones_draw (const YoloZonesPen *pen, const GstStructure *zones);

G_END_DECLS

#endif
