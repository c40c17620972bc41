/* cuDNN 9, opened at run time if it is there. */

#ifndef YOLO_CUDA_CUDNN_H
#define YOLO_CUDA_CUDNN_H

#include "cuda/conv.h"

G_BEGIN_DECLS

/* 91900: 9.19.0; 0: there is none, or YOLO_CUDA_CUDNN=0 turns it off. Thread-safe. */
int yolo_cudnn_version (void);

/**
 * yolo_cudnn_check:
 * @capability: 80 for 8.0
 * @device_json: a device as CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION describes it
 *
 * Builds the fused graph of a shape for a device that need not be there, and
 * its plans up to the first that is accepted. For tests.
 *
 * Returns: whether there is a plan; @engines says how many the heuristics offer
 */
gboolean yolo_cudnn_check (const YoloConvShape *shape, const char *device_json, guint *engines);

G_END_DECLS

#endif
