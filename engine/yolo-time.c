/* SPDX-License-Identifier: MIT */
/* Tells how long the CPU back end takes: for a network, or for convolutions of any shape, of
 * which no network is needed. What makes networks smaller (training/) asks it what a channel
 * costs on the machine that it runs on. */

#include "backend/builtin.h"
#include "engine/engine-private.h"
#include "engine/load.h"
#include "network/graph.h"

#include <stdio.h>
#include <string.h>

/* A number is the least of at least so many runs, and of more until so many microseconds are over:
 * other programs only ever add to a time. */
#define RUNS 8u
#define LAYER_MICROSECONDS 10000
#define NETWORK_MICROSECONDS 500000
/* Bytes, more than a core's own caches: written between the runs of a layer, so that its weights
 * come from where those of a whole network do, which has used its caches for others meanwhile. */
#define CACHES ((gsize) 8 << 20)
/* The largest convolution that is measured: channels, pixels of a side, taps of a side, and
 * numbers of its weights and maps. */
#define MAX_CHANNELS 16384u
#define MAX_KERNEL 31u
#define MAX_NUMBERS (G_GUINT64_CONSTANT (1) << 28)

typedef struct {
  guint kernel, stride, groups, inputs, outputs;
  guint rows, columns;          /* of the output, pixels */
} Layer;

static const struct { const char *name;
  YoloPrecision precision;
} precisions[] = {
  { "auto", YOLO_PRECISION_AUTO },
  { "fp32", YOLO_PRECISION_FP32 },
  { "bf16", YOLO_PRECISION_BF16 },
  { "int8", YOLO_PRECISION_INT8 },
};

static gboolean
parse_precision (const char *name, YoloPrecision *precision, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (precisions); i++)
    if (g_str_equal (name, precisions[i].name)) {
      *precision = precisions[i].precision;
      return TRUE;
    }
  g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_PRECISION,
      "--precision=%.100s: give auto, fp32, bf16 or int8", name);
  return FALSE;
}

/* Appends a convolution whose weights are multiples of a scale, as those of a file in 8 bits. */
static guint
add_conv (YoloGraph *graph, const char *name, guint in, const Layer *layer, YoloActivation act,
    GError **error)
{
  const guint pad = layer->kernel / 2;
  const YoloConv shape = { .in_channels = layer->inputs,
    .out_channels = layer->outputs,
    .groups = layer->groups,
    .kernel = { layer->kernel, layer->kernel },
    .stride = { layer->stride, layer->stride },
    .pad = { pad, pad },
    .dilation = { 1, 1 },
    .act = act };
  const gsize each = (gsize) layer->inputs / layer->groups * layer->kernel * layer->kernel;
  float *weights = g_new (float, each * layer->outputs), *scale = g_new (float, layer->outputs);

  for (guint i = 0; i < layer->outputs; i++)
    scale[i] = 1 / (128 * (float) each);
  for (gsize i = 0; i < each * layer->outputs; i++)
    weights[i] = scale[0] * (float) (gint8) ((guint32) (i * 2654435761u) >> 24);
  return yolo_graph_conv (
      graph, name, in, &shape, weights, g_new0 (float, layer->outputs), scale, error);
}

/* Puts the map on a grid, where the network is to run in 8 bits. */
static guint
add_quant (YoloGraph *graph, const char *name, guint in, gboolean int8, GError **error)
{
  if (in == YOLO_LAYER_NONE || !int8)
    return in;
  return yolo_graph_quant (graph, name, in, (YoloGrid){ .02f, 128 }, error);
}

/* A network around the layer: one of as many channels as it reads, the layer, and a map of a
 * head. Where it reads three channels it is the first of a network, which reads the picture.
 * NULL with @error. */
static YoloModel *
model_of (const Layer *layer, gboolean int8, GError **error)
{
  const guint height = layer->rows * layer->stride, width = layer->columns * layer->stride;
  g_autoptr (YoloGraph) graph = yolo_graph_new ("images", height, width);
  float *factors = g_new0 (float, 9);
  guint last;

  for (guint i = 0; i < 3; i++)
    factors[4 * i] = 1.f / 255;
  last = yolo_graph_image (graph, "image", 3, FALSE, factors, g_new0 (float, 3), error);
  last = add_quant (graph, "picture", last, int8, error);
  if (last != YOLO_LAYER_NONE && layer->inputs != 3)
    last = add_conv (graph, "before", last, &(Layer){ 1, 1, 1, 3, layer->inputs, height, width },
        YOLO_ACT_SILU, error);
  if (layer->inputs != 3)
    last = add_quant (graph, "read", last, int8, error);
  if (last != YOLO_LAYER_NONE)
    last = add_conv (graph, "layer", last, layer, YOLO_ACT_SILU, error);
  last = add_quant (graph, "written", last, int8, error);
  if (last != YOLO_LAYER_NONE)
    last = add_conv (graph, "map", last,
        &(Layer){ 1, 1, 1, layer->outputs, 1, layer->rows, layer->columns }, YOLO_ACT_NONE, error);
  if (last == YOLO_LAYER_NONE || !yolo_graph_output (graph, YOLO_MAP_CLASS, 0, last, error))
    return NULL;
  graph->height = height;
  graph->width = width;
  return yolo_model_new (g_steal_pointer (&graph), "a layer", error);
}

/* Runs a network of one picture and adds up the least that each of its operations took: on a busy
 * machine some run of an operation is left alone, a run of the whole never is. Milliseconds, of the
 * operation that bears the name alone, or of all where it is NULL; -1 with @error. */
static double
time_of (YoloModel *model, YoloPrecision precision, guint threads, guint height, guint width,
    const char *name, GError **error)
{
  g_autoptr (YoloNet) net =
      yolo_backend_load (&yolo_cpu_backend, model, 0, NULL, precision, threads, error);
  g_autoptr (YoloExec) exec = net ? yolo_net_prepare (net, 1, height, width, error) : NULL;
  const gint64 enough = name ? LAYER_MICROSECONDS : NETWORK_MICROSECONDS;
  g_autofree double *seconds = NULL, *least = NULL;
  g_autofree char *others = name ? g_malloc (CACHES) : NULL;
  double *own, sum = 0;
  gint64 start = 0;
  gboolean ran = TRUE;

  if (!exec)
    return -1;
  for (gsize i = 0; i < exec->plan->buffers[exec->plan->input].size; i++)
    ((guint8 *) exec->input)[i] = (guint8) ((guint32) (i * 2654435761u) >> 24);
  seconds = g_new0 (double, exec->plan->n_ops);
  least = g_new (double, exec->plan->n_ops);
  own = exec->seconds;          /* of the back end's own profile, if there is one */
  exec->seconds = seconds;
  for (guint run = 0; ran && (run <= RUNS || g_get_monotonic_time () - start < enough); run++) {
    memset (seconds, 0, exec->plan->n_ops * sizeof *seconds);
    if (others)
      memset (others, (int) run, CACHES);
    ran = yolo_exec_submit (exec, 1, NULL, NULL, error) && yolo_exec_wait (exec, error);
    for (guint i = 0; i < exec->plan->n_ops; i++)       /* the first run warms the caches */
      least[i] = run < 2 ? seconds[i] : MIN (least[i], seconds[i]);
    if (run == 0)
      start = g_get_monotonic_time ();
  }
  exec->seconds = own;
  for (guint i = 0; i < exec->plan->n_ops; i++)
    if (!name || g_str_equal (exec->plan->ops[i].name, name))
      sum += least[i];
  return ran ? 1e3 * sum : -1;
}

/* One layer of the standard input, or FALSE with @error. */
static gboolean
parse_layer (const char *line, Layer *layer, GError **error)
{
  Layer l = { 0 };
  char rest;
  const int read = sscanf (line, "%u %u %u %u %u %u %u %c", &l.kernel, &l.stride, &l.groups,
      &l.inputs, &l.outputs, &l.rows, &l.columns, &rest);

  *layer = l;
  if (read != 7 || l.kernel % 2 == 0 || l.kernel > MAX_KERNEL || l.stride < 1 || l.stride > 2
      || l.groups < 1 || l.inputs < 1 || l.inputs > MAX_CHANNELS || l.outputs < 1
      || l.outputs > MAX_CHANNELS || l.inputs % l.groups || l.outputs % l.groups || l.rows < 1
      || l.columns < 1 || l.rows * (guint64) l.stride > YOLO_MAX_SIZE
      || l.columns * (guint64) l.stride > YOLO_MAX_SIZE
      || (guint64) l.inputs / l.groups * l.outputs * l.kernel * l.kernel > MAX_NUMBERS
      || (guint64) (l.inputs + l.outputs) * l.rows * l.columns * l.stride * l.stride
          > MAX_NUMBERS) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_SIZE,
        "'%.200s' is no layer; give KERNEL STRIDE GROUPS INPUTS OUTPUTS ROWS COLUMNS, the last "
        "two of the output, with an odd kernel and a stride of 1 or 2",
        line);
    return FALSE;
  }
  return TRUE;
}

/* Answers each line of the standard input with a line. */
static gboolean
time_layers (YoloPrecision precision, guint threads, GError **error)
{
  char line[256];

  while (fgets (line, sizeof line, stdin)) {
    const gboolean int8 = precision == YOLO_PRECISION_INT8;
    g_autoptr (YoloModel) plain = NULL, model = NULL;
    Layer layer;
    double ms;

    if (!parse_layer (g_strchomp (line), &layer, error))
      return FALSE;
    plain = model_of (&layer, int8, error);
    if (!plain)
      return FALSE;
    model = int8 ? yolo_model_to_int8 (plain, NULL, YOLO_INT8_ASYMMETRIC, error)
                 : yolo_model_ref (plain);
    if (!model)
      return FALSE;
    ms = time_of (model, precision, threads, layer.rows * layer.stride,
        layer.columns * layer.stride, "layer", error);
    if (ms < 0)
      return FALSE;
    printf ("%.5f\n", ms);
    fflush (stdout);
  }
  return TRUE;
}

static gboolean
time_network (const char *path, const char *size, YoloPrecision precision, guint threads,
    GError **error)
{
  g_autoptr (YoloModel) plain = yolo_model_load (path, error), model = NULL;
  guint height, width;
  char rest;
  double ms;

  if (!plain)
    return FALSE;
  height = plain->height;
  width = plain->width;
  if (size && sscanf (size, "%ux%u%c", &width, &height, &rest) != 2) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_SIZE,
        "--input-size=%.100s: give WIDTHxHEIGHT, 640x640", size);
    return FALSE;
  }
  if (!yolo_model_check_size (plain, height, width, error))
    return FALSE;
  model = precision == YOLO_PRECISION_INT8
      ? yolo_engine_to_int8 (plain, NULL, YOLO_INT8_ASYMMETRIC, error)
      : yolo_model_ref (plain);
  ms = model ? time_of (model, precision, threads, height, width, NULL, error) : -1;
  if (ms < 0)
    return FALSE;
  printf ("%.3f\n", ms);
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autofree char *named = NULL, *size = NULL;
  gint threads = 0;
  gboolean layers = FALSE, done;
  YoloPrecision precision = YOLO_PRECISION_FP32;
  const GOptionEntry entries[] = {
    { "layers", 0, 0, G_OPTION_ARG_NONE, &layers,
        "Read layers, a line each: KERNEL STRIDE GROUPS INPUTS OUTPUTS ROWS COLUMNS", NULL },
    { "precision", 0, 0, G_OPTION_ARG_STRING, &named, "auto, fp32 (the default), bf16 or int8",
        "NAME" },
    { "threads", 0, 0, G_OPTION_ARG_INT, &threads, "Of the CPU (0: all)", "N" },
    { "input-size", 0, 0, G_OPTION_ARG_STRING, &size, "Of the network (the file's)", "WxH" },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("[MODEL]");
  g_autoptr (GError) error = NULL;

  g_option_context_set_summary (context,
      "Prints the milliseconds that the CPU takes for a picture: for a network, or for layers.");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error)
      || (named && !parse_precision (named, &precision, &error))) {
    fprintf (stderr, "yolo-time: %s\n", error->message);
    return 2;
  }
  if ((layers ? argc != 1 : argc != 2) || threads < 0) {
    fprintf (stderr, "yolo-time: give a model's file, or --layers and none\n");
    return 2;
  }
  done = yolo_backend_resolve (&yolo_cpu_backend, 0, &precision, &error)
      && (layers ? time_layers (precision, (guint) threads, &error)
                 : time_network (argv[1], size, precision, (guint) threads, &error));
  if (!done) {
    fprintf (stderr, "yolo-time: %s\n", error->message);
    return 1;
  }
  return 0;
}
