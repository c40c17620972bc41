/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolocalibrate.h"
#include "base/text.h"

#include <gio/gio.h>

#define INTERVAL (GST_SECOND / 4)       /* between frames of a stream without a duration */
/* time between messages about the progress, unless it was a STEP since the last one */
#define QUIET G_USEC_PER_SEC    /* us */
#define STEP .05                /* share of all work */
/* for each frame, runs of the network in yolo_calibrator_finish(); looking at it took one */
#define FINISHING 2.75

struct _YoloCalibrate {
  GstPad *pad;                  /* borrowed */
  GstElement *element;          /* borrowed */
  gchar *file;
  guint frames;                 /* how many are wanted */

  /* used by the streaming thread, until it starts `thread` */
  YoloCalibrator *calibrator;   /* owned; then used by `thread` */
  GstClockTime interval;        /* between frames to look at; NONE: not known yet */
  GstClockTime next;            /* when to look at a frame again; NONE: at the first */
  GstClockTime last;            /* timestamp of the last frame */

  GThread *thread;              /* makes the table; NULL: not yet */
  GMutex lock;                  /* guards finished, flushing and cancelled */
  GCond cond;                   /* finished or flushing has changed */
  gboolean finished, flushing, cancelled;

  /* the progress, told by the streaming thread, then by `thread` */
  gint64 began, told;           /* monotonic microseconds; 0: not yet */
  gdouble told_share;
  gboolean shown;               /* by a progress message, which has to end */
};

YoloCalibrate *
yolo_calibrate_new (GstPad *pad, const YoloCalibratorConfig *config, const gchar *file,
    guint frames, GError **error)
{
  YoloCalibrator *calibrator = yolo_calibrator_new (config, error);
  YoloCalibrate *calibrate;

  if (calibrator == NULL)
    return NULL;
  calibrate = g_new0 (YoloCalibrate, 1);
  calibrate->pad = pad;
  calibrate->element = GST_ELEMENT (GST_OBJECT_PARENT (pad));
  calibrate->file = g_strdup (file);
  calibrate->frames = frames;
  calibrate->calibrator = calibrator;
  calibrate->interval = calibrate->next = calibrate->last = GST_CLOCK_TIME_NONE;
  g_mutex_init (&calibrate->lock);
  g_cond_init (&calibrate->cond);
  return calibrate;
}

/* Posts a progress message, which gst-launch-1.0 prints. Since gst-launch-1.0 does not
 * begin to play while something is in progress, none is posted before the element plays;
 * and a progress that was begun must be ended. */
static void
show (YoloCalibrate *calibrate, GstProgressType type, const gchar *text)
{
  GstElement *element = calibrate->element;

  if (!calibrate->shown
      && (type != GST_PROGRESS_TYPE_CONTINUE || GST_STATE (element) != GST_STATE_PLAYING))
    return;
  if (!calibrate->shown)
    type = GST_PROGRESS_TYPE_START;
  calibrate->shown = TRUE;
  gst_element_post_message (
      element, gst_message_new_progress (GST_OBJECT (element), type, "calibration", text));
}

/* Posts how far the calibration is. @phase: "frames" while they are looked at, then
 * "layers"; @share: of all work, 0 to 1. */
static void
tell_progress (YoloCalibrate *calibrate, const gchar *phase, gdouble share)
{
  GstElement *element = calibrate->element;
  guint frames = yolo_calibrator_frames (calibrate->calibrator);
  gint64 now = g_get_monotonic_time ();
  g_autofree gchar *text = NULL;
  gdouble left;

  share = CLAMP (share, calibrate->told_share, 1);
  if (calibrate->told > 0 && now < calibrate->told + QUIET && share < calibrate->told_share + STEP)
    return;
  calibrate->told = now;
  calibrate->told_share = share;
  left = share > 0 ? (gdouble) (now - calibrate->began) / G_USEC_PER_SEC * (1 - share) / share : -1;
  text = g_strdup_printf ("%s: %u of %u frames, %.0f %%, at most %.0f s left", phase, frames,
      calibrate->frames, 100 * share, MAX (left, 0));
  show (calibrate, GST_PROGRESS_TYPE_CONTINUE, text);
  gst_element_post_message (element, gst_message_new_element (GST_OBJECT (element),
          gst_structure_new ("yoloinfer-calibration-progress", "phase", G_TYPE_STRING, phase,
              "frames", G_TYPE_UINT, frames, "of", G_TYPE_UINT, calibrate->frames,
              "share", G_TYPE_DOUBLE, share, "seconds-left", G_TYPE_DOUBLE, left, NULL)));
}

/* Called by `thread`, between runs of the network; FALSE interrupts it. @share: of the
 * work of yolo_calibrator_finish(). */
static gboolean
goes_on (gpointer data, gdouble share)
{
  YoloCalibrate *calibrate = data;
  gboolean cancelled;

  g_mutex_lock (&calibrate->lock);
  cancelled = calibrate->cancelled;
  g_mutex_unlock (&calibrate->lock);
  if (!cancelled)
    tell_progress (calibrate, "layers", (1 + FINISHING * share) / (1 + FINISHING));
  return !cancelled;
}

/* Posts what there is to know about a table that is written. */
static void
tell (YoloCalibrate *calibrate, const YoloCalibration *table, const gchar *report)
{
  const YoloModel *model = yolo_calibrator_model (calibrate->calibrator);
  GstElement *element = calibrate->element;
  g_autofree gchar *file = yolo_text_printable (calibrate->file, YOLO_TEXT_MAX_MESSAGE);

  if (table->interrupted)
    GST_ELEMENT_WARNING (element, STREAM, FAILED,
        ("the calibration was interrupted after %u of %u frames: the table %s is written, "
         "but not all layers were measured for it",
            table->frames, calibrate->frames, file),
        (NULL));
  else if (table->frames < calibrate->frames)
    GST_ELEMENT_WARNING (element, STREAM, FAILED,
        ("the stream had %u frames to calibrate by, calibration-frames asks for %u: "
         "more frames make better ranges",
            table->frames, calibrate->frames),
        (NULL));
  if (table->detections == 0)
    GST_ELEMENT_WARNING (element, STREAM, FAILED,
        ("nothing was detected in the frames to calibrate by: ranges and loss say little "
         "about other video; calibrate with a video that shows what is to be found"),
        (NULL));
  if (table->loss > table->max_loss)
    GST_ELEMENT_WARNING (element, STREAM, FAILED,
        ("int8 changes %.2f %% of the detections, more than the %.2f %% that "
         "max-loss allows, whichever layers stay in floats",
            100 * table->loss, 100 * table->max_loss),
        (NULL));
  GST_ELEMENT_INFO (element, STREAM, FAILED, ("%s is written", file), ("%s", report));
  gst_element_post_message (element,
      gst_message_new_element (GST_OBJECT (element),
          gst_structure_new ("yoloinfer-calibration", "file", G_TYPE_STRING, calibrate->file,
              "model", G_TYPE_STRING, model->path, "frames", G_TYPE_UINT, table->frames, "loss",
              G_TYPE_DOUBLE, (gdouble) table->loss, "report", G_TYPE_STRING, report, NULL)));
}

/* What `thread` does. */
static gpointer
finish (gpointer data)
{
  YoloCalibrate *calibrate = data;
  const YoloModel *model = yolo_calibrator_model (calibrate->calibrator);
  g_autoptr (YoloCalibration) table = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree gchar *report = NULL;

  table = yolo_calibrator_finish (calibrate->calibrator, goes_on, calibrate, &report, &error);
  if (table && yolo_calibration_save (table, model, calibrate->file, &error))
    tell (calibrate, table, report);
  else if (table)
    GST_ELEMENT_ERROR (calibrate->element, RESOURCE, OPEN_WRITE, ("%s", error->message), (NULL));
  else
    GST_ELEMENT_ERROR (calibrate->element, STREAM, FAILED,
        ("no calibration table was made: %s", error->message), (NULL));

  show (calibrate,
      !table || error          ? GST_PROGRESS_TYPE_ERROR
          : table->interrupted ? GST_PROGRESS_TYPE_CANCELED
                               : GST_PROGRESS_TYPE_COMPLETE,
      !table || error ? "no table was written" : calibrate->file);
  g_mutex_lock (&calibrate->lock);
  calibrate->finished = TRUE;
  g_cond_broadcast (&calibrate->cond);
  g_mutex_unlock (&calibrate->lock);
  return NULL;
}

static void
start (YoloCalibrate *calibrate)
{
  if (calibrate->thread == NULL)
    calibrate->thread = g_thread_new ("yolo-calibrate", finish, calibrate);
}

void
yolo_calibrate_free (YoloCalibrate *calibrate)
{
  if (calibrate == NULL)
    return;
  g_mutex_lock (&calibrate->lock);
  calibrate->cancelled = TRUE;
  g_mutex_unlock (&calibrate->lock);
  /* if frames were looked at, their table is written, or an error says that they were
   * too few */
  if (calibrate->thread == NULL && yolo_calibrator_frames (calibrate->calibrator) > 0)
    start (calibrate);
  if (calibrate->thread)
    g_thread_join (calibrate->thread);
  yolo_calibrator_free (calibrate->calibrator);
  g_free (calibrate->file);
  g_mutex_clear (&calibrate->lock);
  g_cond_clear (&calibrate->cond);
  g_free (calibrate);
}

/* Time between the frames to look at. Asked late, for a stream may know its duration
 * only when data flow. */
static GstClockTime
find_interval (YoloCalibrate *calibrate)
{
  gint64 duration;

  if (gst_pad_peer_query_duration (calibrate->pad, GST_FORMAT_TIME, &duration) && duration > 0)
    return (GstClockTime) duration / calibrate->frames;
  return INTERVAL;
}

/* Whether it is the turn of the frame with timestamp @pts; without timestamps it is
 * every frame's. */
static gboolean
is_due (YoloCalibrate *calibrate, GstClockTime pts)
{
  GstClockTime last = calibrate->last;

  if (!GST_CLOCK_TIME_IS_VALID (pts))
    return TRUE;
  calibrate->last = pts;
  if (!GST_CLOCK_TIME_IS_VALID (calibrate->interval))
    calibrate->interval = find_interval (calibrate);
  /* this is the first frame, or the stream begins anew or jumps */
  if (!GST_CLOCK_TIME_IS_VALID (calibrate->next) || pts < last
      || pts > calibrate->next + 2 * calibrate->interval)
    calibrate->next = pts;
  if (pts < calibrate->next)
    return FALSE;
  calibrate->next += calibrate->interval;
  return TRUE;
}

static gboolean
look_at (YoloCalibrate *calibrate, GstClockTime pts, const YoloRequest *request)
{
  g_autoptr (GError) error = NULL;

  if (calibrate->thread || !is_due (calibrate, pts))
    return TRUE;
  if (calibrate->began == 0)
    calibrate->began = g_get_monotonic_time ();
  if (!yolo_calibrator_add (calibrate->calibrator, &request->frame, request->net_width,
          request->net_height, &error)) {
    GST_ELEMENT_ERROR (
        calibrate->element, STREAM, FAILED, ("calibration: %s", error->message), (NULL));
    return FALSE;
  }
  GST_DEBUG_OBJECT (calibrate->element, "calibration frame %u of %u at %" GST_TIME_FORMAT,
      yolo_calibrator_frames (calibrate->calibrator), calibrate->frames, GST_TIME_ARGS (pts));
  tell_progress (calibrate, "frames",
      (gdouble) yolo_calibrator_frames (calibrate->calibrator) / calibrate->frames
          / (1 + FINISHING));
  if (yolo_calibrator_frames (calibrate->calibrator) >= calibrate->frames)
    start (calibrate);
  return TRUE;
}

gboolean
yolo_calibrate_flight (YoloCalibrate *calibrate, const YoloFlight *flight)
{
  guint i;

  for (i = 0; i < flight->parts->len; i++)
    if (!look_at (calibrate, GST_BUFFER_PTS (flight->buffer),
            &g_array_index (flight->parts, YoloPart, i).request))
      return FALSE;
  return TRUE;
}

void
yolo_calibrate_end (YoloCalibrate *calibrate)
{
  start (calibrate);
  g_mutex_lock (&calibrate->lock);
  while (!calibrate->finished && !calibrate->flushing)
    g_cond_wait (&calibrate->cond, &calibrate->lock);
  g_mutex_unlock (&calibrate->lock);
}

void
yolo_calibrate_set_flushing (YoloCalibrate *calibrate, gboolean flushing)
{
  g_mutex_lock (&calibrate->lock);
  calibrate->flushing = flushing;
  g_cond_broadcast (&calibrate->cond);
  g_mutex_unlock (&calibrate->lock);
}
