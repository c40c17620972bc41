/* SPDX-License-Identifier: MIT */
/* Which tensor-core kernels can compute a shape, and which are likely fast. */

#include <stdlib.h>

#include "cuda/conv.h"
#include "cuda/conv-params.h"

#define REDUCE_BLOCK 256
#define MAX_SPLITS 8

/* Threads of a block, and the tiles: the same as CONVOLUTIONS of kernels/conv_mma.cuh. */
#define THREADS 128
static const struct {
  const char *name;
  guint m, n;                   /* pixels and channels of a block */
  guint blocks;                 /* that a multiprocessor's registers have room for */
  gsize shared;                 /* bytes of shared memory, from compute capability 8.0 on */
  /* all instructions of the inner loop divided by those of them that are products */
  double overhead;
} tiles[] = {
  { "128x128", 128, 128, 2, 3 * 256 * 64, 156. / 64 },
  { "128x64", 128, 64, 3, 4 * 192 * 64, 114. / 32 },
  { "64x64", 64, 64, 4, 5 * 128 * 64, 86. / 16 },
  { "64x32", 64, 32, 5, 5 * 96 * 64, 72. / 8 },
};

/* Indices of a candidate's option[]: the tile, and into how many parts K is split. */
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

/* Steps that K is worked off in, 64 bytes each. */
static guint
steps_of (const YoloConvShape *shape)
{
  guint64 k =
      (guint64) yolo_conv_packed_channels (shape) * shape->conv->kernel[0] * shape->conv->kernel[1];

  return divide (k * yolo_dtype_size (shape->dtype), 64);
}

static guint
blocks_of (const YoloConvShape *shape, guint tile)
{
  return divide (pixels_of (shape), tiles[tile].m)
      * divide (shape->conv->out_channels, tiles[tile].n);
}

/* The time of a launch, in units of what one of a multiprocessor's schedulers takes to
 * issue an instruction. It is that of the busiest multiprocessor: where that has many
 * blocks, the work of all of them; where it has few, the latency of each. The result
 * serves to put ways in order for the first guess; the choice is made by measuring. */
static double
expected_time (const YoloCudaDevice *device, const YoloConvShape *shape, guint tile, guint splits)
{
  /* A product takes the tensor cores about the time of two instructions. A block that is
   * alone on its multiprocessor waits some 200 in each step, for its barrier and its
   * matrices. What a block does before and after its steps takes as long as eight steps. */
  const double product = 2, alone = 200, around = 8;
  guint blocks = divide ((guint64) blocks_of (shape, tile) * splits, (guint) device->n_sm);
  guint room = MAX (1,
      MIN (tiles[tile].blocks,
          (guint) ((gsize) device->shared_per_sm / (tiles[tile].shared + 1024))));
  guint steps = divide (steps_of (shape), splits);
  /* of all warps in a step, which four schedulers share */
  double products = tiles[tile].m * tiles[tile].n / (16. * 8) * 2;
  double step = products * MAX (product, tiles[tile].overhead) / 4;
  double time = MAX (blocks * step, divide (blocks, room) * (step + alone)) * (steps + around);

  /* a second kernel runs, and partial sums are written and read */
  if (splits > 1)
    time += 3000
        + (double) pixels_of (shape) * shape->conv->out_channels * splits * 8 / device->n_sm / 16;
  return time;
}

static gboolean
launch (const YoloConvCandidate *candidate, YoloCudaDevice *device, const YoloConvShape *shape,
    const YoloConvArgs *args, CUstream stream, GError **error)
{
  guint tile = candidate->option[TILE], splits = candidate->option[SPLITS];
  guint64 elements = (guint64) pixels_of (shape) * divide (shape->conv->out_channels, 8);
  YoloConvParams params;

  yolo_conv_params (&params, shape, args);
  params.splits = (int) splits;
  params.partial = splits > 1 ? (void *) args->workspace : NULL;
  if (!yolo_cuda_launch (device, candidate->function, blocks_of (shape, tile), 1, splits, THREADS,
          0, stream, &params, error))
    return FALSE;
  return splits == 1 || yolo_cuda_launch (device, candidate->data, divide (elements, REDUCE_BLOCK),
      1, 1, REDUCE_BLOCK, 0, stream, &params, error);
}

/* Whether the kernels can count a shape. Offsets inside an image and a window, and numbers
 * of pixels, are 32 bits wide. In outside[] of kernels/conv_mma.cuh 16 bits are for the
 * kernel's rows, up to three of which are beyond its last, and 16 for its columns. */
static gboolean
fits (const YoloConvShape *shape)
{
  const YoloConv *conv = shape->conv;
  guint64 row = (guint64) shape->in_width * shape->in_pitch * yolo_dtype_size (shape->dtype);
  guint64 pixels = (guint64) shape->batch * shape->out_height * shape->out_width;

  return conv->kernel[0] <= 12 && conv->kernel[1] <= 16
      && row * MAX (shape->in_height, (guint64) conv->kernel[0] * conv->dilation[0]) < G_MAXINT32
      && (guint64) shape->in_pitch * 4 * conv->kernel[1] * conv->dilation[1] < G_MAXINT32
      && pixels < G_MAXINT32 / 2;
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
make_candidate (YoloCudaDevice *device, const YoloConvShape *shape, const Way *way,
    YoloConvCandidate *candidate, GError **error)
{
  YoloCudaModule module =
      shape->dtype == YOLO_F16 ? YOLO_CUDA_MODULE_conv_mma_f16 : YOLO_CUDA_MODULE_conv_mma_s8;
  const char *type = yolo_dtype_name (shape->dtype);
  gboolean whole = shape->in_align == 16 && shape->in_channels == yolo_conv_packed_channels (shape);
  char name[48];

  *candidate = (YoloConvCandidate) { .launch = launch, .option = { way->tile, way->splits } };
  if (way->splits > 1) {
    g_snprintf (candidate->name, sizeof (candidate->name), "mma %s split %u", tiles[way->tile].name,
        way->splits);
    candidate->workspace = (gsize) way->splits * pixels_of (shape) * shape->conv->out_channels * 4;
    g_snprintf (name, sizeof (name), "conv_reduce_%s", type);
    candidate->data = yolo_cuda_function (device, module, name, error);
    if (candidate->data == NULL)
      return FALSE;
  } else {
    g_snprintf (candidate->name, sizeof (candidate->name), "mma %s", tiles[way->tile].name);
  }
  g_snprintf (
      name, sizeof (name), "conv_mma_%s_%s%s", type, tiles[way->tile].name, whole ? "" : "_odd");
  candidate->function = yolo_cuda_function (device, module, name, error);
  return candidate->function != NULL;
}

guint
yolo_conv_mma_list (YoloCudaDevice *device, const YoloConvShape *shape, YoloConvCandidate *list,
    guint max, GError **error)
{
  Way ways[4 * G_N_ELEMENTS (tiles)];
  guint n = 0;

  if ((shape->dtype != YOLO_F16 && shape->dtype != YOLO_S8) || shape->conv->groups > 1
      || !fits (shape))
    return 0;
  for (guint tile = 0; tile < G_N_ELEMENTS (tiles); tile++)
    for (guint splits = 1; splits <= MAX_SPLITS; splits *= 2) {
      /* Splitting gains nothing if a part has fewer steps than the pipeline is deep, or if
       * half as many parts fill the device already. */
      if (splits > 1 && (steps_of (shape) / splits < 4
              || blocks_of (shape, tile) * splits / 2 >= (guint) device->n_sm * 2))
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
