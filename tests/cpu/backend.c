/* SPDX-License-Identifier: MIT */
/* The back end as a whole: precisions, implementations, memory. What it
 * computes is held to the plan's definition by tests/network. */

#include "backend/builtin.h"
#include "cpu/backend.h"
#include "engine/load.h"

#include <glib/gstdio.h>
#include <malloc.h>
#include <string.h>

static const YoloBackend *cpu = &yolo_cpu_backend;

static YoloExec *
prepare (YoloNet **net, const char *path, YoloPrecision precision, guint batch, guint height,
    guint width)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = yolo_model_load (path, &error);
  YoloExec *exec;

  g_assert_no_error (error);
  *net = yolo_backend_load (cpu, model, 0, NULL, precision, 0, &error);
  g_assert_no_error (error);
  exec = yolo_net_prepare (
      *net, batch, height ? height : model->height, width ? width : model->width, &error);
  g_assert_no_error (error);
  memset (exec->input, 114, exec->plan->buffers[exec->plan->input].size);
  return exec;
}

static void
run (YoloExec *exec, guint n)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (yolo_exec_submit (exec, n, NULL, NULL, &error));
  g_assert_true (yolo_exec_wait (exec, &error));
}

static gboolean
can (YoloPrecision precision)
{
  return yolo_backend_resolve (cpu, 0, &precision, NULL);
}

static void
check_implementations (const char *path, guint height, guint width)
{
  for (YoloPrecision p = YOLO_PRECISION_FP32; p <= YOLO_PRECISION_BF16; p++) {
    YoloNet *net;
    YoloExec *exec;

    if (!can (p))
      continue;
    exec = prepare (&net, path, p, 1, height, width);
    for (guint i = 0; i < exec->plan->n_ops; i++) {
      const char *name = yolo_cpu_exec_implementation (exec, i);
      if (g_str_has_prefix (name, "ref"))
        g_error (
            "%s, %s: %s runs as %s", path, yolo_precision_name (p), exec->plan->ops[i].name, name);
    }
    yolo_exec_free (exec);
    yolo_net_free (net);
  }
}

/* oneDNN's `ref` is a hundred times slower than the others, and silent. */
static void
test_no_ref (void)
{
  g_autofree char *folder = g_build_filename (SOURCE_ROOT, "tests", "data", NULL);
  g_autofree char *shared =
      g_build_filename (SOURCE_ROOT, "..", "shared", "models", "yolov8n.onnx", NULL);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;
  guint n = 0;

  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *path = g_build_filename (folder, name, NULL);
    if (g_str_has_suffix (name, ".onnx")) {
      check_implementations (path, 0, 0);
      n++;
    }
  }
  g_assert_cmpuint (n, >, 10);
  if (g_file_test (shared, G_FILE_TEST_EXISTS)) {
    check_implementations (shared, 640, 640);
    check_implementations (shared, 384, 640);
  }
}

/* Bytes that malloc has given out. */
static gsize
used (void)
{
#if defined (__GLIBC__) && __GLIBC_PREREQ (2, 33)
  struct mallinfo2 m = mallinfo2 ();
  return m.uordblks + m.hblkhd;
#else
  return 0;
#endif
}

static void
test_memory (void)
{
  g_autofree char *path = g_build_filename (SOURCE_ROOT, "tests", "data", "v8n.onnx", NULL);

  for (YoloPrecision p = YOLO_PRECISION_FP32; p <= YOLO_PRECISION_BF16; p++) {
    YoloNet *net;
    YoloExec *exec;
    gboolean same = FALSE;

    if (!can (p))
      continue;
    exec = prepare (&net, path, p, 2, 0, 0);
    /* Threads come to life when the system lets them: until then a round may
     * change what is used. An allocation per frame changes it in every round. */
    for (guint round = 0; round < 20 && !same; round++) {
      gsize before = used ();
      for (guint i = 0; i < 20; i++)
        run (exec, 1 + i % 2);
      same = used () == before;
    }
    g_assert_true (same);
    yolo_exec_free (exec);
    yolo_net_free (net);
  }
}

static void
test_precision (void)
{
  g_autoptr (GError) error = NULL;
  YoloPrecision precision = YOLO_PRECISION_AUTO;

  g_assert_true (yolo_backend_resolve (cpu, 0, &precision, &error));
  g_assert_no_error (error);
  g_assert_true (precision == YOLO_PRECISION_FP32 || precision == YOLO_PRECISION_BF16);
  precision = YOLO_PRECISION_FP32;
  g_assert_true (yolo_backend_resolve (cpu, 0, &precision, &error));
  g_assert_cmpint (precision, ==, YOLO_PRECISION_FP32);
  precision = YOLO_PRECISION_FP16;
  g_assert_false (yolo_backend_resolve (cpu, 0, &precision, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_PRECISION);
  g_assert_nonnull (strstr (error->message, "fp16"));
  g_assert_nonnull (strstr (error->message, "fp32"));
  g_clear_error (&error);
  g_assert_false (yolo_backend_available (cpu, 1, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE);
}

typedef struct {
  YoloExec *exec;
  guint victim, replaced, observed;     /* replaced, observed: calls so far */
} Hooks;

/* The victim's output becomes 7 everywhere, and it is said to be in its place. */
static gboolean
replace (gpointer data, guint op)
{
  Hooks *hooks = data;
  YoloView out = hooks->exec->plan->ops[op].out;
  const YoloBuffer *buffer = &hooks->exec->plan->buffers[out.buffer];
  float *pixel = yolo_exec_view (hooks->exec, out);

  g_assert_cmpuint (op, ==, hooks->replaced++);
  if (op != hooks->victim)
    return FALSE;
  for (gsize i = (gsize) buffer->height * buffer->width; i > 0; i--, pixel += buffer->channels)
    for (guint c = 0; c < out.channels; c++)
      pixel[c] = 7;
  return TRUE;
}

static void
observe (gpointer data, guint op)
{
  Hooks *hooks = data;
  const YoloOp *done = &hooks->exec->plan->ops[op];
  YoloView out = done->out;
  const YoloBuffer *buffer = &hooks->exec->plan->buffers[out.buffer];
  const float *pixel = yolo_exec_view (hooks->exec, out);
  gsize sevens = 0, all = (gsize) buffer->height * buffer->width * out.channels;

  g_assert_cmpuint (op, ==, hooks->observed++);
  g_assert_cmpuint (hooks->replaced, ==, hooks->observed);
  for (gsize i = (gsize) buffer->height * buffer->width; i > 0; i--, pixel += buffer->channels)
    for (guint c = 0; c < out.channels; c++)
      sevens += pixel[c] == 7;
  if (op == hooks->victim)
    g_assert_cmpuint (sevens, ==, all);
  else if (done->type == YOLO_OP_CONV)  /* others may hand sevens on */
    g_assert_cmpuint (sevens, <, all);
}

/* The first map of classes, dense. */
static GArray *
first_map (const YoloExec *exec)
{
  YoloView view = yolo_plan_output (exec->plan, YOLO_MAP_CLASS, 0);
  const YoloBuffer *buffer = &exec->plan->buffers[view.buffer];
  const float *pixel = yolo_exec_view (exec, view);
  GArray *map = g_array_new (FALSE, FALSE, sizeof (float));

  for (gsize i = (gsize) buffer->height * buffer->width; i > 0; i--, pixel += buffer->channels)
    g_array_append_vals (map, pixel, view.channels);
  return map;
}

/* An operation that is replaced does not run, all others do, on what was put there. */
static void
test_replace (void)
{
  g_autofree char *path = g_build_filename (SOURCE_ROOT, "tests", "data", "v8n.onnx", NULL);
  YoloNet *net;
  YoloExec *exec = prepare (&net, path, YOLO_PRECISION_FP32, 1, 0, 0);
  guint n = exec->plan->n_ops;
  g_autoptr (GArray) plain = NULL;

  run (exec, 1);
  plain = first_map (exec);
  for (guint victim = 0; victim <= n; victim++) {       /* n: none */
    Hooks hooks = { exec, victim, 0, 0 };
    g_autoptr (GArray) map = NULL;

    exec->observe = observe;
    exec->replace = replace;
    exec->observe_data = &hooks;
    run (exec, 1);
    g_assert_cmpuint (hooks.observed, ==, n);
    map = first_map (exec);
    if (victim == 0)
      g_assert_true (memcmp (map->data, plain->data, plain->len * sizeof (float)) != 0);
    if (victim == n)
      g_assert_cmpmem (
          map->data, map->len * sizeof (float), plain->data, plain->len * sizeof (float));
  }
  yolo_exec_free (exec);
  yolo_net_free (net);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/cpu/precision", test_precision);
  g_test_add_func ("/cpu/no-ref", test_no_ref);
  g_test_add_func ("/cpu/memory", test_memory);
  g_test_add_func ("/cpu/replace", test_replace);
  return g_test_run ();
}
