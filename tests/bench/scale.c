/* SPDX-License-Identifier: MIT */
/* How the engine shares the frames of many cameras among devices. The devices are a model: each
 * is busy for FIXED + n * FRAME microseconds with a batch of n, one batch after the other, as a GPU
 * is. All else is the engine's own code, which waits and runs in real time.
 *
 *     bench-scale DEVICES CAMERAS FPS SECONDS [FIXED FRAME]
 *
 * DEVICES: 1 to 8 copies of the network, or, as 1x2 or 4x2, so many copies in so many pieces, each
 * on a device of its own; a piece takes the share of the time that it has of the multiply-adds of
 * tests/data/v8n.onnx, which is cut by the engine's own rule. FPS: frames a second of each camera,
 * of which those are dropped that come while two are under way; 0: each camera has two under way at
 * all times. Writes frames a second, frames dropped in a hundred, percentiles of the milliseconds
 * from submit to callback, and the frames of the camera that got the fewest in a hundred of those
 * of the one that got the most. */

#include "tests/engine/simulated.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_CAMERAS 512
#define MAX_PENDING 2

typedef struct {
  YoloStream *stream;
  guint answered, dropped;
  gint64 next;                  /* when its next frame comes; monotonic microseconds */
} Camera;

static Camera cameras[MAX_CAMERAS];
static gboolean closed_loop, stopping;
static GMutex lock;             /* guards what is counted */
static GArray *latencies;       /* of gint64, microseconds */

/* The tag is when the frame was submitted, in microseconds since the start. */
static gint64 start;

static void
submit (Camera *camera)
{
  static guint8 pixels[64 * 64 * 3];
  const YoloRequest request = {
    .frame = { .format = YOLO_FORMAT_RGB, .width = 64, .height = 64, .plane = { pixels },
        .stride = { 64 * 3 } },
    .net_width = 64, .net_height = 64, .confidence = .5f, .iou = .7f, .max_detections = 300,
  };

  yolo_stream_submit (
      camera->stream, &request, GSIZE_TO_POINTER (g_get_monotonic_time () - start));
}

static void
on_result (gpointer data, gpointer tag, const YoloResult *result)
{
  Camera *camera = data;
  gint64 latency = g_get_monotonic_time () - start - (gint64) GPOINTER_TO_SIZE (tag);

  if (result->error != NULL)
    return;
  g_mutex_lock (&lock);
  camera->answered++;
  g_array_append_val (latencies, latency);
  g_mutex_unlock (&lock);
  if (closed_loop && !g_atomic_int_get (&stopping))
    submit (camera);
}

/* Submits the frames of all cameras when they come, until @end. */
static void
play (guint n, guint fps, gint64 end)
{
  const gint64 every = G_USEC_PER_SEC / fps;

  for (guint i = 0; i < n; i++)
    cameras[i].next = start + i * every / n;
  for (guint i = 0; cameras[i].next < end; i = (i + 1) % n) {
    Camera *camera = &cameras[i];
    gint64 wait = camera->next - g_get_monotonic_time ();

    if (wait > 0)
      g_usleep (wait);
    if (yolo_stream_pending (camera->stream) < MAX_PENDING)
      submit (camera);
    else
      camera->dropped++;
    camera->next += every;
  }
}

static int
compare (gconstpointer a, gconstpointer b)
{
  const gint64 x = *(const gint64 *) a, y = *(const gint64 *) b;

  return x < y ? -1 : x > y;
}

static void
report (const char *devices, guint n, guint fps, double seconds)
{
  guint answered = 0, dropped = 0, least = G_MAXUINT, most = 1;
  double at[3] = { 0 };
  static const guint percents[] = { 50, 95, 99 };

  for (guint i = 0; i < n; i++) {
    answered += cameras[i].answered;
    dropped += cameras[i].dropped;
    least = MIN (least, cameras[i].answered);
    most = MAX (most, cameras[i].answered);
  }
  g_array_sort (latencies, compare);
  for (guint i = 0; i < 3 && latencies->len > 0; i++)
    at[i] = g_array_index (latencies, gint64, (latencies->len - 1) * percents[i] / 100) / 1e3;
  g_print ("%s devices, %u cameras, %u fps: %.0f frames/s, %.1f %% dropped, "
           "p50 %.1f p95 %.1f p99 %.1f ms, fewest/most %.0f %%\n",
      devices, n, fps, answered / seconds, 100. * dropped / MAX (answered + dropped, 1), at[0],
      at[1], at[2], 100. * least / most);
}

/* (transfer full): "cuda:0+cuda:1,cuda:2+cuda:3" for "2x2"; NULL: it is no number of devices. */
static char *
name_devices (const char *text)
{
  GString *names = g_string_new (NULL);
  guint copies = 0, pieces = 1;

  if (sscanf (text, "%ux%u", &copies, &pieces) < 1 || copies < 1 || pieces < 1
      || copies > SIMULATED_DEVICES || pieces > SIMULATED_DEVICES / copies) {
    g_string_free (names, TRUE);
    return NULL;
  }
  for (guint i = 0; i < copies * pieces; i++)
    g_string_append_printf (names, "%scuda:%u", i == 0 ? "" : i % pieces == 0 ? "," : "+", i);
  return g_string_free (names, FALSE);
}

int
main (int argc, char **argv)
{
  g_autofree char *devices = argc > 4 ? name_devices (argv[1]) : NULL;
  YoloEngineConfig config = {
    .model_file = SOURCE_ROOT "/tests/data/v8n.onnx", .device = devices };
  g_autoptr (GError) error = NULL;
  guint n = argc > 4 ? atoi (argv[2]) : 0, fps = argc > 4 ? atoi (argv[3]) : 0;
  double seconds = argc > 4 ? atof (argv[4]) : 0;
  YoloEngine *engine;

  if (devices == NULL || n < 1 || n > MAX_CAMERAS || seconds <= 0) {
    g_printerr ("use: bench-scale DEVICES CAMERAS FPS SECONDS [FIXED FRAME]\n");
    return 2;
  }
  simulated_reset ();
  simulated.sleep = TRUE;
  simulated.fixed = argc > 6 ? atoi (argv[5]) : 4000;
  simulated.frame = argc > 6 ? atoi (argv[6]) : 1000;
  engine = yolo_engine_get_from (&simulated_parts, &config, &error);
  g_assert_no_error (error);
  latencies = g_array_new (FALSE, FALSE, sizeof (gint64));
  closed_loop = fps == 0;
  for (guint i = 0; i < n; i++)
    cameras[i].stream =
        yolo_engine_open_stream (engine, NULL, MAX_PENDING, on_result, &cameras[i]);

  start = g_get_monotonic_time ();
  if (closed_loop) {
    for (guint i = 0; i < MAX_PENDING * n; i++)
      submit (&cameras[i % n]);
    g_usleep (seconds * G_USEC_PER_SEC);
  } else {
    play (n, fps, start + (gint64) (seconds * G_USEC_PER_SEC));
  }
  g_mutex_lock (&lock);
  report (argv[1], n, fps, (g_get_monotonic_time () - start) / 1e6);
  g_mutex_unlock (&lock);
  g_atomic_int_set (&stopping, TRUE);
  for (guint i = 0; i < n; i++)
    yolo_stream_close (cameras[i].stream);
  yolo_engine_unref (engine);
  return 0;
}
