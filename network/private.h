/* SPDX-License-Identifier: MIT */
/* What only this room sees of a model. */

#ifndef YOLO_NETWORK_PRIVATE_H
#define YOLO_NETWORK_PRIVATE_H

#include "network/graph.h"
#include "network/model.h"

typedef struct _Model Model;
struct _Model {
  YoloModel public;
  gint ref;                     /* atomic */
  GArray *layers;               /* YoloLayer, after the passes */
  YoloBoxRounding rounding;     /* by quantisers in the file's tail */
  /* Of an int8 model: the one that it was made of, which owns the strings, the
   * weights and what the layers have in common with its own; and what is its own. */
  Model *base;
  GPtrArray *owned;
  YoloDType grid_dtype;         /* of maps on grids */
};

#endif
