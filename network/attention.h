/* SPDX-License-Identifier: MIT */
/* Attention in a graph, for readers of files: files have queries, keys and values of one head
 * after the other, the operation takes all queries, then all keys, then all values. */

#ifndef YOLO_NETWORK_ATTENTION_H
#define YOLO_NETWORK_ATTENTION_H

#include "network/graph.h"

G_BEGIN_DECLS

/**
 * yolo_attention_order:
 * @in: a convolution without activation, also with a batch norm behind it, whose channels are
 * for each head a query, a key and a value
 * @heads: heads, which divides the channels of @in
 * @key: channels of a head's query, and of its key
 *
 * Appends a copy of @in whose channels are in the order that the operation takes. Nothing is
 * left of @in in the end if nobody else reads it.
 *
 * Returns: the number of the layer, or YOLO_LAYER_NONE with @error
 */
guint yolo_attention_order (
    YoloGraph *graph, const char *name, guint in, guint heads, guint key, GError **error);

/* The values alone: a slice of what yolo_attention_order() gave. */
guint yolo_attention_values (
    YoloGraph *graph, const char *name, guint ordered, guint heads, guint key, GError **error);

/**
 * yolo_attention_finish:
 * @ordered: what yolo_attention_order() gave, of which no other attention has been made
 * @numbers: heads, key and areas
 * @factor: what products of queries and keys are multiplied by; it goes into @ordered
 *
 * Appends the operation.
 *
 * Returns: the number of the layer, or YOLO_LAYER_NONE with @error
 */
guint yolo_attention_finish (YoloGraph *graph, const char *name, guint ordered,
    const YoloOpNumbers *numbers, float factor, GError **error);

G_END_DECLS

#endif
