/* SPDX-License-Identifier: MIT */
/* What the graph, the passes, plans and int8 need to know of an operation. What it
 * computes is defined in backend/reference.c. */

#ifndef YOLO_NETWORK_OPERATION_H
#define YOLO_NETWORK_OPERATION_H

#include <glib.h>

#include "base/operation.h"

G_BEGIN_DECLS

typedef struct {
  guint n_in;                   /* maps that it reads; the second one is the operation's residual */
  /* It computes new numbers: in an int8 model its output has a range of its own, and
   * what it reads may be floats or on a grid. FALSE: it hands on numbers as they are,
   * on whatever grid they lie. */
  gboolean computes;
  /* In an int8 model it reads floats, even where what it reads is on a grid as well. */
  gboolean reads_floats;
  /* Whether the numbers are possible. NULL: any are. */
  gboolean (*check) (const YoloOpNumbers *numbers);
  const char *problem;          /* what an error says if they are not */
  /* Channels of the output for those of the input; 0: the input cannot have so many, which
   * is the same problem. NULL: they are the same. */
  guint (*channels) (const YoloOpNumbers *numbers, guint in);
  /* Turns the size of the input into that of the output; FALSE: the input is too small, the
   * output too large, or the operation does not fit. NULL: they are the same. */
  gboolean (*size) (const YoloOpNumbers *numbers, guint *height, guint *width);
  /* The numbers as text, " x2", for plans that people read; the caller frees it.
   * NULL: there is nothing to say. */
  char *(*text) (const YoloOpNumbers *numbers);
} YoloOpTraits;

#define YOLO_MAX_SCALE 16      /* by how much a map is enlarged at once */

const YoloOpTraits *yolo_op_traits (YoloOpType type);

/* Pixels of a window's output; 0: it does not fit. */
guint yolo_window_size (guint in, guint kernel, guint stride, guint pad, guint dilation);

/* Pixels of a kernel, a stride or a dilation that are supported. */
gboolean yolo_window_check (guint value);

/* " silu", or nothing. */
const char *yolo_activation_text (YoloActivation act);

G_END_DECLS

#endif
