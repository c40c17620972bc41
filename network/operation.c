/* SPDX-License-Identifier: MIT */
#include "network/operation.h"

#define MAX_WINDOW 255          /* pixels of a kernel, a stride or a dilation */
#define MAX_SCALE 16
/* Inputs are at most 8192 pixels, so that no network of ours has a larger map. */
#define MAX_SIDE 65536

gboolean
yolo_window_check (guint value)
{
  return value >= 1 && value <= MAX_WINDOW;
}

guint
yolo_window_size (guint in, guint kernel, guint stride, guint pad, guint dilation)
{
  guint64 padded = (guint64) in + 2 * (guint64) pad, extent = (guint64) dilation * (kernel - 1) + 1;

  return padded < extent ? 0 : (guint) ((padded - extent) / stride + 1);
}

const char *
yolo_activation_text (YoloActivation act)
{
  switch (act) {
    case YOLO_ACT_NONE:
      break;
    case YOLO_ACT_SILU:
      return " silu";
    case YOLO_ACT_RELU:
      return " relu";
    case YOLO_ACT_SIGMOID:
      return " sigmoid";
  }
  return "";
}

static gboolean
check_pool (const YoloOpNumbers *n)
{
  return yolo_window_check (n->kernel) && yolo_window_check (n->stride) && n->pad < n->kernel;
}

static guint
pool_size (const YoloOpNumbers *n, guint in)
{
  return yolo_window_size (in, n->kernel, n->stride, n->pad, 1);
}

static char *
pool_text (const YoloOpNumbers *n)
{
  return g_strdup_printf (" %ux%u/%u repeat %u", n->kernel, n->kernel, n->stride, n->repeat);
}

static gboolean
check_upsample (const YoloOpNumbers *n)
{
  return n->scale >= 1 && n->scale <= MAX_SCALE;
}

static guint
upsample_size (const YoloOpNumbers *n, guint in)
{
  return in <= MAX_SIDE / n->scale ? in * n->scale : 0;
}

static char *
upsample_text (const YoloOpNumbers *n)
{
  return g_strdup_printf (" x%u", n->scale);
}

static char *
act_text (const YoloOpNumbers *n)
{
  return g_strdup (yolo_activation_text (n->act));
}

/* A convolution has a kind of layer of its own, and a copy is made by plans alone. */
static const YoloOpTraits traits[] = {
  [YOLO_OP_CONV] = { .n_in = 1, .computes = TRUE },
  [YOLO_OP_MAX_POOL] = { .n_in = 1, .check = check_pool, .problem = "has an impossible window",
      .size = pool_size, .text = pool_text },
  [YOLO_OP_UPSAMPLE] = { .n_in = 1, .check = check_upsample,
      .problem = "enlarges by an impossible factor", .size = upsample_size, .text = upsample_text },
  [YOLO_OP_ADD] = { .n_in = 2, .computes = TRUE },
  [YOLO_OP_ACT] = { .n_in = 1, .computes = TRUE, .text = act_text },
  [YOLO_OP_COPY] = { .n_in = 1 },
};

const YoloOpTraits *
yolo_op_traits (YoloOpType type)
{
  g_return_val_if_fail ((guint) type < G_N_ELEMENTS (traits), NULL);
  return &traits[type];
}
