/* SPDX-License-Identifier: MIT */
/* The way of a launch through cuDNN's interface, with a library that computes
 * nothing in its place (fake-cudnn.c), on any driver. */

#include <glib/gstdio.h>
#include <stdio.h>

#include "cuda/cudnn.h"
#include "tests/cuda/harness.h"

static const YoloConv conv = {
  .in_channels = 16,
  .out_channels = 32,
  .groups = 1,
  .kernel = { 3, 3 },
  .stride = { 1, 1 },
  .pad = { 1, 1 },
  .dilation = { 1, 1 },
  .act = YOLO_ACT_SILU,
};
static const YoloConvShape shape = {
  .conv = &conv,
  .batch = 1,
  .in_height = 4,
  .in_width = 4,
  .out_height = 4,
  .out_width = 4,
  .in_channels = 16,
  .dtype = YOLO_S8,
  .out_dtype = YOLO_S8,
  .in_pitch = 16,
  .out_pitch = 32,
  .residual_pitch = 32,
  .in_align = 16,
  .out_align = 16,
  .residual_align = 16,
};

/* Operands in one allocation, and a stream. */
typedef struct {
  CUdeviceptr memory;
  YoloConvArgs args;
  CUstream stream;
} Place;

static void
place_init (Place *place)
{
  g_autoptr (GError) error = NULL;

  place->memory = yolo_cuda_alloc (test_device, 8 * 8192, "a test", &error);
  g_assert_no_error (error);
  g_assert_cmpint (test_device->driver->cuMemsetD8 (place->memory, 0, 8 * 8192), ==, CUDA_SUCCESS);
  g_assert_cmpint (
      test_device->driver->cuStreamCreateWithPriority (&place->stream, CU_STREAM_NON_BLOCKING, 0),
      ==, CUDA_SUCCESS);
  place->args = (YoloConvArgs){
    .in = place->memory,
    .out = place->memory + 8192,
    .residual = place->memory + 2 * 8192,
    .weights = place->memory + 3 * 8192,
    .bias = place->memory + 4 * 8192,
    .scale = place->memory + 5 * 8192,
    .residual_scale = place->memory + 5 * 8192,
    .out_scale = 1,
    .workspace = place->memory + 6 * 8192,
  };
}

static void
place_clear (Place *place)
{
  test_device->driver->cuStreamDestroy (place->stream);
  yolo_cuda_free (test_device, place->memory);
}

/* The first and last byte of what a launch fills, and the one after. */
static void
check_out (const Place *place, guint8 expected)
{
  guint8 out[65];

  g_assert_cmpint (test_device->driver->cuStreamSynchronize (place->stream), ==, CUDA_SUCCESS);
  g_assert_cmpint (
      test_device->driver->cuMemcpyDtoH (out, place->args.out, sizeof (out)), ==, CUDA_SUCCESS);
  g_assert_cmphex (out[0], ==, expected);
  g_assert_cmphex (out[63], ==, expected);
  g_assert_cmphex (out[64], ==, 0);
}

/* Engines that want reordered weights are not listed. */
static guint
make_list (YoloConvCandidate list[4])
{
  g_autoptr (GError) error = NULL;
  guint n = yolo_conv_cudnn_list (test_device, &shape, list, 4, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (n, ==, 2);
  g_assert_cmpstr (list[0].name, ==, "cudnn 0 engine 40");
  g_assert_cmpstr (list[1].name, ==, "cudnn 2 engine 42");
  g_assert_cmpuint (list[0].workspace, ==, 1024);
  return n;
}

static void
free_all (YoloConvCandidate *list, guint n)
{
  for (guint i = 0; i < n; i++)
    list[i].free (&list[i]);
}

static void
test_launch (void)
{
  const YoloCudaDriver *driver = test_device->driver;
  g_autoptr (GError) error = NULL;
  YoloConvCandidate list[4];
  guint n = make_list (list);
  CUgraphExec exec;
  CUgraph graph;
  Place place;

  place_init (&place);
  g_assert_true (list[0].launch (&list[0], test_device, &shape, &place.args, place.stream, &error));
  g_assert_no_error (error);
  check_out (&place, 0x5a);
  place_clear (&place);

  /* recorded, and run later */
  place_init (&place);
  g_assert_cmpint (driver->cuStreamBeginCapture (place.stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
      ==, CUDA_SUCCESS);
  g_assert_true (list[1].launch (&list[1], test_device, &shape, &place.args, place.stream, &error));
  g_assert_cmpint (driver->cuStreamEndCapture (place.stream, &graph), ==, CUDA_SUCCESS);
  g_assert_cmpint (driver->cuGraphInstantiateWithFlags (&exec, graph, 0), ==, CUDA_SUCCESS);
  check_out (&place, 0);
  g_assert_cmpint (driver->cuGraphLaunch (exec, place.stream), ==, CUDA_SUCCESS);
  check_out (&place, 0x5a);
  driver->cuGraphExecDestroy (exec);
  driver->cuGraphDestroy (graph);

  g_setenv ("FAKE_CUDNN_FAILS", "1", TRUE);
  g_assert_false (
      list[0].launch (&list[0], test_device, &shape, &place.args, place.stream, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE);
  g_unsetenv ("FAKE_CUDNN_FAILS");
  place_clear (&place);
  free_all (list, n);
}

/* By name: built, then out of the file; not if it does not run. */
static void
test_named (void)
{
  YoloConvCandidate list[4], found;
  guint n = make_list (list);

  g_assert_false (yolo_conv_cudnn_named (test_device, &shape, "cudnn 1 engine 41", &found));
  yolo_cudnn_keep (test_device, NULL, &shape, &list[1]);
  for (guint i = 0; i < n; i++) {
    g_assert_true (yolo_conv_cudnn_named (test_device, &shape, list[i].name, &found));
    g_assert_cmpstr (found.name, ==, list[i].name);
    g_assert_cmpuint (found.workspace, ==, 1024);
    g_assert_cmpuint (found.option[0], ==, i == 1);
    found.free (&found);
  }
  g_setenv ("FAKE_CUDNN_FAILS", "1", TRUE);
  g_assert_false (yolo_conv_cudnn_named (test_device, &shape, list[0].name, &found));
  g_unsetenv ("FAKE_CUDNN_FAILS");
  free_all (list, n);
}

/* A plan is not read out of what is no file, or is larger than any plan: it is
 * built anew, and kept where that is possible. */
static void
test_refused (void)
{
  YoloConvCandidate list[4], found;
  guint n = make_list (list);
  g_autofree char *path = NULL;

  while ((path = test_cache_file ()) != NULL) {
    g_remove (path);
    g_free (path);
  }
  yolo_cudnn_keep (test_device, NULL, &shape, &list[1]);
  free_all (list, n);
  path = test_cache_file ();
  g_assert_nonnull (path);
  for (guint i = 0; i < TEST_UNREADABLE; i++) {
    g_autofree char *why =
        g_strdup_printf ("%s: %s*", path, test_unreadable (i, path, (goffset) 17 << 20));

    g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_DEBUG, why);
    g_assert_true (yolo_conv_cudnn_named (test_device, &shape, "cudnn 2 engine 42", &found));
    g_test_assert_expected_messages ();
    g_assert_cmpuint (found.option[0], ==, 0);
    found.free (&found);
    g_assert_true (yolo_conv_cudnn_named (test_device, &shape, "cudnn 2 engine 42", &found));
    g_assert_cmpuint (found.option[0], ==, g_file_test (path, G_FILE_TEST_IS_REGULAR));
    found.free (&found);
  }
}

/* It is asked for the activations that it is known to have. */
static void
test_activations_offered (void)
{
  for (guint act = 0; act < YOLO_N_ACTIVATIONS; act++) {
    YoloConv other = conv;
    YoloConvShape with = shape;
    YoloConvCandidate list[4];
    g_autoptr (GError) error = NULL;
    guint n;

    other.act = (YoloActivation) act;
    with.conv = &other;
    n = yolo_conv_cudnn_list (test_device, &with, list, G_N_ELEMENTS (list), &error);
    g_assert_no_error (error);
    g_assert_cmpint (n > 0, ==, act <= YOLO_ACT_SIGMOID);
    free_all (list, n);
  }
}

static gpointer
launch_often (gpointer data)
{
  const YoloConvCandidate *candidate = data;
  Place place;

  g_assert_true (yolo_cuda_enter (test_device, NULL));
  place_init (&place);
  for (guint i = 0; i < 200; i++)
    g_assert_true (
        candidate->launch (candidate, test_device, &shape, &place.args, place.stream, NULL));
  check_out (&place, 0x5a);
  place_clear (&place);
  yolo_cuda_leave (test_device);
  return NULL;
}

/* The handle is never set to one thread's stream and used by another; the fake looks at that. */
static void
test_threads (void)
{
  YoloConvCandidate list[4];
  guint n = make_list (list);
  GThread *threads[3];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("launch", launch_often, &list[i % n]);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  free_all (list, n);
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  if (!test_device_open ())
    return 0;
  if (yolo_cudnn_version () != 90900) {
    printf ("1..0 # SKIP another library is in the place of the fake one\n");
    return 0;
  }
  test_cache_new ();
  g_test_add_func ("/cuda/cudnn-launch/launch", test_launch);
  g_test_add_func ("/cuda/cudnn-launch/named", test_named);
  g_test_add_func ("/cuda/cudnn-launch/refused", test_refused);
  g_test_add_func ("/cuda/cudnn-launch/activations", test_activations_offered);
  g_test_add_func ("/cuda/cudnn-launch/threads", test_threads);
  result = g_test_run ();
  test_device_close ();
  test_cache_remove ();
  return result;
}
