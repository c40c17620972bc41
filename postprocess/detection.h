#ifndef YOLO_POSTPROCESS_DETECTION_H
#define YOLO_POSTPROCESS_DETECTION_H

#include <stddef.h>
#include <stdint.h>

/* A found object. Pixels of the network's input from decode to NMS, of the
 * frame afterwards. */
typedef struct {
  float x1, y1, x2, y2;         /* left, top, right, bottom */
  float confidence;             /* sigmoid of the best class's logit */
  int32_t class_id;
  int32_t anchor;               /* index of the anchor point that it came from; breaks ties */
} YoloDetection;

#endif
