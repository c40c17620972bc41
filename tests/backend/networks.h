/* SPDX-License-Identifier: MIT */
/* Small networks, each around one operation, and what they compute by the definitions
 * of network/graph.h: layer by layer, in double, without passes and plans. */

#ifndef TEST_BACKEND_NETWORKS_H
#define TEST_BACKEND_NETWORKS_H

#include "network/graph.h"
#include "postprocess/task.h"

typedef struct _Net Net;        /* a graph that is being built */

typedef struct _Case Case;
struct _Case {
  const char *name;
  guint height, width;          /* of the input, pixels */
  guint channels;               /* of the first convolution, which reads the input */
  /* Appends layers; returns the one that the head reads. @in: the first convolution */
  guint (*build) (Net *net, const Case *c, guint in);
  YoloConv conv;                /* what the case varies; in_channels is found out */
};

/* A network whose head has coefficients and prototypes too: 4 channels each, the latter at half
 * the size of the other maps' pixels. */
YoloGraph *make_segment_graph (guint height, guint width);

extern const Case cases[];
extern const guint n_cases;
const Case *case_named (const char *name);

/* (transfer full): the network of a case for an input of height x width. Grey levels become
 * 0 to 2 and go through a convolution, then come the layers of the case, and a head of two
 * bins a side and one class, so that each number of its maps shows in the candidates. The
 * weights are random, and the same at every size. */
YoloGraph *make_graph (const Case *c, guint height, guint width);

/* Candidates by definition: all anchors of one frame.
 * @levels: [height][width][3]
 * @decode: has room for all of them */
void define (const YoloGraph *graph, const guint8 *levels, YoloDecode *decode);

#endif
