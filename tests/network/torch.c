/* SPDX-License-Identifier: MIT */
/* Checkpoints of PyTorch: the same networks as the ONNX files that
 * tests/scripts/make-checkpoints.py took the weights of, and those that must be refused. */

#include "engine/load.h"
#include "network/int8.h"
#include "network/torch/reader.h"
#include "backend/reference.h"

#include <math.h>
#include <string.h>

/* Relative to the largest number of a map: the same sums, but for where batch norms are folded. */
#define TOLERANCE 1e-5
/* Of a batch norm that the exporter folded in float32, through all layers. */
#define FAMILY_TOLERANCE 1e-4
/* The same of a file whose eight attentions choose by exponentials of differences of hundreds. */
#define SHARP_TOLERANCE 5e-3

static char *
checkpoint_path (const char *name)
{
  return g_build_filename (g_getenv ("CHECKPOINTS"), name, NULL);
}

/* The maps of a model on grey levels by chance. */
typedef struct {
  GArray *maps[YOLO_MAX_OUTPUTS]; /* of float, or NULL */
} Maps;

static void
maps_clear (Maps *maps)
{
  for (guint k = 0; k < YOLO_MAX_OUTPUTS; k++)
    g_clear_pointer (&maps->maps[k], g_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Maps, maps_clear)

static Maps
run (YoloModel *model, guint height, guint width)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloPlan) plan =
      yolo_plan_new (model, 1, height, width, YOLO_F32, YOLO_F32, 3, &error);
  g_assert_no_error (error);
  gsize size = (gsize) height * width * 3;
  g_autofree float *input = g_new (float, size);
  g_autofree guint8 *arena = g_malloc (plan->arena_size);
  Maps result = { 0 };
  guint32 x = 1;

  for (gsize i = 0; i < size; i++) {
    x = x * 1664525u + 1013904223u;
    input[i] = (float) (x >> 24);
  }
  memset (arena, 0xff, plan->arena_size); /* what is not written must not be read */
  yolo_reference_run (plan, input, arena);
  for (guint k = 0; k < model->n_outputs; k++) {
    const YoloBuffer *map = &plan->buffers[plan->outputs[k].buffer];

    result.maps[k] = g_array_new (FALSE, FALSE, sizeof (float));
    for (guint p = 0; p < map->height * map->width; p++)
      g_array_append_vals (result.maps[k],
          yolo_reference_at (plan, arena, plan->outputs[k], 0, p / map->width, p % map->width, 0),
          plan->outputs[k].channels);
  }
  return result;
}

/* The largest difference of two maps, relative to their largest number. */
static double
difference (const GArray *a, const GArray *b)
{
  double worst = 0, largest = 0;

  g_assert_cmpuint (a->len, ==, b->len);
  for (guint i = 0; i < a->len; i++) {
    double x = g_array_index (a, float, i), y = g_array_index (b, float, i);
    g_assert_true (isfinite (x));
    worst = MAX (worst, fabs (x - y));
    largest = MAX (largest, fabs (y));
  }
  g_assert_cmpfloat (largest, >, 0);
  return worst / largest;
}

/* Whether two models are the same network, by their maps of an image of some size. */
static void
assert_same (const char *pt, const char *onnx, guint height, guint width, double tolerance)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) a = yolo_model_load (pt, &error);
  g_assert_no_error (error);
  g_autoptr (YoloModel) b = yolo_model_load (onnx, &error);
  g_assert_no_error (error);
  double worst = 0;

  g_assert_cmpuint (a->n_outputs, ==, b->n_outputs);
  for (guint k = 0; k < a->n_outputs; k++) {
    g_assert_cmpint (a->outputs[k].role, ==, b->outputs[k].role);
    g_assert_cmpuint (a->outputs[k].level, ==, b->outputs[k].level);
    g_assert_cmpuint (a->outputs[k].stride, ==, b->outputs[k].stride);
  }
  g_assert_cmpstr (a->task, ==, b->task);
  g_assert_cmpuint (a->n_classes, ==, b->n_classes);
  g_assert_cmpuint (a->reg_max, ==, b->reg_max);
  g_assert_cmpuint (a->stride, ==, b->stride);
  g_assert_cmpuint (a->height, ==, b->height);
  g_assert_cmpuint (a->width, ==, b->width);
  g_assert_cmpfloat (a->macs, ==, b->macs);
  g_assert_cmpstr (a->names_problem, ==, b->names_problem);
  g_assert_true (g_strv_equal ((const char *const *) a->names, (const char *const *) b->names));

  g_auto (Maps) x = run (a, height, width), y = run (b, height, width);
  for (guint k = 0; k < a->n_outputs; k++)
    worst = MAX (worst, difference (x.maps[k], y.maps[k]));
  g_test_message ("%s: %g", pt, worst);
  g_assert_cmpfloat (worst, <=, tolerance);
}

static void
test_same (gconstpointer name)
{
  g_autofree char *pt_name = g_strconcat (name, ".pt", NULL),
                  *onnx_name = g_strconcat (name, ".onnx", NULL);
  g_autofree char *pt = checkpoint_path (pt_name);
  g_autofree char *onnx = g_test_build_filename (G_TEST_DIST, "tests", "data", onnx_name, NULL);

  assert_same (pt, onnx, 64, 128, TOLERANCE);
}

/* A block that has been changed into another of the same outcome. */
static void
test_unsplit (void)
{
  g_autofree char *pt = checkpoint_path ("micro-unsplit.pt");
  g_autofree char *onnx = g_test_build_filename (G_TEST_DIST, "tests", "data", "micro.onnx", NULL);

  assert_same (pt, onnx, 16, 24, TOLERANCE);
}

/* Of two heads, the one that the file says; both have the same weights here. */
static void
test_two_heads (void)
{
  static const struct {
    const char *name;
    int end_to_end;
  } cases[] = { { "both-heads.pt", FALSE }, { "asked-end-to-end.pt", TRUE },
    { "end-to-end.pt", TRUE } };
  g_autofree char *onnx = g_test_build_filename (G_TEST_DIST, "tests", "data", "micro.onnx", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *pt = checkpoint_path (cases[i].name);
    g_autoptr (YoloModel) model = yolo_model_load (pt, NULL);

    assert_same (pt, onnx, 16, 24, TOLERANCE);
    g_assert_cmpint (model->form.end_to_end, ==, cases[i].end_to_end);
  }
}

/* The head that the user wants, of a file that has it; what tables go by tells them apart. */
static void
test_choose_head (void)
{
  static const struct {
    const char *name;
    YoloHeadChoice head;
    int end_to_end;             /* -1: the file does not have that head */
  } cases[] = {
    { "both-heads.pt", YOLO_HEAD_ONE_TO_MANY, FALSE },
    { "both-heads.pt", YOLO_HEAD_END_TO_END, TRUE },
    { "asked-end-to-end.pt", YOLO_HEAD_END_TO_END, TRUE },
    { "end-to-end.pt", YOLO_HEAD_END_TO_END, TRUE },
    { "end-to-end.pt", YOLO_HEAD_ONE_TO_MANY, -1 },
    { "obb.pt", YOLO_HEAD_ONE_TO_MANY, FALSE },
    { "obb.pt", YOLO_HEAD_END_TO_END, -1 },
  };
  g_autofree char *both = checkpoint_path ("both-heads.pt");
  g_autofree char *onnx = g_test_build_filename (G_TEST_DIST, "tests", "data", "micro.onnx", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *pt = checkpoint_path (cases[i].name);
    g_autoptr (GError) error = NULL;
    g_autoptr (YoloModel) model = yolo_model_load_head (pt, cases[i].head, &error);

    if (cases[i].end_to_end < 0) {
      g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_UNSUPPORTED);
      g_assert_nonnull (strstr (error->message, "head=auto"));
      continue;
    }
    g_assert_no_error (error);
    g_assert_cmpint (model->form.end_to_end, ==, cases[i].end_to_end);
  }
  g_autoptr (YoloModel) many = yolo_model_load_head (both, YOLO_HEAD_ONE_TO_MANY, NULL),
                        one = yolo_model_load_head (both, YOLO_HEAD_END_TO_END, NULL);
  g_assert_cmpstr (many->sha256, !=, one->sha256);

  g_autoptr (GError) error = NULL;
  g_assert_null (yolo_model_load_head (onnx, YOLO_HEAD_END_TO_END, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_UNSUPPORTED);
}

/* What a head has beside boxes and classes, and how it is to be read. */
static void
test_forms (void)
{
  static const struct {
    const char *name, *task;
    YoloMapRole role;
    YoloHeadForm form;
  } cases[] = {
    { "obb.pt", "obb", YOLO_MAP_ANGLE, { .angle_sigmoid = TRUE } },
    { "obb26.pt", "obb", YOLO_MAP_ANGLE, { 0 } },
    { "pose.pt", "pose", YOLO_MAP_KEYPOINT,
        { .keypoints = 3, .dimensions = 2, .point_scale = 2, .point_offset = -.5f } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *pt = checkpoint_path (cases[i].name);
    g_autoptr (GError) error = NULL;
    g_autoptr (YoloModel) model = yolo_model_load (pt, &error);
    const YoloHeadForm *form = &cases[i].form;

    g_assert_no_error (error);
    g_assert_cmpstr (model->task, ==, cases[i].task);
    g_assert_cmpuint (model->n_outputs % 3, ==, 0);
    for (guint k = 0; k < model->n_outputs; k++) {
      g_assert_cmpuint (model->outputs[k].level, ==, k / 3);
      g_assert_cmpint (model->outputs[k].role, ==,
          k % 3 == 0       ? YOLO_MAP_BOX
              : k % 3 == 1 ? YOLO_MAP_CLASS
                           : cases[i].role);
    }
    g_assert_cmpint (model->form.end_to_end, ==, form->end_to_end);
    g_assert_cmpint (model->form.angle_sigmoid, ==, form->angle_sigmoid);
    g_assert_cmpuint (model->form.keypoints, ==, form->keypoints);
    g_assert_cmpuint (model->form.dimensions, ==, form->dimensions);
    g_assert_cmpfloat (model->form.point_scale, ==, form->point_scale);
    g_assert_cmpfloat (model->form.point_offset, ==, form->point_offset);
  }
}

/* PyTorch's activations, with the numbers of the module; PReLU with a slope for each channel has no
 * constant of its own and is composed of layers. */
static void
test_activations (void)
{
  static const struct {
    const char *name;
    YoloActivation act;
    float alpha, beta;
  } cases[] = {
    { "elu", YOLO_ACT_ELU, .75f, 0 },
    { "gelu", YOLO_ACT_GELU, 0, 0 },
    { "gelu-old", YOLO_ACT_GELU, 0, 0 },
    { "gelu-tanh", YOLO_ACT_GELU_TANH, 0, 0 },
    { "hard-sigmoid", YOLO_ACT_HARD_SIGMOID, 1 / 6.f, .5f },
    { "hard-swish", YOLO_ACT_HARD_SWISH, 0, 0 },
    { "hard-tanh", YOLO_ACT_CLIP, -.5f, 2 },
    { "leaky-relu", YOLO_ACT_LEAKY_RELU, .125f, 0 },
    { "mish", YOLO_ACT_MISH, 0, 0 },
    { "prelu", YOLO_ACT_LEAKY_RELU, .25f, 0 },
    { "prelu-channels", YOLO_ACT_NONE, 0, 0 },
    { "relu", YOLO_ACT_RELU, 0, 0 },
    { "relu6", YOLO_ACT_CLIP, 0, 6 },
    { "sigmoid", YOLO_ACT_SIGMOID, 0, 0 },
    { "silu", YOLO_ACT_SILU, 0, 0 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *file = g_strdup_printf ("activation-%s.pt", cases[i].name);
    g_autofree char *pt = checkpoint_path (file);
    g_autoptr (GError) error = NULL;
    g_autoptr (YoloModel) model = yolo_model_load (pt, &error);
    const YoloConv *conv;

    g_assert_no_error (error);
    conv = yolo_model_layer (model, 1).conv;
    g_assert_cmpint (conv->act, ==, cases[i].act);
    g_assert_cmpfloat (conv->alpha, ==, cases[i].alpha);
    g_assert_cmpfloat (conv->beta, ==, cases[i].beta);
  }
}

/* Ultralytics' own, where they are beside the project. */
static void
test_family (void)
{
  static const struct {
    const char *name;
    double tolerance;
  } files[] = {
    { "family/tiny-yolov8-p6", FAMILY_TOLERANCE },
    { "yolov8n", FAMILY_TOLERANCE },
    { "family/tiny-yolo11", FAMILY_TOLERANCE },
    { "family/tiny-yolo12", SHARP_TOLERANCE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    const char *folder = g_getenv ("YOLO_SHARED");
    g_autofree char *beside = g_test_build_filename (G_TEST_DIST, "..", "shared", NULL);
    g_autofree char *pt =
        g_strdup_printf ("%s/models/%s.pt", folder ? folder : beside, files[i].name);
    g_autofree char *onnx =
        g_strdup_printf ("%s/models/%s.onnx", folder ? folder : beside, files[i].name);

    if (!g_file_test (pt, G_FILE_TEST_EXISTS)) {
      g_test_skip ("the models are not there");
      return;
    }
    assert_same (pt, onnx, 64, 128, files[i].tolerance);
  }
}

static void
test_refused (void)
{
  static const struct {
    const char *file;
    YoloNetworkError code;
    const char *text;
  } cases[] = {
    { "state-dict.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "has weights (a state_dict), but not" },
    { "state-dict-in.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "has weights (a state_dict)" },
    { "model-state-dict.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "has weights (a state_dict)" },
    { "number.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "has no model in it" },
    { "rtdetrdetectionmodel.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "is a RTDETRDetectionModel, whi" },
    { "worldmodel.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "is a WorldModel" },
    { "yolov5.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "of the repository of YOLOv5" },
    { "foreign.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "a somewhere.else.Net, no YOLO" },
    { "unknown.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "model.4 (DeformConv) is not supported yet" },
    { "fuse-of-conv.pt", YOLO_NETWORK_ERROR_FORMAT, "model.12 (CBFuse) takes parts that no" },
    { "fuse-before.pt", YOLO_NETWORK_ERROR_FORMAT, "model.12 (CBFuse) takes parts that no" },
    { "fuse-beyond.pt", YOLO_NETWORK_ERROR_FORMAT, "model.12 (CBFuse) takes parts that no" },
    { "fuse-count.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "model.12 (CBFuse) takes other inputs" },
    { "fuse-sizes.pt", YOLO_NETWORK_ERROR_FORMAT, "model.12 (CBFuse) takes parts that no" },
    { "fuse-none.pt", YOLO_NETWORK_ERROR_FORMAT, "model.12 (CBFuse) takes parts that no" },
    { "upsample.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "model.5 (Upsample) enlarges in another" },
    { "from-ahead.pt", YOLO_NETWORK_ERROR_FORMAT, "model.6 (Concat) takes what no module" },
    { "beyond.pt", YOLO_NETWORK_ERROR_FORMAT, "model.1.conv.weight: its sizes or strides" },
    { "modelopt.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "was quantised in training" },
    { "gray.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "takes images of 1 channels" },
    { "stride.pt", YOLO_NETWORK_ERROR_FORMAT, "model.8 (Detect) does not fit its own" },
    { "classes.pt", YOLO_NETWORK_ERROR_FORMAT, "model.8 (Detect) does not fit its own" },
    { "no-head.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "model.8 (Depth) is no head that is" },
    { "no-dfl.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "model.8 (Detect) gives neither distances" },
    { "pose-shape.pt", YOLO_NETWORK_ERROR_FORMAT, "model.8 (Pose) does not fit its own" },
    { "pose-none.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "model.8 (Pose) has points of a kind" },
    { "bins.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "model.8 (Detect) has bins (dfl) that are not" },
    { "extra.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "model.2 (C2f) has a part 'se'" },
    { "endless.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "has more modules within than any YOLO" },
    { "many.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "has more modules within than any YOLO" },
    { "activation-gelu-other.pt", YOLO_NETWORK_ERROR_UNSUPPORTED,
        "model.0.act (GELU) approximates in a way" },
    { "activation-hard-tanh-endless.pt", YOLO_NETWORK_ERROR_FORMAT,
        "model.0.act (Hardtanh) has no max_val" },
    { "activation-prelu-wrong.pt", YOLO_NETWORK_ERROR_FORMAT,
        "model.0.act (PReLU) does not fit its input" },
    { "activation-softsign.pt", YOLO_NETWORK_ERROR_UNSUPPORTED,
        "model.0.act (Softsign) is not supported yet" },
    { "legacy.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "before version 1.6" },
    { "compressed.pt", YOLO_NETWORK_ERROR_UNSUPPORTED, "is compressed" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *path = checkpoint_path (cases[i].file);

    g_assert_null (yolo_model_load (path, &error));
    g_test_message ("%s", error->message);
    g_assert_error (error, YOLO_NETWORK_ERROR, (int) cases[i].code);
    g_assert_true (g_str_has_prefix (error->message, path));
    if (strstr (error->message, cases[i].text) == NULL)
      g_error ("\"%s\" lacks \"%s\"", error->message, cases[i].text);
  }
}

/* What is for this reader, and what only looks so. */
static void
test_is (void)
{
  g_assert_true (yolo_torch_is ("PK\003\004", 4));
  g_assert_true (yolo_torch_is ("\200\002\212\nl\374", 6));
  g_assert_true (yolo_torch_is ("\200\004\225", 3));
  g_assert_false (yolo_torch_is ("PK\003", 3));
  g_assert_false (yolo_torch_is ("", 0));
  g_assert_false (yolo_torch_is ("\200\002", 2));
  g_assert_false (yolo_torch_is ("\200\002\0\0{\"a\"", 8)); /* TensorRT */
  g_assert_false (yolo_torch_is ("\b\b\022\003", 4));       /* ONNX */
}

/* A file without checksums, with every byte of its pickle and its directory changed: it is a model
 * or an error. */
static void
test_flipped (void)
{
  g_autofree char *path = checkpoint_path ("micro.pt"), *bytes = NULL;
  g_autoptr (GError) error = NULL;
  guint n_models = 0, n_errors = 0;
  gsize size;

  g_file_get_contents (path, &bytes, &size, &error);
  g_assert_no_error (error);
  g_assert_true (yolo_torch_is (bytes, size));
  for (gsize i = 0; i < size; i++) {
    char old = bytes[i];

    bytes[i] = (char) (old ^ (1 + i % 255));
    g_autoptr (YoloGraph) graph = yolo_torch_read (bytes, size, YOLO_HEAD_AUTO, &error);
    g_assert_true ((graph != NULL) == (error == NULL));
    n_models += graph != NULL;
    n_errors += graph == NULL;
    g_assert_true (error == NULL || error->domain == YOLO_NETWORK_ERROR);
    g_clear_error (&error);
    bytes[i] = old;
  }
  g_test_message ("%u models, %u errors", n_models, n_errors);
  g_assert_cmpuint (n_models, >, size / 10);
  g_assert_cmpuint (n_errors, >, size / 10);
}

int
main (int argc, char **argv)
{
  static const char *const same[] = { "micro", "v5u", "v5u-l", "v8-p2", "v8-p34", "v8-p6", "v8n",
    "v8n-depthwise", "v8n-half", "v8n-relu", "v8n-unfused", "micro-attention",
    "micro-attention-b3", "micro-area", "micro-area-whole",
    "micro-blocks", "micro-fuse" };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (same); i++) {
    g_autofree char *path = g_strconcat ("/torch/same/", same[i], NULL);
    g_test_add_data_func (path, same[i], test_same);
  }
  g_test_add_func ("/torch/unsplit", test_unsplit);
  g_test_add_func ("/torch/activations", test_activations);
  g_test_add_func ("/torch/two-heads", test_two_heads);
  g_test_add_func ("/torch/choose-head", test_choose_head);
  g_test_add_func ("/torch/forms", test_forms);
  g_test_add_func ("/torch/family", test_family);
  g_test_add_func ("/torch/is", test_is);
  g_test_add_func ("/torch/refused", test_refused);
  g_test_add_func ("/torch/flipped", test_flipped);
  return g_test_run ();
}
