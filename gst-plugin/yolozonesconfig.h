/* SPDX-License-Identifier: MIT */
/* The lines and zones of yolozones as its JSON file has them; docs/zones.md describes it. */

#ifndef YOLO_ZONES_CONFIG_H
#define YOLO_ZONES_CONFIG_H

#include <glib.h>

#include "postprocess/track/zones.h"

G_BEGIN_DECLS

/* A class by its name or its number. */
typedef struct {
  gchar *label;                 /* owned; NULL: the number counts */
  gint id;
} YoloZonesClass;

/* What the file says of a line or a zone beside its shape. The strings are valid UTF-8. */
typedef struct {
  gchar *name;                  /* owned; no two lines, and no two zones, have the same */
  gchar *directions[2];         /* owned; of a line: from a to b, from b to a */
  GArray *classes;              /* YoloZonesClass, owned; empty: all */
} YoloZonesName;

/* Never changes once it is read, so that threads may share it. */
typedef struct {
  gatomicrefcount references;
  YoloZonesConfig config;       /* its arrays are owned */
  YoloZonesName *lines, *zones; /* [config.n_lines], [config.n_zones]; owned */
  GArray *heat_classes;         /* YoloZonesClass, owned; empty: all */
} YoloZonesLayout;

/**
 * yolo_zones_layout_parse:
 * @text: JSON
 * @name: of the file or property that it comes from, for errors
 *
 * Checks all that the text says; an error (G_IO_ERROR_INVALID_DATA, or json-glib's) names @name,
 * the place and what is to be there.
 *
 * Returns: (transfer full): or NULL with @error
 */
YoloZonesLayout *yolo_zones_layout_parse (const gchar *text, const gchar *name, GError **error);

/* The same of a file. */
YoloZonesLayout *yolo_zones_layout_read (const gchar *path, GError **error);

YoloZonesLayout *yolo_zones_layout_ref (YoloZonesLayout *layout);
/* NULL does nothing. */
void yolo_zones_layout_unref (YoloZonesLayout *layout);

/* Whether a class is one of @classes, or these are empty. @label: (nullable): its name; @id: its
 * number, -1: unknown. */
gboolean yolo_zones_class_is_in (const GArray *classes, const gchar *label, gint id);

/* For each line and zone of @now its number in @before, if it is there by the same name and in the
 * same place; else -1. @lines, @zones: (out): [YOLO_ZONES_MAX_SHAPES] */
void yolo_zones_layout_compare (const YoloZonesLayout *now, const YoloZonesLayout *before,
    gint *lines, gint *zones);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (YoloZonesLayout, yolo_zones_layout_unref)

G_END_DECLS

#endif
