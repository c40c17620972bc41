/* SPDX-License-Identifier: MIT */
#include "cuda/decode.h"

#include <string.h>

#include "cuda/kernels/decode.h"

G_STATIC_ASSERT (YOLO_DECODE_LEVELS >= YOLO_MAX_LEVELS);

struct _YoloCudaDecoder {
  YoloCudaDevice *device;
  CUfunction find, boxes;
  YoloDecodeParams params;      /* of no anchors: all that there is to find is the image itself */
  gboolean end_to_end;
  /* Descriptions of the images and their class masks, which one copy takes to the device:
   * YoloDecodeImage [batch], then bytes [batch][n_classes]. */
  guint8 *description;          /* pinned */
  CUdeviceptr device_description;
  gsize description_size;
  /* Counts and candidates, which one copy brings back: YoloDecodeCount [batch], then
   * YoloObject [batch][YOLO_DECODE_CAPACITY]. */
  guint8 *result;               /* pinned */
  CUdeviceptr device_result;
  gsize result_size;
  CUdeviceptr found;            /* YoloDecodeFound [batch][n_anchors] */
};

static YoloDecodeImage *
images_of (const YoloCudaDecoder *decoder)
{
  return (YoloDecodeImage *) decoder->description;
}

/* Tells the kernels where each level's maps are. A model's outputs are in the order of levels,
 * so that anchors are numbered level by level. */
static void
describe_levels (YoloDecodeParams *params, const YoloPlan *plan, const CUdeviceptr *maps)
{
  for (guint k = 0; k < plan->model->n_outputs; k++) {
    const YoloOutput *output = &plan->model->outputs[k];
    const YoloBuffer *map = &plan->buffers[plan->outputs[k].buffer];
    YoloDecodeLevel *level = &params->levels[output->level];

    switch (output->role) {
      case YOLO_MAP_BOX:
        level->box = (const float *) maps[k];
        level->box_pitch = (int) map->channels;
        params->reg_max = (int) plan->outputs[k].channels / 4;
        break;
      case YOLO_MAP_CLASS:
        level->cls = (const float *) maps[k];
        level->cls_pitch = (int) map->channels;
        params->n_classes = (int) plan->outputs[k].channels;
        level->width = (int) map->width;
        level->height = (int) map->height;
        level->stride = (int) output->stride;
        level->first = params->n_anchors;
        params->n_anchors += (int) (map->width * map->height);
        params->n_levels = (int) output->level + 1;
        break;
      case YOLO_MAP_COEFFICIENT:
      case YOLO_MAP_KEYPOINT:
      case YOLO_MAP_ANGLE:
      case YOLO_MAP_PROTOTYPE:
      case YOLO_MAP_LOGIT:
        break;
    }
  }
}

static gboolean
allocate (YoloCudaDecoder *decoder, GError **error)
{
  YoloDecodeParams *params = &decoder->params;
  YoloCudaDevice *device = decoder->device;
  gsize batch = (gsize) params->batch, masks = batch * sizeof (YoloDecodeImage),
        out = batch * sizeof (YoloDecodeCount);

  decoder->description_size = masks + batch * (gsize) params->n_classes;
  decoder->result_size = out + batch * YOLO_DECODE_CAPACITY * sizeof (YoloObject);
  decoder->description =
      yolo_cuda_alloc_host (device, decoder->description_size, "class masks", error);
  decoder->result = decoder->description != NULL
      ? yolo_cuda_alloc_host (device, decoder->result_size, "candidates", error) : NULL;
  if (decoder->result == NULL
      || (decoder->device_description =
                 yolo_cuda_alloc (device, decoder->description_size, "class masks", error))
          == 0
      || (decoder->device_result =
                 yolo_cuda_alloc (device, decoder->result_size, "candidates", error))
          == 0
      || (decoder->found = yolo_cuda_alloc (device,
              batch * (gsize) params->n_anchors * sizeof (YoloDecodeFound), "candidates", error))
          == 0)
    return FALSE;
  memset (decoder->description, 0, decoder->description_size);
  params->images = (const YoloDecodeImage *) decoder->device_description;
  params->masks = (const uint8_t *) (decoder->device_description + masks);
  params->counts = (YoloDecodeCount *) decoder->device_result;
  params->out = (YoloObject *) (decoder->device_result + out);
  params->found = (YoloDecodeFound *) decoder->found;
  /* a batch copies the whole result, also the parts that no kernel has written */
  return yolo_cuda_check (
      device->driver->cuMemsetD8 (decoder->device_result, 0, decoder->result_size),
      "clear the candidates", error);
}

YoloCudaDecoder *
yolo_cuda_decoder_new (
    YoloCudaDevice *device, const YoloPlan *plan, const CUdeviceptr *maps, GError **error)
{
  YoloCudaDecoder *decoder = g_new0 (YoloCudaDecoder, 1);

  decoder->device = device;
  decoder->params.batch = (int) plan->batch;
  decoder->end_to_end = plan->model->form.end_to_end;
  describe_levels (&decoder->params, plan, maps);
  if (decoder->params.n_anchors == 0)
    return decoder;
  if ((decoder->find = yolo_cuda_function (device, YOLO_CUDA_MODULE_decode, "decode_find", error))
          != NULL
      && (decoder->boxes =
                 yolo_cuda_function (device, YOLO_CUDA_MODULE_decode, "decode_boxes", error))
          != NULL
      && allocate (decoder, error))
    return decoder;
  yolo_cuda_decoder_free (decoder);
  return NULL;
}

void
yolo_cuda_decoder_free (YoloCudaDecoder *decoder)
{
  if (decoder == NULL)
    return;
  yolo_cuda_free_host (decoder->device, decoder->description);
  yolo_cuda_free_host (decoder->device, decoder->result);
  yolo_cuda_free (decoder->device, decoder->device_description);
  yolo_cuda_free (decoder->device, decoder->device_result);
  yolo_cuda_free (decoder->device, decoder->found);
  g_free (decoder);
}

void
yolo_cuda_decoder_describe (YoloCudaDecoder *decoder, guint i, const YoloDecode *decode)
{
  gsize n_classes = (gsize) decoder->params.n_classes;
  guint8 *mask = decoder->description + (gsize) decoder->params.batch * sizeof (YoloDecodeImage)
      + i * n_classes;

  if (decoder->params.n_anchors == 0)
    return;
  if (decode == NULL) {
    images_of (decoder)[i] = (YoloDecodeImage) { .idle = 1 };
    return;
  }
  /* the classes of an end-to-end head, or of anchors with several, are chosen later */
  images_of (decoder)[i] = (YoloDecodeImage){ .confidence = decode->confidence,
    .masked = decode->classes != NULL && !decoder->end_to_end && !decode->multi_label };
  if (decode->classes != NULL)
    memcpy (mask, decode->classes, n_classes);
}

gboolean
yolo_cuda_decoder_launch (YoloCudaDecoder *decoder, CUstream stream, GError **error)
{
  YoloCudaDevice *device = decoder->device;
  const YoloCudaDriver *driver = device->driver;
  const YoloDecodeParams *params = &decoder->params;
  guint batch = (guint) params->batch, per_block = YOLO_DECODE_BLOCK / YOLO_DECODE_LANES;

  if (params->n_anchors == 0)
    return TRUE;
  return yolo_cuda_check (driver->cuMemcpyHtoDAsync (decoder->device_description,
                              decoder->description, decoder->description_size, stream),
             "upload thresholds and classes", error)
      && yolo_cuda_check (driver->cuMemsetD8Async (
                              decoder->device_result, 0, batch * sizeof (YoloDecodeCount), stream),
          "clear the candidates", error)
      && yolo_cuda_launch (device, decoder->find,
          ((guint) params->n_anchors + per_block - 1) / per_block, batch, 1, YOLO_DECODE_BLOCK, 0,
          stream, params, error)
      && yolo_cuda_launch (device, decoder->boxes, YOLO_DECODE_BLOCKS, batch, 1, YOLO_DECODE_BLOCK,
          0, stream, params, error)
      && yolo_cuda_check (driver->cuMemcpyDtoHAsync (decoder->result, decoder->device_result,
                              decoder->result_size, stream),
          "download the candidates", error);
}

void
yolo_cuda_decoder_read (const YoloCudaDecoder *decoder, guint i, YoloDecode *decode)
{
  gsize batch = (gsize) decoder->params.batch;
  const YoloDecodeCount *count = (const YoloDecodeCount *) decoder->result + i;
  const YoloObject *out;

  if (decoder->params.n_anchors == 0) {
    decode->candidates[0] = (YoloObject) { .confidence = 1 };
    decode->n = 1;
    decode->missed = 0;
    return;
  }
  out = (const YoloObject *) (decoder->result + batch * sizeof (YoloDecodeCount))
      + (gsize) i * YOLO_DECODE_CAPACITY;
  decode->n = MIN ((gsize) count->written, decode->capacity);
  decode->missed = (gsize) (count->found - count->selected) + ((gsize) count->written - decode->n);
  memcpy (decode->candidates, out, decode->n * sizeof (YoloObject));
}
