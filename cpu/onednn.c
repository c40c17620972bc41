/* SPDX-License-Identifier: MIT */
#include "cpu/onednn.h"

#include <dnnl.h>

/* Generation 3 made memory descriptors opaque, dropped operation descriptors
 * and the scale of eltwise post-ops. The helpers below hide that; everything
 * after them is written once. */
#if DNNL_VERSION_MAJOR >= 3

typedef dnnl_memory_desc_t Desc;
#define DESC_PTR(d) (d)

static gboolean
desc_init (Desc *d, int n, const dnnl_dims_t dims, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
  return dnnl_memory_desc_create_with_tag (d, n, dims, type, tag) == dnnl_success;
}

static void
desc_clear (Desc *d)
{
  if (*d)
    dnnl_memory_desc_destroy (*d);
  *d = NULL;
}

static gboolean
desc_copy (Desc *d, const Desc *from)
{
  return dnnl_memory_desc_clone (d, *from) == dnnl_success;
}

/* A copy of one of a primitive descriptor's memory descriptors. */
static gboolean
desc_query (Desc *d, const_dnnl_primitive_desc_t pd, dnnl_query_t what)
{
  const_dnnl_memory_desc_t q = dnnl_primitive_desc_query_md (pd, what, 0);
  return q && dnnl_memory_desc_clone (d, q) == dnnl_success;
}

static gboolean
append_eltwise (dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha, float beta)
{
  return dnnl_post_ops_append_eltwise (ops, alg, alpha, beta) == dnnl_success;
}

/* Scales and zero points are arguments of a run; biases are added to scaled sums. */
#define RUN_TIME_SCALES TRUE

static gboolean
set_scales (dnnl_primitive_attr_t attr, guint n, const float *scale, const gint32 *zero)
{
  return dnnl_primitive_attr_set_scales_mask (attr, DNNL_ARG_WEIGHTS, 1 << 0) == dnnl_success
      && (*zero == 0
          || dnnl_primitive_attr_set_zero_points_mask (attr, DNNL_ARG_SRC, 0) == dnnl_success);
}

static gboolean
conv_desc_create (dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const Desc *in, const Desc *w,
    const Desc *bias, const Desc *out, const dnnl_dims_t stride, const dnnl_dims_t dilation,
    const dnnl_dims_t pad, const_dnnl_primitive_attr_t attr)
{
  return dnnl_convolution_forward_primitive_desc_create (pd, engine, dnnl_forward_inference,
      dnnl_convolution_direct, *in, *w, *bias, *out, stride, dilation, pad, pad, attr)
      == dnnl_success;
}

#else

typedef dnnl_memory_desc_t Desc;
#define DESC_PTR(d) (&(d))

static gboolean
desc_init (Desc *d, int n, const dnnl_dims_t dims, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
  return dnnl_memory_desc_init_by_tag (d, n, dims, type, tag) == dnnl_success;
}

static void
desc_clear (G_GNUC_UNUSED Desc *d)
{
}

static gboolean
desc_copy (Desc *d, const Desc *from)
{
  *d = *from;
  return TRUE;
}

static gboolean
desc_query (Desc *d, const_dnnl_primitive_desc_t pd, dnnl_query_t what)
{
  const dnnl_memory_desc_t *q = dnnl_primitive_desc_query_md (pd, what, 0);
  if (!q)
    return FALSE;
  *d = *q;
  return TRUE;
}

static gboolean
append_eltwise (dnnl_post_ops_t ops, dnnl_alg_kind_t alg, float alpha, float beta)
{
  return dnnl_post_ops_append_eltwise (ops, 1, alg, alpha, beta) == dnnl_success;
}

/* Scales and zero points are part of the primitive, and biases are added before scaling. The
 * third generation's name for their arguments is defined for the code that is not run. */
#define RUN_TIME_SCALES FALSE
#define DNNL_ARG_ATTR_SCALES 0

static gboolean
set_scales (dnnl_primitive_attr_t attr, guint n, const float *scale, const gint32 *zero)
{
  return dnnl_primitive_attr_set_output_scales (attr, n, 1 << 1, scale) == dnnl_success
      && (*zero == 0
          || dnnl_primitive_attr_set_zero_points (attr, DNNL_ARG_SRC, 1, 0, zero) == dnnl_success);
}

static gboolean
conv_desc_create (dnnl_primitive_desc_t *pd, dnnl_engine_t engine, const Desc *in, const Desc *w,
    const Desc *bias, const Desc *out, const dnnl_dims_t stride, const dnnl_dims_t dilation,
    const dnnl_dims_t pad, const_dnnl_primitive_attr_t attr)
{
  dnnl_convolution_desc_t desc;
  return dnnl_dilated_convolution_forward_desc_init (&desc, dnnl_forward_inference,
      dnnl_convolution_direct, in, w, bias, out, stride, dilation, pad, pad) == dnnl_success
      && dnnl_primitive_desc_create (pd, &desc, attr, engine, NULL) == dnnl_success;
}

#endif

typedef struct {
  const YoloConv *conv;
  Desc desc;
  dnnl_memory_t memory;
} Packed;

struct _YoloDnnlWeights {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  GArray *packed;               /* Packed */
};

enum { ARG_IN, ARG_WEIGHTS, ARG_BIAS, ARG_OUT, ARG_SCRATCH, ARG_SCALE, ARG_ZERO, N_ARGS };

struct _YoloDnnlConv {
  YoloDnnlWeights *weights;
  dnnl_primitive_desc_t pd;
  dnnl_primitive_t primitive;
  dnnl_exec_arg_t args[N_ARGS]; /* all memories but the weights' are owned */
  int n_args;
  /* in int8, as oneDNN wants them: [out_channels] */
  float *scale, *bias;
  gint32 zero;                  /* the input's zero point where it is padded, else 0 */
};

static gboolean
fail (GError **error, const char *what)
{
  g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE,
      "oneDNN %d.%d cannot make %s", dnnl_version ()->major, dnnl_version ()->minor, what);
  return FALSE;
}

YoloDnnlWeights *
yolo_dnnl_weights_new (GError **error)
{
  YoloDnnlWeights *w = g_new0 (YoloDnnlWeights, 1);
  w->packed = g_array_new (FALSE, TRUE, sizeof (Packed));
  if (dnnl_engine_create (&w->engine, dnnl_cpu, 0) != dnnl_success
      || dnnl_stream_create (&w->stream, w->engine, dnnl_stream_default_flags) != dnnl_success) {
    fail (error, "an engine");
    g_clear_pointer (&w, yolo_dnnl_weights_free);
  }
  return w;
}

void
yolo_dnnl_weights_free (YoloDnnlWeights *w)
{
  if (!w)
    return;
  for (guint i = 0; i < w->packed->len; i++) {
    Packed *p = &g_array_index (w->packed, Packed, i);
    dnnl_memory_destroy (p->memory);
    desc_clear (&p->desc);
  }
  g_array_free (w->packed, TRUE);
  if (w->stream)
    dnnl_stream_destroy (w->stream);
  if (w->engine)
    dnnl_engine_destroy (w->engine);
  g_free (w);
}

static dnnl_data_type_t
dnnl_type (YoloDType t)
{
  return t == YOLO_U8 ? dnnl_u8 : t == YOLO_BF16 ? dnnl_bf16 : dnnl_f32;
}

/* The dimensions of the weights in the model, [groups][out][in][rows][columns], the first only
 * where there are groups. Returns how many dimensions there are. */
static int
weight_dims (const YoloConv *conv, dnnl_dims_t d)
{
  int n = 0;
  if (conv->groups > 1)
    d[n++] = conv->groups;
  d[n++] = conv->out_channels / conv->groups;
  d[n++] = conv->in_channels / conv->groups;
  d[n++] = conv->kernel[0];
  d[n++] = conv->kernel[1];
  return n;
}

/* The weights of @conv in the layout @want. They are reordered the first time. NULL: oneDNN
 * failed. */
static dnnl_memory_t
pack (YoloDnnlWeights *w, const YoloConv *conv, Desc *want)
{
  for (guint i = 0; i < w->packed->len; i++) {
    Packed *p = &g_array_index (w->packed, Packed, i);
    if (p->conv == conv && dnnl_memory_desc_equal (DESC_PTR (p->desc), DESC_PTR (*want)))
      return p->memory;
  }

  dnnl_dims_t dims;
  int n = weight_dims (conv, dims);
  Desc plain = { 0 };
  dnnl_memory_t from = NULL, to = NULL;
  dnnl_primitive_desc_t pd = NULL;
  dnnl_primitive_t reorder = NULL;
  gboolean ok =
      desc_init (&plain, n, dims, conv->int8 ? dnnl_s8 : dnnl_f32, n == 5 ? dnnl_goihw : dnnl_oihw)
      && dnnl_memory_create (&from, DESC_PTR (plain), w->engine,
             conv->int8 ? (void *) conv->int8->weights : (void *) conv->weights)
          == dnnl_success
      && dnnl_memory_create (&to, DESC_PTR (*want), w->engine, DNNL_MEMORY_ALLOCATE) == dnnl_success
      && dnnl_reorder_primitive_desc_create (
             &pd, DESC_PTR (plain), w->engine, DESC_PTR (*want), w->engine, NULL)
          == dnnl_success
      && dnnl_primitive_create (&reorder, pd) == dnnl_success;
  if (ok) {
    dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, from }, { DNNL_ARG_TO, to } };
    ok = dnnl_primitive_execute (reorder, w->stream, 2, args) == dnnl_success
        && dnnl_stream_wait (w->stream) == dnnl_success;
  }
  if (reorder)
    dnnl_primitive_destroy (reorder);
  if (pd)
    dnnl_primitive_desc_destroy (pd);
  if (from)
    dnnl_memory_destroy (from);
  desc_clear (&plain);
  Packed p = { .conv = conv, .memory = to };
  if (!ok || !desc_copy (&p.desc, want)) {
    if (to)
      dnnl_memory_destroy (to);
    return NULL;
  }
  g_array_append_val (w->packed, p);
  return to;
}

static gboolean
add_arg (YoloDnnlConv *c, int kind, const Desc *desc, void *data)
{
  dnnl_exec_arg_t *a = &c->args[c->n_args++];
  a->arg = kind;
  return dnnl_memory_create (&a->memory, DESC_PTR (*desc), c->weights->engine, data)
      == dnnl_success;
}

/* HARD_SWISH has numbers in generation 3, which are those of ONNX and PyTorch. */
static gboolean
append_activation (dnnl_post_ops_t ops, const YoloConv *conv)
{
  float alpha = conv->alpha, beta = conv->beta;

  switch (conv->act) {
    case YOLO_ACT_NONE: return TRUE;
    case YOLO_ACT_SILU: return append_eltwise (ops, dnnl_eltwise_swish, 1, 0);
    case YOLO_ACT_RELU: return append_eltwise (ops, dnnl_eltwise_relu, 0, 0);
    case YOLO_ACT_SIGMOID: return append_eltwise (ops, dnnl_eltwise_logistic, 0, 0);
    case YOLO_ACT_LEAKY_RELU: return append_eltwise (ops, dnnl_eltwise_relu, alpha, 0);
    case YOLO_ACT_CLIP: return append_eltwise (ops, dnnl_eltwise_clip, alpha, beta);
    /* in two parts, since generation 2 does not have it as one */
    case YOLO_ACT_HARD_SIGMOID:
      return append_eltwise (ops, dnnl_eltwise_linear, alpha, beta)
          && append_eltwise (ops, dnnl_eltwise_clip, 0, 1);
    case YOLO_ACT_HARD_SWISH: return append_eltwise (ops, dnnl_eltwise_hardswish, 1 / 6.f, .5f);
    case YOLO_ACT_GELU: return append_eltwise (ops, dnnl_eltwise_gelu_erf, 0, 0);
    case YOLO_ACT_GELU_TANH: return append_eltwise (ops, dnnl_eltwise_gelu_tanh, 0, 0);
    case YOLO_ACT_ELU: return append_eltwise (ops, dnnl_eltwise_elu, alpha, 0);
    case YOLO_ACT_MISH: return append_eltwise (ops, dnnl_eltwise_mish, 0, 0);
  }
  return FALSE;
}

static gboolean
set_attr (dnnl_primitive_attr_t attr, const YoloConv *conv, const YoloTensor *out)
{
  dnnl_post_ops_t ops;
  if (dnnl_primitive_attr_set_scratchpad_mode (attr, dnnl_scratchpad_mode_user) != dnnl_success
      || dnnl_post_ops_create (&ops) != dnnl_success)
    return FALSE;
  gboolean ok = append_activation (ops, conv);
  if (out->dtype == YOLO_U8)
    ok = ok && append_eltwise (ops, dnnl_eltwise_linear, 1 / out->scale[0], (float) out->zero[0]);
  ok = ok && dnnl_primitive_attr_set_post_ops (attr, ops) == dnnl_success;
  dnnl_post_ops_destroy (ops);
  return ok;
}

/* Works out scales and biases in oneDNN's terms. It is told the zero point only where it pads;
 * elsewhere the offsets make up for it. */
static void
make_scales (YoloDnnlConv *c, const YoloConv *conv)
{
  const YoloInt8Conv *int8 = conv->int8;
  gsize each = (gsize) conv->in_channels * conv->kernel[0] * conv->kernel[1];

  c->scale = g_new (float, conv->out_channels);
  c->bias = g_new (float, conv->out_channels);
  c->zero = conv->pad[0] + conv->pad[1] > 0 ? int8->zero[0] : 0;
  for (guint o = 0; o < conv->out_channels; o++) {
    gint32 offset = int8->offset[o];

    for (gsize k = 0; k < each; k++)
      offset -= int8->weights[o * each + k] * c->zero;
    /* the multiplier is 0 where all weights are 0, but the bias must not be scaled by 0 */
    c->scale[o] = int8->multiplier[o] != 0 ? int8->multiplier[o] : 1;
    c->bias[o] = conv->bias[o] - (float) offset * int8->multiplier[o];
    if (!RUN_TIME_SCALES)
      c->bias[o] /= c->scale[o];
  }
}

static gboolean
add_scales (YoloDnnlConv *c, guint n)
{
  const dnnl_dims_t one = { 1 }, all = { n };
  Desc scale = { 0 }, zero = { 0 };
  gboolean ok = desc_init (&scale, 1, all, dnnl_f32, dnnl_x)
      && desc_init (&zero, 1, one, dnnl_s32, dnnl_x)
      && add_arg (c, DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS, &scale, c->scale)
      && (c->zero == 0 || add_arg (c, DNNL_ARG_ATTR_ZERO_POINTS | DNNL_ARG_SRC, &zero, &c->zero));

  desc_clear (&scale);
  desc_clear (&zero);
  return ok;
}

gboolean
yolo_dnnl_has_int8 (const YoloConv *conv, const YoloTensor *in, const YoloTensor *out)
{
  const YoloInt8Conv *int8 = conv->int8;

  /* Its linear part and that of the output's grid give wrong numbers together (oneDNN 2.6). */
  if (conv->act == YOLO_ACT_HARD_SIGMOID)
    return FALSE;
  if (in->dtype != YOLO_U8 || int8->sum.scale + int8->sigmoid.scale + int8->act.scale != 0)
    return FALSE;
  for (guint c = 1; c < conv->in_channels && conv->pad[0] + conv->pad[1] > 0; c++)
    if (int8->zero[c] != int8->zero[0])
      return FALSE;
  for (guint c = 1; c < out->channels && out->dtype == YOLO_U8; c++)
    if (out->scale[c] != out->scale[0] || out->zero[c] != out->zero[0])
      return FALSE;
  return TRUE;
}

YoloDnnlConv *
yolo_dnnl_conv_new (YoloDnnlWeights *weights, const YoloConv *conv, const YoloTensor *in,
    const YoloTensor *out, GError **error)
{
  YoloDnnlConv *c = g_new0 (YoloDnnlConv, 1);
  c->weights = weights;

  dnnl_dims_t in_dims = { 1, conv->in_channels, in->height, in->width };
  dnnl_dims_t out_dims = { 1, conv->out_channels, out->height, out->width };
  dnnl_dims_t bias_dims = { conv->out_channels }, w_dims;
  dnnl_dims_t stride = { conv->stride[0], conv->stride[1] }, pad = { conv->pad[0], conv->pad[1] };
  dnnl_dims_t dilation = { conv->dilation[0] - 1, conv->dilation[1] - 1 };
  int n = weight_dims (conv, w_dims);
  Desc src = { 0 }, dst = { 0 }, bias = { 0 }, w = { 0 }, chosen = { 0 }, scratch = { 0 };
  dnnl_primitive_attr_t attr = NULL;

  if (conv->int8)
    make_scales (c, conv);
  gboolean ok = desc_init (&src, 4, in_dims, dnnl_type (in->dtype), dnnl_nhwc)
      && desc_init (&dst, 4, out_dims, dnnl_type (out->dtype), dnnl_nhwc)
      && desc_init (&bias, 1, bias_dims, dnnl_f32, dnnl_x)
      && desc_init (
          &w, n, w_dims, conv->int8 ? dnnl_s8 : dnnl_type (in->dtype), dnnl_format_tag_any)
      && dnnl_primitive_attr_create (&attr) == dnnl_success && set_attr (attr, conv, out)
      && (!conv->int8 || set_scales (attr, conv->out_channels, c->scale, &c->zero))
      && conv_desc_create (
          &c->pd, weights->engine, &src, &w, &bias, &dst, stride, dilation, pad, attr)
      && dnnl_primitive_create (&c->primitive, c->pd) == dnnl_success
      && desc_query (&chosen, c->pd, dnnl_query_weights_md)
      && desc_query (&scratch, c->pd, dnnl_query_scratchpad_md);
  if (ok) {
    ok = add_arg (c, DNNL_ARG_SRC, &src, DNNL_MEMORY_NONE);
    c->args[c->n_args++] = (dnnl_exec_arg_t) { DNNL_ARG_WEIGHTS, pack (weights, conv, &chosen) };
    ok = ok && c->args[ARG_WEIGHTS].memory
        && add_arg (c, DNNL_ARG_BIAS, &bias, conv->int8 ? c->bias : (void *) conv->bias)
        && add_arg (c, DNNL_ARG_DST, &dst, DNNL_MEMORY_NONE)
        && add_arg (c, DNNL_ARG_SCRATCHPAD, &scratch, DNNL_MEMORY_NONE)
        && (!conv->int8 || !RUN_TIME_SCALES || add_scales (c, conv->out_channels));
  }
  if (attr)
    dnnl_primitive_attr_destroy (attr);
  desc_clear (&src);
  desc_clear (&dst);
  desc_clear (&bias);
  desc_clear (&w);
  desc_clear (&chosen);
  desc_clear (&scratch);
  if (!ok) {
    g_autofree char *what =
        g_strdup_printf ("a %ux%u convolution of %u to %u channels in %s", conv->kernel[0],
            conv->kernel[1], conv->in_channels, conv->out_channels, yolo_dtype_name (in->dtype));
    fail (error, what);
    g_clear_pointer (&c, yolo_dnnl_conv_free);
  }
  return c;
}

void
yolo_dnnl_conv_free (YoloDnnlConv *c)
{
  if (!c)
    return;
  for (int i = 0; i < c->n_args; i++)
    if (i != ARG_WEIGHTS && c->args[i].memory)
      dnnl_memory_destroy (c->args[i].memory);
  if (c->primitive)
    dnnl_primitive_destroy (c->primitive);
  if (c->pd)
    dnnl_primitive_desc_destroy (c->pd);
  g_free (c->scale);
  g_free (c->bias);
  g_free (c);
}

gsize
yolo_dnnl_conv_scratch (const YoloDnnlConv *c)
{
  return dnnl_memory_desc_get_size (
      dnnl_primitive_desc_query_md (c->pd, dnnl_query_scratchpad_md, 0));
}

const char *
yolo_dnnl_conv_impl (const YoloDnnlConv *c)
{
  const char *name = NULL;
  return dnnl_primitive_desc_query (c->pd, dnnl_query_impl_info_str, 0, &name) == dnnl_success
      ? name
      : "?";
}

gboolean
yolo_dnnl_conv_run (YoloDnnlConv *c, void *in, void *out, void *scratch, GError **error)
{
  gboolean ok = dnnl_memory_set_data_handle (c->args[ARG_IN].memory, in) == dnnl_success
      && dnnl_memory_set_data_handle (c->args[ARG_OUT].memory, out) == dnnl_success
      && dnnl_memory_set_data_handle (c->args[ARG_SCRATCH].memory, scratch) == dnnl_success
      && dnnl_primitive_execute (c->primitive, c->weights->stream, c->n_args, c->args)
          == dnnl_success
      && dnnl_stream_wait (c->weights->stream) == dnnl_success;
  if (!ok)
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE, "oneDNN's %s failed",
        yolo_dnnl_conv_impl (c));
  return ok;
}
