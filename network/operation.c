/* SPDX-License-Identifier: MIT */
#include "network/operation.h"

#include <math.h>

#define MAX_WINDOW 255          /* pixels of a kernel, a stride or a dilation */
/* Inputs are at most 8192 pixels, so that no network of ours has a larger map. */
#define MAX_SIDE 65536
/* Limits of attention, far above what any YOLO has. */
#define MAX_HEADS 1024
#define MAX_KEY 1024            /* channels of one head */
#define MAX_AREAS 256

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
#define TEXT(suffix, name) [YOLO_ACT_##suffix] = " " name,
  static const char *const texts[] = { YOLO_ACTIVATIONS (TEXT) };
#undef TEXT

  g_return_val_if_fail ((guint) act < G_N_ELEMENTS (texts), "");
  return act == YOLO_ACT_NONE ? "" : texts[act];
}

static gboolean
check_pool (const YoloOpNumbers *n)
{
  return yolo_window_check (n->kernel) && yolo_window_check (n->stride) && n->pad < n->kernel;
}

static gboolean
pool_size (const YoloOpNumbers *n, guint *height, guint *width)
{
  *height = yolo_window_size (*height, n->kernel, n->stride, n->pad, 1);
  *width = yolo_window_size (*width, n->kernel, n->stride, n->pad, 1);
  return *height > 0 && *width > 0;
}

static char *
pool_text (const YoloOpNumbers *n)
{
  return g_strdup_printf (" %ux%u/%u repeat %u", n->kernel, n->kernel, n->stride, n->repeat);
}

static gboolean
check_upsample (const YoloOpNumbers *n)
{
  return n->scale >= 1 && n->scale <= YOLO_MAX_SCALE;
}

static gboolean
upsample_size (const YoloOpNumbers *n, guint *height, guint *width)
{
  if (MAX (*height, *width) > MAX_SIDE / n->scale)
    return FALSE;
  *height *= n->scale;
  *width *= n->scale;
  return TRUE;
}

static char *
upsample_text (const YoloOpNumbers *n)
{
  return g_strdup_printf (" x%u", n->scale);
}

static gboolean
check_act (const YoloOpNumbers *n)
{
  return isfinite (n->alpha) && isfinite (n->beta);
}

static char *
act_text (const YoloOpNumbers *n)
{
  return g_strdup (yolo_activation_text (n->act));
}

static gboolean
check_attention (const YoloOpNumbers *n)
{
  return n->heads >= 1 && n->heads <= MAX_HEADS && n->key >= 1 && n->key <= MAX_KEY
      && n->areas >= 1 && n->areas <= MAX_AREAS;
}

/* The values are the channels behind the queries and the keys, as many for each head. */
static guint
attention_channels (const YoloOpNumbers *n, guint in)
{
  guint others = 2 * n->heads * n->key;

  return in > others && (in - others) % n->heads == 0 ? in - others : 0;
}

static gboolean
attention_size (const YoloOpNumbers *n, guint *height, guint *width)
{
  return (guint64) *height * *width % n->areas == 0;
}

static char *
attention_text (const YoloOpNumbers *n)
{
  return g_strdup_printf (" heads %u key %u areas %u", n->heads, n->key, n->areas);
}

static guint
shuffle_channels (const YoloOpNumbers *n, guint in)
{
  return in % (n->scale * n->scale) == 0 ? in / (n->scale * n->scale) : 0;
}

static gboolean
global_size (G_GNUC_UNUSED const YoloOpNumbers *n, guint *height, guint *width)
{
  *height = *width = 1;
  return TRUE;
}

/* A convolution has a kind of layer of its own, and a copy is made by plans alone. */
static const YoloOpTraits traits[] = {
  [YOLO_OP_CONV] = { .n_in = 1, .computes = TRUE },
  [YOLO_OP_MAX_POOL] = { .n_in = 1, .check = check_pool, .problem = "has an impossible window",
      .size = pool_size, .text = pool_text },
  [YOLO_OP_UPSAMPLE] = { .n_in = 1, .check = check_upsample,
      .problem = "enlarges by an impossible factor", .size = upsample_size, .text = upsample_text },
  [YOLO_OP_ADD] = { .n_in = 2, .computes = TRUE },
  [YOLO_OP_ACT] = { .n_in = 1, .computes = TRUE, .check = check_act,
      .problem = "is an activation with a slope or a limit that is no finite number",
      .text = act_text },
  [YOLO_OP_COPY] = { .n_in = 1 },
  [YOLO_OP_ATTENTION] = { .n_in = 1, .computes = TRUE, .reads_floats = TRUE,
      .check = check_attention, .problem = "has heads that do not fit its input's channels",
      .channels = attention_channels, .size = attention_size, .text = attention_text },
  [YOLO_OP_SHUFFLE] = { .n_in = 1, .computes = TRUE, .check = check_upsample,
      .problem = "makes pixels of channels that are too few, or too many", .size = upsample_size,
      .channels = shuffle_channels, .text = upsample_text },
  [YOLO_OP_GLOBAL_POOL] = { .n_in = 1, .computes = TRUE, .size = global_size },
};

const YoloOpTraits *
yolo_op_traits (YoloOpType type)
{
  g_return_val_if_fail ((guint) type < G_N_ELEMENTS (traits), NULL);
  return &traits[type];
}
