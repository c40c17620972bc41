/* SPDX-License-Identifier: MIT */
/* How long objects were where in the frame: a grid of seconds. One thread at a time. */

#ifndef YOLO_POSTPROCESS_TRACK_HEAT_H
#define YOLO_POSTPROCESS_TRACK_HEAT_H

#include <stdbool.h>
#include <stdint.h>

#define YOLO_HEAT_MAX_SIDE 1024 /* cells */

typedef struct {
  unsigned columns, rows;       /* cells over the width and the height of the frame */
  double *seconds;              /* [rows][columns], owned; those of several objects add up */
} YoloHeat;

/* False: there is no memory, or a side is 0 or more than YOLO_HEAT_MAX_SIDE. */
bool yolo_heat_init (YoloHeat *heat, unsigned columns, unsigned rows);
void yolo_heat_clear (YoloHeat *heat);
/* Sets all cells to 0. */
void yolo_heat_reset (YoloHeat *heat);

/* @x, @y: the place, 0 to 1 of the frame; one outside counts for the nearest cell. */
void yolo_heat_add (YoloHeat *heat, double x, double y, double seconds);

/* The colour of a cell that is so hot, from 0, which is transparent, over blue, cyan, green and
 * yellow to 1, which is red; what is hotter is red as well. 0xAARRGGBB with the colours multiplied
 * by the alpha, as cairo has it. What 1 means the caller says (yolo_zones_heat_png()). */
uint32_t yolo_heat_color (double heat);

#endif
