/* Which tensor-core kernels can compute a shape, and which are likely fast. */

#include <stdlib.h>

#include "cuda/conv.h"
#include "cuda/conv-params.h"

#define REDUCE_BLOCK 256
#define MAX_SPLITS 8

/* As CONVOLUTIONS of kernels/conv_mma.cuh. */
static const struct {
  const char *name;
  guint m, n;                   /* pixels and channels of a block */
  guint threads, blocks;        /* on a multiprocessor */
  /* Of what the tensor cores could do, roughly: the rest waits for shared memory. */
  double efficiency;
} tiles[] = {
  { "128x128", 128, 128, 256, 2, 1.0 },
  { "128x64", 128, 64, 256, 2, 0.85 },
  { "64x64", 64, 64, 128, 3, 0.7 },
  { "64x32", 64, 32, 128, 4, 0.5 },
};

/* option[]: which tile, into how many parts K is split. */
enum { TILE, SPLITS };

static guint
pixels_of (const YoloConvShape *shape)
{
  return shape->batch * shape->out_height * shape->out_width;
}

static guint
divide (guint64 a, guint b)
{
  return (guint) ((a + b - 1) / b);
}

/* Steps of 64 bytes of K. */
static guint
steps_of (const YoloConvShape *shape)
{
  guint64 k = (guint64) yolo_conv_packed_channels (shape) * shape->conv->kernel[0] * shape->conv->kernel[1];

  return divide (k * yolo_dtype_size (shape->dtype), 64);
}

static guint
blocks_of (const YoloConvShape *shape, guint tile)
{
  return divide (pixels_of (shape), tiles[tile].m) * divide (shape->conv->out_channels, tiles[tile].n);
}

/* Relative time: rounds of blocks over the device, each as long as its steps
 * take, with what a block costs before and after them. Only for an order to
 * begin with; the choice is made by measuring. */
static double
expected_time (const YoloCudaDevice *device, const YoloConvShape *shape, guint tile, guint splits)
{
  guint64 blocks = (guint64) blocks_of (shape, tile) * splits;
  guint at_once = (guint) device->n_sm * tiles[tile].blocks;
  double step = tiles[tile].m * tiles[tile].n * tiles[tile].blocks / tiles[tile].efficiency;
  double time = divide (blocks, at_once) * (divide (steps_of (shape), splits) + 8) * step;

  /* a second kernel, and the partial sums written and read */
  if (splits > 1)
    time += 40.0 * 128 * 128 + (double) pixels_of (shape) * shape->conv->out_channels * splits / device->n_sm * 4;
  return time;
}

static gboolean
launch (const YoloConvCandidate *candidate, YoloCudaDevice *device, const YoloConvShape *shape,
    const YoloConvArgs *args, CUstream stream, GError **error)
{
  guint tile = candidate->option[TILE], splits = candidate->option[SPLITS];
  guint64 elements = (guint64) pixels_of (shape) * shape->conv->out_channels;
  YoloConvParams params;

  yolo_conv_params (&params, shape, args);
  params.splits = (int) splits;
  params.partial = splits > 1 ? (void *) args->workspace : NULL;
  if (!yolo_cuda_launch (device, candidate->function, blocks_of (shape, tile), 1, splits, tiles[tile].threads, 0, stream,
          &params, error))
    return FALSE;
  return splits == 1 || yolo_cuda_launch (device, candidate->data, (guint) ((elements + REDUCE_BLOCK - 1) / REDUCE_BLOCK),
      1, 1, REDUCE_BLOCK, 0, stream, &params, error);
}

/* Offsets inside an image, and numbers of pixels and blocks, are 32 bits wide. */
static gboolean
fits (const YoloConvShape *shape)
{
  guint64 image = (guint64) shape->in_height * shape->in_width * shape->in_pitch;
  guint64 pixels = (guint64) shape->batch * shape->out_height * shape->out_width;

  return image < G_MAXINT32 && pixels < G_MAXINT32 / 2 && shape->conv->kernel[0] * shape->conv->dilation[0] < 0x8000
      && shape->conv->kernel[1] * shape->conv->dilation[1] < 0x8000;
}

typedef struct {
  double time;
  guint tile, splits;
} Way;

static int
by_time (const void *a, const void *b)
{
  double x = ((const Way *) a)->time, y = ((const Way *) b)->time;

  return (x > y) - (x < y);
}

static gboolean
make_candidate (YoloCudaDevice *device, const YoloConvShape *shape, const Way *way, YoloConvCandidate *candidate,
    GError **error)
{
  YoloCudaModule module = shape->dtype == YOLO_F16 ? YOLO_CUDA_MODULE_conv_mma_f16 : YOLO_CUDA_MODULE_conv_mma_s8;
  const char *type = yolo_dtype_name (shape->dtype);
  gboolean whole = shape->in_align == 16 && shape->in_channels == yolo_conv_packed_channels (shape);
  char name[48];

  *candidate = (YoloConvCandidate) { .launch = launch, .option = { way->tile, way->splits } };
  if (way->splits > 1) {
    g_snprintf (candidate->name, sizeof (candidate->name), "mma %s split %u", tiles[way->tile].name, way->splits);
    candidate->workspace = (gsize) way->splits * pixels_of (shape) * shape->conv->out_channels * 4;
    g_snprintf (name, sizeof (name), "conv_reduce_%s", type);
    candidate->data = yolo_cuda_function (device, module, name, error);
    if (candidate->data == NULL)
      return FALSE;
  } else {
    g_snprintf (candidate->name, sizeof (candidate->name), "mma %s", tiles[way->tile].name);
  }
  g_snprintf (name, sizeof (name), "conv_mma_%s_%s%s", type, tiles[way->tile].name, whole ? "" : "_odd");
  candidate->function = yolo_cuda_function (device, module, name, error);
  return candidate->function != NULL;
}

guint
yolo_conv_mma_list (YoloCudaDevice *device, const YoloConvShape *shape, YoloConvCandidate *list, guint max,
    GError **error)
{
  Way ways[4 * G_N_ELEMENTS (tiles)];
  guint n = 0;

  if ((shape->dtype != YOLO_F16 && shape->dtype != YOLO_S8) || shape->conv->groups > 1 || !fits (shape))
    return 0;
  for (guint tile = 0; tile < G_N_ELEMENTS (tiles); tile++)
    for (guint splits = 1; splits <= MAX_SPLITS; splits *= 2) {
      /* A part of fewer steps than the pipeline is deep, or of a grid that fills the device, gains nothing. */
      if (splits > 1 && (steps_of (shape) / splits < 4
              || blocks_of (shape, tile) * splits / 2 >= (guint) device->n_sm * tiles[tile].blocks))
        continue;
      ways[n++] = (Way) { expected_time (device, shape, tile, splits), tile, splits };
    }
  qsort (ways, n, sizeof (Way), by_time);
  n = MIN (n, max);
  for (guint i = 0; i < n; i++)
    if (!make_candidate (device, shape, &ways[i], &list[i], error))
      return 0;
  return n;
}
