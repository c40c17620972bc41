#include "gst-plugin/yolocalibrate.h"
#include "base/text.h"

#include <gio/gio.h>

#define INTERVAL (GST_SECOND / 4)       /* between frames of a stream without a duration */

struct _YoloCalibrate {
  GstPad *pad;
  GstElement *element;
  gchar *file;
  guint frames;                 /* wanted */

  /* streaming thread, until the thread is started */
  YoloCalibrator *calibrator;
  GstClockTime interval;        /* NONE: not known yet */
  GstClockTime next, last;      /* of the frames that are looked at */

  GThread *thread;
  GMutex lock;
  GCond cond;
  gboolean finished, flushing, cancelled;
};

YoloCalibrate *
yolo_calibrate_new (GstPad *pad, const YoloCalibratorConfig *config, const gchar *file, guint frames, GError **error)
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

void
yolo_calibrate_free (YoloCalibrate *calibrate)
{
  g_mutex_lock (&calibrate->lock);
  calibrate->cancelled = TRUE;
  g_mutex_unlock (&calibrate->lock);
  if (calibrate->thread)
    g_thread_join (calibrate->thread);
  yolo_calibrator_free (calibrate->calibrator);
  g_free (calibrate->file);
  g_mutex_clear (&calibrate->lock);
  g_cond_clear (&calibrate->cond);
  g_free (calibrate);
}

static gboolean
is_cancelled (gpointer data)
{
  YoloCalibrate *calibrate = data;
  gboolean cancelled;

  g_mutex_lock (&calibrate->lock);
  cancelled = calibrate->cancelled;
  g_mutex_unlock (&calibrate->lock);
  return cancelled;
}

static void
tell (YoloCalibrate *calibrate, const YoloCalibration *table, const gchar *report)
{
  const YoloModel *model = yolo_calibrator_model (calibrate->calibrator);
  GstElement *element = calibrate->element;
  g_autofree gchar *file = yolo_text_printable (calibrate->file, YOLO_TEXT_MAX_MESSAGE);

  if (table->frames < calibrate->frames)
    GST_ELEMENT_WARNING (element, STREAM, FAILED, ("the stream had %u frames to calibrate by, not %u "
            "(calibration-frames): more frames make better ranges", table->frames, calibrate->frames), (NULL));
  if (table->detections == 0)
    GST_ELEMENT_WARNING (element, STREAM, FAILED, ("nothing was detected in the frames to calibrate by: ranges and loss "
            "say little about other video; use some that shows what is to be found"), (NULL));
  if (table->loss > table->max_loss)
    GST_ELEMENT_WARNING (element, STREAM, FAILED, ("int8 changes %.2f %% of the detections, more than the %.2f %% that "
            "max-loss allows, whichever layers stay in floats", 100 * table->loss, 100 * table->max_loss), (NULL));
  GST_ELEMENT_INFO (element, STREAM, FAILED, ("%s is written", file), ("%s", report));
  gst_element_post_message (element, gst_message_new_element (GST_OBJECT (element),
          gst_structure_new ("yoloinfer-calibration", "file", G_TYPE_STRING, calibrate->file,
              "model", G_TYPE_STRING, model->path, "frames", G_TYPE_UINT, table->frames,
              "loss", G_TYPE_DOUBLE, (gdouble) table->loss, "report", G_TYPE_STRING, report, NULL)));
}

static gpointer
finish (gpointer data)
{
  YoloCalibrate *calibrate = data;
  const YoloModel *model = yolo_calibrator_model (calibrate->calibrator);
  g_autoptr (YoloCalibration) table = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree gchar *report = NULL;

  table = yolo_calibrator_finish (calibrate->calibrator, is_cancelled, calibrate, &report, &error);
  if (table && yolo_calibration_save (table, model, calibrate->file, &error))
    tell (calibrate, table, report);
  else if (g_error_matches (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FILE))
    GST_ELEMENT_ERROR (calibrate->element, RESOURCE, OPEN_WRITE, ("%s", error->message), (NULL));
  else if (!g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    GST_ELEMENT_ERROR (calibrate->element, STREAM, FAILED, ("no calibration table was made: %s", error->message), (NULL));

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

/* A duration may be known only when data flow. */
static GstClockTime
find_interval (YoloCalibrate *calibrate)
{
  gint64 duration;

  if (gst_pad_peer_query_duration (calibrate->pad, GST_FORMAT_TIME, &duration) && duration > 0)
    return (GstClockTime) duration / calibrate->frames;
  return INTERVAL;
}

static gboolean
is_due (YoloCalibrate *calibrate, GstClockTime pts)
{
  GstClockTime last = calibrate->last;

  if (!GST_CLOCK_TIME_IS_VALID (pts))
    return TRUE;
  calibrate->last = pts;
  if (!GST_CLOCK_TIME_IS_VALID (calibrate->interval))
    calibrate->interval = find_interval (calibrate);
  /* the first one, or the stream begins anew or jumps */
  if (!GST_CLOCK_TIME_IS_VALID (calibrate->next) || pts < last || pts > calibrate->next + 2 * calibrate->interval)
    calibrate->next = pts;
  if (pts < calibrate->next)
    return FALSE;
  calibrate->next += calibrate->interval;
  return TRUE;
}

gboolean
yolo_calibrate_frame (YoloCalibrate *calibrate, GstClockTime pts, const YoloFrame *frame, guint net_width,
    guint net_height)
{
  g_autoptr (GError) error = NULL;

  if (calibrate->thread || !is_due (calibrate, pts))
    return TRUE;
  if (!yolo_calibrator_add (calibrate->calibrator, frame, net_width, net_height, &error)) {
    GST_ELEMENT_ERROR (calibrate->element, STREAM, FAILED, ("calibration: %s", error->message), (NULL));
    return FALSE;
  }
  GST_DEBUG_OBJECT (calibrate->element, "calibration frame %u of %u at %" GST_TIME_FORMAT,
      yolo_calibrator_frames (calibrate->calibrator), calibrate->frames, GST_TIME_ARGS (pts));
  if (yolo_calibrator_frames (calibrate->calibrator) >= calibrate->frames)
    start (calibrate);
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
