/* SPDX-License-Identifier: MIT */
/* What files have as one operation and we run as layers of others: each appends them to a graph
 * and gives the last one, or YOLO_LAYER_NONE with an error, as the functions of graph.h do. */

#ifndef YOLO_NETWORK_COMPOSE_H
#define YOLO_NETWORK_COMPOSE_H

#include "network/graph.h"

G_BEGIN_DECLS

/**
 * yolo_compose_conv_transpose:
 * @scale: side of the kernel, and stride: windows do not overlap
 * @channels: of the output
 * @weights: [channels of the input][channels][scale][scale]
 * @bias: (nullable): [channels]
 *
 * A transposed convolution, which is a convolution of one pixel that makes the pixels
 * of a window side by side, and a shuffle that puts them in their places.
 */
guint yolo_compose_conv_transpose (YoloGraph *graph, const char *name, guint in, guint scale,
    guint channels, const float *weights, const float *bias, GError **error);

/* The mean over windows of kernel x kernel pixels, padding included: a depthwise
 * convolution. @pad: less than the kernel, on all four sides. */
guint yolo_compose_average_pool (YoloGraph *graph, const char *name, guint in, guint kernel,
    guint stride, guint pad, GError **error);

/* A fully connected layer on a map of one pixel: @weights [channels][channels of the input],
 * @bias [channels] or NULL. */
guint yolo_compose_linear (YoloGraph *graph, const char *name, guint in, guint channels,
    const float *weights, const float *bias, GError **error);

/* PReLU: x, or slopes[c] * x below 0. @slopes: [channels]. */
guint yolo_compose_prelu (
    YoloGraph *graph, const char *name, guint in, const float *slopes, GError **error);

G_END_DECLS

#endif
