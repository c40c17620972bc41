/* SPDX-License-Identifier: MIT */
/* What models of the files at hand say. */

#include "tests/network/edit.h"

static const struct {
  const char *file;             /* in the shared folder */
  guint n_classes;
  const char *first, *last;     /* names of the first and the last class */
  guint reg_max, n_levels, stride, height, width, n_convs;
} detect[] = {
  {"models/tiny-yolov8.onnx", 3, "alpha", "gamma", 16, 3, 32, 320, 320, 63},
  {"models/tiny-yolov8_b4_384x640.onnx", 3, "alpha", "gamma", 16, 3, 32, 384, 640, 63},
  {"models/tiny-yolov8_dynamic_nms.onnx", 3, "alpha", "gamma", 16, 3, 32, 320, 320, 63},
  {"models/tiny-yolov8_qdq_u8.onnx", 3, "alpha", "gamma", 16, 3, 32, 320, 320, 63},
  {"models/tiny-yolo11.onnx", 3, "alpha", "gamma", 16, 3, 32, 320, 320, 87},
  {"models/family/tiny-yolo12.onnx", 3, "alpha", "gamma", 16, 3, 32, 320, 320, 119},
  {"models/tiny-yolov5u.onnx", 3, "alpha", "gamma", 16, 3, 32, 320, 320, 75},
  {"models/yolov8n.onnx", 80, "person", "toothbrush", 16, 3, 32, 640, 640, 63},
  {"models/yolov8n_dynamic.onnx", 80, "person", "toothbrush", 16, 3, 32, 640, 640, 63},
  {"models/yolov8n_half.onnx", 80, "person", "toothbrush", 16, 3, 32, 640, 640, 63},
  {"models/yolov8n_nms_half.onnx", 80, "person", "toothbrush", 16, 3, 32, 640, 640, 63},
  {"models/yolov8n_qdq_320.onnx", 80, "person", "toothbrush", 16, 3, 32, 320, 320, 63},
  {"models/yolov8n_dynquant.onnx", 80, "person", "toothbrush", 16, 3, 32, 320, 320, 63},
};

static void
test_detect (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autofree char *path = shared_file (detect[i].file);
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = NULL;

  if (path == NULL) {
    g_test_skip ("no shared material");
    return;
  }
  model = yolo_model_load (path, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (model->path, ==, path);
  g_assert_cmpuint (strlen (model->sha256), ==, 64);
  g_assert_cmpstr (model->task, ==, "detect");
  g_assert_nonnull (model->description);
  g_assert_cmpuint (model->n_classes, ==, detect[i].n_classes);
  g_assert_cmpuint (g_strv_length (model->names), ==, model->n_classes);
  g_assert_cmpstr (model->names[0], ==, detect[i].first);
  g_assert_cmpstr (model->names[model->n_classes - 1], ==, detect[i].last);
  g_assert_cmpuint (model->reg_max, ==, detect[i].reg_max);
  g_assert_cmpuint (model->n_outputs, ==, 2 * detect[i].n_levels);
  for (guint k = 0; k < model->n_outputs; k++) {
    g_assert_cmpint (model->outputs[k].role, ==, k % 2 ? YOLO_MAP_CLASS : YOLO_MAP_BOX);
    g_assert_cmpuint (model->outputs[k].level, ==, k / 2);
    g_assert_cmpuint (model->outputs[k].stride, ==, 8u << k / 2);
  }
  g_assert_cmpuint (model->stride, ==, detect[i].stride);
  g_assert_cmpuint (model->height, ==, detect[i].height);
  g_assert_cmpuint (model->width, ==, detect[i].width);
  g_assert_cmpuint (model->n_convs, ==, detect[i].n_convs);
  /* Ultralytics states 8.7 GFLOPs for yolov8n at 640x640, two for each multiply-add. */
  if (detect[i].n_classes == 80)
    g_assert_cmpfloat_with_epsilon (
        model->macs, 4.37e9 * model->height * model->width / (640 * 640), 1e8);
}

/* What is read of files with other heads. Each level has boxes, classes and a third map. */
static const struct {
  const char *file, *task;
  guint n_classes, reg_max;
  YoloMapRole third;
  YoloHeadForm form;
} heads[] = {
  { "models/tiny-cls.onnx", "classify", 10, 0, YOLO_MAP_LOGIT, { .end_to_end = TRUE } },
  { "models/tiny-pose.onnx", "pose", 1, 16, YOLO_MAP_KEYPOINT,
      { .keypoints = 17, .dimensions = 3, .point_scale = 2, .point_offset = -.5f } },
  { "models/tiny-obb.onnx", "obb", 3, 16, YOLO_MAP_ANGLE, { .angle_sigmoid = TRUE } },
  { "models/yolov8n-seg.onnx", "segment", 80, 16, YOLO_MAP_COEFFICIENT, { 0 } },
  { "models/family/tiny-yolov8-seg-nms.onnx", "segment", 3, 16, YOLO_MAP_COEFFICIENT, { 0 } },
  { "models/family/tiny-yolo26-seg-e2e.onnx", "segment", 3, 1, YOLO_MAP_COEFFICIENT,
      { .end_to_end = TRUE } },
  { "models/family/tiny-yolo26-pose.onnx", "pose", 1, 1, YOLO_MAP_KEYPOINT,
      { .keypoints = 17, .dimensions = 3, .point_scale = 1 } },
  { "models/family/tiny-yolo26-obb.onnx", "obb", 3, 1, YOLO_MAP_ANGLE, { 0 } },
};

static void
test_head (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autofree char *path = shared_file (heads[i].file);
  g_autoptr (GError) error = NULL;
  const YoloHeadForm *form = &heads[i].form;
  guint third = 0, prototypes = 0;
  YoloModel *model;

  if (path == NULL) {
    g_test_skip ("no shared material");
    return;
  }
  model = yolo_model_load (path, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (model->task, ==, heads[i].task);
  g_assert_cmpuint (model->n_classes, ==, heads[i].n_classes);
  g_assert_cmpuint (model->reg_max, ==, heads[i].reg_max);
  g_assert_cmpint (model->form.end_to_end, ==, form->end_to_end);
  g_assert_cmpuint (model->form.keypoints, ==, form->keypoints);
  g_assert_cmpuint (model->form.dimensions, ==, form->dimensions);
  g_assert_cmpfloat (model->form.point_scale, ==, form->point_scale);
  g_assert_cmpfloat (model->form.point_offset, ==, form->point_offset);
  g_assert_cmpint (model->form.angle_sigmoid, ==, form->angle_sigmoid);
  for (guint k = 0; k < model->n_outputs; k++) {
    third += model->outputs[k].role == heads[i].third;
    prototypes += model->outputs[k].role == YOLO_MAP_PROTOTYPE;
  }
  g_assert_cmpuint (third, ==, heads[i].third == YOLO_MAP_LOGIT ? 1 : 3);
  g_assert_cmpuint (prototypes, ==, heads[i].third == YOLO_MAP_COEFFICIENT);
  yolo_model_unref (model);
}

static YoloModel *
load_micro (const char *key, const char *value)
{
  Onnx__ModelProto *proto = edit_open ("micro.onnx");
  g_autoptr (GError) error = NULL;
  YoloModel *model;

  if (key != NULL)
    edit_metadata (proto, key, value);
  model = edit_load (proto, &error);
  g_assert_no_error (error);
  return model;
}

static void
test_check_size (void)
{
  static const struct {
    guint height, width;
    const char *nearest;        /* in the error; NULL: the size is valid */
  } sizes[] = {
    { 8, 8, NULL },
    { 16, 24, NULL },
    { 8192, 8192, NULL },
    { 8, 8192, NULL },
    { 0, 0, "nearest is 8x8" },
    { 1, 8, "nearest is 8x8" },
    { 11, 13, "nearest is 16x8" },
    { 12, 12, "nearest is 16x16" },
    { 100000, 8, "nearest is 8x8192" },
    { 8, G_MAXUINT, "nearest is 8192x8" },
    { 8193, 8193, "nearest is 8192x8192" },
  };
  g_autoptr (YoloModel) model = load_micro (NULL, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GError) error = NULL;
    gboolean valid = yolo_model_check_size (model, sizes[i].height, sizes[i].width, &error);

    g_assert_true (valid == (sizes[i].nearest == NULL));
    if (!valid) {
      g_test_message ("%s", error->message);
      g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_SIZE);
      g_assert_nonnull (strstr (error->message, sizes[i].nearest));
    }
  }
}

static void
test_metadata (void)
{
  g_autoptr (YoloModel) few = load_micro ("names", "{1: 'only one'}");
  g_autoptr (YoloModel) many = load_micro ("names", "['a', 'b', 'c', 'd']");
  g_autoptr (YoloModel) broken = load_micro ("names", "{0: 'a");
  g_autoptr (YoloModel) none = load_micro ("names", NULL);
  g_autoptr (YoloModel) task = load_micro ("task", NULL);
  /* what the file says of its task is not believed */
  g_autoptr (YoloModel) other_task = load_micro ("task", "segment");
  g_autoptr (YoloModel) description = load_micro ("description", "\xff");

  g_autoptr (YoloModel) good = load_micro ("names", "{\"0\": \"a\", \"1\": \"b\"}");
  g_autoptr (YoloModel) beyond = load_micro ("names", "{0: 'a', 7: 'b', -1: 'c'}");

  g_assert_cmpstr (good->names[1], ==, "b");
  g_assert_null (good->names_problem);
  g_assert_null (none->names_problem);
  g_assert_nonnull (
      strstr (few->names_problem, "name 1 of the 2 classes, the rest is named by number;"));
  g_assert_nonnull (
      strstr (many->names_problem, "name 2 of the 2 classes, and 2 that are not in the network;"));
  g_assert_nonnull (strstr (
      beyond->names_problem, "1 of the 2 classes, the rest is named by number, and 1 that"));
  g_assert_nonnull (strstr (broken->names_problem, "not understood"));
  g_assert_cmpstr (beyond->names[0], ==, "a");
  g_assert_cmpstr (beyond->names[1], ==, "1");
  g_assert_cmpstr (few->names[0], ==, "0");
  g_assert_cmpstr (few->names[1], ==, "only one");
  g_assert_cmpuint (g_strv_length (many->names), ==, 2);
  g_assert_cmpstr (many->names[1], ==, "b");
  g_assert_cmpstr (broken->names[0], ==, "0");
  g_assert_cmpstr (none->names[1], ==, "1");
  g_assert_cmpstr (task->task, ==, "detect");
  g_assert_cmpstr (other_task->task, ==, "detect");
  g_assert_true (g_utf8_validate (description->description, -1, NULL));
}

/* The size of a file with open dimensions is its metadata's. */
static void
test_imgsz (void)
{
  static const struct {
    const char *imgsz;
    guint height, width;
  } sizes[] = {
    {"[96, 160]", 96, 160}, {"320", 320, 320}, {"[100, 7]", 96, 32}, {"nonsense", 640, 640},
    {"[100000, 32]", 8192, 32}, {NULL, 640, 640},
  };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    Onnx__ModelProto *proto = edit_open ("v8n-dynamic.onnx");
    g_autoptr (GError) error = NULL;
    g_autoptr (YoloModel) model = NULL;

    edit_metadata (proto, "imgsz", sizes[i].imgsz);
    model = edit_load (proto, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (model->height, ==, sizes[i].height);
    g_assert_cmpuint (model->width, ==, sizes[i].width);
  }
}

/* A file whose dimensions somebody took out is one of the size in its metadata. */
static void
test_shapeless (void)
{
  for (guint whole = 0; whole < 2; whole++) {
    Onnx__ModelProto *proto = edit_open ("micro.onnx");
    Onnx__TypeProto__Tensor *type = proto->graph->input[0]->type->tensor_type;
    g_autoptr (GError) error = NULL;
    g_autoptr (YoloModel) model = NULL;

    for (gsize d = 0; d < type->shape->n_dim; d++)
      type->shape->dim[d]->dim_value = 0;
    if (whole) {
      protobuf_c_message_free_unpacked (&type->shape->base, NULL);
      type->shape = NULL;
    }
    model = edit_load (proto, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (model->height, ==, 16);
    g_assert_cmpuint (model->width, ==, 24);
  }
}

static void
test_reference (void)
{
  YoloModel *model = load_micro (NULL, NULL);

  g_assert_true (yolo_model_ref (model) == model);
  yolo_model_unref (model);
  g_assert_cmpuint (model->n_classes, ==, 2);
  yolo_model_unref (model);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/network/model/check-size", test_check_size);
  g_test_add_func ("/network/model/metadata", test_metadata);
  g_test_add_func ("/network/model/imgsz", test_imgsz);
  g_test_add_func ("/network/model/reference", test_reference);
  g_test_add_func ("/network/model/shapeless", test_shapeless);
  for (guint i = 0; i < G_N_ELEMENTS (detect); i++) {
    g_autofree char *path = g_strconcat ("/network/model/", detect[i].file, NULL);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_detect);
  }
  for (guint i = 0; i < G_N_ELEMENTS (heads); i++) {
    g_autofree char *path = g_strconcat ("/network/model/", heads[i].file, NULL);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_head);
  }
  return g_test_run ();
}
