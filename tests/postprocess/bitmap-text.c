/* SPDX-License-Identifier: MIT */
/* For test-bitmap.py: of each line of standard input - width and height of a frame; x, y, width
 * and height of a part; its pixels, a 0 or 1 each - the run lengths and the outline's points in
 * halves of a pixel, on a line. */

#include "postprocess/bitmap.h"

#include <stdio.h>

#define MOST 10000              /* pixels of a part */

int
main (void)
{
  static uint8_t pixels[MOST];
  static char text[8 * MOST + 64];
  static int32_t points[16 * MOST];
  YoloBitmap bitmap = { .pixels = pixels };
  int width, height;

  while (scanf ("%d %d %d %d %d %d", &width, &height, &bitmap.x, &bitmap.y, &bitmap.width,
             &bitmap.height) == 6) {
    for (int i = 0; i < bitmap.width * bitmap.height; i++)
      if (scanf ("%1hhu", &pixels[i]) != 1)
        return 1;
    size_t n = yolo_bitmap_rle (&bitmap, width, height, text, sizeof text);
    size_t n_points = yolo_bitmap_outline (&bitmap, points, sizeof points / 8);
    printf ("%.*s", (int) n, text);
    for (size_t i = 0; i < 2 * n_points; i++)
      printf (" %d", (int) points[i]);
    printf ("\n");
  }
  return 0;
}
