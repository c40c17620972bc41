/* Python literals, as Ultralytics writes them into a file's metadata. */

#ifndef YOLO_NETWORK_LITERAL_H
#define YOLO_NETWORK_LITERAL_H

#include <glib.h>

/**
 * literal_names:
 * @text: "{0: 'person', 1: \"driver's cab\"}" or "['person', 'bicycle']"
 *
 * Returns: (transfer full): name by class number, or NULL if the text is no
 * such literal; numbers must be 0 to 99999
 */
GHashTable *literal_names (const char *text);

/* "[384, 640]", "(384, 640)" or "640", which stands for both. */
gboolean literal_size (const char *text, guint *height, guint *width);

#endif
