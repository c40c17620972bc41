/* Frames in CUDA memory, as libgstcuda hands them on. Built without it, a stub
 * knows no such memory. */

#ifndef YOLO_CUDA_MEMORY_H
#define YOLO_CUDA_MEMORY_H

#include <gst/video/video.h>

#include "postprocess/frame.h"

G_BEGIN_DECLS

#define YOLO_CAPS_FEATURE_CUDA "memory:CUDAMemory"

/* Whether caps with this feature can be taken at all: built so, and a driver is there. */
gboolean yolo_cuda_memory_supported (void);

/* Flags that map a buffer to its device address. */
GstMapFlags yolo_cuda_map_flags (void);

/**
 * yolo_cuda_ensure_context:
 * @device_id: of the CUDA device
 * @context: (inout): a GstCudaContext, or NULL to be found or made
 *
 * Asks the neighbours, then the application, for their context of the device,
 * so that frames need no copy; makes one where nobody has any.
 *
 * Returns: FALSE if there is none to be had
 */
gboolean yolo_cuda_ensure_context (GstElement *element, guint device_id, GstObject **context);

/* For GstElementClass.set_context and GST_QUERY_CONTEXT: what neighbours say and ask. */
void yolo_cuda_set_context (GstElement *element, GstContext *given, guint device_id, GstObject **context);
gboolean yolo_cuda_context_query (GstElement *element, GstQuery *query, GstObject *context);

/* The CUcontext of a GstCudaContext. */
gpointer yolo_cuda_context_handle (GstObject *context);

/**
 * yolo_cuda_describe:
 * @frame: (inout): its memory kind, context and stream are set
 *
 * Of a buffer that has been mapped with yolo_cuda_map_flags().
 *
 * Returns: FALSE if it holds no CUDA memory
 */
gboolean yolo_cuda_describe (GstBuffer *buffer, YoloFrame *frame);

/* The GstCudaContext of a buffer in CUDA memory, borrowed; NULL: it holds none. */
GstObject *yolo_cuda_buffer_context (GstBuffer *buffer);

/* The CUstream whose work so far writes the buffer's memory; NULL: the context's legacy one. */
gpointer yolo_cuda_buffer_stream (GstBuffer *buffer);

G_END_DECLS

#endif
