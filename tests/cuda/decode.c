/* SPDX-License-Identifier: MIT */
/* Candidates of random maps: the same anchors, boxes and confidences as the
 * definition's, also where there are more than come back. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cuda/decode.h"
#include "cuda/kernels/decode.h"
#include "tests/cuda/harness.h"
#include "tests/postprocess/levels.h"

typedef struct {
  const char *name;
  guint n_classes, reg_max, batch, idle;        /* idle: places at the end */
  guint sizes[3][2];            /* height, width of the levels; 0: none */
  float confidence, spread;     /* of the logits, around -1 */
  gboolean masked, multi_label;
  gboolean odd;                 /* NaN and infinity among the logits */
} Case;

static const Case cases[] = {
  { .name = "80 classes", 80, 16, 2, 1, { { 8, 12 }, { 4, 6 }, { 2, 3 } }, .25f, 4 },
  { .name = "one class", 1, 16, 1, 0, { { 7, 5 } }, .3f, 3 },
  { .name = "91 classes masked", 91, 16, 1, 0, { { 9, 9 }, { 5, 5 } }, .6f, 4, .masked = TRUE },
  { .name = "91 classes for pairs", 91, 16, 1, 0, { { 9, 9 }, { 5, 5 } }, .6f, 4, .masked = TRUE,
    .multi_label = TRUE },
  { .name = "two classes, few bins", 2, 5, 3, 0, { { 11, 3 }, { 6, 2 } }, 0, 2 },
  { .name = "no distribution", 3, 1, 1, 0, { { 6, 6 } }, .2f, 3 },
  { .name = "none", 5, 16, 1, 0, { { 6, 6 } }, 1, 3 },
  { .name = "not finite", 10, 16, 1, 0, { { 12, 12 } }, .1f, 4, .odd = TRUE },
  { .name = "just as many", 2, 4, 1, 0, { { 32, 32 } }, 0, 3 },
  { .name = "too many", 2, 4, 2, 0, { { 40, 40 }, { 20, 20 } }, 0, 3 },
  { .name = "too many and equal", 1, 4, 1, 0, { { 40, 40 } }, 0, 0 },
};

static int
by_anchor (const void *a, const void *b)
{
  return ((const YoloObject *) a)->anchor - ((const YoloObject *) b)->anchor;
}

static int
by_rank (const void *a, const void *b)
{
  const YoloObject *x = a, *y = b;

  return x->confidence != y->confidence ? (x->confidence < y->confidence ? 1 : -1)
                                        : x->anchor - y->anchor;
}

typedef struct {
  const Case *c;
  guint n_levels;
  YoloModel model;
  YoloBuffer buffers[6];
  YoloPlan plan;
  Tensor box[3], cls[3];
} Fixture;

static void
fixture_init (Fixture *f, const Case *c)
{
  *f = (Fixture) { .c = c };
  while (f->n_levels < 3 && c->sizes[f->n_levels][0] > 0)
    f->n_levels++;
  f->model = (YoloModel) { .n_outputs = 2 * f->n_levels };
  f->plan = (YoloPlan) { .model = &f->model, .batch = c->batch + c->idle, .buffers = f->buffers };
  for (guint l = 0; l < f->n_levels; l++) {
    guint height = c->sizes[l][0], width = c->sizes[l][1];
    guint32 seed = l + 1;

    f->model.outputs[2 * l] = (YoloOutput) { YOLO_MAP_BOX, l, 8u << l, 0 };
    f->model.outputs[2 * l + 1] = (YoloOutput) { YOLO_MAP_CLASS, l, 8u << l, 0 };
    f->buffers[2 * l] =
        (YoloBuffer){ .height = height, .width = width, .channels = 4 * c->reg_max };
    f->buffers[2 * l + 1] =
        (YoloBuffer){ .height = height, .width = width, .channels = c->n_classes };
    f->plan.outputs[2 * l] = (YoloView) { 2 * l, 0, 4 * c->reg_max };
    f->plan.outputs[2 * l + 1] = (YoloView) { 2 * l + 1, 0, c->n_classes };
    tensor_init (
        &f->box[l], YOLO_F32, f->plan.batch, height, width, 4 * c->reg_max, 4 * c->reg_max, 0);
    tensor_init (&f->cls[l], YOLO_F32, f->plan.batch, height, width, c->n_classes, c->n_classes, 0);
    tensor_randomise (&f->box[l], l + 9, 5);
    for (guint n = 0; n < f->plan.batch; n++)
      for (guint i = 0; i < height * width * c->n_classes; i++)
        tensor_set (&f->cls[l], n, 0, 0, i, test_random (&seed) * c->spread - 1);
    if (c->odd) {
      tensor_set (&f->cls[l], 0, 1, 1, 3, NAN);
      tensor_set (&f->cls[l], 0, 1, 2, 3, INFINITY);
      tensor_set (&f->cls[l], 0, 1, 3, 3, -INFINITY);
      tensor_set (&f->cls[l], 0, 2, 2, 0, 9);
      tensor_set (&f->box[l], 0, 2, 2, 5, NAN);
      tensor_set (&f->cls[l], 0, 2, 3, 0, 9);
      tensor_set (&f->box[l], 0, 2, 3, 5, INFINITY);
    }
    tensor_upload (&f->cls[l]);
    tensor_upload (&f->box[l]);
  }
}

/* By the definition, all that there are, sorted; the caller's. */
static YoloObject *
expect (const Fixture *f, guint n, const YoloDecode *like, gsize *found)
{
  TestLevel levels[3];
  gsize anchors = 0;

  for (guint l = 0; l < f->n_levels; l++) {
    const Tensor *box = &f->box[l], *cls = &f->cls[l];
    gsize pixels = (gsize) box->height * box->width;

    levels[l] = (TestLevel){
      .box = (const float *) box->host + n * pixels * box->pitch,
      .cls = (const float *) cls->host + n * pixels * cls->pitch,
      .box_stride = box->pitch,
      .cls_stride = cls->pitch,
      .width = (int) box->width,
      .height = (int) box->height,
      .stride = 8 << l,
    };
    anchors += pixels;
  }
  YoloDecode decode = *like;
  decode.candidates = g_new (YoloObject, anchors);
  decode.capacity = anchors;
  test_decode_levels (
      levels, (int) f->n_levels, (int) f->c->reg_max, (int) f->c->n_classes, &decode);
  *found = decode.n;
  return decode.candidates;
}

static void
compare (const Fixture *f, guint n, YoloDecode *decode)
{
  gsize found;
  g_autofree YoloObject *expected = expect (f, n, decode, &found);
  gsize kept = MIN (found, YOLO_DECODE_CAPACITY);

  g_test_message ("%" G_GSIZE_FORMAT " candidates", found);
  g_assert_cmpuint (decode->n, ==, kept);
  g_assert_cmpuint (decode->missed, ==, found - kept);
  /* The best ones; where two are as good to a float's last bits, either. */
  qsort (expected, found, sizeof (YoloObject), by_rank);
  float worst = kept > 0 ? expected[kept - 1].confidence : 0;
  qsort (expected, found, sizeof (YoloObject), by_anchor);
  qsort (decode->candidates, decode->n, sizeof (YoloObject), by_anchor);
  for (gsize i = 0, k = 0; i < decode->n; i++) {
    const YoloObject *a = &decode->candidates[i];

    while (k < found && expected[k].anchor < a->anchor) {
      g_assert_cmpfloat (expected[k].confidence, <=, worst + 1e-6f);
      k++;
    }
    g_assert_cmpuint (k, <, found);
    const YoloObject *b = &expected[k++];
    g_assert_cmpint (a->anchor, ==, b->anchor);
    g_assert_cmpint (a->class_id, ==, b->class_id);
    g_assert_cmpfloat (a->confidence, >=, worst - 1e-6f);
    g_assert_cmpfloat_with_epsilon (a->confidence, b->confidence, 1e-6);
    g_assert_cmpfloat_with_epsilon (a->x1, b->x1, 1e-3);
    g_assert_cmpfloat_with_epsilon (a->y1, b->y1, 1e-3);
    g_assert_cmpfloat_with_epsilon (a->x2, b->x2, 1e-3);
    g_assert_cmpfloat_with_epsilon (a->y2, b->y2, 1e-3);
  }
}

static void
test_case (gconstpointer data)
{
  const Case *c = data;
  g_autoptr (GError) error = NULL;
  g_autofree guint8 *classes = g_malloc0 (c->n_classes);
  CUdeviceptr maps[6];
  Fixture f;

  fixture_init (&f, c);
  for (guint l = 0; l < f.n_levels; l++) {
    maps[2 * l] = f.box[l].view;
    maps[2 * l + 1] = f.cls[l].view;
  }
  for (guint i = 0; i < c->n_classes; i += 3)
    classes[i] = 1;
  YoloCudaDecoder *decoder = yolo_cuda_decoder_new (test_device, &f.plan, maps, &error);
  g_assert_no_error (error);

  /* Twice: counters begin anew. */
  for (guint round = 0; round < 2; round++) {
    for (guint n = 0; n < f.plan.batch; n++) {
      YoloDecode decode = { .confidence = c->confidence, .classes = c->masked ? classes : NULL,
        .multi_label = c->multi_label };
      yolo_cuda_decoder_describe (decoder, n, n < c->batch ? &decode : NULL);
    }
    yolo_cuda_decoder_launch (decoder, NULL, &error);
    g_assert_no_error (error);
    g_assert_cmpint (test_device->driver->cuStreamSynchronize (NULL), ==, CUDA_SUCCESS);
    for (guint n = 0; n < f.plan.batch; n++) {
      g_autofree YoloObject *candidates = g_new (YoloObject, YOLO_DECODE_CAPACITY);
      YoloDecode decode = {
        .confidence = c->confidence, .classes = c->masked ? classes : NULL,
        .multi_label = c->multi_label, .candidates = candidates, .capacity = YOLO_DECODE_CAPACITY,
      };

      yolo_cuda_decoder_read (decoder, n, &decode);
      if (n < c->batch)
        compare (&f, n, &decode);
      else
        g_assert_cmpuint (decode.n + decode.missed, ==, 0);
    }
  }
  yolo_cuda_decoder_free (decoder);
  for (guint l = 0; l < f.n_levels; l++) {
    tensor_clear (&f.box[l]);
    tensor_clear (&f.cls[l]);
  }
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  if (!test_device_open ())
    return 0;
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strdup_printf ("/cuda/decode/%s", cases[i].name);
    g_test_add_data_func (path, &cases[i], test_case);
  }
  result = g_test_run ();
  test_device_close ();
  return result;
}
