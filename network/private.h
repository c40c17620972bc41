/* What only this room sees of a model. */

#ifndef YOLO_NETWORK_PRIVATE_H
#define YOLO_NETWORK_PRIVATE_H

#include "network/passes.h"

typedef struct {
  YoloModel public;
  gint ref;                     /* atomic */
  GArray *layers;               /* Layer, after the passes */
  Head head;
} Model;

#endif
