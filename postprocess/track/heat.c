/* SPDX-License-Identifier: MIT */
#include "postprocess/track/heat.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool
yolo_heat_init (YoloHeat *heat, unsigned columns, unsigned rows)
{
  *heat = (YoloHeat) { 0 };
  if (columns == 0 || rows == 0 || columns > YOLO_HEAT_MAX_SIDE || rows > YOLO_HEAT_MAX_SIDE)
    return false;
  heat->seconds = calloc ((size_t) columns * rows, sizeof (*heat->seconds));
  if (heat->seconds == NULL)
    return false;
  heat->columns = columns;
  heat->rows = rows;
  return true;
}

void
yolo_heat_clear (YoloHeat *heat)
{
  free (heat->seconds);
  *heat = (YoloHeat) { 0 };
}

void
yolo_heat_reset (YoloHeat *heat)
{
  memset (heat->seconds, 0, (size_t) heat->columns * heat->rows * sizeof (*heat->seconds));
}

/* The cell of a place, 0 to 1. */
static unsigned
cell_of (double place, unsigned n)
{
  double cell = floor (place * n);

  return (unsigned) fmin (fmax (cell, 0), n - 1);
}

void
yolo_heat_add (YoloHeat *heat, double x, double y, double seconds)
{
  heat->seconds[(size_t) cell_of (y, heat->rows) * heat->columns + cell_of (x, heat->columns)] +=
      seconds;
}

uint32_t
yolo_heat_color (double heat)
{
  static const double stops[5][3] = { { 0, 0, 1 }, { 0, 1, 1 }, { 0, 1, 0 }, { 1, 1, 0 },
    { 1, 0, 0 } };
  double at = fmin (fmax (heat, 0), 1) * 4, alpha = fmin (at, 1) * .8;
  int stop = (int) fmin (at, 3);
  uint32_t color = (uint32_t) lrint (alpha * 255);

  for (int i = 0; i < 3; i++) {
    double channel = stops[stop][i] + (at - stop) * (stops[stop + 1][i] - stops[stop][i]);

    color = color << 8 | (uint32_t) lrint (channel * alpha * 255);
  }
  return color;
}
