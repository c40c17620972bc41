/* SPDX-License-Identifier: MIT */
#include "cuda/preprocess.h"

#include "image/pixel.h"
#include "image/sample.h"

void
yolo_cuda_preprocess_idle (YoloCudaFrame *description)
{
  *description = (YoloCudaFrame) { .idle = 1, .width = 1, .height = 1 };
}

void
yolo_cuda_preprocess_describe (
    YoloCudaFrame *description, const YoloFrame *frame, const YoloLetterbox *box)
{
  const YoloLayout *layout = &yolo_layouts[frame->format];
  YoloColour colour;

  yolo_colour_init (&colour, frame->matrix, frame->full_range, layout->bits);
  *description = (YoloCudaFrame){
    .n_components = layout->n_components,
    .bits = layout->bits,
    .shift = layout->shift,
    .yuv = layout->yuv,
    .x0 = box->x,
    .y0 = box->y,
    .width = box->src_width,
    .height = box->src_height,
    .turn = box->turn,
    .left = box->left,
    .top = box->top,
    .scaled_width = box->width,
    .scaled_height = box->height,
  };
  for (int i = 0; i < 3; i++) {
    description->plane[i] = frame->plane[i];
    description->stride[i] = frame->stride[i];
    description->component[i].plane = layout->component[i].plane;
    description->component[i].step = layout->component[i].step;
    description->component[i].offset = layout->component[i].offset;
    description->component[i].x_shift = layout->component[i].x_shift;
    description->component[i].y_shift = layout->component[i].y_shift;
    description->offset[i] = colour.offset[i];
    for (int k = 0; k < 3; k++)
      description->factor[i][k] = colour.factor[i][k];
  }
  description->scale = box->crop
      ? YOLO_PREPROCESS_FILTER
      : (int) yolo_scale (description->width, description->height, box->width, box->height);
  description->ratio_x = yolo_tap_ratio (description->width, box->width);
  description->ratio_y = yolo_tap_ratio (description->height, box->height);
}

gboolean
yolo_cuda_preprocess_launch (YoloCudaDevice *device, CUdeviceptr frames, guint batch, guint height,
    guint width, guint channels, YoloDType dtype, float scale, CUdeviceptr out, CUstream stream,
    GError **error)
{
  const char *name = dtype == YOLO_F32 ? "preprocess_f32"
      : dtype == YOLO_F16              ? "preprocess_f16"
                                       : "preprocess_s8";
  YoloPreprocessParams params = {
    .frames = (const YoloCudaFrame *) frames,
    .out = (void *) out,
    .height = (int) height,
    .width = (int) width,
    .channels = (int) channels,
    .inverse_scale = 1 / scale,
  };
  CUfunction function = yolo_cuda_function (device, YOLO_CUDA_MODULE_preprocess, name, error);

  return function != NULL && yolo_cuda_launch (device, function,
      (width + YOLO_PREPROCESS_WIDTH - 1) / YOLO_PREPROCESS_WIDTH,
      (height + YOLO_PREPROCESS_HEIGHT - 1) / YOLO_PREPROCESS_HEIGHT, batch,
      YOLO_PREPROCESS_WIDTH * YOLO_PREPROCESS_HEIGHT, 0, stream, &params, error);
}
