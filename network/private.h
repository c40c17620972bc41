/* SPDX-License-Identifier: MIT */
/* What only the files of this folder see of a model. */

#ifndef YOLO_NETWORK_PRIVATE_H
#define YOLO_NETWORK_PRIVATE_H

#include "network/graph.h"
#include "network/model.h"

typedef struct _Model Model;
struct _Model {
  YoloModel public;
  gint ref;                     /* atomic */
  GArray *layers;               /* of YoloLayer, as the passes leave them */
  YoloBoxRounding rounding;     /* what the file rounds behind its maps */
  /* Of an int8 model: the model that it was made of, which owns the strings, the weights and
   * whatever else both have; and memory of its own. NULL elsewhere. */
  Model *base;
  GPtrArray *owned;
  YoloDType grid_dtype;         /* type of maps on grids */
};

#endif
