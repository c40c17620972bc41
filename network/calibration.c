/* SPDX-License-Identifier: MIT */
#include "network/calibration.h"
#include "base/file.h"
#include "base/text.h"
#include "base/error.h"
#include "network/int8.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION "yolo-calibration 1"
#define MAX_SIZE (16 << 20)     /* bytes of the largest table that is read */
#define FORMAT YOLO_NETWORK_ERROR_FORMAT
/* A range beyond these is hardly right. Networks are trained in mixed precision, whose
 * fp16 ends at 65504, and none of their maps comes near MAX_SANE_RANGE; a map within
 * MIN_SANE_RANGE is nothing next to the biases of the layer that reads it. */
#define MAX_SANE_RANGE 1e6f
#define MIN_SANE_RANGE 1e-6f

static const char *const methods[] = { "mse", "percentile", "min-max" };

const char *
yolo_calibration_method_name (YoloCalibrationMethod method)
{
  return methods[method];
}

YoloCalibration *
yolo_calibration_new (const YoloModel *model)
{
  YoloCalibration *calibration = g_new0 (YoloCalibration, 1);

  calibration->sha256 = g_strdup (model->sha256);
  calibration->n_layers = yolo_model_n_layers (model);
  calibration->layers = g_new0 (YoloLayerCalibration, calibration->n_layers);
  return calibration;
}

void
yolo_calibration_free (YoloCalibration *calibration)
{
  if (calibration == NULL)
    return;
  g_free (calibration->sha256);
  g_free (calibration->layers);
  g_free (calibration->problem);
  g_free (calibration);
}

char *
yolo_calibration_path (const char *model_path)
{
  gsize n = strlen (model_path);

  if (n > 5 && g_ascii_strcasecmp (model_path + n - 5, ".onnx") == 0)
    n -= 5;
  return g_strdup_printf ("%.*s.int8", (int) n, model_path);
}

static void
append_number (GString *text, double number)
{
  char buffer[G_ASCII_DTOSTR_BUF_SIZE];

  /* read_number() would refuse such a number */
  if (fabs (number) < G_MINFLOAT)
    number = 0;
  g_string_append_printf (text, " %s", g_ascii_formatd (buffer, sizeof buffer, "%.9g", number));
}

static void
append_name (GString *text, const char *name)
{
  g_string_append_c (text, ' ');
  for (; *name != '\0'; name++)
    g_string_append_c (text, g_ascii_isgraph (*name) ? *name : '?');
  g_string_append_c (text, '\n');
}

static char *
to_text (const YoloCalibration *calibration, const YoloModel *model)
{
  GString *text = g_string_new (VERSION "\n");

  g_string_append_printf (text,
      "model %s\nmethod %s\nframes %u\ndetections %u\ninput %ux%u\nmax-loss", calibration->sha256,
      methods[calibration->method], calibration->frames, calibration->detections,
      calibration->width, calibration->height);
  append_number (text, calibration->max_loss);
  g_string_append (text, "\nloss");
  append_number (text, calibration->loss);
  if (calibration->interrupted)
    g_string_append (text,
        "\n# The calibration was interrupted: not all was measured, and the loss may be more.");
  g_string_append_printf (text,
      "\nlayers %u\n"
      "# range NUMBER LOWEST HIGHEST NAME: what the layer puts out\n"
      "# conv NUMBER int8|float ERROR SAVED NAME: what it runs in; the error that it alone makes "
      "in int8, as a share\n"
      "#   of the head's signal, and the work that int8 saves, in M multiply-adds of fp32. The "
      "precision can be edited.\n",
      calibration->n_layers);
  for (guint i = 0; i < calibration->n_layers; i++) {
    const YoloLayerCalibration *layer = &calibration->layers[i];
    YoloLayerInfo info = yolo_model_layer (model, i);

    if (layer->known) {
      g_string_append_printf (text, "range %u", i);
      append_number (text, layer->low);
      append_number (text, layer->high);
      append_name (text, info.name);
    }
    if (info.conv != NULL) {
      g_string_append_printf (text, "conv %u %s", i, layer->int8 ? "int8" : "float");
      append_number (text, layer->error);
      append_number (text, layer->saved);
      append_name (text, info.name);
    }
  }
  g_string_append (text, "end\n");
  return g_string_free (text, FALSE);
}

gboolean
yolo_calibration_check_path (const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  struct stat info;

  if (stat (path, &info) == 0 && !S_ISREG (info.st_mode))
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_FILE,
        "cannot write the calibration table: %s is no regular file", path);
  if (access (folder, W_OK | X_OK) != 0)
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_FILE,
        "cannot write the calibration table %s: %s", path, g_strerror (errno));
  return TRUE;
}

gboolean
yolo_calibration_save (
    const YoloCalibration *calibration, const YoloModel *model, const char *path, GError **error)
{
  g_autofree char *text = to_text (calibration, model);
  g_autoptr (GError) reason = NULL;

  if (!yolo_calibration_check_path (path, error))
    return FALSE;
  if (!g_file_set_contents (path, text, -1, &reason))
    return yolo_network_fail (
        error, YOLO_NETWORK_ERROR_FILE, "cannot write the calibration table: %s", reason->message);
  return TRUE;
}

typedef struct {
  YoloCalibration *calibration;
  const YoloModel *model;
  const char *name;
  guint number;                 /* number of the line, from 1 */
  gboolean model_seen, layers, ended;   /* whether lines of these kinds were seen */
} Parser;

static gboolean bad_line (const Parser *parser, GError **error, const char *format, ...)
    G_GNUC_PRINTF (3, 4);

static gboolean
bad_line (const Parser *parser, GError **error, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  return yolo_network_fail (
      error, FORMAT, "%s:%u: %s; calibrate again", parser->name, parser->number, what);
}

static gboolean
read_number (const Parser *parser, const char *text, float *number, GError **error)
{
  /* strtod() reads hexadecimal numbers, infinity and NaN too */
  gboolean decimal = text[strspn (text, "+-.0123456789eE")] == '\0';
  char *end;
  double value;

  errno = 0;
  value = g_ascii_strtod (text, &end);
  if (!decimal || *text == '\0' || *end != '\0')
    return bad_line (parser, error, "'%.40s' is no number in decimal", text);
  if (errno == ERANGE || fabs (value) > G_MAXFLOAT || (value != 0 && fabs (value) < G_MINFLOAT))
    return bad_line (parser, error, "'%.40s' is no number that 32 bits hold in full", text);
  *number = (float) value;
  return TRUE;
}

static gboolean
read_count (const Parser *parser, const char *text, guint max, guint *number, GError **error)
{
  guint64 value;

  if (!g_ascii_string_to_unsigned (text, 10, 0, max, &value, NULL))
    return bad_line (parser, error, "'%.40s' is no number from 0 to %u", text, max);
  *number = (guint) value;
  return TRUE;
}

static gboolean
read_layer (
    Parser *parser, char **words, YoloLayerCalibration **layer, YoloLayerInfo *info, GError **error)
{
  guint index = 0;

  if (!parser->layers)
    return bad_line (parser, error, "a layer before the number of layers");
  if (!read_count (parser, words[1], parser->calibration->n_layers - 1, &index, error))
    return FALSE;
  *layer = &parser->calibration->layers[index];
  *info = yolo_model_layer (parser->model, index);
  return TRUE;
}

/* Keeps a warning of a range that is hardly right. It can be right if a layer has died in
 * training, but most likely somebody has edited the table. */
static void
warn_of_range (const Parser *parser, const YoloLayerCalibration *layer, char **words)
{
  YoloCalibration *calibration = parser->calibration;
  g_autofree char *what = NULL;

  if (calibration->problem != NULL
      || (layer->low >= -MAX_SANE_RANGE && layer->high <= MAX_SANE_RANGE
          && layer->high - layer->low >= MIN_SANE_RANGE))
    return;
  what = g_strdup_printf ("%s:%u: layer %s ranges from %s to %s, which is hardly right: int8 may "
      "find little; calibrate again if detections are missing", parser->name, parser->number,
      words[1], words[2], words[3]);
  calibration->problem = yolo_text_printable (what, YOLO_TEXT_MAX_MESSAGE);
}

static gboolean
read_range (Parser *parser, char **words, GError **error)
{
  YoloLayerCalibration *layer = NULL;
  YoloLayerInfo info;

  if (!read_layer (parser, words, &layer, &info, error)
      || !read_number (parser, words[2], &layer->low, error)
      || !read_number (parser, words[3], &layer->high, error))
    return FALSE;
  /* the width of the range is divided by 255 and divides: neither may vanish or overflow */
  if (layer->low > 0 || layer->high < 0 || !(layer->high - layer->low > 1e-30f)
      || !isfinite (layer->high - layer->low))
    return bad_line (parser, error, "%s to %s is no range around 0", words[2], words[3]);
  warn_of_range (parser, layer, words);
  if (!info.ranged || layer->known)
    return bad_line (parser, error,
        layer->known ? "a second range of layer %s" : "layer %s has no range", words[1]);
  layer->known = TRUE;
  return TRUE;
}

static gboolean
read_conv (Parser *parser, char **words, GError **error)
{
  YoloLayerCalibration *layer = NULL;
  YoloLayerInfo info;

  if (!read_layer (parser, words, &layer, &info, error)
      || !read_number (parser, words[3], &layer->error, error)
      || !read_number (parser, words[4], &layer->saved, error))
    return FALSE;
  if (info.conv == NULL)
    return bad_line (parser, error, "layer %s is no convolution", words[1]);
  layer->int8 = strcmp (words[2], "int8") == 0;
  return layer->int8 || strcmp (words[2], "float") == 0
      || bad_line (parser, error, "'%.40s' is neither int8 nor float", words[2]);
}

static gboolean
read_model (Parser *parser, char **words, GError **error)
{
  if (strcmp (words[1], parser->model->sha256) != 0)
    return yolo_network_fail (error, FORMAT,
        "%s is the calibration of another model: %s (SHA-256), not %s, which is %s; "
        "calibrate this one, or choose its table with calibration-file",
        parser->name, words[1], parser->model->sha256, parser->model->path);
  parser->model_seen = TRUE;
  return TRUE;
}

static gboolean
read_method (Parser *parser, char **words, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (methods); i++) {
    if (strcmp (words[1], methods[i]) == 0) {
      parser->calibration->method = i;
      return TRUE;
    }
  }
  return bad_line (parser, error, "'%.40s' is no method", words[1]);
}

static gboolean
read_frames (Parser *parser, char **words, GError **error)
{
  return read_count (parser, words[1], G_MAXINT32, &parser->calibration->frames, error);
}

static gboolean
read_detections (Parser *parser, char **words, GError **error)
{
  return read_count (parser, words[1], G_MAXINT32, &parser->calibration->detections, error);
}

static gboolean
read_input (Parser *parser, char **words, GError **error)
{
  char *x = strchr (words[1], 'x');

  if (x == NULL)
    return bad_line (parser, error, "'%.40s' is no size", words[1]);
  *x = '\0';
  return read_count (parser, words[1], 65536, &parser->calibration->width, error)
      && read_count (parser, x + 1, 65536, &parser->calibration->height, error);
}

static gboolean
read_max_loss (Parser *parser, char **words, GError **error)
{
  return read_number (parser, words[1], &parser->calibration->max_loss, error);
}

static gboolean
read_loss (Parser *parser, char **words, GError **error)
{
  return read_number (parser, words[1], &parser->calibration->loss, error);
}

static gboolean
read_layers (Parser *parser, char **words, GError **error)
{
  guint n = 0;

  if (!read_count (parser, words[1], G_MAXINT32, &n, error))
    return FALSE;
  if (n != parser->calibration->n_layers)
    return bad_line (
        parser, error, "%u layers, but the model has %u", n, parser->calibration->n_layers);
  parser->layers = TRUE;
  return TRUE;
}

static gboolean
read_end (Parser *parser, char **words, GError **error)
{
  parser->ended = TRUE;
  return TRUE;
}

static const struct {
  const char *word;
  guint n_words;
  /* one more word, the name of a layer, may follow for people to read */
  gboolean named;
    gboolean (*read) (Parser *parser, char **words, GError **error);
} lines[] = {
  {"model", 2, FALSE, read_model}, {"method", 2, FALSE, read_method},
  {"frames", 2, FALSE, read_frames}, {"detections", 2, FALSE, read_detections},
  {"input", 2, FALSE, read_input}, {"max-loss", 2, FALSE, read_max_loss},
  {"loss", 2, FALSE, read_loss}, {"layers", 2, FALSE, read_layers},
  {"range", 4, TRUE, read_range}, {"conv", 5, TRUE, read_conv}, {"end", 1, FALSE, read_end},
};

static gboolean
read_line (Parser *parser, const char *line, GError **error)
{
  g_auto (GStrv) words = g_strsplit (line, " ", 6);

  if (words[0] == NULL || *words[0] == '#')
    return TRUE;
  if (parser->ended)
    return bad_line (parser, error, "something behind the end");
  for (guint i = 0; i < G_N_ELEMENTS (lines); i++) {
    if (strcmp (words[0], lines[i].word) != 0)
      continue;
    if (g_strv_length (words) < lines[i].n_words)
      return bad_line (parser, error, "'%.80s' is cut short", line);
    if (words[lines[i].n_words] != NULL && (!lines[i].named || words[lines[i].n_words + 1] != NULL))
      return bad_line (parser, error, "'%.80s' is too long", line);
    return lines[i].read (parser, words, error);
  }
  return bad_line (parser, error, "'%.40s' is not understood", words[0]);
}

YoloCalibration *
yolo_calibration_parse (
    const char *text, gsize size, const char *name, const YoloModel *model, GError **error)
{
  g_autofree char *copy = g_strndup (text, size);
  g_autoptr (YoloCalibration) calibration = yolo_calibration_new (model);
  Parser parser = { .calibration = calibration, .model = model, .name = name, .number = 1 };
  g_auto (GStrv) all = NULL;

  all = g_strsplit (copy, "\n", -1);
  if (all[0] == NULL || strcmp (g_strchomp (all[0]), VERSION) != 0) {
    yolo_network_set_error (error, FORMAT,
        "%s is no calibration table of this version: it does not begin with '%s'", name, VERSION);
    return NULL;
  }
  for (guint i = 1; all[i] != NULL; i++) {
    parser.number = i + 1;
    if (!read_line (&parser, g_strchomp (all[i]), error))
      return NULL;
  }
  if (strlen (copy) != size || !parser.ended) {
    yolo_network_set_error (
        error, FORMAT, "%s: the calibration table ends too early; calibrate again", name);
    return NULL;
  }
  if (!parser.layers || !parser.model_seen) {
    yolo_network_set_error (error, FORMAT,
        "%s: the calibration table does not say its %s; calibrate again", name,
        parser.layers ? "model" : "number of layers");
    return NULL;
  }
  return g_steal_pointer (&calibration);
}

YoloCalibration *
yolo_calibration_load (const char *path, const YoloModel *model, GError **error)
{
  g_autoptr (GError) reason = NULL;
  g_autofree char *text = NULL;
  gsize size;

  text = yolo_file_read (path, MAX_SIZE, &size, &reason);
  if (text == NULL) {
    yolo_network_set_error (
        error, YOLO_NETWORK_ERROR_FILE, "the calibration table %s: %s", path, reason->message);
    return NULL;
  }
  return yolo_calibration_parse (text, size, path, model, error);
}
