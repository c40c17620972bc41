/* SPDX-License-Identifier: MIT */
/* The back end as a whole: what a batch of frames gives is what the plan's
 * definition gives, whatever memory the frames come from; and what happens
 * when the device has no memory, refuses a launch, or is lost. Each operation by
 * itself is in tests/backend. */

#include <glib/gstdio.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/choices.h"
#include "engine/load.h"
#include "cuda/device.h"
#include "backend/builtin.h"
#include "network/int8.h"
#include "postprocess/task.h"
#include "image/letterbox.h"
#include "image/preprocess.h"
#include "image/sample.h"
#include "backend/reference.h"

#define MAX_CANDIDATES 1024
#define MAX_FRAMES 8

static const YoloBackend *cuda = &yolo_cuda_backend;
static char *program;

/* Frames */

typedef struct {
  YoloFrame frame;              /* on the host */
  guint8 *pixels;
} Picture;

static guint32
next_random (guint32 *state)
{
  *state = *state * 1664525 + 1013904223;
  return *state >> 8;
}

/* Blobs on a gradient, so that neighbouring pixels are alike as in video. */
static Picture
make_picture (YoloPixelFormat format, int width, int height, guint32 seed)
{
  const YoloLayout *layout = &yolo_layouts[format];
  Picture picture = { .frame = { .format = format, .width = width, .height = height } };
  gsize offset = 0, offsets[3] = { 0 }, rows[3] = { 0 };

  for (int i = 0; i < layout->n_components; i++) {
    int plane = layout->component[i].plane;
    ptrdiff_t bytes = ((width - 1) >> layout->component[i].x_shift) * layout->component[i].step
        + layout->component[i].offset + (layout->bits > 8 ? 2 : 1);
    picture.frame.stride[plane] = MAX (picture.frame.stride[plane], bytes + 5);
    rows[plane] = (gsize) ((height - 1) >> layout->component[i].y_shift) + 1;
  }
  for (guint p = 0; p < 3; p++) {
    offsets[p] = offset;
    offset += (gsize) picture.frame.stride[p] * rows[p];
  }
  picture.pixels = g_malloc (offset);
  for (gsize i = 0; i < offset; i++)
    picture.pixels[i] = (guint8) (i / 7 + i % 97 + next_random (&seed) % 40);
  for (guint p = 0; p < 3; p++)
    picture.frame.plane[p] = rows[p] > 0 ? picture.pixels + offsets[p] : NULL;
  return picture;
}

/* What the network is compared on: different formats and shapes in one batch. */
static guint
make_pictures (Picture *pictures, guint n)
{
  static const struct {
    YoloPixelFormat format;
    int width, height;
  } kinds[] = {
    { YOLO_FORMAT_RGB, 90, 64 }, { YOLO_FORMAT_NV12, 128, 72 }, { YOLO_FORMAT_BGRA, 33, 70 },
    { YOLO_FORMAT_I420, 64, 64 }, { YOLO_FORMAT_GRAY8, 50, 20 }, { YOLO_FORMAT_P010, 200, 100 },
  };

  for (guint i = 0; i < n; i++) {
    guint k = i % G_N_ELEMENTS (kinds);
    pictures[i] = make_picture (kinds[k].format, kinds[k].width, kinds[k].height, i);
    if (i == 1)
      memcpy (&pictures[i].frame.crop, (int[]) { 5, 3, 99, 60 }, sizeof (pictures[i].frame.crop));
  }
  return n;
}

static void
unpack_row (const void *source, int y, void *row)
{
  const YoloFrame *frame = source;

  memcpy (row, (const guint8 *) frame->plane[0] + y * frame->stride[0], yolo_unpacked_row (frame));
}

static YoloLetterbox
letterbox_of (const YoloFrame *frame, const YoloPlan *plan)
{
  YoloLetterbox box;

  yolo_letterbox_frame (&box, frame, (int) plan->width, (int) plan->height);
  return box;
}

/* Candidates of all frames by the definitions: preprocess, plan, decode. */
static void
run_reference (YoloModel *model, guint height, guint width, const Picture *pictures, guint n,
    YoloDecode *decode)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloPlan) plan =
      yolo_plan_new (model, n, height, width, YOLO_F32, YOLO_F32, 3, &error);
  g_autofree float *input = NULL;
  g_autofree void *arena = NULL;

  g_assert_no_error (error);
  input = g_new (float, (gsize) n * height * width * 3);
  arena = g_malloc (plan->arena_size);
  for (guint i = 0; i < n; i++) {
    YoloLetterbox box = letterbox_of (&pictures[i].frame, plan);
    yolo_preprocess_reference (
        &pictures[i].frame, &box, input + (gsize) i * height * width * 3, YOLO_F32, 3);
  }
  yolo_reference_run (plan, input, arena);
  for (guint i = 0; i < n; i++) {
    YoloHead head;

    yolo_plan_head (plan, arena, i, &head);
    yolo_task_detect.decode (&head, &decode[i]);
  }
}

/* Runs */

static YoloDecode *
make_decode (guint n, float confidence)
{
  YoloDecode *decode = g_new0 (YoloDecode, n);

  for (guint i = 0; i < n; i++)
    decode[i] = (YoloDecode){
      .confidence = confidence,
      .candidates = g_new (YoloObject, MAX_CANDIDATES),
      .capacity = MAX_CANDIDATES,
    };
  return decode;
}

static void
free_decode (YoloDecode *decode, guint n)
{
  for (guint i = 0; i < n; i++)
    g_free (decode[i].candidates);
  g_free (decode);
}

static int
by_anchor (const void *a, const void *b)
{
  return ((const YoloObject *) a)->anchor - ((const YoloObject *) b)->anchor;
}

static void
run_batch (YoloExec *exec, const YoloFrame *frames, guint n, YoloDecode *decode)
{
  g_autoptr (GError) error = NULL;

  yolo_exec_submit (exec, n, frames, decode, &error);
  g_assert_no_error (error);
  yolo_exec_wait (exec, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < n; i++)
    qsort (decode[i].candidates, decode[i].n, sizeof (YoloObject), by_anchor);
}

/* Every anchor is a candidate: box and confidence of each are compared.
 * @box: pixels of the input; half precision may change which class is best
 * where two are as good. */
static void
compare (const YoloDecode *ours, const YoloDecode *expected, float box, float confidence)
{
  float worst_box = 0, worst_confidence = 0;

  g_assert_cmpuint (ours->n, ==, expected->n);
  g_assert_cmpuint (ours->missed, ==, 0);
  for (size_t i = 0; i < ours->n; i++) {
    const YoloObject *a = &ours->candidates[i], *b = &expected->candidates[i];

    g_assert_cmpint (a->anchor, ==, b->anchor);
    worst_box = MAX (worst_box, fmaxf (fmaxf (fabsf (a->x1 - b->x1), fabsf (a->y1 - b->y1)),
            fmaxf (fabsf (a->x2 - b->x2), fabsf (a->y2 - b->y2))));
    worst_confidence = MAX (worst_confidence, fabsf (a->confidence - b->confidence));
    g_assert_true (
        a->class_id == b->class_id || fabsf (a->confidence - b->confidence) <= confidence);
  }
  g_test_message ("box %g, confidence %g", worst_box, worst_confidence);
  g_assert_cmpfloat (worst_box, <=, box);
  g_assert_cmpfloat (worst_confidence, <=, confidence);
}

typedef struct {
  const char *model;            /* of tests/data */
  YoloPrecision precision;
  guint height, width;
  guint batch, n;               /* frames in it */
  float box, confidence;
} Case;

static YoloModel *
load_model (const char *name)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *path = g_strconcat (SOURCE_ROOT "/tests/data/", name, NULL);
  YoloModel *model = yolo_model_load (path, &error);

  g_assert_no_error (error);
  return model;
}

static void
test_case (gconstpointer data)
{
  const Case *c = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = load_model (c->model);
  YoloDecode *ours = make_decode (c->n, 0), *expected = make_decode (c->n, 0);
  Picture pictures[MAX_FRAMES];
  YoloFrame frames[MAX_FRAMES];

  make_pictures (pictures, c->n);
  for (guint i = 0; i < c->n; i++)
    frames[i] = pictures[i].frame;
  if (c->n > 2) {               /* as of a format that the device cannot read */
    frames[2].unpack = unpack_row;
    frames[2].source = &pictures[2].frame;
    memset (frames[2].plane, 0, sizeof (frames[2].plane));
  }
  run_reference (model, c->height, c->width, pictures, c->n, expected);
  YoloNet *net = yolo_backend_load (cuda, model, 0, NULL, c->precision, 0, &error);
  g_assert_no_error (error);
  YoloExec *exec = yolo_net_prepare (net, c->batch, c->height, c->width, &error);
  g_assert_no_error (error);

  /* Twice: nothing of a batch is left for the next one. */
  for (guint round = 0; round < 2; round++) {
    run_batch (exec, frames, c->n, ours);
    for (guint i = 0; i < c->n; i++)
      compare (&ours[i], &expected[i], c->box, c->confidence);
  }

  yolo_exec_free (exec);
  yolo_net_free (net);
  for (guint i = 0; i < c->n; i++)
    g_free (pictures[i].pixels);
  free_decode (ours, c->n);
  free_decode (expected, c->n);
}

/* Frames on the device */

/* A copy of a picture in memory of the current context. */
static YoloFrame
to_device (const YoloCudaDriver *driver, const Picture *picture, CUdeviceptr *memory)
{
  const YoloLayout *layout = &yolo_layouts[picture->frame.format];
  YoloFrame frame = picture->frame;
  gsize size = 0;

  for (int i = 0; i < layout->n_components; i++) {
    gsize rows = (gsize) ((frame.height - 1) >> layout->component[i].y_shift) + 1;
    int p = layout->component[i].plane;
    size = MAX (size,
        (gsize) ((const guint8 *) frame.plane[p] - picture->pixels)
            + (gsize) frame.stride[p] * rows);
  }
  g_assert_cmpint (driver->cuMemAlloc (memory, size), ==, CUDA_SUCCESS);
  g_assert_cmpint (driver->cuMemcpyHtoD (*memory, picture->pixels, size), ==, CUDA_SUCCESS);
  for (guint p = 0; p < 3; p++)
    if (frame.plane[p] != NULL)
      frame.plane[p] =
          (const void *) (*memory + (gsize) ((const guint8 *) frame.plane[p] - picture->pixels));
  frame.memory = YOLO_MEMORY_CUDA;
  return frame;
}

/* Frames of the net's own context, of another context of the device, of another
 * device, and written by a stream that the back end has to follow. */
static void
test_memory (gconstpointer data)
{
  gboolean two_devices = GPOINTER_TO_INT (data);
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) model = load_model ("v8n-83.onnx");
  g_autoptr (YoloCudaDevice) own = yolo_cuda_device_get (0, NULL, &error);
  g_autoptr (YoloCudaDevice) other = NULL;
  YoloDecode *ours = make_decode (3, 0), *expected = make_decode (3, 0);
  CUdeviceptr memory[3], late;
  Picture pictures[3];
  YoloFrame frames[3];
  CUstream stream;

  g_assert_no_error (error);
  if (two_devices) {
    int n = 0;
    own->driver->cuDeviceGetCount (&n);
    if (n < 2) {
      g_test_skip ("there is one device");
      goto out;
    }
    other = yolo_cuda_device_get (1, NULL, &error);
    g_assert_no_error (error);
  }
  make_pictures (pictures, 3);
  run_reference (model, 64, 64, pictures, 3, expected);
  YoloNet *net = yolo_backend_load (cuda, model, 0, NULL, YOLO_PRECISION_FP32, 0, &error);
  g_assert_no_error (error);
  YoloExec *exec = yolo_net_prepare (net, 4, 64, 64, &error);
  g_assert_no_error (error);

  g_assert_true (yolo_cuda_enter (own, NULL));
  frames[0] = to_device (own->driver, &pictures[0], &memory[0]);
  frames[1] = pictures[1].frame;
  memory[1] = 0;
  /* The third is cleared, and written by a stream whose work may not have begun. */
  frames[2] = to_device (own->driver, &pictures[2], &memory[2]);
  gsize size = (gsize) frames[2].stride[0] * (gsize) frames[2].height;
  g_assert_cmpint (own->driver->cuMemAlloc (&late, size), ==, CUDA_SUCCESS);
  own->driver->cuMemcpyHtoD (late, pictures[2].pixels, size);
  own->driver->cuMemsetD8 (memory[2], 0, size);
  own->driver->cuStreamSynchronize (NULL);
  g_assert_cmpint (own->driver->cuStreamCreateWithPriority (&stream, CU_STREAM_NON_BLOCKING, 0), ==,
      CUDA_SUCCESS);
  own->driver->cuMemcpyDtoDAsync (memory[2], late, size, stream);
  frames[2].cuda_stream = stream;
  if (other != NULL)
    own->driver->cuMemFree (memory[0]);
  yolo_cuda_leave (own);
  if (other != NULL) {
    g_assert_true (yolo_cuda_enter (other, NULL));
    frames[0] = to_device (other->driver, &pictures[0], &memory[0]);
    frames[0].cuda_context = other->context;
    /* one that names no context is in the primary one of the device that it names */
    frames[1] = to_device (other->driver, &pictures[1], &memory[1]);
    frames[0].device = frames[1].device = other->index;
    yolo_cuda_leave (other);
  }

  run_batch (exec, frames, 3, ours);
  for (guint i = 0; i < 3; i++)
    compare (&ours[i], &expected[i], 1e-2f, 1e-4f);

  yolo_exec_free (exec);
  yolo_net_free (net);
  g_assert_true (yolo_cuda_enter (own, NULL));
  own->driver->cuStreamSynchronize (stream);
  own->driver->cuStreamDestroy (stream);
  own->driver->cuMemFree (late);
  own->driver->cuMemFree (memory[2]);
  yolo_cuda_leave (own);
  YoloCudaDevice *first = other != NULL ? other : own;
  g_assert_true (yolo_cuda_enter (first, NULL));
  first->driver->cuMemFree (memory[0]);
  if (memory[1] != 0)
    first->driver->cuMemFree (memory[1]);
  yolo_cuda_leave (first);
  for (guint i = 0; i < 3; i++)
    g_free (pictures[i].pixels);
out:
  free_decode (ours, 3);
  free_decode (expected, 3);
}

/* Failures, made by the stand-in driver in a process of their own. */

/* "load", "prepare", "submit" or "wait" failed, or nothing did: how far it got. */
static int
run_child (void)
{
  g_autoptr (GError) error = NULL;
  /* in int8 there are grids to upload as well */
  g_autoptr (YoloModel) floats = load_model ("v8n-qdq-u8.onnx");
  g_autoptr (YoloModel) model = yolo_model_to_int8 (floats, NULL, YOLO_INT8_SYMMETRIC, &error);
  YoloDecode *decode = make_decode (2, 0);
  Picture pictures[2];
  YoloFrame frames[2];
  const char *stage = "load";
  YoloExec *exec = NULL;

  make_pictures (pictures, 2);
  for (guint i = 0; i < 2; i++)
    frames[i] = pictures[i].frame;
  YoloNet *net = yolo_backend_load (cuda, model, 0, NULL, YOLO_PRECISION_INT8, 0, &error);
  if (net != NULL) {
    stage = "prepare";
    exec = yolo_net_prepare (net, 2, 64, 64, &error);
  }
  for (guint round = 0; exec != NULL && round < 2 && error == NULL; round++) {
    stage = "submit";
    if (yolo_exec_submit (exec, 2, frames, decode, &error)) {
      stage = "wait";
      yolo_exec_wait (exec, &error);
    }
  }
  if (exec != NULL)
    yolo_exec_free (exec);
  if (net != NULL)
    yolo_net_free (net);
  for (guint i = 0; i < 2; i++)
    g_free (pictures[i].pixels);
  free_decode (decode, 2);
  if (error == NULL)
    printf ("all went well\n");
  else
    printf ("%s: %s: %s\n", stage, error->code == YOLO_NETWORK_ERROR_MEMORY ? "memory"
        : error->code == YOLO_NETWORK_ERROR_DEVICE ? "device" : "?", error->message);
  return 0;
}

/* Runs it with a variable set; what it printed. It must end well and leave nothing. */
static char *
child (const char *variable, guint value, const char *mode)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) environment = g_get_environ ();
  g_autofree char *number = g_strdup_printf ("%u", value), *errors = NULL;
  char *argv[] = { program, (char *) mode, NULL }, *output = NULL;
  int status;

  environment = g_environ_setenv (environment, variable, number, TRUE);
  /* A lost context takes its memory with it: freeing fails like all else. */
  environment = g_environ_setenv (
      environment, "GPUSIM_LEAKS", g_str_has_suffix (variable, "DEVICE") ? "0" : "1", TRUE);
  g_spawn_sync (NULL, argv, environment, 0, NULL, NULL, &output, &errors, &status, &error);
  g_assert_no_error (error);
  if (!g_spawn_check_wait_status (status, &error))
    g_error ("%s=%u: %s\n%s%s", variable, value, error->message, output, errors);
  if (strstr (errors, "leak") != NULL)
    g_error ("%s=%u: %s", variable, value, errors);
  g_test_message ("%s=%u: %s", variable, value, g_strchomp (output));
  return output;
}

static void
test_failures (gconstpointer data)
{
  const char *variable = data,
             *kind = g_str_has_suffix (variable, "ALLOC") ? ": memory: " : ": device: ";
  guint step = g_str_has_suffix (variable, "ALLOC") ? 1 : 9, n;

  if (g_getenv ("GPUSIM_CACHE") == NULL) {
    g_test_skip ("a real driver does not fail on demand");
    return;
  }
  if (g_getenv ("YOLO_TEST_ONCE") == NULL) {
    g_test_skip ("done once, with YOLO_TEST_ONCE=1");
    return;
  }
  for (n = 1; n < 1000; n += step) {
    g_autofree char *output = child (variable, n, "--child");

    if (g_str_has_prefix (output, "all went well"))
      break;
    g_assert_nonnull (strstr (output, kind));
  }
  /* some of them must have happened */
  g_assert_cmpuint (n, >, 5);
  g_assert_cmpuint (n, <, 1000);
}

static void
test_two_devices (void)
{
  if (g_getenv ("GPUSIM_CACHE") == NULL) {
    g_test_skip ("only where devices can be had at will");
    return;
  }
  g_autofree char *output = child ("GPUSIM_DEVICES", 2, "--two-devices");
  g_assert_nonnull (strstr (output, "ok 1"));
}

/* `auto` is fp16, and there is no bf16. */
static void
test_precisions (void)
{
  g_autoptr (GError) error = NULL;
  YoloPrecision precision = YOLO_PRECISION_AUTO;

  g_assert_true (yolo_backend_resolve (cuda, 0, &precision, &error));
  g_assert_cmpint (precision, ==, YOLO_PRECISION_FP16);
  for (precision = YOLO_PRECISION_FP32; precision <= YOLO_PRECISION_INT8; precision++) {
    YoloPrecision resolved = precision;
    g_assert_true (
        yolo_backend_resolve (cuda, 0, &resolved, NULL) == (precision != YOLO_PRECISION_BF16));
  }
}

int
main (int argc, char **argv)
{
  static const Case cases[] = {
    { "v8n-83.onnx", YOLO_PRECISION_FP32, 64, 64, 1, 1, 1e-2f, 1e-4f },
    { "v8n-83.onnx", YOLO_PRECISION_FP32, 32, 96, 4, 3, 1e-2f, 1e-4f },
    { "v8n-83.onnx", YOLO_PRECISION_FP16, 64, 64, 8, 6, .3f, .02f },
    { "v5u.onnx", YOLO_PRECISION_FP16, 64, 64, 2, 2, .3f, .02f },
    { "v8-p6.onnx", YOLO_PRECISION_FP16, 64, 64, 1, 1, .3f, .02f },
    { "micro.onnx", YOLO_PRECISION_FP16, 32, 32, 2, 1, .3f, .02f },
  };
  gboolean two = argc > 1 && g_str_equal (argv[1], "--two-devices");
  g_autoptr (GError) error = NULL;

  program = argv[0];
  if (argc > 1 && g_str_equal (argv[1], "--child"))
    return run_child ();
  g_test_init (&argc, &argv, NULL);
  if (!yolo_backend_available (cuda, 0, &error)) {
    printf ("1..0 # SKIP %s\n", error->message);
    return 0;
  }
  if (two) {
    g_test_add_data_func ("/cuda/backend/memory/two", GINT_TO_POINTER (TRUE), test_memory);
    return g_test_run ();
  }
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strdup_printf ("/cuda/backend/%s-%s-%u-%ux%u-%u", cases[i].model,
        yolo_precision_name (cases[i].precision), cases[i].batch, cases[i].height, cases[i].width,
        cases[i].n);
    g_test_add_data_func (path, &cases[i], test_case);
  }
  g_test_add_data_func ("/cuda/backend/memory", GINT_TO_POINTER (FALSE), test_memory);
  g_test_add_func ("/cuda/backend/two-devices", test_two_devices);
  g_test_add_func ("/cuda/backend/precisions", test_precisions);
  g_test_add_data_func ("/cuda/backend/no-memory", "GPUSIM_FAIL_ALLOC", test_failures);
  g_test_add_data_func ("/cuda/backend/refused-launch", "GPUSIM_FAIL_LAUNCH", test_failures);
  g_test_add_data_func ("/cuda/backend/lost-device", "GPUSIM_LOSE_DEVICE", test_failures);
  return g_test_run ();
}
