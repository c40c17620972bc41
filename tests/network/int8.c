/* SPDX-License-Identifier: MIT */
/* int8 models: tables, ranges, and the plans that come of them. */

#include "engine/load.h"
#include "network/histogram.h"
#include "network/int8.h"
#include "network/plan.h"

#include <glib/gstdio.h>
#include <locale.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

static YoloModel *
load (const char *name)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "tests", "data", name, NULL);
  g_autoptr (GError) error = NULL;
  YoloModel *model = yolo_model_load (path, &error);

  g_assert_no_error (error);
  return model;
}

static YoloCalibration *
make_table (const YoloModel *model)
{
  YoloCalibration *table = yolo_calibration_new (model);

  table->method = YOLO_CALIBRATION_PERCENTILE;
  table->frames = 12;
  table->detections = 34;
  table->height = 64;
  table->width = 96;
  table->max_loss = .01f;
  table->loss = .0078125f;
  for (guint i = 0; i < table->n_layers; i++) {
    YoloLayerInfo info = yolo_model_layer (model, i);
    table->layers[i] = (YoloLayerCalibration) {
      .known = info.ranged, .low = info.ranged ? -.25f : 0, .high = info.ranged ? 1.f / 3 + i : 0,
      .int8 = info.conv != NULL && i % 3 != 0,
    };
  }
  return table;
}

static char *
table_text (const YoloCalibration *table, const YoloModel *model)
{
  g_autofree char *path = g_build_filename (g_get_tmp_dir (), "yolo-test-XXXXXX.int8", NULL);
  g_autoptr (GError) error = NULL;
  char *text;

  g_close (g_mkstemp (path), NULL);
  g_assert_true (yolo_calibration_save (table, model, path, &error));
  g_assert_no_error (error);
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_unlink (path);
  return text;
}

static void
test_round_trip (void)
{
  g_autoptr (YoloModel) model = load ("v8n.onnx");
  g_autoptr (YoloCalibration) table = make_table (model), again = NULL;
  g_autofree char *text = table_text (table, model);
  g_autoptr (GError) error = NULL;

  again = yolo_calibration_parse (text, strlen (text), "table", model, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (again->sha256, ==, table->sha256);
  g_assert_cmpint (again->method, ==, table->method);
  g_assert_cmpuint (again->frames, ==, 12);
  g_assert_cmpuint (again->detections, ==, 34);
  g_assert_cmpuint (again->height, ==, 64);
  g_assert_cmpuint (again->width, ==, 96);
  g_assert_cmpfloat (again->max_loss, ==, table->max_loss);
  g_assert_cmpfloat (again->loss, ==, table->loss);
  g_assert_cmpmem (again->layers, again->n_layers * sizeof *again->layers, table->layers,
      table->n_layers * sizeof *table->layers);
}

static void
check_refused (const YoloModel *model, const char *text, gsize size, const char *part)
{
  g_autoptr (GError) error = NULL;
  YoloCalibration *table = yolo_calibration_parse (text, size, "table.int8", model, &error);

  g_assert_null (table);
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FORMAT);
  if (strstr (error->message, part) == NULL)
    g_error ("'%s' does not say '%s'", error->message, part);
}

static void
test_truncated (void)
{
  g_autoptr (YoloModel) model = load ("v8n.onnx");
  g_autoptr (YoloCalibration) table = make_table (model);
  g_autofree char *text = table_text (table, model);
  gsize n = strlen (text);

  /* the table is whole without the end of its last line */
  for (gsize i = 0; i < n - 1; i += i < 400 ? 1 : 97)
    check_refused (model, text, i, "table.int8");
}

static void
test_edited (void)
{
  static const struct { const char *from, *to, *part; } edits[] = {
    { "yolo-calibration 1", "yolo-calibration 2", "version" },
    { "model ", "mode1 ", "not understood" },
    { "method percentile", "method guess", "no method" },
    { "frames 12", "frames -12", "no number" },
    { "input 96x64", "input 96", "no size" },
    { "loss 0.0078125", "loss nan", "no number" },
    { "layers ", "layers 1", "but the model has" },
    { "range 1 -0.25", "range 1 0.25", "no range around 0" },
    { "range 1 -0.25", "range 1 1e99", "no number that 32 bits hold" },
    { "range 1 -0.25", "range 1 -0x1p-2", "table.int8:13: '-0x1p-2' is no number in decimal" },
    { "range 1 -0.25", "range 1 -inf", "'-inf' is no number in decimal" },
    { "range 1 -0.25", "range 1 nan", "'nan' is no number in decimal" },
    { "range 1 -0.25", "range 1 -0,25", "'-0,25' is no number in decimal" },
    { "range 1 -0.25", "range 1 -0.25x", "'-0.25x' is no number in decimal" },
    { "range 1 -0.25", "range 1 -", "'-' is no number in decimal" },
    { "range 1 -0.25", "range 1 -1e-40", "'-1e-40' is no number that 32 bits hold" },
    { "range 1 -0.25", "range 1 -1e-999", "'-1e-999' is no number that 32 bits hold" },
    { "range 1 -0.25 1.33333337", "range 1 0.5 -0.5", "no range around 0" },
    { "frames 12", "frames 12 13", "'frames 12 13' is too long" },
    { "frames 12", "frames 0x12", "no number from" },
    { "range 1 -0.25 1.33333337", "range 1 -0.25 1.33333337 0", "is too long" },
    { "end\n", "end of it\n", "is too long" },
    { "range 1 -0.25 1.33333337", "range 1 0 0", "no range around 0" },
    { "range 1 ", "range 2 ", "range" },
    { "range 1 ", "range 4000000000 ", "no number from" },
    { "conv 1 int8", "conv 1 int4", "neither int8 nor float" },
    { "conv 1 int8 0 0 ", "conv 1 int8 ", "" },
    { "end\n", "end\nend\n", "behind the end" },
    { "end\n", "\377\376\n", "not understood" },
  };
  g_autoptr (YoloModel) model = load ("v8n.onnx"), other = load ("v8n-83.onnx");
  g_autoptr (YoloCalibration) table = make_table (model);
  g_autofree char *text = table_text (table, model);
  g_autofree char *zeros = g_strdup (text);

  for (guint i = 0; i < G_N_ELEMENTS (edits); i++) {
    const char *at = strstr (text, edits[i].from);
    g_autoptr (GString) edited = g_string_new (NULL);

    if (at == NULL)
      g_error ("no line has '%s'", edits[i].from);
    g_string_append_len (edited, text, at - text);
    g_string_append (edited, edits[i].to);
    g_string_append (edited, at + strlen (edits[i].from));
    check_refused (model, edited->str, edited->len, edits[i].part);
  }
  check_refused (other, text, strlen (text), "another model");
  check_refused (model, "", 0, "version");
  zeros[strlen (text) / 2] = '\0';
  check_refused (model, zeros, strlen (text), "table.int8");
}

/* A range that can be, but hardly is right, is used, with a warning that names its line. */
static void
test_absurd (void)
{
  static const struct { float low, high; gboolean problem; } ranges[] = {
    { -0.25, 4, FALSE }, { -1e6, 1e6, FALSE }, { 0, 1.1e6, TRUE }, { -3e38, 0, TRUE },
    { -0.25, 1e30, TRUE }, { 0, 1e-5, FALSE }, { -4e-7, 4e-7, TRUE },
  };
  g_autoptr (YoloModel) model = load ("v8n.onnx");

  for (guint i = 0; i < G_N_ELEMENTS (ranges); i++) {
    g_autoptr (YoloCalibration) table = make_table (model), again = NULL;
    g_autoptr (YoloModel) int8 = NULL;
    g_autoptr (GError) error = NULL;
    g_autofree char *text = NULL;

    table->layers[1].low = ranges[i].low;
    table->layers[1].high = ranges[i].high;
    text = table_text (table, model);
    again = yolo_calibration_parse (text, strlen (text), "ta\033ble", model, &error);
    g_assert_no_error (error);
    g_assert_cmpfloat (again->layers[1].low, ==, ranges[i].low);
    g_assert_cmpfloat (again->layers[1].high, ==, ranges[i].high);
    g_assert_true ((again->problem != NULL) == ranges[i].problem);
    int8 = yolo_model_to_int8 (model, again, YOLO_INT8_ASYMMETRIC, &error);
    g_assert_no_error (error);
    g_assert_cmpstr (int8->calibration_problem, ==, again->problem);
    if (again->problem != NULL)
      g_assert_true (g_str_has_prefix (again->problem, "ta\\x1bble:13: layer 1 ranges from "));
  }
}

/* Numbers are written and read with a point, whatever the user's language has. */
static void
test_locale (void)
{
  static const char *const commas[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "ru_RU.UTF-8", "de_DE" };
  const char *found = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (commas) && found == NULL; i++)
    found = setlocale (LC_NUMERIC, commas[i]);
  if (found == NULL) {
    g_test_skip ("no locale with a decimal comma is installed");
    return;
  }
  test_round_trip ();
  setlocale (LC_NUMERIC, "C");
}

static void
test_files (void)
{
  g_autoptr (YoloModel) model = load ("v8n.onnx");
  g_autoptr (YoloCalibration) table = make_table (model);
  g_autoptr (GError) error = NULL;
  g_autofree char *path = yolo_calibration_path ("/some/where/best.ONNX"),
                  *bare = yolo_calibration_path ("best");
  g_autofree char *pipe = NULL;

  g_assert_cmpstr (path, ==, "/some/where/best.int8");
  g_assert_cmpstr (bare, ==, "best.int8");
  g_assert_null (yolo_calibration_load ("/nowhere/at/all.int8", model, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FILE);
  g_clear_error (&error);
  g_assert_null (yolo_calibration_load ("/", model, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FILE);
  g_clear_error (&error);
  /* a pipe stands for a device: no test may replace a device where it runs as root */
  pipe = g_build_filename (g_get_tmp_dir (), "yolo-test-XXXXXX.int8", NULL);
  g_close (g_mkstemp (pipe), NULL);
  g_unlink (pipe);
  g_assert_cmpint (mkfifo (pipe, 0600), ==, 0);
  g_assert_false (yolo_calibration_save (table, model, pipe, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FILE);
  g_clear_error (&error);
  g_unlink (pipe);
  g_assert_false (yolo_calibration_save (table, model, "/nowhere/at/all.int8", &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FILE);
}

/* A table that lacks a range is refused where int8 needs it. */
static void
test_missing_range (void)
{
  g_autoptr (YoloModel) model = load ("v8n.onnx"), int8 = NULL;
  g_autoptr (YoloCalibration) table = make_table (model);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < table->n_layers; i++)
    table->layers[i].int8 = TRUE;
  table->layers[1].known = FALSE;
  int8 = yolo_model_to_int8 (model, table, YOLO_INT8_ASYMMETRIC, &error);
  g_assert_null (int8);
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_PRECISION);
}

static guint
count_ops (const YoloPlan *plan, YoloOpType type)
{
  guint n = 0;

  for (guint i = 0; i < plan->n_ops; i++)
    n += plan->ops[i].type == type;
  return n;
}

static YoloPlan *
plan_of (YoloModel *model, YoloInt8Kind kind, const YoloCalibration *table)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (YoloModel) int8 = yolo_model_to_int8 (model, table, kind, &error);
  YoloPlan *plan;

  g_assert_no_error (error);
  plan = yolo_plan_new (
      int8, 1, 64, 64, YOLO_F32, kind == YOLO_INT8_SYMMETRIC ? YOLO_S8 : YOLO_U8, 3, &error);
  g_assert_no_error (error);
  return plan;
}

/* Whether a grid spans one of the ranges of make_table(), [-.25, 1/3 + i]. */
static void
check_grid (YoloInt8Kind kind, float scale, gint32 zero)
{
  float low = kind == YOLO_INT8_SYMMETRIC ? 0 : -.25f,
        high = (kind == YOLO_INT8_SYMMETRIC ? 127 : 255) * scale + low;

  g_assert_cmpfloat_with_epsilon (high - 1.f / 3, rintf (high - 1.f / 3), 1e-3);
  g_assert_cmpfloat (fabsf (-(float) zero * scale - low), <=, .501f * scale);
}

/* Nothing is converted where all is in int8, and floats are nowhere but in the head's maps. */
static void
test_all_int8 (void)
{
  g_autoptr (YoloModel) model = load ("v8n.onnx");
  g_autoptr (YoloCalibration) table = make_table (model);

  for (guint i = 0; i < table->n_layers; i++)
    table->layers[i].int8 = TRUE;
  for (YoloInt8Kind kind = YOLO_INT8_ASYMMETRIC; kind <= YOLO_INT8_SYMMETRIC; kind++) {
    g_autoptr (YoloPlan) plan = plan_of (model, kind, table);
    guint floats = 0;

    g_assert_cmpuint (count_ops (plan, YOLO_OP_COPY), ==, 0);
    g_assert_cmpuint (count_ops (plan, YOLO_OP_CONV), ==, model->n_convs);
    for (guint i = 0; i < plan->n_ops; i++)
      g_assert_true (plan->ops[i].type != YOLO_OP_CONV || plan->ops[i].conv->int8 != NULL);
    for (guint i = 0; i < plan->n_buffers; i++) {
      const YoloBuffer *b = &plan->buffers[i];
      if (b->dtype == YOLO_F32) {
        floats++;
        continue;
      }
      for (guint c = 0; c < b->channels; c++) {
        g_assert_cmpfloat (b->scale[c], >, 0);
        if (kind == YOLO_INT8_SYMMETRIC)
          g_assert_cmpint (b->zero[c], ==, 0);
        else
          g_assert_true (b->zero[c] >= 0 && b->zero[c] <= 255);
        if (i != plan->input)
          check_grid (kind, b->scale[c], b->zero[c]);
      }
    }
    g_assert_cmpuint (floats, ==, model->n_outputs);
  }
}

/* A layer in floats between others is reached by conversions, and nothing else changes. */
static void
test_one_float (void)
{
  g_autoptr (YoloModel) model = load ("v8n.onnx");
  guint n = 0;

  for (guint layer = 0; layer < yolo_model_n_layers (model); layer++) {
    g_autoptr (YoloCalibration) table = make_table (model);
    g_autoptr (YoloPlan) plan = NULL;
    guint int8 = 0;

    if (yolo_model_layer (model, layer).conv == NULL)
      continue;
    for (guint i = 0; i < table->n_layers; i++)
      table->layers[i].int8 = i != layer;
    plan = plan_of (model, YOLO_INT8_ASYMMETRIC, table);
    for (guint i = 0; i < plan->n_ops; i++) {
      const YoloOp *op = &plan->ops[i];
      if (op->type != YOLO_OP_CONV)
        continue;
      int8 += op->conv->int8 != NULL;
      /* the image is grey levels, which are floats and lie on a grid */
      if (op->in.buffer != plan->input)
        g_assert_true ((op->conv->int8 != NULL) == (plan->buffers[op->in.buffer].scale != NULL));
    }
    g_assert_cmpuint (int8, ==, model->n_convs - 1);
    g_assert_cmpuint (count_ops (plan, YOLO_OP_COPY), <=, 3);
    n++;
  }
  g_assert_cmpuint (n, ==, model->n_convs);
}

/* Weights are within a step of what they stand for, and their errors cancel. */
static void
test_weights (void)
{
  g_autoptr (YoloModel) model = load ("v8n.onnx");
  g_autoptr (YoloCalibration) table = make_table (model);
  g_autoptr (YoloPlan) plan = NULL;

  for (guint i = 0; i < table->n_layers; i++)
    table->layers[i].int8 = TRUE;
  plan = plan_of (model, YOLO_INT8_ASYMMETRIC, table);
  for (guint i = 0; i < plan->n_ops; i++) {
    const YoloOp *op = &plan->ops[i];
    const YoloConv *conv = op->conv;
    const float *scale = plan->buffers[op->in.buffer].scale + op->in.channel;
    gsize taps;

    if (op->type != YOLO_OP_CONV)
      continue;
    taps = conv->kernel[0] * conv->kernel[1];
    for (guint o = 0; o < conv->out_channels; o++) {
      double all = 0;
      gint offset = 0;

      for (guint c = 0; c < conv->in_channels; c++) {
        double sum = 0;
        for (gsize k = 0; k < taps; k++) {
          gsize at = (o * conv->in_channels + c) * taps + k;
          double exact = conv->weights[at] * scale[c] / conv->int8->multiplier[o],
                 e = conv->int8->weights[at] - exact;
          g_assert_cmpfloat (fabs (e), <=, 2);
          sum += e;
          offset += conv->int8->weights[at] * conv->int8->zero[c];
        }
        /* half a step, and one step for the sum over all taps */
        g_assert_cmpfloat (fabs (sum), <=, 1.6);
        all += sum;
      }
      g_assert_cmpfloat (fabs (all), <=, .51);
      g_assert_cmpint (conv->int8->offset[o], ==, offset);
    }
  }
}

static void
test_ranges (void)
{
  g_autofree YoloHistogram *h = g_new0 (YoloHistogram, 1);
  g_autofree float *values = g_new (float, 100000);
  float low, high, more[] = { -.3f, NAN, INFINITY, 100, 0 };

  g_assert_false (yolo_histogram_range (h, YOLO_CALIBRATION_MSE, &low, &high));
  for (guint i = 0; i < 100000; i++)
    values[i] = 0;
  yolo_histogram_add (h, values, 100000);
  g_assert_false (yolo_histogram_range (h, YOLO_CALIBRATION_MSE, &low, &high));

  /* numbers lie evenly from -.25 to .75, so that nothing is worth cutting off */
  for (guint i = 0; i < 100000; i++)
    values[i] = (float) i / 100000 - .25f;
  yolo_histogram_add (h, values, 100000);
  for (YoloCalibrationMethod method = YOLO_CALIBRATION_MSE; method <= YOLO_CALIBRATION_MIN_MAX;
       method++) {
    g_assert_true (yolo_histogram_range (h, method, &low, &high));
    g_assert_cmpfloat_with_epsilon (low, -.25f, method == YOLO_CALIBRATION_MIN_MAX ? 1e-6 : .01);
    g_assert_cmpfloat_with_epsilon (high, .75f, method == YOLO_CALIBRATION_MIN_MAX ? 1e-4 : .02);
  }

  /* an outlier, and two that are no numbers */
  yolo_histogram_add (h, more, G_N_ELEMENTS (more));
  g_assert_cmpuint (h->bad, ==, 2);
  g_assert_cmpuint (h->n, ==, 200003);
  g_assert_true (yolo_histogram_range (h, YOLO_CALIBRATION_MIN_MAX, &low, &high));
  g_assert_cmpfloat (high, ==, 100);
  g_assert_true (yolo_histogram_range (h, YOLO_CALIBRATION_PERCENTILE, &low, &high));
  g_assert_cmpfloat (high, <, 1);
  g_assert_true (yolo_histogram_range (h, YOLO_CALIBRATION_MSE, &low, &high));
  g_assert_cmpfloat (high, <, 95);
}

/* The range of least error rounds the numbers better than any range near it. */
static void
test_least_error (void)
{
  g_autofree YoloHistogram *h = g_new0 (YoloHistogram, 1);
  g_autofree float *values = g_new (float, 20000);
  double errors[3];
  float low, high;

  for (guint i = 0; i < 20000; i++) {
    /* quantiles of an exponential distribution's square */
    double u = (i + .5) / 20000, x = -log (1 - u);
    values[i] = (float) (x * x - .2);
  }
  yolo_histogram_add (h, values, 20000);
  g_assert_true (yolo_histogram_range (h, YOLO_CALIBRATION_MSE, &low, &high));
  for (int k = -1; k <= 1; k++) {
    float top = high * (1 + .15f * k), step = (top - low) / 255, zero = rintf (-low / step);
    double sum = 0;
    for (guint i = 0; i < 20000; i++) {
      float q = CLAMP (rintf (values[i] / step), -zero, 255 - zero);
      sum += (q * step - values[i]) * (q * step - values[i]);
    }
    errors[k + 1] = sum;
  }
  g_assert_cmpfloat (errors[1], <, errors[0]);
  g_assert_cmpfloat (errors[1], <, errors[2]);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/network/int8/table/round-trip", test_round_trip);
  g_test_add_func ("/network/int8/table/truncated", test_truncated);
  g_test_add_func ("/network/int8/table/edited", test_edited);
  g_test_add_func ("/network/int8/table/absurd", test_absurd);
  g_test_add_func ("/network/int8/table/locale", test_locale);
  g_test_add_func ("/network/int8/table/files", test_files);
  g_test_add_func ("/network/int8/missing-range", test_missing_range);
  g_test_add_func ("/network/int8/all", test_all_int8);
  g_test_add_func ("/network/int8/one-float", test_one_float);
  g_test_add_func ("/network/int8/weights", test_weights);
  g_test_add_func ("/network/int8/ranges", test_ranges);
  g_test_add_func ("/network/int8/least-error", test_least_error);
  return g_test_run ();
}
