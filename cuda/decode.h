/* SPDX-License-Identifier: MIT */
/* Finds candidates in the head's maps on the device, so that only candidates are copied back. */

#ifndef YOLO_CUDA_DECODE_H
#define YOLO_CUDA_DECODE_H

#include "cuda/device.h"
#include "network/plan.h"
#include "postprocess/task.h"

G_BEGIN_DECLS

/* All that decoding the batches of one exec needs. Not thread-safe; all functions are called
 * in the device's context. */
typedef struct _YoloCudaDecoder YoloCudaDecoder;

/**
 * yolo_cuda_decoder_new:
 * @plan: a plan of a model of any task; the decoder does not keep it
 * @maps: [plan->model->n_outputs] device addresses of the first elements of plan->outputs
 *
 * The decoder brings back at most 1024 candidates of an image, 32 KiB, by their best class;
 * of a model without boxes, which says what the image is, the image itself. Where there are
 * more, it takes those of the highest confidence and, of equal ones, those of the first
 * anchors, so that every run gives the same candidates.
 *
 * Returns: (transfer full): the decoder, or NULL with @error
 */
YoloCudaDecoder *yolo_cuda_decoder_new (YoloCudaDevice *device, const YoloPlan *plan,
    const CUdeviceptr *maps, GError **error);
void yolo_cuda_decoder_free (YoloCudaDecoder *decoder);

/* Says what the next launch is to keep of image @i of the batch; @decode NULL: that place has
 * no image. No launch may be under way. */
void yolo_cuda_decoder_describe (YoloCudaDecoder *decoder, guint i, const YoloDecode *decode);

/* Enqueues everything from the upload of the descriptions to the download of the candidates.
 * The stream may be one that is captured. */
gboolean yolo_cuda_decoder_launch (YoloCudaDecoder *decoder, CUstream stream, GError **error);

/* Fills in candidates, which are in no order, n and missed of image @i. The launch must be
 * over. */
void yolo_cuda_decoder_read (const YoloCudaDecoder *decoder, guint i, YoloDecode *decode);

G_END_DECLS

#endif
