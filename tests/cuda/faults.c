/* SPDX-License-Identifier: MIT */
/* Tests of the tests: kernels with a fault put in are found out by what they
 * run on, or by their result; the same kernel without one is not.
 * usage: faults GOOD.ptx NAME=BAD.ptx... */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/conv-params.h"
#include "tests/cuda/harness.h"

/* All ones: every sum is the number of inputs. Neither pixels nor channels fill a tile. */
enum { PIXELS = 70, IN = 96, OUT = 40 };

static char *program;
static char **images;

static int
run_kernel (const char *path)
{
  g_autofree char *text = NULL;
  YoloConv conv = { .in_channels = IN,
    .out_channels = OUT,
    .groups = 1,
    .kernel = { 1, 1 },
    .stride = { 1, 1 },
    .dilation = { 1, 1 } };
  YoloConvShape shape = { .conv = &conv,
    .batch = 1,
    .in_height = 1,
    .in_width = PIXELS,
    .out_height = 1,
    .out_width = PIXELS,
    .in_channels = IN,
    .dtype = YOLO_F16,
    .out_dtype = YOLO_F16,
    .in_pitch = IN,
    .out_pitch = OUT };
  float zeros[OUT] = { 0 };
  YoloConvParams params;
  CUmodule module;
  CUfunction function;
  Tensor in, weights, out;
  guint wrong = 0;

  if (!test_device_open () || !g_file_get_contents (path, &text, NULL, NULL))
    return 2;
  tensor_init (&in, YOLO_F16, 1, 1, PIXELS, IN, IN, 0);
  tensor_init (&weights, YOLO_F16, 1, 1, OUT, IN, IN, 0);
  tensor_init (&out, YOLO_F16, 1, 1, PIXELS, OUT, OUT, 0);
  for (guint i = 0; i < PIXELS * IN; i++)
    tensor_set (&in, 0, 0, 0, i, 1);
  for (guint i = 0; i < OUT * IN; i++)
    tensor_set (&weights, 0, 0, 0, i, 1);
  tensor_upload (&in);
  tensor_upload (&weights);
  CUdeviceptr bias = yolo_cuda_alloc (test_device, sizeof (zeros), "a test", NULL);
  test_device->driver->cuMemcpyHtoD (bias, zeros, sizeof (zeros));
  YoloConvArgs args = { .in = in.view, .out = out.view, .weights = weights.view, .bias = bias };
  yolo_conv_params (&params, &shape, &args);
  params.splits = 1;
  if (test_device->driver->cuModuleLoadData (&module, text) != CUDA_SUCCESS
      || test_device->driver->cuModuleGetFunction (&function, module, "conv_mma_f16_64x64")
          != CUDA_SUCCESS
      || !yolo_cuda_launch (test_device, function, 2, 1, 1, 128, 0, NULL, &params, NULL)
      || test_device->driver->cuStreamSynchronize (NULL) != CUDA_SUCCESS)
    return 3;
  tensor_download (&out);
  for (guint i = 0; i < PIXELS * OUT; i++)
    wrong += tensor_get (&out, 0, 0, 0, i) != IN;
  printf ("# %u of %u results are wrong\n", wrong, PIXELS * OUT);
  return wrong > 0;
}

/* How it ends in a process of its own, with every check on. */
static gboolean
ends_well (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) environment = g_environ_setenv (g_get_environ (), "GPUSIM_RACE", "1", TRUE);
  g_autofree char *output = NULL, *errors = NULL;
  char *argv[] = { program, (char *) "--child", (char *) path, NULL };
  int status;

  environment = g_environ_setenv (environment, "GPUSIM_INIT", "1", TRUE);
  g_assert_true (
      g_spawn_sync (NULL, argv, environment, 0, NULL, NULL, &output, &errors, &status, &error));
  g_test_message ("%s%.200s", output, errors);
  return g_spawn_check_wait_status (status, NULL);
}

static void
test_good (void)
{
  g_assert_true (ends_well (images[0]));
}

static void
test_bad (gconstpointer image)
{
  g_assert_false (ends_well (strchr (image, '=') + 1));
}

int
main (int argc, char **argv)
{
  program = argv[0];
  if (argc > 2 && g_str_equal (argv[1], "--child"))
    return run_kernel (argv[2]);
  g_test_init (&argc, &argv, NULL);
  images = argv + 1;
  g_test_add_func ("/cuda/faults/none", test_good);
  for (int i = 2; i < argc; i++) {
    g_autofree char *path =
        g_strdup_printf ("/cuda/faults/%.*s", (int) strcspn (argv[i], "="), argv[i]);
    g_test_add_data_func (path, argv[i], test_bad);
  }
  return g_test_run ();
}
