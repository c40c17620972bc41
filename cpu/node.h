/* SPDX-License-Identifier: MIT */
/* The NUMA nodes of the machine, as Linux tells them: cores with memory of their own, as each
 * socket of a machine of several has. */

#ifndef YOLO_CPU_NODE_H
#define YOLO_CPU_NODE_H

#include <glib.h>

#include "base/error.h"

G_BEGIN_DECLS

/**
 * yolo_node_check:
 * @node: from 0
 *
 * Any thread.
 *
 * Returns: whether there is such a node with a core that this process may use; the error
 * (YOLO_NETWORK_ERROR_DEVICE) says why not
 */
gboolean yolo_node_check (guint node, GError **error);

/* Cores of a node that this process may use; 0: it has none, or is not there. Any thread. */
guint yolo_node_cores (guint node);

/* Has the calling thread run on a node's cores alone, as threads will that it starts from now on.
 * Linux gives them memory of that node, for it takes pages where they are touched first. What
 * cannot be bound runs where it did. */
void yolo_node_enter (guint node);

/* The cores of the calling thread before yolo_node_enter(), to go back to. */
typedef struct _YoloCores YoloCores;
YoloCores *yolo_cores_save (void);
void yolo_cores_restore (YoloCores *cores);     /* and frees them */

G_END_DECLS

#endif
