/* SPDX-License-Identifier: MIT */
/* Candidates out of the head's maps on the device: only they come back. */

#ifndef YOLO_CUDA_DECODE_H
#define YOLO_CUDA_DECODE_H

#include "cuda/device.h"
#include "network/plan.h"
#include "postprocess/task.h"

G_BEGIN_DECLS

/* What decode of one exec's batches needs. Not thread-safe; all calls in the device's context. */
typedef struct _YoloCudaDecoder YoloCudaDecoder;

/**
 * yolo_cuda_decoder_new:
 * @plan: of a detect model; the decoder does not keep it
 * @maps: [plan->model->n_outputs] device addresses of the first elements of plan->outputs
 *
 * Brings at most 1024 candidates of an image back, 28 KiB; where there are
 * more, those of the highest confidence, of equal ones the first anchors: the
 * same ones in every run.
 */
YoloCudaDecoder *yolo_cuda_decoder_new (YoloCudaDevice *device, const YoloPlan *plan,
    const CUdeviceptr *maps, GError **error);
void yolo_cuda_decoder_free (YoloCudaDecoder *decoder);

/* Of the next launch; @decode NULL: place @i of the batch is idle. No launch may be under way. */
void yolo_cuda_decoder_describe (YoloCudaDecoder *decoder, guint i, const YoloDecode *decode);

/* Enqueues everything from the descriptions' upload to the candidates' download,
 * also into a stream that is captured. */
gboolean yolo_cuda_decoder_launch (YoloCudaDecoder *decoder, CUstream stream, GError **error);

/* When the launch is over: fills candidates (in no order), n and missed of image @i. */
void yolo_cuda_decoder_read (const YoloCudaDecoder *decoder, guint i, YoloDecode *decode);

G_END_DECLS

#endif
