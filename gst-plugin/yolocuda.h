/* SPDX-License-Identifier: MIT */
/* Frames in CUDA memory, as libgstcuda hands them on. Built without libgstcuda, a
 * stub knows no such memory. */

#ifndef YOLO_CUDA_MEMORY_H
#define YOLO_CUDA_MEMORY_H

#include <gst/video/video.h>

#include "image/frame.h"

G_BEGIN_DECLS

#define YOLO_CAPS_FEATURE_CUDA "memory:CUDAMemory"

/* Whether frames in CUDA memory can be taken at all: the plugin is built with
 * libgstcuda, and a CUDA driver can be loaded. */
gboolean yolo_cuda_memory_supported (void);

/* Flags by which gst_buffer_map() gives the address on the device. */
GstMapFlags yolo_cuda_map_flags (void);

/**
 * yolo_cuda_peer_context:
 * @pad: a pad of the element that asks
 * @device_id: number of the CUDA device; -1: any device
 *
 * Returns: (transfer full): the GstCudaContext of the elements behind the pad's peer,
 * or NULL
 */
GstObject *yolo_cuda_peer_context (GstPad *pad, gint device_id);

/**
 * yolo_cuda_given_context:
 *
 * Asks the application and the bins around the element.
 *
 * Returns: (transfer full): the GstCudaContext that one of them has for the device, or
 * NULL
 */
GstObject *yolo_cuda_given_context (GstElement *element, gint device_id);

/**
 * yolo_cuda_share_primary:
 *
 * Makes the device's primary context known as a GstCudaContext, so that elements
 * that start later allocate in it. It is the one context that is the same in all
 * pipelines of the process, in DeepStream and in the CUDA runtime.
 *
 * Returns: (transfer full): the context, or NULL if the device cannot be used
 */
GstObject *yolo_cuda_share_primary (GstElement *element, guint device_id);

/* Answers GST_QUERY_CONTEXT. @context: (nullable) */
gboolean yolo_cuda_context_query (GstElement *element, GstQuery *query, GstObject *context);

/* What a GstCudaContext holds: its CUcontext, the number of its device, and whether
 * yolo_cuda_share_primary() made it. */
gpointer yolo_cuda_context_handle (GstObject *context);
guint yolo_cuda_context_device (GstObject *context);
gboolean yolo_cuda_context_is_primary (GstObject *context);

/**
 * yolo_cuda_layout:
 * @info: (inout): what the caps say
 *
 * Sets the strides and offsets to those of the buffer's memory, for
 * gst_video_frame_map(). Where the buffer has a GstVideoMeta, that function takes them
 * from there; but pools of CUDA memory, whose rows are padded, need not add one.
 */
void yolo_cuda_layout (GstBuffer *buffer, GstVideoInfo *info);

/**
 * yolo_cuda_describe:
 * @buffer: mapped with yolo_cuda_map_flags()
 * @frame: (inout): its memory kind, context and stream are set
 *
 * Returns: FALSE if the buffer holds no CUDA memory
 */
gboolean yolo_cuda_describe (GstBuffer *buffer, YoloFrame *frame);

/* The GstCudaContext of a buffer in CUDA memory, borrowed; NULL: it holds none. */
GstObject *yolo_cuda_buffer_context (GstBuffer *buffer);

/* The CUstream whose work so far writes the buffer's memory; NULL: the context's legacy one. */
gpointer yolo_cuda_buffer_stream (GstBuffer *buffer);

G_END_DECLS

#endif
