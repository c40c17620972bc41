/* SPDX-License-Identifier: MIT */
/* The real cuDNN, for cards that are not there: every convolution of YOLOv8n
 * is described to it, engines are found and plans are built, for a description
 * of a card of the device's capability. Its kernels are not run. "-m slow", or a
 * device that is a card, builds a plan of every convolution (a minute or two);
 * else of every fifth, so that those of the five capabilities together are all. */

#include <stdio.h>
#include <string.h>

#include "cuda/cudnn.h"
#include "engine/load.h"
#include "tests/cuda/harness.h"

static const char *const capabilities[] = { "75", "80", "89", "90", "100" };
static char *card;              /* as JSON describes it */
static char **keys;             /* the convolutions of YOLOv8n at 640x640, half and 8 bits */
static char *capability;        /* "80": 8.0 */

/* NULL: not at hand, as where the program was taken elsewhere. */
static char *
read_data (const char *name)
{
  g_autofree char *path = g_build_filename (SOURCE_ROOT, "tests/data/cudnn", name, NULL);
  char *text = NULL;

  g_file_get_contents (path, &text, NULL, NULL);
  return text;
}

static gboolean
is_card (void)
{
  return !g_str_has_prefix (test_device->name, "gpusim");
}

static YoloDType
dtype_of (const char *name)
{
  return g_str_equal (name, "f16") ? YOLO_F16 : g_str_equal (name, "s8") ? YOLO_S8 : YOLO_F32;
}

/* The inverse of yolo_conv_shape_key(). */
static void
parse (const char *key, YoloConvShape *shape, YoloConv *conv)
{
  char in[8], out[8];
  int act;

  *conv = (YoloConv) { 0 };
  *shape = (YoloConvShape) { .conv = conv };
  g_assert_cmpint (
      sscanf (key,
          "%7[^>]>%7s b%u %ux%u>%ux%u c%u>%u g%u k%ux%u s%u,%u p%u,%u d%u,%u a%d pitch%u,%u,%u "
          "align%u,%u,%u",
          in, out, &shape->batch, &shape->in_height, &shape->in_width, &shape->out_height,
          &shape->out_width, &shape->in_channels, &conv->out_channels, &conv->groups,
          &conv->kernel[0], &conv->kernel[1], &conv->stride[0], &conv->stride[1], &conv->pad[0],
          &conv->pad[1], &conv->dilation[0], &conv->dilation[1], &act, &shape->in_pitch,
          &shape->out_pitch, &shape->residual_pitch, &shape->in_align, &shape->out_align,
          &shape->residual_align),
      ==, 25);
  shape->dtype = shape->residual_dtype = dtype_of (in);
  if (strstr (key, " residual ") != NULL)
    shape->residual_dtype = dtype_of (strstr (key, " residual ") + strlen (" residual "));
  shape->out_dtype = dtype_of (out);
  conv->act = (YoloActivation) act;
  conv->in_channels = shape->in_channels;
  g_autofree char *again = yolo_conv_shape_key (shape);
  g_assert_cmpstr (again, ==, key);
}

/* What cuDNN 9.19 takes on a capability: a version that takes less is worth knowing of. */
static gboolean
must_take (const char *cc, const YoloConvShape *shape)
{
  gboolean view =
      shape->in_pitch != shape->in_channels || shape->out_pitch != shape->conv->out_channels;

  if (!g_str_equal (cc, "75"))
    return TRUE;
  return shape->dtype == YOLO_S8 ? !view : shape->out_dtype == YOLO_F16;
}

/* On which capability the plan of the i-th shape is built: in turn, or on the
 * next one if it is not taken. */
static gboolean
is_mine (guint i, const YoloConvShape *shape)
{
  guint turn = i % G_N_ELEMENTS (capabilities);

  if (g_test_slow () || is_card ())
    return must_take (capability, shape);
  if (!must_take (capabilities[turn], shape))
    turn++;
  return g_str_equal (capabilities[turn], capability);
}

static void
free_all (YoloConvCandidate *list, guint n)
{
  for (guint i = 0; i < n; i++)
    list[i].free (&list[i]);
}

/* The file of shapes is what our plan of the model is, where the model is. */
static void
test_shapes (void)
{
  g_autofree char *path = g_build_filename (
      g_getenv ("YOLO_SHARED") ? g_getenv ("YOLO_SHARED") : SOURCE_ROOT "/../shared",
      "models/yolov8n.onnx", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GHashTable) found = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (YoloModel) model = NULL;

  if (!g_file_test (path, G_FILE_TEST_EXISTS)) {
    g_test_skip ("needs ../shared/models/yolov8n.onnx");
    return;
  }
  model = yolo_model_load (path, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < 2; i++) {
    YoloDType dtype = i == 0 ? YOLO_F16 : YOLO_S8;
    g_autoptr (YoloPlan) plan = yolo_plan_new (
        model, 1, 640, 640, dtype, dtype, 16 / (guint) yolo_dtype_size (dtype), &error);

    g_assert_no_error (error);
    for (guint op = 0; op < plan->n_ops; op++) {
      YoloConvShape shape;

      if (plan->ops[op].type != YOLO_OP_CONV)
        continue;
      yolo_conv_shape (&shape, plan, &plan->ops[op]);
      g_hash_table_add (found, yolo_conv_shape_key (&shape));
    }
  }
  for (guint i = 0; keys[i] != NULL; i++)
    if (!g_hash_table_contains (found, keys[i]))
      g_test_fail_printf ("tests/data/cudnn/yolov8n.txt: the plan has no %s any more", keys[i]);
  g_assert_cmpuint (g_hash_table_size (found), ==, g_strv_length (keys));
}

/* A graph of every shape is accepted, and there are engines for it. */
static void
test_graphs (void)
{
  guint refused = 0;

  for (guint i = 0; keys[i] != NULL; i++) {
    YoloConvShape shape;
    YoloConv conv;
    guint engines;

    parse (keys[i], &shape, &conv);
    yolo_cudnn_plans (&shape, card, NULL, NULL, 0, &engines);
    if (engines == 0 && must_take (capability, &shape))
      g_test_fail_printf ("%s: no engine", keys[i]);
    refused += engines == 0;
  }
  g_test_message (
      "sm_%s: %u of %u shapes have no engine", capability, refused, g_strv_length (keys));
}

/* Plans are built, and take the addresses of a launch. */
static void
test_plans (void)
{
  gint64 begin = g_get_monotonic_time (), longest = 0;
  guint built = 0;

  for (guint i = 0; keys[i] != NULL; i++) {
    g_autoptr (GError) error = NULL;
    YoloConvCandidate candidate;
    YoloConvShape shape;
    YoloConv conv;
    guint engines;
    gint64 start = g_get_monotonic_time ();

    parse (keys[i], &shape, &conv);
    if (!is_mine (i, &shape))
      continue;
    if (yolo_cudnn_plans (&shape, card, NULL, &candidate, 1, &engines) == 0) {
      g_test_fail_printf ("%s: no plan of %u engines", keys[i], engines);
      continue;
    }
    YoloConvArgs args = { .in = 256,
      .out = 512,
      .residual = 1024,
      .weights = 2048,
      .bias = 4096,
      .scale = 8192,
      .residual_scale = 8192,
      .out_scale = 1,
      .workspace = candidate.workspace > 0 ? 16384 : 0 };
    g_assert_true (candidate.launch (&candidate, NULL, &shape, &args, NULL, &error));
    g_assert_no_error (error);
    candidate.free (&candidate);
    built++;
    longest = MAX (longest, g_get_monotonic_time () - start);
  }
  g_test_message ("sm_%s: %u plans in %.1f s, the slowest in %.2f s", capability, built,
      (double) (g_get_monotonic_time () - begin) / 1e6, (double) longest / 1e6);
  g_assert_cmpuint (built, >, 0);
}

/* The library looks at what it is told: it would not notice every mistake, but these. */
static void
test_refused (void)
{
  static const char *const wrong[] = {
    "f16>f16 b1 40x40>40x39 c64>64 g1 k3x3 s1,1 p1,1 d1,1 a1 pitch64,64,0 align16,16,16",
    "f16>f16 b1 40x40>21x20 c64>64 g1 k3x3 s2,2 p1,1 d1,1 a1 pitch64,64,0 align16,16,16",
    "s8>s8 b1 40x40>42x42 c64>64 g1 k1x1 s1,1 p0,0 d1,1 a1 pitch64,64,0 align16,16,16",
    /* not offered to it */
    "f32>f32 b1 40x40>40x40 c64>64 g1 k3x3 s1,1 p1,1 d1,1 a1 pitch64,64,0 align16,16,16",
    "f16>f16 b1 40x40>40x40 c12>64 g1 k1x1 s1,1 p0,0 d1,1 a1 pitch12,64,0 align8,16,16",
  };

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    YoloConvCandidate candidate;
    YoloConvShape shape;
    YoloConv conv;
    guint engines;

    parse (wrong[i], &shape, &conv);
    g_assert_cmpuint (yolo_cudnn_plans (&shape, card, NULL, &candidate, 1, &engines), ==, 0);
    g_assert_cmpuint (engines, ==, 0);
  }
}

/* Activations, kernels and groups that YOLOv8n has not: whether there is an
 * engine is cuDNN's to say, but nothing goes wrong. */
static void
test_others (void)
{
  static const char *const others[] = {
    "f16>f16 b4 20x24>20x24 c64>64 g1 k3x3 s1,1 p1,1 d1,1 a2 pitch64,64,0 align16,16,16",
    "f16>f16 b1 20x24>20x24 c64>64 g1 k1x1 s1,1 p0,0 d1,1 a3 pitch64,64,0 align16,16,16",
    "f16>f16 b1 20x24>10x12 c8>32 g1 k6x6 s2,2 p2,2 d1,1 a1 pitch8,32,0 align16,16,16",
    "f16>f16 b1 20x24>20x24 c64>64 g64 k3x3 s1,1 p1,1 d1,1 a1 pitch64,64,0 align16,16,16",
    "f16>f16 b1 20x24>20x24 c64>96 g4 k3x3 s1,1 p1,1 d1,1 a1 pitch64,96,0 align16,16,16",
    "f16>f32 b1 20x24>20x24 c64>91 g1 k1x1 s1,1 p0,0 d1,1 a0 pitch64,91,0 align16,4,16",
    "s8>f16 b1 20x24>20x24 c64>64 g1 k3x3 s1,1 p1,1 d1,1 a1 pitch64,64,0 align16,16,16",
    "s8>s8 b2 20x24>20x24 c64>64 g1 k3x3 s1,1 p1,1 d1,1 a1 pitch64,64,64 align16,16,16",
    "s8>s8 b2 20x24>20x24 c64>64 g1 k3x3 s1,1 p1,1 d1,1 a1 pitch64,64,64 align16,16,16 residual "
    "f16",
    "s8>f16 b1 20x24>20x24 c64>64 g1 k3x3 s1,1 p1,1 d1,1 a1 pitch64,64,64 align16,16,16 residual "
    "f16",
    "f16>s8 b1 20x24>20x24 c64>64 g1 k3x3 s1,1 p1,1 d1,1 a1 pitch64,64,0 align16,16,16",
    "f16>f16 b1 20x24>20x24 c64>64 g1 k3x3 s1,1 p1,1 d1,1 a1 pitch64,64,64 align16,16,16 residual "
    "s8",
  };

  for (guint i = 0; i < G_N_ELEMENTS (others); i++) {
    YoloConvCandidate candidate;
    YoloConvShape shape;
    YoloConv conv;
    guint engines, n;

    parse (others[i], &shape, &conv);
    n = yolo_cudnn_plans (&shape, card, NULL, &candidate, 1, &engines);
    g_test_message ("%s: %s", others[i], n > 0 ? candidate.name : "none");
    free_all (&candidate, n);
  }
}

/* Changes the last but one byte of all plans in the cache. */
static void
damage_plans (void)
{
  g_autofree char *folder = g_build_filename (g_get_user_cache_dir (), "yolo", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = g_dir_open (folder, 0, &error);
  const char *name;
  guint n = 0;

  g_assert_no_error (error);
  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *path = g_build_filename (folder, name, NULL), *text = NULL;
    gsize length;

    g_file_get_contents (path, &text, &length, &error);
    g_assert_no_error (error);
    text[length - 2] ^= 1;
    g_file_set_contents (path, text, (gssize) length, &error);
    g_assert_no_error (error);
    n++;
  }
  g_assert_cmpuint (n, ==, 1);
}

static guint
named (const YoloConvShape *shape, const char *name, YoloConvCandidate *candidate)
{
  guint engines;

  return yolo_cudnn_plans (shape, card, name, candidate, 1, &engines);
}

/* A name is enough to make the same candidate again, alone: built, or loaded
 * once it was kept; what is damaged is built anew, and kept again. */
static void
test_named (void)
{
  YoloConvCandidate list[2], again;
  YoloConvShape shape;
  YoloConv conv;
  guint engines, n;

  parse ("f16>f16 b1 80x80>80x80 c64>64 g1 k3x3 s1,1 p1,1 d1,1 a1 pitch64,64,0 align16,16,16",
      &shape, &conv);
  n = yolo_cudnn_plans (&shape, card, NULL, list, G_N_ELEMENTS (list), &engines);
  g_assert_cmpuint (n, ==, G_N_ELEMENTS (list));
  g_assert_cmpstr (list[0].name, !=, list[1].name);
  g_assert_cmpuint (named (&shape, "cudnn 77 engine 1", &again), ==, 0);
  yolo_cudnn_keep (NULL, card, &shape, &list[1]);
  for (guint step = 0; step < 4; step++) {
    gboolean loaded = step != 1;
    gint64 start = g_get_monotonic_time ();

    /* between the steps: nothing; a byte changed; built and kept again; another shape */
    if (step == 1)
      damage_plans ();
    if (step == 3)
      shape.batch = 2;
    n = named (&shape, list[1].name, &again);
    g_test_message ("%.2f ms", (double) (g_get_monotonic_time () - start) / 1e3);
    if (step == 3) {
      g_assert_true (n == 0 || again.option[0] == 0);
      free_all (&again, n);
      continue;
    }
    g_assert_cmpuint (n, ==, 1);
    g_assert_cmpstr (again.name, ==, list[1].name);
    g_assert_cmpuint (again.workspace, ==, list[1].workspace);
    g_assert_cmpuint (again.option[0], ==, loaded);
    again.free (&again);
  }
  free_all (list, G_N_ELEMENTS (list));
}

/* On the driver that stands in for NVIDIA's the library does not start: no
 * candidate, no error, nothing said twice. On a card there are some. */
static void
test_list (void)
{
  g_autoptr (GError) error = NULL;
  YoloConvCandidate list[2];
  YoloConvShape shape;
  YoloConv conv;

  parse (keys[0], &shape, &conv);
  if (!is_card ())
    g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_MESSAGE, "cuDNN cannot be used*");
  for (guint i = 0; i < 2; i++) {
    guint n = yolo_conv_cudnn_list (test_device, &shape, list, G_N_ELEMENTS (list), &error);
    g_assert_no_error (error);
    g_assert_true ((n > 0) == is_card ());
    free_all (list, n);
    g_assert_false (yolo_conv_cudnn_named (test_device, &shape, "cudnn 77 engine 1", list));
  }
  g_test_assert_expected_messages ();
}

int
main (int argc, char **argv)
{
  g_autofree char *name = NULL, *text = NULL;
  int result;

  g_test_init (&argc, &argv, NULL);
  if (!test_device_open ())
    return 0;
  capability = g_strdup_printf ("%d", test_device->capability);
  name = g_strdup_printf ("sm%s.json", capability);
  card = read_data (name);
  text = read_data ("yolov8n.txt");
  if (card == NULL || text == NULL || yolo_cudnn_version () < 90800) {
    printf ("1..0 # SKIP there is no cuDNN 9.8 or newer, or no tests/data/cudnn/%s\n", name);
    return 0;
  }
  test_cache_new ();
  keys = g_strsplit (g_strchomp (text), "\n", -1);

  g_test_add_func ("/cuda/cudnn/shapes", test_shapes);
  g_test_add_func ("/cuda/cudnn/graphs", test_graphs);
  g_test_add_func ("/cuda/cudnn/plans", test_plans);
  g_test_add_func ("/cuda/cudnn/refused", test_refused);
  g_test_add_func ("/cuda/cudnn/others", test_others);
  g_test_add_func ("/cuda/cudnn/named", test_named);
  g_test_add_func ("/cuda/cudnn/list", test_list);
  result = g_test_run ();
  test_device_close ();
  test_cache_remove ();
  g_strfreev (keys);
  g_free (card);
  g_free (capability);
  return result;
}
