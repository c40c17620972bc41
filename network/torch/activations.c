/* SPDX-License-Identifier: MIT */
/* PyTorch's activations (torch/nn/modules/activation.py), by the classes of their modules. */

#include "network/torch/modules.h"

#include <string.h>

#define FORMAT YOLO_NETWORK_ERROR_FORMAT
#define UNSUPPORTED YOLO_NETWORK_ERROR_UNSUPPORTED

static const struct {
  const char *class;
  YoloActivation act;
  /* attributes of the module that alpha and beta are; NULL: they are the numbers behind */
  const char *names[2];
  float numbers[2];
} activations[] = {
  { .class = "ELU", .act = YOLO_ACT_ELU, .names = { "alpha" } },
  { .class = "Hardsigmoid", .act = YOLO_ACT_HARD_SIGMOID, .numbers = { 1 / 6.f, .5f } },
  { .class = "Hardswish", .act = YOLO_ACT_HARD_SWISH },
  { .class = "Hardtanh", .act = YOLO_ACT_CLIP, .names = { "min_val", "max_val" } },
  { .class = "LeakyReLU", .act = YOLO_ACT_LEAKY_RELU, .names = { "negative_slope" } },
  { .class = "Mish", .act = YOLO_ACT_MISH },
  { .class = "ReLU", .act = YOLO_ACT_RELU },
  { .class = "ReLU6", .act = YOLO_ACT_CLIP, .names = { "min_val", "max_val" } },
  { .class = "SiLU", .act = YOLO_ACT_SILU },
  { .class = "Sigmoid", .act = YOLO_ACT_SIGMOID },
};

guint
yolo_torch_activation (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  guint i = 0;
  float numbers[2];

  while (strcmp (activations[i].class, yolo_torch_class (module)) != 0)
    i++;
  for (guint k = 0; k < 2; k++) {
    const char *name = activations[i].names[k];
    double number = activations[i].numbers[k];

    if (name != NULL && !yolo_pickle_number (yolo_pickle_attribute (module, name), &number)) {
      g_autofree char *what = g_strdup_printf ("has no %s", name);

      yolo_torch_refuse (builder, module, FORMAT, what, error);
      return YOLO_LAYER_NONE;
    }
    numbers[k] = (float) number;
  }
  return yolo_graph_op (builder->graph, builder->path->str, YOLO_OP_ACT, &in,
      &(YoloOpNumbers){ .act = activations[i].act, .alpha = numbers[0], .beta = numbers[1] },
      error);
}

/* Versions of PyTorch before 1.12 have no "approximate" and know one form of GELU. */
guint
yolo_torch_gelu (
    YoloTorchBuilder *builder, const YoloPickleValue *module, guint in, GError **error)
{
  const YoloPickleValue *approximate = yolo_pickle_attribute (module, "approximate");
  gboolean tanh = yolo_pickle_is_string (approximate, "tanh");

  if (!tanh && approximate != NULL && !yolo_pickle_is_string (approximate, "none")) {
    yolo_torch_refuse (
        builder, module, UNSUPPORTED, "approximates in a way that is not supported", error);
    return YOLO_LAYER_NONE;
  }
  return yolo_graph_act (builder->graph, builder->path->str, in,
      tanh ? YOLO_ACT_GELU_TANH : YOLO_ACT_GELU, error);
}
