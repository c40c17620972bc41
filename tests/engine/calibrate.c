/* SPDX-License-Identifier: MIT */
/* Calibration by frames, and the engines that run by its tables, on the CPU. */

#include "engine/calibrate.h"
#include "engine/engine-private.h"
#include "network/int8.h"
#include "tests/engine/counted.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <math.h>
#include <string.h>

#define WIDTH 96
#define HEIGHT 64

static char *folder;            /* of tables and models, for the whole run */

static char *
data_file (const char *name)
{
  return g_build_filename (SOURCE_ROOT, "tests", "data", name, NULL);
}

static guint8 pixels[HEIGHT][WIDTH][3];

/* Blocks of colour that move with @n; -1: black. */
static YoloFrame
make_frame (gint n)
{
  for (guint y = 0; y < HEIGHT; y++)
    for (guint x = 0; x < WIDTH; x++)
      for (guint c = 0; c < 3; c++)
        pixels[y][x][c] =
            n < 0 ? 0 : (guint8) ((((x + (guint) n) / 9 * 53) ^ (y / 7 * 91) ^ (c * 111)) + n);
  return (YoloFrame){ .format = YOLO_FORMAT_RGB,
    .width = WIDTH,
    .height = HEIGHT,
    .plane = { &pixels[0][0][0] },
    .stride = { WIDTH * 3 } };
}

static YoloCalibrator *
calibrator_new (const char *path, float max_loss)
{
  YoloCalibratorConfig config = {
    .model_file = path, .max_loss = max_loss, .confidence = .25f, .iou = .7f, .threads = 1
  };
  g_autoptr (GError) error = NULL;
  YoloCalibrator *calibrator = yolo_calibrator_new_on (counted_backend (), &config, &error);

  g_assert_no_error (error);
  return calibrator;
}

static void
add_frames (YoloCalibrator *calibrator, guint n, gboolean black)
{
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < n; i++) {
    YoloFrame frame = make_frame (black ? -1 : (gint) i);
    g_assert_true (yolo_calibrator_add (calibrator, &frame, 64, 64, &error));
    g_assert_no_error (error);
  }
}

static guint
count_int8 (const YoloCalibration *table)
{
  guint n = 0;

  for (guint i = 0; i < table->n_layers; i++)
    n += table->layers[i].int8;
  return n;
}

static void
test_table (void)
{
  g_autofree char *path = data_file ("v8n.onnx");
  g_autoptr (GError) error = NULL;

  for (guint k = 0; k < 2; k++) {
    g_autoptr (YoloCalibrator) calibrator = calibrator_new (path, k == 0 ? 1 : 0);
    g_autoptr (YoloCalibration) table = NULL;
    g_autofree char *report = NULL;
    const YoloModel *model = yolo_calibrator_model (calibrator);
    guint measured = 0;

    add_frames (calibrator, 40, FALSE);
    g_assert_cmpuint (yolo_calibrator_frames (calibrator), ==, 40);
    table = yolo_calibrator_finish (calibrator, NULL, NULL, &report, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (table->frames, ==, 40);
    g_assert_cmpuint (table->detections, >, 0);
    for (guint i = 0; i < table->n_layers; i++) {
      YoloLayerInfo info = yolo_model_layer (model, i);
      g_assert_cmpint (table->layers[i].known, ==, info.ranged);
      if (info.ranged)
        g_assert_true (table->layers[i].low <= 0 && table->layers[i].high >= 0
            && table->layers[i].high > table->layers[i].low);
      if (info.ranged && info.conv != NULL && info.conv->act == YOLO_ACT_SILU)
        g_assert_cmpfloat (table->layers[i].low, >=, -.8);      /* with a residual or two */
      measured += table->layers[i].error > 0;
    }
    g_assert_cmpuint (measured, ==, model->n_convs);
    g_assert_nonnull (strstr (report, "convolutions in int8"));
    /* all may change, or none */
    g_assert_true (
        k == 0 ? count_int8 (table) == model->n_convs : count_int8 (table) <= model->n_convs);
    g_assert_cmpfloat (table->loss, <=, table->max_loss);
  }
}

/* Each layer's error is its own: were those before it in int8 as well, none behind the
 * worst had less. */
static void
test_alone (void)
{
  g_autofree char *path = data_file ("v8n.onnx");
  g_autoptr (YoloCalibrator) calibrator = calibrator_new (path, 1);
  g_autoptr (YoloCalibration) table = NULL;
  float most = 0, least = 0;            /* of those behind the worst so far */

  add_frames (calibrator, 4, FALSE);
  table = yolo_calibrator_finish (calibrator, NULL, NULL, NULL, NULL);
  g_assert_nonnull (table);
  for (guint i = 0; i < table->n_layers; i++) {
    float error = table->layers[i].error;

    if (error == 0)
      continue;
    if (error > most)
      most = least = error;
    least = MIN (least, error);
  }
  g_assert_cmpfloat (least, <, .01f * most);
}

/* The same frames give the same table. */
static void
test_repeatable (void)
{
  g_autofree char *path = data_file ("v8n.onnx");
  YoloCalibration *tables[2];

  for (guint k = 0; k < 2; k++) {
    g_autoptr (YoloCalibrator) calibrator = calibrator_new (path, .02f);
    add_frames (calibrator, 10, FALSE);
    tables[k] = yolo_calibrator_finish (calibrator, NULL, NULL, NULL, NULL);
  }
  for (guint i = 0; i < tables[0]->n_layers; i++) {
    const YoloLayerCalibration *a = &tables[0]->layers[i], *b = &tables[1]->layers[i];
    g_assert_true (
        a->low == b->low && a->high == b->high && a->int8 == b->int8 && a->error == b->error);
  }
  yolo_calibration_free (tables[0]);
  yolo_calibration_free (tables[1]);
}

static gboolean
at_once (gpointer data, double share)
{
  return FALSE;
}

static double last_share;

static gboolean
until (gpointer data, double share)
{
  g_assert_true (share >= last_share && share <= 1);
  last_share = share;
  return data == NULL || share < *(const double *) data;
}

/* Whatever is asked, the work that the back end does stays within what docs/precision.md
 * promises, and all of it is told; where layers have to leave, some is used for that. */
static void
test_budget (void)
{
  g_autofree char *path = data_file ("v8n.onnx");
  static const guint harmless[] = { G_MAXUINT, 62, 50, 20, 1 };

  for (guint i = 0; i < 2 * G_N_ELEMENTS (harmless); i++) {
    g_autoptr (YoloCalibrator) calibrator = calibrator_new (path, .01f);
    g_autoptr (YoloCalibration) table = NULL;
    g_autoptr (GError) error = NULL;
    guint frames = i % 2 ? 64 : 12;
    double run, runs;

    counted_harmless = harmless[i / 2];
    counted_work = 0;
    counted_int8_nets = 0;
    add_frames (calibrator, frames, FALSE);
    run = counted_work / frames;
    last_share = 0;
    table = yolo_calibrator_finish (calibrator, until, NULL, NULL, &error);
    g_assert_no_error (error);
    runs = counted_work / run - frames + 2 * counted_int8_nets; /* one is worth two runs */
    g_test_message ("%u frames, %u harmless: %g runs, %u networks, %u in int8", frames,
        counted_harmless, runs, counted_int8_nets, count_int8 (table));
    g_assert_cmpfloat (runs, <=, 2.75 * frames);
    g_assert_cmpfloat_with_epsilon (last_share, runs / (2.75 * frames), 1e-6);
    g_assert_cmpfloat (table->loss, <=, table->max_loss);
    g_assert_false (table->interrupted);
    if (counted_harmless == G_MAXUINT) {
      g_assert_cmpuint (count_int8 (table), ==, yolo_calibrator_model (calibrator)->n_convs);
    } else {
      g_assert_cmpuint (counted_int8_nets, >, 2);
      /* The fewer frames pay for a coarser search. */
      g_assert_cmpuint (count_int8 (table), <=, counted_harmless);
      g_assert_true (frames == 12 || count_int8 (table) == counted_harmless);
    }
  }
  counted_harmless = G_MAXUINT;
}

/* Wherever it is interrupted, there is a whole table of what was decided. */
static void
test_interrupted (void)
{
  g_autofree char *path = data_file ("v8n.onnx");
  static const double when[] = { 0, .1, .2, .3, .5, .7 };

  for (guint i = 0; i < G_N_ELEMENTS (when); i++) {
    g_autoptr (YoloCalibrator) calibrator = calibrator_new (path, 0);
    g_autoptr (YoloCalibration) table = NULL;
    g_autoptr (GError) error = NULL;
    double share = when[i];

    add_frames (calibrator, 12, FALSE);
    last_share = 0;
    table = yolo_calibrator_finish (calibrator, until, &share, NULL, &error);
    g_assert_no_error (error);
    g_assert_true (table->interrupted || i > 0);        /* the search may have ended before */
    if (i == 0)
      g_assert_cmpuint (count_int8 (table), ==, yolo_calibrator_model (calibrator)->n_convs);
    for (guint k = 0; k < table->n_layers; k++)
      g_assert_cmpint (table->layers[k].known, ==,
          yolo_model_layer (yolo_calibrator_model (calibrator), k).ranged);
  }
}

static void
test_refused (void)
{
  g_autofree char *path = data_file ("v8n.onnx"), *missing = data_file ("missing.onnx");
  g_autoptr (YoloCalibrator) none = calibrator_new (path, .01f), some = calibrator_new (path, .01f);
  YoloCalibratorConfig config = { .model_file = missing, .confidence = .25f };
  g_autoptr (GError) error = NULL;
  YoloFrame frame = make_frame (1);

  g_assert_null (yolo_calibrator_finish (none, NULL, NULL, NULL, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FORMAT);
  g_clear_error (&error);
  g_assert_false (yolo_calibrator_add (some, &frame, 65, 64, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_SIZE);
  g_clear_error (&error);
  add_frames (some, 2, FALSE);
  g_assert_null (yolo_calibrator_finish (some, at_once, NULL, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_null (yolo_calibrator_new (&config, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FILE);
}

/* Black frames give ranges of a kind, and are told apart by what is found in them. */
static void
test_black (void)
{
  g_autofree char *path = data_file ("v8n.onnx");
  g_autoptr (YoloCalibrator) calibrator = calibrator_new (path, .01f);
  g_autoptr (YoloCalibration) table = NULL;
  g_autoptr (GError) error = NULL;

  add_frames (calibrator, 3, TRUE);
  table = yolo_calibrator_finish (calibrator, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
}

static YoloEngine *
get (const char *model, YoloPrecision precision, const char *table, GError **error)
{
  YoloEngineConfig config = { .model_file = model,
    .device = "cpu",
    .precision = precision,
    .calibration_file = table,
    .threads = 1 };
  return yolo_engine_get (&config, error);
}

static char *
copy_model (const char *name, const char *as)
{
  g_autofree char *from = data_file (name), *text = NULL;
  char *to = g_build_filename (folder, as, NULL);
  gsize n;

  g_assert_true (g_file_get_contents (from, &text, &n, NULL));
  g_assert_true (g_file_set_contents (to, text, n, NULL));
  return to;
}

/* The table is looked for beside the model, or where it is said to be. */
static void
test_engine (void)
{
  g_autofree char *path = copy_model ("v8n.onnx", "model.onnx"),
                  *beside = g_build_filename (folder, "model.int8", NULL);
  g_autofree char *elsewhere = g_build_filename (folder, "other.int8", NULL);
  g_autoptr (YoloCalibrator) calibrator = calibrator_new (path, 1);
  g_autoptr (YoloCalibration) table = NULL;
  g_autoptr (YoloEngine) a = NULL, b = NULL, c = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_null (get (path, YOLO_PRECISION_INT8, NULL, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_PRECISION);
  g_assert_nonnull (strstr (error->message, "calibrate="));
  g_clear_error (&error);

  add_frames (calibrator, 8, FALSE);
  table = yolo_calibrator_finish (calibrator, NULL, NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (yolo_calibration_save (table, yolo_calibrator_model (calibrator), beside, &error));
  g_assert_true (
      yolo_calibration_save (table, yolo_calibrator_model (calibrator), elsewhere, &error));
  a = get (path, YOLO_PRECISION_INT8, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (yolo_engine_precision (a), ==, YOLO_PRECISION_INT8);
  b = get (path, YOLO_PRECISION_INT8, elsewhere, &error);
  g_assert_no_error (error);
  g_assert_true (a != b);
  c = get (path, YOLO_PRECISION_INT8, NULL, &error);
  g_assert_true (a == c);
  g_assert_true (yolo_engine_prepare (a, NULL, 64, 64, &error));

  g_assert_true (g_file_set_contents (elsewhere, "no table\n", -1, NULL));
  g_clear_pointer (&b, yolo_engine_unref);
  g_assert_null (get (path, YOLO_PRECISION_INT8, elsewhere, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FORMAT);
  g_unlink (beside);
  g_unlink (elsewhere);
  g_unlink (path);
}

/* A quantised file is int8 by itself, for all who leave it the choice. */
static void
test_quantised_file (void)
{
  g_autofree char *path = data_file ("v8n-qdq-u8.onnx"), *plain = data_file ("v8n.onnx");
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloEngine) a = get (path, YOLO_PRECISION_AUTO, NULL, &error),
                         b = get (path, YOLO_PRECISION_INT8, NULL, &error);
  g_autoptr (YoloEngine) c = get (path, YOLO_PRECISION_FP32, NULL, &error),
                         d = get (plain, YOLO_PRECISION_AUTO, NULL, &error);
  g_autoptr (YoloEngine) e = get (path, YOLO_PRECISION_AUTO, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpint (yolo_engine_precision (a), ==, YOLO_PRECISION_INT8);
  g_assert_true (a == b && a == e);
  g_assert_cmpint (yolo_engine_precision (c), ==, YOLO_PRECISION_FP32);
  g_assert_cmpint (yolo_engine_precision (d), !=, YOLO_PRECISION_INT8);
}

typedef struct {
  YoloPrecision precision;
  YoloEngine *engine;
} Ask;

static gpointer
ask (gpointer data)
{
  Ask *a = data;
  g_autofree char *path = data_file ("v8n-qdq-u8.onnx");
  a->engine = get (path, a->precision, NULL, NULL);
  return NULL;
}

/* The same, asked at once: who waits for the file to be loaded, decides by it. */
static void
test_at_once (void)
{
  for (guint round = 0; round < 20; round++) {
    Ask asks[6];
    GThread *threads[6];

    for (guint i = 0; i < 6; i++) {
      asks[i].precision = i % 3 == 0 ? YOLO_PRECISION_AUTO
          : i % 3 == 1               ? YOLO_PRECISION_INT8
                                     : YOLO_PRECISION_FP32;
      threads[i] = g_thread_new (NULL, ask, &asks[i]);
    }
    for (guint i = 0; i < 6; i++)
      g_thread_join (threads[i]);
    g_assert_true (asks[0].engine == asks[1].engine && asks[1].engine == asks[3].engine
        && asks[3].engine == asks[4].engine);
    g_assert_true (asks[2].engine == asks[5].engine && asks[2].engine != asks[0].engine);
    for (guint i = 0; i < 6; i++)
      yolo_engine_unref (asks[i].engine);
  }
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  if (!yolo_backend_available (counted_backend (), 0, NULL)) {
    g_print ("1..0 # SKIP the CPU back end is not built\n");
    return 0;
  }
  folder = g_dir_make_tmp ("yolo-calibrate-XXXXXX", NULL);
  g_test_add_func ("/calibrate/table", test_table);
  g_test_add_func ("/calibrate/alone", test_alone);
  g_test_add_func ("/calibrate/repeatable", test_repeatable);
  g_test_add_func ("/calibrate/budget", test_budget);
  g_test_add_func ("/calibrate/interrupted", test_interrupted);
  g_test_add_func ("/calibrate/refused", test_refused);
  g_test_add_func ("/calibrate/black", test_black);
  g_test_add_func ("/calibrate/engine", test_engine);
  g_test_add_func ("/calibrate/quantised-file", test_quantised_file);
  g_test_add_func ("/calibrate/at-once", test_at_once);
  result = g_test_run ();
  g_rmdir (folder);
  g_free (folder);
  return result;
}
