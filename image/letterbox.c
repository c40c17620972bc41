/* SPDX-License-Identifier: MIT */
#include "image/letterbox.h"

#include <math.h>

static double
gain_of (int src_width, int src_height, int net_width, int net_height)
{
  return fmin ((double) net_height / src_height, (double) net_width / src_width);
}

/* Python's round() goes to the even neighbour from the middle, as rint() does
 * in the default rounding mode. */
static int
scaled (int n, double gain)
{
  double r = rint (n * gain);
  return r < 1 ? 1 : (int) r;
}

/**
 * yolo_letterbox_init:
 * @box: (out): the geometry
 * @src_width: pixels of the frame's visible part, 1 or more
 * @src_height: the same
 * @net_width: pixels of the network's input, 1 or more
 * @net_height: the same
 *
 * Ultralytics' LetterBox: one gain for both axes, each side rounded by itself
 * and at least a pixel, centred; where the padding is odd the smaller half is
 * at the left and top.
 */
void
yolo_letterbox_init (YoloLetterbox *box, int src_width, int src_height,
    int net_width, int net_height)
{
  double gain = gain_of (src_width, src_height, net_width, net_height);
  int width = scaled (src_width, gain), height = scaled (src_height, gain);
  int left = (int) rint ((net_width - width) / 2.0 - 0.1);
  int top = (int) rint ((net_height - height) / 2.0 - 0.1);

  *box = (YoloLetterbox) {
    .src_width = src_width, .src_height = src_height,
    .net_width = net_width, .net_height = net_height,
    .width = width, .height = height,
    .left = left, .top = top,
    .gain = (float) gain,
    .pad_x = (float) left, .pad_y = (float) top,
  };
}

/* The visible part, upright; the part of the geometry that does not depend on the input. */
static void
take_frame (YoloLetterbox *box, const YoloFrame *frame)
{
  bool cropped = frame->crop.width > 0, transposed = frame->turn & YOLO_TURN_TRANSPOSE;
  int width = cropped ? frame->crop.width : frame->width,
      height = cropped ? frame->crop.height : frame->height;

  box->src_width = transposed ? height : width;
  box->src_height = transposed ? width : height;
  box->turn = frame->turn;
  box->x = cropped ? frame->crop.x : 0;
  box->y = cropped ? frame->crop.y : 0;
}

void
yolo_letterbox_frame (YoloLetterbox *box, const YoloFrame *frame, int net_width, int net_height)
{
  YoloLetterbox part;

  take_frame (&part, frame);
  yolo_letterbox_init (box, part.src_width, part.src_height, net_width, net_height);
  box->turn = part.turn;
  box->x = part.x;
  box->y = part.y;
}

/* The longer side where the shorter one becomes @size, rounded down. */
static int
longer_side (int size, int longer, int shorter)
{
  return (int) ((int64_t) size * longer / shorter);
}

void
yolo_letterbox_crop (YoloLetterbox *box, const YoloFrame *frame, int net_width, int net_height)
{
  int width = net_width, height = net_height;

  *box = (YoloLetterbox) { .net_width = net_width, .net_height = net_height, .crop = true };
  take_frame (box, frame);
  if (net_width == net_height && box->src_width > box->src_height)
    width = longer_side (net_width, box->src_width, box->src_height);
  else if (net_width == net_height)
    height = longer_side (net_height, box->src_height, box->src_width);
  box->width = width;
  box->height = height;
  box->left = -(int) rint ((width - net_width) / 2.0);
  box->top = -(int) rint ((height - net_height) / 2.0);
  box->pad_x = (float) box->left;
  box->pad_y = (float) box->top;
  box->gain = (float) ((double) width / box->src_width);
}

/**
 * yolo_letterbox_auto:
 * @src_width: pixels of the frame's visible part, 1 or more
 * @src_height: the same
 * @size: of the longer side; rounded up to a multiple of @stride
 * @stride: the network's largest stride
 * @net_width: (out): pixels of the network's input
 * @net_height: (out): the same
 */
void
yolo_letterbox_auto (int src_width, int src_height, int size, int stride,
    int *net_width, int *net_height)
{
  size = (size + stride - 1) / stride * stride;

  double gain = gain_of (src_width, src_height, size, size);
  int width = scaled (src_width, gain), height = scaled (src_height, gain);

  *net_width = width + (size - width) % stride;
  *net_height = height + (size - height) % stride;
}

static float
clip (float v, int max)
{
  return v > 0 ? v < (float) max ? v : (float) max : 0;
}

static void
mirror (float *from, float *to, int size)
{
  float first = *from;

  *from = (float) size - *to;
  *to = (float) size - first;
}

static void
exchange (float *a, float *b)
{
  float first = *a;

  *a = *b;
  *b = first;
}

/* From the upright picture to the part as it lies in the frame. */
static void
turn_back (const YoloLetterbox *box, float corner[4])
{
  bool transposed = box->turn & YOLO_TURN_TRANSPOSE;

  if (transposed) {
    exchange (&corner[0], &corner[1]);
    exchange (&corner[2], &corner[3]);
  }
  if (box->turn & YOLO_TURN_MIRROR_X)
    mirror (&corner[0], &corner[2], transposed ? box->src_height : box->src_width);
  if (box->turn & YOLO_TURN_MIRROR_Y)
    mirror (&corner[1], &corner[3], transposed ? box->src_width : box->src_height);
}

/* From the visible part to the frame. */
static void
move (const YoloLetterbox *box, float corner[4])
{
  for (int i = 0; i < 4; i += 2) {
    corner[i] += (float) box->x;
    corner[i + 1] += (float) box->y;
  }
}

/* From pixels of the network's input to pixels of the upright picture. */
static void
to_upright (const YoloLetterbox *box, float corner[4])
{
  float gain_x = (float) ((double) box->width / box->src_width);
  float gain_y = (float) ((double) box->height / box->src_height);

  for (int i = 0; i < 4; i += 2) {
    corner[i] = (corner[i] - box->pad_x) / gain_x;
    corner[i + 1] = (corner[i + 1] - box->pad_y) / gain_y;
  }
}

/**
 * yolo_letterbox_unclipped:
 * @box: the geometry that the network's input was made with
 * @corner: (inout): x1 y1 x2 y2 in pixels of the network's input
 *
 * The inverse as Ultralytics' scale_boxes has it: every axis has the gain that
 * its side was rounded to. In a turned frame the rectangle is turned back, in a
 * cropped one it is moved to where the crop lies.
 */
void
yolo_letterbox_unclipped (const YoloLetterbox *box, float corner[4])
{
  to_upright (box, corner);
  turn_back (box, corner);
  move (box, corner);
}

/**
 * yolo_letterbox_to_frame:
 * @box: the geometry that the network's input was made with
 * @corner: (inout): x1 y1 x2 y2 in pixels of the network's input
 *
 * As yolo_letterbox_unclipped(), clipped to the frame's visible part.
 */
void
yolo_letterbox_to_frame (const YoloLetterbox *box, float corner[4])
{
  to_upright (box, corner);
  for (int i = 0; i < 4; i += 2) {
    corner[i] = clip (corner[i], box->src_width);
    corner[i + 1] = clip (corner[i + 1], box->src_height);
  }
  turn_back (box, corner);
  move (box, corner);
}
