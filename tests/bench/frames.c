/* SPDX-License-Identifier: MIT */
/* Frame to metadata: raw frames out of memory through elements, timed.
 *
 *   frames FILE CAPS ELEMENTS
 *
 * FILE holds frames of CAPS, one behind the other; ELEMENTS are written as for
 * gst-launch-1.0. For every line "N" on the standard input, N frames go through, those of the
 * file over and over, and "SECONDS DETECTIONS" is printed, the latter being regions of
 * interest. turns.py runs this program. */

#include <stdio.h>
#include <stdlib.h>

#include <gst/gst.h>
#include <gst/video/video.h>

typedef struct {
  GMutex lock;
  GCond changed;
  guint frames, detections;     /* that have come out so far */
  gboolean failed;
} Counter;

static GstPadProbeReturn
count (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  Counter *counter = user_data;

  g_mutex_lock (&counter->lock);
  counter->frames++;
  counter->detections += gst_buffer_get_n_meta (GST_PAD_PROBE_INFO_BUFFER (info),
      GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE);
  g_cond_signal (&counter->changed);
  g_mutex_unlock (&counter->lock);
  return GST_PAD_PROBE_OK;
}

static GstBusSyncReply
on_message (GstBus *bus, GstMessage *message, gpointer user_data)
{
  Counter *counter = user_data;
  g_autoptr (GError) error = NULL;

  if (GST_MESSAGE_TYPE (message) != GST_MESSAGE_ERROR)
    return GST_BUS_PASS;
  gst_message_parse_error (message, &error, NULL);
  fprintf (stderr, "%s\n", error->message);
  g_mutex_lock (&counter->lock);
  counter->failed = TRUE;
  g_cond_signal (&counter->changed);
  g_mutex_unlock (&counter->lock);
  return GST_BUS_PASS;
}

/* Pushes n frames and waits until they have come out. */
static gboolean
run (GstElement *source, Counter *counter, GPtrArray *frames, guint n)
{
  gint64 start = g_get_monotonic_time ();
  guint i, target, detections;
  gboolean failed;

  g_mutex_lock (&counter->lock);
  target = counter->frames + n;
  detections = counter->detections;
  g_mutex_unlock (&counter->lock);

  for (i = 0; i < n; i++) {
    /* each push has a buffer of its own, whose pixels are shared */
    GstBuffer *buffer = gst_buffer_copy (g_ptr_array_index (frames, i % frames->len));
    GstFlowReturn flow;

    g_signal_emit_by_name (source, "push-buffer", buffer, &flow);
    gst_buffer_unref (buffer);
    if (flow != GST_FLOW_OK)
      return FALSE;
  }

  g_mutex_lock (&counter->lock);
  while (counter->frames < target && !counter->failed)
    g_cond_wait (&counter->changed, &counter->lock);
  detections = counter->detections - detections;
  failed = counter->failed;
  g_mutex_unlock (&counter->lock);
  printf ("%.6f %u\n", (g_get_monotonic_time () - start) / 1e6, detections);
  fflush (stdout);
  return !failed;
}

static GPtrArray *
load_frames (const char *path, gsize size, GError **error)
{
  g_autoptr (GPtrArray) frames = g_ptr_array_new_with_free_func ((GDestroyNotify) gst_buffer_unref);
  g_autoptr (GMappedFile) file = g_mapped_file_new (path, FALSE, error);
  gsize offset;

  if (file == NULL)
    return NULL;
  for (offset = 0; offset + size <= g_mapped_file_get_length (file); offset += size)
    g_ptr_array_add (frames, gst_buffer_new_memdup (g_mapped_file_get_contents (file) + offset,
            size));
  return frames->len > 0 ? g_steal_pointer (&frames) : NULL;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GstElement) pipeline = NULL, source = NULL, sink = NULL;
  g_autoptr (GstPad) pad = NULL;
  g_autoptr (GstBus) bus = NULL;
  g_autoptr (GPtrArray) frames = NULL;
  g_autoptr (GstCaps) caps = NULL;
  g_autofree char *launch = NULL;
  GstVideoInfo info;
  Counter counter = { 0, };
  char line[32];
  int status = 0;

  gst_init (&argc, &argv);
  caps = argc == 4 ? gst_caps_from_string (argv[2]) : NULL;
  if (caps == NULL || !gst_video_info_from_caps (&info, caps)) {
    fprintf (stderr, "usage: %s FILE CAPS ELEMENTS, CAPS as "
        "video/x-raw,format=NV12,width=1920,height=1080,framerate=25/1\n", argv[0]);
    return 2;
  }
  g_mutex_init (&counter.lock);
  g_cond_init (&counter.changed);

  launch = g_strdup_printf ("appsrc name=source format=time block=true max-buffers=2 "
      "caps=\"%s\" ! %s ! fakesink name=sink sync=false async=false", argv[2], argv[3]);
  frames = load_frames (argv[1], GST_VIDEO_INFO_SIZE (&info), &error);
  if (frames)
    pipeline = gst_parse_launch_full (launch, NULL, GST_PARSE_FLAG_FATAL_ERRORS, &error);
  if (pipeline == NULL) {
    fprintf (stderr, "%s\n", error ? error->message : "the file holds no frame");
    return 1;
  }
  source = gst_bin_get_by_name (GST_BIN (pipeline), "source");
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "sink");
  pad = gst_element_get_static_pad (sink, "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, count, &counter, NULL);
  bus = gst_element_get_bus (pipeline);
  gst_bus_set_sync_handler (bus, on_message, &counter, NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);

  while (status == 0 && fgets (line, sizeof line, stdin))
    if (!run (source, &counter, frames, atoi (line)))
      status = 1;

  gst_element_set_state (pipeline, GST_STATE_NULL);
  g_mutex_clear (&counter.lock);
  g_cond_clear (&counter.changed);
  return status;
}
