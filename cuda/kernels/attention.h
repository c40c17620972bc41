/* SPDX-License-Identifier: MIT */
/* What the kernel of attention.cu is given; read by C and by CUDA. */

#ifndef YOLO_KERNELS_ATTENTION_H
#define YOLO_KERNELS_ATTENTION_H

/* Tensors [batch][areas][count][channels]: positions of an area. */
typedef struct {
  const void *in;               /* all queries, all keys, all values, head after head */
  void *out;
  int heads, areas, count;
  int key, value;               /* channels of a head's query and its key, and of its value */
  /* A block of threads has some queries of a head and an area, and some channels of the values. */
  int blocks, parts;
  int in_pitch, out_pitch;      /* elements from pixel to pixel */
  int in_type, out_type;        /* YoloDType */
  const float *in_scale, *out_scale;    /* steps of the grids that int8 is on; NULL: none */
} YoloAttentionParams;

#define YOLO_ATTENTION_THREADS 128
#define YOLO_ATTENTION_QUERIES 16       /* of a block */
#define YOLO_ATTENTION_KEYS 32  /* that a block goes over at a time */
#define YOLO_ATTENTION_VALUES 64        /* channels of a block */

/* Floats from one query or key to the next in shared memory: a whole number of eights, and four
 * more, so that eight neighbours' vectors of four lie in different banks. */
#define YOLO_ATTENTION_ROW(key) (((key) + 7) / 8 * 8 + 4)
/* Floats from one query's weights to the next one's. */
#define YOLO_ATTENTION_WEIGHTS (YOLO_ATTENTION_KEYS + 4)
/* Bytes of shared memory: queries, keys, values and weights. */
#define YOLO_ATTENTION_SHARED(key) \
  (4 * ((YOLO_ATTENTION_QUERIES + YOLO_ATTENTION_KEYS) * YOLO_ATTENTION_ROW (key) \
      + YOLO_ATTENTION_KEYS * YOLO_ATTENTION_VALUES \
      + YOLO_ATTENTION_QUERIES * YOLO_ATTENTION_WEIGHTS))

#endif
