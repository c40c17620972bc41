/* SPDX-License-Identifier: MIT */
#include "pipelines/server/picture.h"

#include <string.h>

#include "pipelines/server/objects.h"

/* Frames between the tee and the encoder's end: one in the queue, one under way, and room. */
#define MAX_PENDING 8

typedef struct {
  guint id;
  YoloPictureFunc func;
  gpointer user_data;
} Watcher;

typedef struct {
  GstClockTime pts;
  GBytes *json;                 /* owned; NULL: the place is free */
  gint64 event;                 /* the number of the events' picture that this is to be, or 0 */
} Pending;

struct _YoloPicture {
  gatomicrefcount references;
  YoloCounts *counts;
  gint n_watchers;              /* atomic: streaming threads ask whether there are any */

  GArray *watchers;             /* Watcher; the main thread's alone */
  guint last_id;

  /* The lock guards what follows. It is taken for pictures that are watched, some ten times a
   * second, and held for as long as it takes to copy pointers. */
  GMutex lock;
  Pending pending[MAX_PENDING]; /* a ring: what is on the frames that are being encoded */
  guint next_pending;
  GBytes *jpeg, *json;          /* the newest picture that the main thread has not taken */
  gboolean scheduled;           /* whether the main thread will take it */
};

/* One branch of one pipeline. */
typedef struct {
  YoloPicture *picture;         /* a reference */
  YoloSightings *sightings;     /* or NULL; not owned */
  gint64 period;                /* us between two pictures */
  gint64 next;                  /* us, monotonic: not before; the streaming thread's alone */
} Branch;

YoloPicture *
yolo_picture_new (YoloCounts *counts)
{
  YoloPicture *picture = g_new0 (YoloPicture, 1);

  g_atomic_ref_count_init (&picture->references);
  g_mutex_init (&picture->lock);
  picture->counts = yolo_counts_ref (counts);
  picture->watchers = g_array_new (FALSE, FALSE, sizeof (Watcher));
  return picture;
}

YoloPicture *
yolo_picture_ref (YoloPicture *picture)
{
  g_atomic_ref_count_inc (&picture->references);
  return picture;
}

void
yolo_picture_unref (YoloPicture *picture)
{
  if (picture == NULL || !g_atomic_ref_count_dec (&picture->references))
    return;
  for (guint i = 0; i < MAX_PENDING; i++)
    g_clear_pointer (&picture->pending[i].json, g_bytes_unref);
  g_clear_pointer (&picture->jpeg, g_bytes_unref);
  g_clear_pointer (&picture->json, g_bytes_unref);
  g_array_unref (picture->watchers);
  yolo_counts_unref (picture->counts);
  g_mutex_clear (&picture->lock);
  g_free (picture);
}

guint
yolo_picture_watch (YoloPicture *picture, YoloPictureFunc func, gpointer user_data)
{
  const Watcher watcher = { ++picture->last_id, func, user_data };

  g_array_append_val (picture->watchers, watcher);
  g_atomic_int_set (&picture->n_watchers, picture->watchers->len);
  return watcher.id;
}

void
yolo_picture_leave (YoloPicture *picture, guint id)
{
  for (guint i = 0; i < picture->watchers->len; i++)
    if (g_array_index (picture->watchers, Watcher, i).id == id) {
      g_array_remove_index (picture->watchers, i);
      break;
    }
  g_atomic_int_set (&picture->n_watchers, picture->watchers->len);
}

/* The main thread: hands the newest picture to all. */
static gboolean
deliver (gpointer user_data)
{
  YoloPicture *picture = user_data;
  g_autoptr (GArray) watchers = g_array_copy (picture->watchers);
  g_autoptr (GBytes) jpeg = NULL;
  g_autoptr (GBytes) json = NULL;

  g_mutex_lock (&picture->lock);
  jpeg = g_steal_pointer (&picture->jpeg);
  json = g_steal_pointer (&picture->json);
  picture->scheduled = FALSE;
  g_mutex_unlock (&picture->lock);
  for (guint i = 0; i < watchers->len; i++) {
    const Watcher *watcher = &g_array_index (watchers, Watcher, i);

    /* An earlier one may have taken this one away. */
    for (guint j = 0; j < picture->watchers->len; j++)
      if (g_array_index (picture->watchers, Watcher, j).id == watcher->id) {
        watcher->func (jpeg, json, watcher->user_data);
        break;
      }
  }
  return G_SOURCE_REMOVE;
}

/* What is on a frame. @event: (out): see Pending */
static GBytes *
take_pending (YoloPicture *picture, GstClockTime pts, gint64 *event)
{
  for (guint i = 0; i < MAX_PENDING; i++)
    if (picture->pending[i].json != NULL && picture->pending[i].pts == pts) {
      *event = picture->pending[i].event;
      return g_steal_pointer (&picture->pending[i].json);
    }
  return g_bytes_new_static ("{\"objects\":[]}", strlen ("{\"objects\":[]}"));
}

/* The encoder's thread: a picture is there. */
static GstPadProbeReturn
on_encoded (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  Branch *branch = user_data;
  YoloPicture *picture = branch->picture;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  GstMapInfo map;
  GBytes *jpeg;
  gint64 event = 0;
  gboolean schedule;

  if (!gst_buffer_map (buffer, &map, GST_MAP_READ))
    return GST_PAD_PROBE_OK;
  jpeg = g_bytes_new (map.data, map.size);
  gst_buffer_unmap (buffer, &map);
  yolo_counts_encoded (picture->counts, g_bytes_get_size (jpeg));

  g_mutex_lock (&picture->lock);
  g_clear_pointer (&picture->jpeg, g_bytes_unref);
  g_clear_pointer (&picture->json, g_bytes_unref);
  picture->jpeg = g_bytes_ref (jpeg);
  picture->json = take_pending (picture, GST_BUFFER_PTS (buffer), &event);
  schedule = !picture->scheduled;
  picture->scheduled = TRUE;
  g_mutex_unlock (&picture->lock);
  if (schedule)
    g_idle_add_full (G_PRIORITY_DEFAULT, deliver, yolo_picture_ref (picture),
        (GDestroyNotify) yolo_picture_unref);
  if (event != 0)
    yolo_sightings_add_picture (branch->sightings, event, jpeg);
  g_bytes_unref (jpeg);
  return GST_PAD_PROBE_OK;
}

/* The network's thread: a frame may go to the encoder. */
static GstPadProbeReturn
on_frame (GstPad *pad, GstPadProbeInfo *info, gpointer user_data)
{
  Branch *branch = user_data;
  YoloPicture *picture = branch->picture;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  const gint64 now = g_get_monotonic_time ();
  const gint64 event =
      branch->sightings != NULL ? yolo_sightings_picture (branch->sightings) : 0;
  Pending *pending;
  GBytes *json;

  if (event == 0 && (g_atomic_int_get (&picture->n_watchers) == 0 || now < branch->next))
    return GST_PAD_PROBE_DROP;
  /* From the time that it should have been, so that 10 of 15 frames a second are not 7. */
  branch->next = MAX (branch->next, now - branch->period) + branch->period;
  json = yolo_objects_to_json (buffer);
  g_mutex_lock (&picture->lock);
  pending = &picture->pending[picture->next_pending++ % MAX_PENDING];
  g_clear_pointer (&pending->json, g_bytes_unref);
  *pending = (Pending) { GST_BUFFER_PTS (buffer), json, event };
  g_mutex_unlock (&picture->lock);
  return GST_PAD_PROBE_OK;
}

static void
branch_free (gpointer data)
{
  Branch *branch = data;

  yolo_picture_unref (branch->picture);
  g_free (branch);
}

/* Adds an element that may not be installed. */
static GstElement *
add (GstBin *bin, const char *factory, GError **error)
{
  GstElement *element = gst_element_factory_make (factory, NULL);

  if (element == NULL) {
    g_set_error (error, GST_CORE_ERROR, GST_CORE_ERROR_MISSING_PLUGIN,
        "the element %s is missing; install GStreamer's good plugins, and this project's",
        factory);
    return NULL;
  }
  gst_bin_add (bin, element);
  return element;
}

static void
set_up (GstElement *element, const char *factory, gboolean drawn, gint width)
{
  if (strcmp (factory, "queue") == 0) {
    gst_util_set_object_arg (G_OBJECT (element), "leaky", "downstream");
    g_object_set (element, "max-size-buffers", 1, "max-size-bytes", 0, "max-size-time",
        (guint64) 0, NULL);
  } else if (strcmp (factory, "capsfilter") == 0) {
    g_autoptr (GstCaps) caps = gst_caps_new_simple ("video/x-raw",
        "width", GST_TYPE_INT_RANGE, 1, width, "pixel-aspect-ratio", GST_TYPE_FRACTION, 1, 1,
        NULL);
    g_object_set (element, "caps", caps, NULL);
  } else if (strcmp (factory, "yolooverlay") == 0 && !drawn) {
    g_object_set (element, "show-boxes", FALSE, "show-confidence", FALSE, "show-ids", FALSE,
        "show-labels", FALSE, "show-masks", FALSE, "show-points", FALSE, "show-zones", FALSE,
        NULL);
  } else if (strcmp (factory, "fakesink") == 0) {
    g_object_set (element, "sync", FALSE, "async", FALSE, "enable-last-sample", FALSE, NULL);
  }
}

GstElement *
yolo_picture_add_branch (YoloPicture *picture, GstBin *bin, GstElement *tee, gboolean drawn,
    gint width, gint fps, YoloSightings *sightings, GError **error)
{
  g_autoptr (GstElementFactory) download = gst_element_factory_find ("cudadownload");
  static const char *const factories[] = { "queue", "cudadownload", "videoscale", "videoconvert",
    "capsfilter", "yolooverlay", "jpegenc", "fakesink", NULL };
  g_autoptr (GstPad) from = NULL;
  GstElement *overlay = NULL, *last = tee;
  Branch *branch;

  for (guint i = 0; factories[i] != NULL; i++) {
    GstElement *element;

    /* Only where there are frames in a GPU's memory is it there. */
    if (strcmp (factories[i], "cudadownload") == 0 && download == NULL)
      continue;
    element = add (bin, factories[i], error);
    if (element == NULL)
      return NULL;
    set_up (element, factories[i], drawn, width);
    if (strcmp (factories[i], "yolooverlay") == 0)
      overlay = element;
    if (last == tee) {
      g_autoptr (GstPad) into = gst_element_get_static_pad (element, "sink");
      from = gst_element_request_pad_simple (tee, "src_%u");
      gst_pad_link (from, into);
    } else {
      gst_element_link (last, element);
    }
    last = element;
  }

  g_autoptr (GstPad) end = gst_element_get_static_pad (last, "sink");
  branch = g_new0 (Branch, 1);
  branch->picture = yolo_picture_ref (picture);
  branch->period = G_USEC_PER_SEC / fps;
  branch->sightings = sightings;
  gst_pad_add_probe (from, GST_PAD_PROBE_TYPE_BUFFER, on_frame, branch, NULL);
  /* Whichever goes last frees the branch: the pipeline's pads go together, the sink's here. */
  gst_pad_add_probe (end, GST_PAD_PROBE_TYPE_BUFFER, on_encoded, branch, branch_free);
  return overlay;
}
