/* SPDX-License-Identifier: MIT */
/* Frames a second of a model on devices, through the engine, as `device` of yoloinfer names them:
 * one, several copies, and pieces, side by side. Prints Markdown.
 *
 *     bench-devices MODEL BATCH SECONDS DEVICE...
 *     bench-devices yolov8n.onnx 8 5 cuda:0 cuda:0,cuda:1 cuda:0+cuda:1
 *
 * Frames are of the model's own size, in the memory of the host, and so many are under way that
 * every device has batches waiting. A device that is missing is said to be. */

#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

static struct {
  GMutex lock;
  guint answered;
  gboolean stop;
  char *error;
} run;

static YoloRequest request;
static YoloStream *stream;

static void
on_result (gpointer data, gpointer tag, const YoloResult *result)
{
  gboolean stop;

  g_mutex_lock (&run.lock);
  run.answered += result->error == NULL;
  if (result->error != NULL && run.error == NULL && !run.stop)
    run.error = g_strdup (result->error->message);
  stop = run.stop || run.error != NULL;
  g_mutex_unlock (&run.lock);
  if (!stop)
    yolo_stream_submit (stream, &request, NULL);
}

/* Frames answered from now on within so many seconds. */
static guint
count_frames (double seconds)
{
  guint n;

  g_mutex_lock (&run.lock);
  run.answered = 0;
  g_mutex_unlock (&run.lock);
  g_usleep ((gulong) (seconds * G_USEC_PER_SEC));
  g_mutex_lock (&run.lock);
  n = run.answered;
  g_mutex_unlock (&run.lock);
  return n;
}

static void
print_stages (const YoloReplicaStats *replica)
{
  for (guint i = 0; i < replica->n_stages; i++) {
    const YoloStageStats *stage = &replica->stages[i];
    const double images = MAX (stage->images, 1);

    g_print ("%s%s: operations %u to %u, %.3f ms a frame, %.1f kB on in %.3f ms",
        i > 0 ? "; " : "", stage->device, stage->part.first, stage->part.end - 1,
        (double) stage->busy / images / 1e6, (double) stage->bytes / images / 1e3,
        (double) stage->passing / images / 1e6);
  }
}

/* @first: frames a second of the first devices, or 0. Returns those of these ones; 0: they do not
 * run. */
static double
measure (const char *file, guint batch, double seconds, const char *device, double first)
{
  const YoloEngineConfig config = { .model_file = file, .device = device };
  YoloReplicaStats replicas[YOLO_MAX_DEVICES];
  g_autoptr (GError) error = NULL;
  YoloEngine *engine = yolo_engine_get (&config, &error);
  double rate;
  guint n;

  if (engine == NULL) {
    g_print ("| %s | | | %s |\n", device, error->message);
    return 0;
  }
  request.net_width = yolo_engine_model (engine)->width;
  request.net_height = yolo_engine_model (engine)->height;
  yolo_engine_set_batching (engine, batch, 0);
  n = 4 * batch * YOLO_MAX_DEVICES;
  run.stop = FALSE;
  stream = yolo_engine_open_stream (engine, NULL, n, on_result, NULL);
  for (guint i = 0; i < n; i++)
    yolo_stream_submit (stream, &request, NULL);
  count_frames (seconds / 2);   /* kernels are chosen, networks readied */
  rate = count_frames (seconds) / seconds;
  n = yolo_stream_get_replicas (stream, replicas);
  g_mutex_lock (&run.lock);
  run.stop = TRUE;
  g_mutex_unlock (&run.lock);
  yolo_stream_close (stream);

  g_print ("| %s | %.0f | %.2f x | ", yolo_engine_devices (engine), rate,
      first > 0 ? rate / first : 1.);
  for (guint i = 0; i < n; i++) {
    g_print ("%s", i > 0 && replicas[i].n_stages > 0 ? "; " : "");
    print_stages (&replicas[i]);
  }
  g_print ("%s |\n", run.error != NULL ? run.error : "");
  g_clear_pointer (&run.error, g_free);
  yolo_engine_unref (engine);
  return rate;
}

int
main (int argc, char **argv)
{
  const guint side = 640;
  g_autofree guint8 *pixels = g_malloc (side * side * 3);
  guint batch = argc > 4 ? (guint) atoi (argv[2]) : 0;
  double seconds = argc > 4 ? atof (argv[3]) : 0, first = 0;

  if (batch < 1 || batch > 32 || seconds <= 0) {
    g_printerr ("usage: bench-devices MODEL BATCH SECONDS DEVICE...\n");
    return 2;
  }
  for (guint i = 0; i < side * side * 3; i++)
    pixels[i] = (guint8) (i * 2654435761u >> 24);
  request = (YoloRequest) {
    .frame = { .format = YOLO_FORMAT_RGB, .width = (int) side, .height = (int) side,
        .plane = { pixels }, .stride = { 3 * (int) side } },
    .confidence = .25f, .iou = .7f, .max_detections = 300,
  };
  g_print ("| devices | frames/s | of the first | pieces |\n|---|---|---|---|\n");
  for (int i = 4; i < argc; i++) {
    double rate = measure (argv[1], batch, seconds, argv[i], first);

    if (i == 4)
      first = rate;
  }
  return 0;
}
