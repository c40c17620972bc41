/* SPDX-License-Identifier: MIT */
/* Where messages go, as text: mqtt://user@host:1883/topic. */

#ifndef YOLO_EXPORT_LOCATION_H
#define YOLO_EXPORT_LOCATION_H

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  char *scheme;                 /* in small letters */
  char *user;                   /* or NULL */
  char *host;                   /* name or address, of IPv6 without brackets; of a list the first */
  guint port;                   /* 0: the location names none */
  char *hosts;                  /* host or list of host:port, with commas, as it stands there */
  char *topic;                  /* what stands behind the host, decoded; "" if there is nothing */
} YoloLocation;

/* Whether the text begins as a URI does, with a scheme and "://"; else it is the path of a file. */
gboolean yolo_location_is_uri (const char *text);

/**
 * yolo_location_parse:
 * @text: a URI
 *
 * A password in it is an error, for what is a property is shown in graphs and logs; the error does
 * not show it either.
 *
 * Returns: (transfer full): or NULL with @error (G_URI_ERROR)
 */
YoloLocation *yolo_location_parse (const char *text, GError **error);

/* @location: (nullable) */
void yolo_location_free (YoloLocation *location);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloLocation, yolo_location_free)

G_END_DECLS

#endif
