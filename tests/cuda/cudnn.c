/* The graph of every convolution of a network, built by the real library for a
 * device that is not there: it checks shapes and types, so a plan is a proof
 * of our descriptors. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/cudnn.h"
#include "network/model.h"

/* Views, that is pitches above the channels: accepted in eight bits from 8.0 on. */
static gboolean
is_view (const YoloConvShape *shape)
{
  return shape->in_pitch != shape->in_channels || shape->out_pitch != shape->conv->out_channels
      || (shape->residual_pitch != 0 && shape->residual_pitch != shape->conv->out_channels);
}

static char *json;
static int capability;

static YoloModel *
load (const char *name)
{
  g_autofree char *path = g_str_has_prefix (name, "/") ? g_strdup (name) : g_strconcat (SOURCE_ROOT "/tests/data/", name, NULL);
  g_autoptr (GError) error = NULL;
  YoloModel *model;

  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return NULL;
  model = yolo_model_load (path, &error);
  g_assert_no_error (error);
  return model;
}

/* Eight-bit networks take the same shapes; the head's last maps are f32 then as well. */
static void
to_s8 (YoloConvShape *shape)
{
  shape->dtype = YOLO_S8;
  if (shape->out_dtype == YOLO_F16)
    shape->out_dtype = YOLO_S8;
  if (shape->in_channels == 8)
    shape->in_channels = shape->in_pitch = 16;
}

static void
check_model (const char *name, gboolean s8, guint limit)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = load (name);
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  guint n = 0, impossible = 0;

  if (model == NULL) {
    g_test_skip ("the model is not there");
    return;
  }
  g_autoptr (YoloPlan) plan = yolo_plan_new (model, 1, model->height, model->width, YOLO_F16, YOLO_F16, 8, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < plan->n_ops && n < limit; i++) {
    YoloConvShape shape;
    guint engines;

    if (plan->ops[i].type != YOLO_OP_CONV)
      continue;
    yolo_conv_shape (&shape, plan, &plan->ops[i]);
    if (s8)
      to_s8 (&shape);
    char *key = yolo_conv_shape_key (&shape);
    if (!g_hash_table_add (seen, key))
      continue;
    if (shape.in_channels != yolo_conv_packed_channels (&shape) || shape.out_dtype == YOLO_F32 || (s8 && capability < 80 && is_view (&shape))) {
      impossible++;
      continue;
    }
    if (!yolo_cudnn_check (&shape, json, &engines))
      g_error ("%s: no plan for %s (%u engines)", plan->ops[i].name, key, engines);
    n++;
  }
  g_test_message ("%s: %u shapes accepted, %u are not for cuDNN", s8 ? "s8" : "f16", n, impossible);
  g_assert_cmpuint (n, >, 0);
}

/* For 7.5 the library compiles a kernel for each, some seconds: all of them
 * only with YOLO_TEST_LONG=1. */
static guint
limit (void)
{
  return capability >= 80 || g_getenv ("YOLO_TEST_LONG") != NULL ? G_MAXUINT : 4;
}

static void
test_f16 (gconstpointer name)
{
  check_model (name, FALSE, limit ());
}

static void
test_s8 (gconstpointer name)
{
  check_model (name, TRUE, limit ());
}

/* The library looks: an output of the wrong size is refused. */
static void
test_wrong (void)
{
  YoloConv conv = {
    .in_channels = 64, .out_channels = 64, .groups = 1, .kernel = { 3, 3 }, .stride = { 1, 1 }, .pad = { 1, 1 },
    .dilation = { 1, 1 }, .act = YOLO_ACT_SILU,
  };
  YoloConvShape shape = {
    .conv = &conv, .batch = 1, .in_height = 20, .in_width = 20, .out_height = 20, .out_width = 20, .in_channels = 64,
    .dtype = YOLO_F16, .out_dtype = YOLO_F16, .in_pitch = 64, .out_pitch = 64, .in_align = 16, .out_align = 16,
    .residual_align = 16,
  };
  guint engines;

  g_assert_true (yolo_cudnn_check (&shape, json, &engines));
  g_assert_cmpuint (engines, >, 0);
  shape.out_height = 21;
  g_assert_false (yolo_cudnn_check (&shape, json, &engines));
}

/* Where kernels cannot run, the list is empty and nothing breaks. */
static void
test_list (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloCudaDevice) device = yolo_cuda_device_get (0, NULL, &error);
  g_autoptr (YoloModel) model = load ("v8n-83.onnx");
  g_autoptr (YoloPlan) plan = yolo_plan_new (model, 1, 64, 64, YOLO_F16, YOLO_F16, 8, &error);
  YoloConvCandidate list[8];
  YoloConvShape shape;

  g_assert_no_error (error);
  yolo_conv_shape (&shape, plan, &plan->ops[0]);
  g_assert_true (yolo_cuda_enter (device, NULL));
  guint n = yolo_conv_cudnn_list (device, &shape, list, G_N_ELEMENTS (list), &error);
  g_assert_no_error (error);
  for (guint i = 0; i < n; i++)
    list[i].free (&list[i]);
  yolo_cuda_leave (device);
}

int
main (int argc, char **argv)
{
  const char *folder = g_getenv ("YOLO_SHARED");
  g_autofree char *network = folder ? g_build_filename (folder, "models", "yolov8n.onnx", NULL)
      : g_strdup (SOURCE_ROOT "/../shared/models/yolov8n.onnx");
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloCudaDevice) device = NULL;

  /* the demo's model, a larger sister, where the other one is not at hand */
  if (!g_file_test (network, G_FILE_TEST_EXISTS)) {
    g_free (network);
    network = g_strdup (SOURCE_ROOT "/.cache/best_fp16.onnx");
  }
  g_test_init (&argc, &argv, NULL);
  device = yolo_cuda_device_get (0, NULL, &error);
  if (device == NULL || yolo_cudnn_version () < 90800) {
    printf ("1..0 # SKIP %s\n", error != NULL ? error->message : "there is no cuDNN 9.8 or newer");
    return 0;
  }
  capability = device->capability;
  g_autofree char *path = g_strdup_printf (SOURCE_ROOT "/tests/data/cudnn/sm%d.json", capability);
  if (!g_file_get_contents (path, &json, NULL, NULL)) {
    printf ("1..0 # SKIP no description of compute capability %d\n", capability);
    return 0;
  }
  g_test_message ("cuDNN %d, compute capability %d", yolo_cudnn_version (), capability);
  g_test_add_func ("/cuda/cudnn/wrong", test_wrong);
  g_test_add_func ("/cuda/cudnn/list", test_list);
  g_test_add_data_func ("/cuda/cudnn/f16/yolov8n", network, test_f16);
  g_test_add_data_func ("/cuda/cudnn/s8/yolov8n", network, test_s8);
  int result = g_test_run ();
  g_free (json);
  return result;
}
