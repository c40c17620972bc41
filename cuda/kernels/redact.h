/* SPDX-License-Identifier: MIT */
/* What the redacting kernels are given; read by C and by CUDA. */

#ifndef YOLO_KERNELS_REDACT_H
#define YOLO_KERNELS_REDACT_H

#include "image/redaction.h"

typedef struct {
  YoloCanvas canvas;            /* device addresses */
  const YoloRedaction *redactions;      /* [n_redactions], in device memory */
  const uint8_t *masks;         /* of the redactions, in device memory */
  uint16_t *levels;             /* of the redactions, in device memory */
  int n_redactions;
  YoloRect cells;               /* that all redactions lie in */
} YoloRedactParams;

/* Threads that take the mean of a block. */
#define YOLO_REDACT_THREADS 256
/* Columns and rows of samples that a block of threads writes. */
#define YOLO_REDACT_WIDTH 32
#define YOLO_REDACT_HEIGHT 8

#endif
