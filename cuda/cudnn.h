/* SPDX-License-Identifier: MIT */
/* cuDNN 9, opened at run time if it is there. */

#ifndef YOLO_CUDA_CUDNN_H
#define YOLO_CUDA_CUDNN_H

#include "cuda/conv.h"

G_BEGIN_DECLS

/* The library's version, 91900 for 9.19.0; 0: there is none, or YOLO_CUDA_CUDNN=0 turns it
 * off. Thread-safe. */
int yolo_cudnn_version (void);

/**
 * yolo_cudnn_plans:
 * @device_json: a device as CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION describes it (cuDNN 9.8 or
 *   newer)
 * @only: (nullable): the name of the one candidate to make
 * @max: how many candidates @list has room for; 0: no plan is built, only the heuristics are asked
 * @engines: (out): how many engine configurations the heuristics offer; 0: the shape is refused
 *
 * Does what yolo_conv_cudnn_list() does, for a device that need not be there. This is for
 * tests: a candidate that is launched without a device takes its addresses and does nothing.
 *
 * Returns: how many candidates are in @list
 */
guint yolo_cudnn_plans (const YoloConvShape *shape, const char *device_json, const char *only,
    YoloConvCandidate *list, guint max, guint *engines);

/* Writes the plan of a candidate that was chosen to XDG_CACHE_HOME/yolo, where
 * yolo_conv_cudnn_named() finds it: to load it takes a millisecond, to build it up to
 * two seconds. Does nothing for candidates of other implementations. @device_json
 * describes the device where @device is NULL. Any thread may call this, in the device's
 * context. */
void yolo_cudnn_keep (const YoloCudaDevice *device, const char *device_json,
    const YoloConvShape *shape, const YoloConvCandidate *candidate);

G_END_DECLS

#endif
