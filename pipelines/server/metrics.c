/* SPDX-License-Identifier: MIT */
/* What Prometheus and Kubernetes ask: https://prometheus.io/docs/instrumenting/
 * exposition_formats/, the text format 0.0.4. */

#include "pipelines/server/http.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void
head (GString *text, const char *name, const char *type, const char *help)
{
  g_string_append_printf (text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
sample (GString *text, const char *name, const char *labels, double number)
{
  char digits[G_ASCII_DTOSTR_BUF_SIZE];

  g_string_append_printf (text, "%s%s %s\n", name, labels,
      g_ascii_dtostr (digits, sizeof digits, number));
}

/* A camera at the moment of the scrape, so that all of its lines agree. Names of cameras need no
 * escapes: see YOLO_MAX_NAME. */
typedef struct {
  const YoloCamera *camera;     /* borrowed */
  YoloCountsNow counts;
  guint queued;                 /* frames that wait for the network */
  double batch;                 /* mean size of the batches that its frames ran in */
} Snapshot;

/* (transfer full): Snapshot */
static GArray *
take_snapshots (GPtrArray *cameras)
{
  GArray *snapshots = g_array_sized_new (FALSE, TRUE, sizeof (Snapshot), cameras->len);

  g_array_set_size (snapshots, cameras->len);
  for (guint i = 0; i < cameras->len; i++) {
    Snapshot *now = &g_array_index (snapshots, Snapshot, i);

    now->camera = g_ptr_array_index (cameras, i);
    now->counts = yolo_counts_read (now->camera->counts);
    if (now->camera->run != NULL)
      yolo_run_depth (now->camera->run, &now->queued, &now->batch);
  }
  return snapshots;
}

/* One number of each camera. */
typedef struct {
  const char *name, *type, *help;
  double (*get) (const Snapshot *now);
} CameraMetric;

static double
get_frames (const Snapshot *now)
{
  return now->counts.frames;
}

static double
get_inferred (const Snapshot *now)
{
  return now->counts.inferred;
}

static double
get_dropped (const Snapshot *now)
{
  return now->counts.dropped;
}

static double
get_objects (const Snapshot *now)
{
  return now->counts.objects;
}

static double
get_encoded (const Snapshot *now)
{
  return now->counts.bytes;
}

static double
get_connects (const Snapshot *now)
{
  return now->camera->connects;
}

static double
get_failures (const Snapshot *now)
{
  return now->camera->failures;
}

static double
get_fps (const Snapshot *now)
{
  return now->counts.fps_in;
}

static double
get_queue (const Snapshot *now)
{
  return now->queued;
}

static double
get_batch (const Snapshot *now)
{
  return now->batch;
}

static const CameraMetric camera_metrics[] = {
  { "yolo_frames_total", "counter", "Frames that the camera sent", get_frames },
  { "yolo_frames_inferred_total", "counter", "Frames that went through the network",
      get_inferred },
  { "yolo_frames_dropped_total", "counter", "Frames that were too many for the network",
      get_dropped },
  { "yolo_objects_total", "counter", "Objects on the inferred frames", get_objects },
  { "yolo_preview_bytes_total", "counter", "Bytes of the pictures that were encoded",
      get_encoded },
  { "yolo_connects_total", "counter", "Attempts to connect", get_connects },
  { "yolo_failures_total", "counter", "Attempts and connections that failed", get_failures },
  { "yolo_fps", "gauge", "Frames a second over the last seconds", get_fps },
  { "yolo_queue_depth", "gauge", "Frames that wait for the network", get_queue },
  { "yolo_batch_size", "gauge", "Mean size of the batches that its frames ran in", get_batch },
};

static void
add_states (GString *text, const GArray *snapshots)
{
  head (text, "yolo_camera_state", "gauge", "1 for the state that the camera is in");
  for (guint i = 0; i < snapshots->len; i++) {
    const YoloCamera *camera = g_array_index (snapshots, Snapshot, i).camera;

    for (int state = YOLO_CAMERA_OFF; state <= YOLO_CAMERA_FAILED; state++) {
      g_autofree char *labels = g_strdup_printf ("{camera=\"%s\",state=\"%s\"}", camera->name,
          yolo_camera_state_name (state));
      sample (text, "yolo_camera_state", labels, camera->state == (YoloCameraState) state);
    }
  }
}

static const struct {
  const char *name, *help;
} latencies[YOLO_N_LATENCIES] = {
  [YOLO_LATENCY_DECODED] = { "yolo_latency_seconds",
    "From the decoder to the objects, of inferred frames" },
  [YOLO_LATENCY_OBJECTS] = { "yolo_objects_latency_seconds",
    "From when the camera made a frame, or it arrived, to its objects" },
  [YOLO_LATENCY_EVENTS] = { "yolo_events_latency_seconds",
    "From when the camera made a frame, or it arrived, to its events" },
};

/* A histogram of each camera, whose buckets are cumulative here. */
static void
add_latency (GString *text, const GArray *snapshots, YoloLatency which)
{
  const char *name = latencies[which].name;
  g_autofree char *of_bucket = g_strconcat (name, "_bucket", NULL);
  g_autofree char *of_sum = g_strconcat (name, "_sum", NULL);
  g_autofree char *of_count = g_strconcat (name, "_count", NULL);

  head (text, name, "histogram", latencies[which].help);
  for (guint i = 0; i < snapshots->len; i++) {
    const Snapshot *now = &g_array_index (snapshots, Snapshot, i);
    const YoloHistogram *histogram = &now->counts.latency[which];
    g_autofree char *labels = g_strdup_printf ("{camera=\"%s\"}", now->camera->name);
    guint64 sum = 0;

    for (guint j = 0; j <= YOLO_N_BOUNDS; j++) {
      g_autofree char *bucket = NULL;
      char bound[G_ASCII_DTOSTR_BUF_SIZE] = "+Inf";

      if (j < YOLO_N_BOUNDS)
        g_ascii_formatd (bound, sizeof bound, "%g", yolo_bounds[j]);
      sum += histogram->bucket[j];
      bucket = g_strdup_printf ("{camera=\"%s\",le=\"%s\"}", now->camera->name, bound);
      sample (text, of_bucket, bucket, sum);
    }
    sample (text, of_sum, labels, histogram->sum);
    sample (text, of_count, labels, sum);
  }
}

static guint
count_entries (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  guint n = 0;

  while (dir != NULL && g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

static double
resident_bytes (void)
{
  g_autofree char *text = NULL;
  unsigned long size, resident;

  if (!g_file_get_contents ("/proc/self/statm", &text, NULL, NULL)
      || sscanf (text, "%lu %lu", &size, &resident) != 2)
    return 0;
  return (double) resident * sysconf (_SC_PAGESIZE);
}

static void
add_process (GString *text, YoloHttp *http)
{
  const YoloEventsNow events = yolo_events_read (yolo_wall_events (http->wall));
  const struct {
    const char *name, *type, *help;
    double number;
  } numbers[] = {
    { "process_resident_memory_bytes", "gauge", "Memory that is used", resident_bytes () },
    { "process_threads", "gauge", "Threads", count_entries ("/proc/self/task") },
    { "process_open_fds", "gauge", "Open files and sockets", count_entries ("/proc/self/fd") },
    { "yolo_uptime_seconds", "gauge", "Since the server started",
        (g_get_monotonic_time () - http->began) / 1e6 },
    { "yolo_cameras", "gauge", "Cameras", yolo_wall_cameras (http->wall)->len },
    { "yolo_pipelines", "gauge", "Pipelines, those that are being ended among them",
        yolo_run_n_alive () },
    { "yolo_viewers", "gauge", "Pictures that are watched", http->n_viewers },
    { "yolo_events_total", "counter", "Events of lines, zones, objects and cameras",
        events.added },
    { "yolo_events_lost_total", "counter", "Of these, those that could not be written",
        events.lost },
    { "yolo_events_waiting", "gauge", "Events that are not written yet", events.waiting },
    { "yolo_http_connections", "gauge", "Connections", *http->n_connections },
    { "yolo_http_requests_total", "counter", "Requests", http->n_requests },
    { "yolo_http_refused_total", "counter", "Requests that were refused", http->n_refused },
  };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++) {
    head (text, numbers[i].name, numbers[i].type, numbers[i].help);
    sample (text, numbers[i].name, "", numbers[i].number);
  }
}

void
yolo_metrics_get (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  g_autoptr (GArray) snapshots = take_snapshots (yolo_wall_cameras (http->wall));
  GString *text = g_string_new (NULL);
  gsize length;
  char *whole;

  add_process (text, http);
  add_states (text, snapshots);
  for (guint i = 0; i < G_N_ELEMENTS (camera_metrics); i++) {
    const CameraMetric *metric = &camera_metrics[i];

    head (text, metric->name, metric->type, metric->help);
    for (guint j = 0; j < snapshots->len; j++) {
      const Snapshot *now = &g_array_index (snapshots, Snapshot, j);
      g_autofree char *labels = g_strdup_printf ("{camera=\"%s\"}", now->camera->name);

      sample (text, metric->name, labels, metric->get (now));
    }
  }
  for (int which = 0; which < YOLO_N_LATENCIES; which++)
    add_latency (text, snapshots, which);
  length = text->len;
  whole = g_string_free (text, FALSE);
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_server_message_set_response (message, "text/plain; version=0.0.4; charset=utf-8",
      SOUP_MEMORY_TAKE, whole, length);
}

static void
answer_health (SoupServerMessage *message, gboolean good, const char *why)
{
  if (!good) {
    yolo_http_answer_error (message, SOUP_STATUS_SERVICE_UNAVAILABLE, "%s", why);
    return;
  }
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_server_message_set_response (message, "text/plain", SOUP_MEMORY_STATIC, "ok\n", 3);
}

/* The main loop goes round. */
void
yolo_health_live (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  answer_health (message, TRUE, NULL);
}

/* Models are loaded, or could not be. */
static gboolean
has_started (YoloHttp *http)
{
  GPtrArray *cameras = yolo_wall_cameras (http->wall);

  for (guint i = 0; !http->started && i < cameras->len; i++) {
    const YoloCamera *camera = g_ptr_array_index (cameras, i);

    if (camera->state == YOLO_CAMERA_CONNECTING && camera->run_started == 0)
      return FALSE;
  }
  return http->started = TRUE;
}

void
yolo_health_startup (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  answer_health (message, has_started (http), "models are being loaded");
}

void
yolo_health_ready (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  answer_health (message, has_started (http) && !http->ending,
      "models are being loaded, or the server ends");
}
