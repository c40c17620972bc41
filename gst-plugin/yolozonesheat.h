/* SPDX-License-Identifier: MIT */
/* Heat maps as files: a picture, and numbers. Any thread may call these functions, on a heat map
 * that nobody changes meanwhile. */

#ifndef YOLO_ZONES_HEAT_H
#define YOLO_ZONES_HEAT_H

#include <glib.h>

#include "postprocess/track/heat.h"

G_BEGIN_DECLS

/**
 * yolo_zones_heat_png:
 * @width, @height: of the picture, pixels, above 0; both are made smaller where one is more than
 * 4096
 * @path: the file, which is whole at any time
 *
 * Writes a picture to be laid over the frame: the longer somebody was in a place, the redder and
 * more opaque it is. The colour is that of the root of the share of the time that 95 of 100 cells
 * with any stay below, so that something parked does not hide all else.
 *
 * Returns: FALSE with @error
 */
gboolean yolo_zones_heat_png (
    const YoloHeat *heat, gint width, gint height, const gchar *path, GError **error);

/* Writes the seconds of each cell, a line of numbers with commas between for each row, into a file
 * that is whole at any time. Returns: FALSE with @error */
gboolean yolo_zones_heat_csv (const YoloHeat *heat, const gchar *path, GError **error);

/* Returns: (transfer full): @location, with -@source before the ending where it is one of several
 * streams */
gchar *yolo_zones_heat_path (const gchar *location, gboolean several, guint source);

G_END_DECLS

#endif
