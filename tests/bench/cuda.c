/* SPDX-License-Identifier: MIT */
/* What a network costs on a GPU, layer by layer, and the least that its arithmetic and
 * bytes must cost. Prints Markdown.
 *
 * usage: bench-cuda MODE MODEL [BATCH [HEIGHT WIDTH]]
 *   plan         counts what each layer needs; takes no GPU
 *   shapes       lists the convolutions, one a line, for torch_layers.py; takes no GPU
 *   layers       times every way to compute each convolution
 *   layers-int8  does so for the model in int8
 *   network      times a whole batch, in fp16 and int8
 *   precision    compares fp16 and int8 with fp32, anchor by anchor
 *
 * In int8 those convolutions run that the file, or the table beside it, says. Where there
 * is neither, all of them do, with ranges that are good for measuring times only. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/builtin.h"
#include "cuda/net.h"
#include "engine/load.h"
#include "network/int8.h"
#include "postprocess/task.h"
#include "image/frame.h"

#define ROUNDS 20

/* Operations in half precision, dense, with sums in float, that a multiprocessor makes in one
 * clock; in int8 it makes twice as many. The numbers are those of NVIDIA's data sheets, divided
 * by multiprocessors and boost clock: T4 65 TFLOP/s, A100 312, L4 121, Orin 43 (the GPU alone),
 * H100 SXM 989, B200 2250. */
static double
operations_per_clock (int capability)
{
  switch (capability) {
    case 75:
      return 1024;
    case 80:
    case 87:
      return 2048;
    case 90:
      return 4096;
    case 100:
    case 103:
      return 8192;
    default:
      return 1024;
  }
}

typedef struct {
  const char *name;
  double flops, bytes;          /* a second: in half precision with float sums; of memory */
} Card;

/* Dense half precision and memory bandwidth, from NVIDIA's data sheets. */
static const Card cards[] = {
  { "H100 SXM", 989e12, 3.35e12 },
  { "L4", 121e12, 300e9 },
  { "T4", 65e12, 320e9 },
  { "Orin AGX 64", 43e12, 204.8e9 },
};

typedef struct {
  YoloModel *model;
  YoloModel *int8;              /* the same in int8 */
  gboolean calibrated;          /* int8 gives right results; else only its times are right */
  guint batch, height, width;
} Size;

/* Makes the int8 model, by the file or the table beside it, or with every convolution in int8. */
static void
make_int8 (Size *size)
{
  g_autofree char *path = yolo_calibration_path (size->model->path);
  g_autoptr (YoloCalibration) calibration = NULL;
  g_autoptr (GError) error = NULL;

  size->calibrated = TRUE;
  if (g_file_test (path, G_FILE_TEST_EXISTS)) {
    calibration = yolo_calibration_load (path, size->model, &error);
    if (calibration == NULL)
      g_error ("%s", error->message);
  } else if (!size->model->quantized) {
    size->calibrated = FALSE;
    calibration = yolo_calibration_new (size->model);
    for (guint i = 0; i < calibration->n_layers; i++)
      calibration->layers[i] = (YoloLayerCalibration) {
        .known = yolo_model_layer (size->model, i).ranged, .low = -8, .high = 8, .int8 = TRUE,
      };
  }
  size->int8 = yolo_model_to_int8 (size->model, calibration, YOLO_INT8_SYMMETRIC, &error);
  if (size->int8 == NULL)
    g_error ("%s", error->message);
}

static YoloModel *
model_in (const Size *size, YoloPrecision precision)
{
  return precision == YOLO_PRECISION_INT8 ? size->int8 : size->model;
}

/* Bytes that have to move where everything is read or written once. */
static double
op_bytes (const YoloPlan *plan, const YoloOp *op)
{
  const YoloBuffer *in = &plan->buffers[op->in.buffer], *out = &plan->buffers[op->out.buffer];
  const YoloBuffer *residual = &plan->buffers[op->residual.buffer];
  double bytes =
      (double) plan->batch * in->height * in->width * op->in.channels * yolo_dtype_size (in->dtype)
      + (double) plan->batch * out->height * out->width * op->out.channels
          * yolo_dtype_size (out->dtype)
      + (double) plan->batch * out->height * out->width * op->residual.channels
          * yolo_dtype_size (residual->dtype);

  if (op->conv != NULL)
    bytes += (double) op->conv->out_channels * op->conv->in_channels / op->conv->groups
        * op->conv->kernel[0] * op->conv->kernel[1] * yolo_dtype_size (in->dtype);
  return bytes;
}

static double
op_macs (const YoloPlan *plan, const YoloOp *op)
{
  YoloConvShape shape;

  if (op->type != YOLO_OP_CONV)
    return 0;
  yolo_conv_shape (&shape, plan, op);
  /* the network's input may have padding channels, which are not counted */
  return yolo_conv_macs (&shape) * op->conv->in_channels / shape.in_channels;
}

/* The least time that an operation can take on a card, in microseconds. */
static double
floor_us (const Card *card, const YoloPlan *plan, const YoloOp *op)
{
  double rate = op->conv != NULL && op->conv->int8 != NULL ? 2 * card->flops : card->flops;

  return MAX (2 * op_macs (plan, op) / rate, op_bytes (plan, op) / card->bytes) * 1e6;
}

static void
op_text (char *text, gsize size, const YoloPlan *plan, const YoloOp *op)
{
  const YoloBuffer *out = &plan->buffers[op->out.buffer];

  if (op->type == YOLO_OP_CONV)
    g_snprintf (text, size, "%ux%u/%u %u>%u", op->conv->kernel[0], op->conv->kernel[1],
        op->conv->stride[0], op->conv->in_channels, op->conv->out_channels);
  else
    g_snprintf (text, size, "%s %u", yolo_op_name (op->type), op->in.channels);
  g_snprintf (text + strlen (text), size - strlen (text), ", %ux%u%s", out->height, out->width,
      op->residual.channels ? " +" : "");
}

static YoloPlan *
make_plan (const Size *size, YoloPrecision precision)
{
  g_autoptr (GError) error = NULL;
  CudaNet net = { .base.model = model_in (size, precision), .dtype = YOLO_F16 };
  YoloPlan *plan = yolo_cuda_net_plan (&net, size->batch, size->height, size->width, &error);

  if (plan == NULL)
    g_error ("%s", error->message);
  return plan;
}

static void
print_plan (const Size *size)
{
  g_autoptr (YoloPlan) plan = make_plan (size, YOLO_PRECISION_FP16);
  double macs = 0, bytes = 0, us[G_N_ELEMENTS (cards)] = { 0 };

  printf ("| layer | shape | MMAC | MB |");
  for (guint c = 0; c < G_N_ELEMENTS (cards); c++)
    printf (" %s µs |", cards[c].name);
  printf ("\n|---|---|---|---|---|---|---|---|\n");
  for (guint i = 0; i < plan->n_ops; i++) {
    const YoloOp *op = &plan->ops[i];
    double m = op_macs (plan, op), b = op_bytes (plan, op);
    char text[64];

    op_text (text, sizeof (text), plan, op);
    printf ("| %s | %s | %.1f | %.2f |", op->name, text, m / 1e6, b / 1e6);
    for (guint c = 0; c < G_N_ELEMENTS (cards); c++) {
      printf (" %.2f |", floor_us (&cards[c], plan, op));
      us[c] += floor_us (&cards[c], plan, op);
    }
    printf ("\n");
    macs += m;
    bytes += b;
  }
  printf ("| all | %u operations | %.0f | %.1f |", plan->n_ops, macs / 1e6, bytes / 1e6);
  for (guint c = 0; c < G_N_ELEMENTS (cards); c++)
    printf (" %.0f |", us[c]);
  printf ("\n");
}

static void
print_shapes (const Size *size)
{
  g_autoptr (YoloPlan) plan = make_plan (size, YOLO_PRECISION_FP16);

  for (guint i = 0; i < plan->n_ops; i++) {
    const YoloConv *c = plan->ops[i].conv;
    YoloConvShape shape;

    if (plan->ops[i].type != YOLO_OP_CONV)
      continue;
    yolo_conv_shape (&shape, plan, &plan->ops[i]);
    printf ("%s\t%u\t%u\t%u\t%u\t%u\t%u\t%u\t%u\t%u\t%u\t%u\t%u\t%d\t%d\n", plan->ops[i].name,
        shape.batch, shape.in_height, shape.in_width, shape.in_channels, c->out_channels, c->groups,
        c->kernel[0], c->kernel[1], c->stride[0], c->stride[1], c->pad[0], c->pad[1],
        c->act == YOLO_ACT_SILU, shape.residual_pitch > 0);
  }
}

/* Measuring */

static int
compare_doubles (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

/* The median time of a launch in microseconds, between two events, after two rounds that are
 * not counted. */
static double
time_candidate (YoloCudaDevice *device, const YoloConvCandidate *candidate,
    const YoloConvShape *shape, const YoloConvArgs *args, CUstream stream)
{
  const YoloCudaDriver *driver = device->driver;
  double us[ROUNDS];
  CUevent begin, end;
  guint repeats = 1;

  driver->cuEventCreate (&begin, 0);
  driver->cuEventCreate (&end, 0);
  for (int round = -2; round < ROUNDS; round++) {
    float ms = 0;

    driver->cuEventRecord (begin, stream);
    for (guint i = 0; i < repeats; i++)
      if (!candidate->launch (candidate, device, shape, args, stream, NULL))
        return 0;
    driver->cuEventRecord (end, stream);
    if (driver->cuEventSynchronize (end) != CUDA_SUCCESS)
      return 0;
    driver->cuEventElapsedTime (&ms, begin, end);
    if (round < 0)
      repeats = (guint) CLAMP (0.2 / MAX (ms, 1e-3), 1, 50);
    else
      us[round] = ms * 1000 / repeats;
  }
  driver->cuEventDestroy (begin);
  driver->cuEventDestroy (end);
  qsort (us, ROUNDS, sizeof (double), compare_doubles);
  return us[ROUNDS / 2];
}

static YoloCudaDevice *
open_device (Card *card)
{
  g_autoptr (GError) error = NULL;
  YoloCudaDevice *device = yolo_cuda_device_get (0, NULL, &error);

  if (device == NULL || !yolo_cuda_enter (device, &error))
    g_error ("%s", error->message);
  *card = (Card){ device->name,
    operations_per_clock (device->capability) * device->n_sm * device->clock_khz * 1e3,
    2.0 * device->memory_clock_khz * 1e3 * device->memory_bus_bits / 8 };
  printf ("%s: compute capability %d.%d, %d multiprocessors at %.2f GHz, driver %d.%d; roofline "
          "%.0f TFLOP/s in half "
          "precision, %.0f GB/s\n\n",
      device->name, device->capability / 10, device->capability % 10, device->n_sm,
      device->clock_khz / 1e6, device->driver->version / 1000, device->driver->version % 1000 / 10,
      card->flops / 1e12, card->bytes / 1e9);
  return device;
}

static void
print_layers_in (const Size *size, YoloPrecision precision)
{
  g_autoptr (YoloPlan) plan = make_plan (size, precision);
  g_autoptr (GError) error = NULL;
  double all = 0, all_floor = 0;
  Card card;
  YoloCudaDevice *device = open_device (&card);
  gsize buffer = 1;
  CUstream stream;

  device->driver->cuStreamCreateWithPriority (&stream, CU_STREAM_NON_BLOCKING, 0);
  for (guint i = 0; i < plan->n_buffers; i++)
    buffer = MAX (buffer, plan->buffers[i].size + 4096);
  CUdeviceptr memory = yolo_cuda_alloc (device, 6 * buffer + (64 << 20), "the benchmark", &error);
  if (memory == 0)
    g_error ("%s", error->message);
  device->driver->cuMemsetD32Async (memory, 0x38003f9a, (6 * buffer + (64 << 20)) / 4, stream);
  printf ("| layer | shape | µs | of the roofline | way | others |\n|---|---|---|---|---|---|\n");
  for (guint i = 0; i < plan->n_ops; i++) {
    const YoloOp *op = &plan->ops[i];
    YoloConvCandidate list[YOLO_CONV_MAX_CANDIDATES];
    g_autoptr (GString) others = g_string_new (NULL);
    YoloConvShape shape;
    double best = 0, floor = floor_us (&card, plan, op);
    char text[64], way[48] = "none";
    guint n;

    if (op->type != YOLO_OP_CONV)
      continue;
    yolo_conv_shape (&shape, plan, op);
    n = yolo_conv_mma_list (device, &shape, list, G_N_ELEMENTS (list), &error);
    n += yolo_conv_cudnn_list (device, &shape, list + n, G_N_ELEMENTS (list) - n, NULL);
    if (n == 0)
      n = yolo_conv_simt_list (device, &shape, list, G_N_ELEMENTS (list), &error);
    for (guint c = 0; c < n; c++) {
      YoloConvArgs args = {
        .in = memory,
        .out = memory + buffer,
        .residual = memory + 2 * buffer,
        .weights = memory + 3 * buffer,
        .bias = memory + 3 * buffer,
        .scale = shape.dtype == YOLO_S8 ? memory + 3 * buffer : 0,
        .residual_scale = shape.residual_dtype == YOLO_S8 ? memory + 3 * buffer : 0,
        .workspace = memory + 4 * buffer + (16 << 20),
        .out_scale = 1,
      };
      double us = list[c].workspace <= buffer
          ? time_candidate (device, &list[c], &shape, &args, stream)
          : 0;

      if (us > 0) {
        g_string_append_printf (others, "%s%s %.1f", others->len ? ", " : "", list[c].name, us);
        if (best == 0 || us < best) {
          best = us;
          g_strlcpy (way, list[c].name, sizeof (way));
        }
      }
      if (list[c].free != NULL)
        list[c].free (&list[c]);
    }
    op_text (text, sizeof (text), plan, op);
    printf ("| %s | %s | %.1f | %.0f %% | %s | %s |\n", op->name, text, best,
        best > 0 ? 100 * floor / best : 0, way, others->str);
    fflush (stdout);
    all += best;
    all_floor += floor;
  }
  printf ("| all | | %.0f | %.0f %% | | |\n", all, all > 0 ? 100 * all_floor / all : 0);
  yolo_cuda_free (device, memory);
  device->driver->cuStreamDestroy (stream);
  yolo_cuda_leave (device);
  yolo_cuda_device_unref (device);
}

static void
print_layers (const Size *size)
{
  print_layers_in (size, YOLO_PRECISION_FP16);
}

static void
print_layers_int8 (const Size *size)
{
  print_layers_in (size, YOLO_PRECISION_INT8);
}

/* Times a batch of 1920x1080 NV12 frames on the device, from planes to candidates. */
static void
time_network (const Size *size, YoloPrecision precision, YoloCudaDevice *device, const Card *card,
    CUdeviceptr pixels)
{
  const YoloBackend *cuda = &yolo_cuda_backend;
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloPlan) plan = make_plan (size, precision);
  g_autofree YoloFrame *frames = g_new0 (YoloFrame, size->batch);
  g_autofree YoloDecode *decode = g_new0 (YoloDecode, size->batch);
  g_autofree YoloObject *found = g_new (YoloObject, 1024);
  double us[ROUNDS], floor = 0;
  YoloNet *net =
      yolo_backend_load (cuda, model_in (size, precision), 0, NULL, precision, 0, &error);
  YoloExec *exec =
      net ? yolo_net_prepare (net, size->batch, size->height, size->width, &error) : NULL;

  if (exec == NULL)
    g_error ("%s", error->message);
  for (guint i = 0; i < size->batch; i++) {
    frames[i] = (YoloFrame){ .format = YOLO_FORMAT_NV12,
      .width = 1920,
      .height = 1080,
      .memory = YOLO_MEMORY_CUDA,
      .plane = { (void *) pixels, (void *) (pixels + 2048 * 1080) },
      .stride = { 2048, 2048 } };
    decode[i] = (YoloDecode) { .confidence = .25f, .candidates = found, .capacity = 1024 };
  }
  while (!yolo_choices_settled (((CudaNet *) net)->choices, G_USEC_PER_SEC)) {
  }
  for (int round = -3; round < ROUNDS; round++) {
    gint64 begin = g_get_monotonic_time ();
    if (!yolo_exec_submit (exec, size->batch, frames, decode, &error)
        || !yolo_exec_wait (exec, &error))
      g_error ("%s", error->message);
    if (round >= 0)
      us[round] = (double) (g_get_monotonic_time () - begin);
  }
  qsort (us, ROUNDS, sizeof (double), compare_doubles);
  for (guint i = 0; i < plan->n_ops; i++)
    floor += floor_us (card, plan, &plan->ops[i]);
  printf ("| %s | %u | %ux%u | %.0f | %.0f | %.0f | %.0f %% |\n", yolo_precision_name (precision),
      size->batch, size->height, size->width, us[ROUNDS / 2], us[ROUNDS / 2] / size->batch,
      1e6 * size->batch / us[ROUNDS / 2], 100 * floor / us[ROUNDS / 2]);
  fflush (stdout);
  yolo_exec_free (exec);
  yolo_net_free (net);
}

static void
print_network (const Size *size)
{
  Card card;
  YoloCudaDevice *device = open_device (&card);
  CUdeviceptr pixels = yolo_cuda_alloc (device, 2048 * 1620, "a frame", NULL);

  device->driver->cuMemsetD8 (pixels, 100, 2048 * 1620);
  printf ("| precision | batch | size | µs a batch | µs a frame | frames/s | of the roofline |\n"
      "|---|---|---|---|---|---|---|\n");
  time_network (size, YOLO_PRECISION_FP16, device, &card, pixels);
  time_network (size, YOLO_PRECISION_INT8, device, &card, pixels);
  if (g_getenv ("YOLO_BENCH_FP32") != NULL)
    time_network (size, YOLO_PRECISION_FP32, device, &card, pixels);
  yolo_cuda_free (device, pixels);
  yolo_cuda_leave (device);
  yolo_cuda_device_unref (device);
}

/* Runs a batch in one precision and decodes all anchors of each image, 1024 at most. */
static void
run_precision (
    const Size *size, YoloPrecision precision, const YoloFrame *frames, YoloDecode *decode)
{
  const YoloBackend *cuda = &yolo_cuda_backend;
  g_autoptr (GError) error = NULL;
  YoloNet *net =
      yolo_backend_load (cuda, model_in (size, precision), 0, NULL, precision, 0, &error);
  YoloExec *exec =
      net ? yolo_net_prepare (net, size->batch, size->height, size->width, &error) : NULL;

  if (exec == NULL || !yolo_exec_submit (exec, size->batch, frames, decode, &error)
      || !yolo_exec_wait (exec, &error))
    g_error ("%s", error->message);
  yolo_exec_free (exec);
  yolo_net_free (net);
}

/* Prints by how much the anchors of a batch in another precision differ from those in fp32. */
static void
compare_anchors (
    const Size *size, YoloPrecision precision, const YoloDecode *exact, const YoloDecode *decode)
{
  double worst_confidence = 0, worst_box = 0, sum_confidence = 0;
  guint both = 0, classes = 0;

  for (guint i = 0; i < size->batch; i++)
    for (gsize a = 0; a < exact[i].n; a++)
      for (gsize b = 0; b < decode[i].n; b++) {
        const YoloObject *x = &exact[i].candidates[a], *y = &decode[i].candidates[b];

        if (x->anchor != y->anchor)
          continue;
        both++;
        classes += x->class_id != y->class_id;
        worst_confidence = MAX (worst_confidence, fabs (x->confidence - y->confidence));
        sum_confidence += fabs (x->confidence - y->confidence);
        worst_box = MAX (worst_box, MAX (MAX (fabs (x->x1 - y->x1), fabs (x->y1 - y->y1)),
                MAX (fabs (x->x2 - y->x2), fabs (x->y2 - y->y2))));
      }
  printf ("%s against fp32: %u anchors compared, %u of another best class; confidence differs by "
          "%.5f on average, %.4f at "
          "most; an edge by %.2f pixels at most\n\n",
      yolo_precision_name (precision), both, classes, both ? sum_confidence / both : 0,
      worst_confidence, worst_box);
}

/* Runs pictures of smooth waves, which have enough structure to make every layer respond. */
static void
print_precision (const Size *size)
{
  const YoloPrecision precisions[] = { YOLO_PRECISION_FP32, YOLO_PRECISION_FP16,
    YOLO_PRECISION_INT8 };
  const guint n = size->calibrated ? 3 : 2;
  g_autofree guint8 *pixels = g_malloc ((gsize) size->batch * 640 * 360 * 3);
  g_autofree YoloFrame *frames = g_new0 (YoloFrame, size->batch);
  g_autofree YoloObject *found = g_new (YoloObject, n * size->batch * 1024);
  g_autofree YoloDecode *decode = g_new0 (YoloDecode, n * size->batch);

  for (guint i = 0; i < size->batch; i++) {
    guint8 *p = pixels + (gsize) i * 640 * 360 * 3;

    for (guint y = 0; y < 360; y++)
      for (guint x = 0; x < 640 * 3; x++)
        p[y * 640 * 3 + x] = (guint8) (127 + 60 * sin (x / (30. + 7 * i) + y / 50.)
            + 60 * cos (y / (20. + 3 * i) - x / 90.));
    frames[i] = (YoloFrame){
      .format = YOLO_FORMAT_RGB, .width = 640, .height = 360, .plane = { p }, .stride = { 640 * 3 }
    };
  }
  for (guint k = 0; k < n; k++) {
    for (guint i = 0; i < size->batch; i++)
      decode[k * size->batch + i] =
          (YoloDecode){ .candidates = found + (k * size->batch + i) * 1024, .capacity = 1024 };
    run_precision (size, precisions[k], frames, decode + k * size->batch);
    if (k > 0)
      compare_anchors (size, precisions[k], decode, decode + k * size->batch);
  }
}

int
main (int argc, char **argv)
{
  static const struct {
    const char *name;
    void (*run) (const Size *size);
  } modes[] = { { "plan", print_plan }, { "shapes", print_shapes }, { "layers", print_layers },
    { "layers-int8", print_layers_int8 }, { "network", print_network },
    { "precision", print_precision } };
  g_autoptr (GError) error = NULL;

  if (argc < 3) {
    fprintf (stderr,
        "usage: bench-cuda plan|shapes|layers|layers-int8|network|precision MODEL [BATCH [HEIGHT "
        "WIDTH]]\n");
    return 2;
  }
  g_autoptr (YoloModel) model = yolo_model_load (argv[2], &error);
  if (model == NULL) {
    fprintf (stderr, "%s\n", error->message);
    return 1;
  }
  Size size = { .model = model,
    .batch = argc > 3 ? (guint) atoi (argv[3]) : 1,
    .height = argc > 5 ? (guint) atoi (argv[4]) : model->height,
    .width = argc > 5 ? (guint) atoi (argv[5]) : model->width };
  make_int8 (&size);
  for (guint i = 0; i < G_N_ELEMENTS (modes); i++)
    if (g_str_equal (argv[1], modes[i].name)) {
      modes[i].run (&size);
      yolo_model_unref (size.int8);
      return 0;
    }
  fprintf (stderr, "%s is no mode\n", argv[1]);
  return 2;
}
