/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-yoloinfer
 * @title: yoloinfer
 * @short_description: finds objects in video with a YOLO network
 *
 * Runs a YOLO network, an .onnx or .pt file, on each frame and attaches what it
 * finds as GstVideoRegionOfInterestMeta. Pixels are never touched, copied or
 * converted. All yoloinfer elements of a process that name the same model,
 * device and precision share one engine, which forms batches of their frames.
 *
 * |[
 * gst-launch-1.0 uridecodebin uri=file:///video.mp4 ! \
 *     yoloinfer model-file=yolov8n.onnx ! yolooverlay ! videoconvert ! autovideosink
 * ]|
 *
 * The element posts an element message `yoloinfer-model` when its model is
 * loaded, and again when another one takes over: file, task, classes, names,
 * stride, input-size, precision, device, sha256.
 */

/* How frames pass through:
 *
 *   streaming thread          engine's threads      task of the source pad
 *   submit_input_buffer  -->  on_result        -->  loop
 *   map, queue, submit        store, wake           unmap, attach, push
 *
 * YoloQueue holds the frames under way in the order they came. Serialised events
 * and queries wait until it is empty and then go on in their own thread. (Queueing
 * them between the frames would keep a few frames under way across a tag or a gap,
 * but caps and allocation must wait for the frames before them anyway, and a query
 * for its answer.)
 *
 * Locks: the object lock guards the properties, and what of YoloContext, YoloLoad and
 * YoloInput other threads read. YoloQueue and YoloStats have a lock each, which is
 * taken last and held for no call of anybody. The object lock is not held either while
 * the engine, a pad or the bus is called, so that the engine may call back whenever it
 * likes; yolo_stream_set_active(), yolo_stream_set_share() and
 * yolo_stream_get_replicas(), which wait for nobody, are the exceptions. on_result()
 * takes the locks of YoloStats and YoloQueue alone, one after the other. */

#include "gst-plugin/gstyoloinfer.h"

#include "gst-plugin/yolocaps.h"
#include "gst-plugin/yolochange.h"
#include "gst-plugin/yolocontext.h"
#include "gst-plugin/yolocrops.h"
#include "gst-plugin/yolocuda.h"
#include "gst-plugin/yolofollow.h"
#include "gst-plugin/yologate.h"
#include "gst-plugin/yoloinferproperties.h"
#include "gst-plugin/yoloinput.h"
#include "gst-plugin/yoloload.h"
#include "gst-plugin/yolomessage.h"
#include "gst-plugin/yolometa.h"
#include "gst-plugin/yoloqueue.h"
#include "gst-plugin/yolosettings.h"
#include "gst-plugin/yolostats.h"
#include "gst-plugin/yolounpack.h"
#include "gst-plugin/yolovideo.h"
#include "gst-plugin/yolowatch.h"

#include <gio/gio.h>

GST_DEBUG_CATEGORY (yolo_infer_debug);
#define GST_CAT_DEFAULT yolo_infer_debug

struct _GstYoloInfer {
  GstBaseTransform parent;

  YoloSettings settings;        /* object lock */
  GstClockTime latency;         /* ns, as last reported; object lock */
  YoloContext context;          /* from READY on */
  YoloLoad load;                /* from start to stop */
  YoloChange *change;           /* owned; of the model */
  YoloQueue *queue;             /* owned */
  YoloStats *stats;             /* owned */

  /* streaming thread of the sink pad; the task reads `input` while a frame is under
   * way, when it does not change */
  YoloInput input;
  YoloGate *gate;               /* owned */
  guint since_inferred;         /* frames; 0: the next one is inferred */
  gboolean discont;             /* the next buffer follows on one that was dropped */
  YoloFollow follow;            /* what a tracker downstream wants; `known` is everybody's */

  /* task of the source pad; others while it does not run, or has no frame */
  GArray *last;                 /* YoloMetaObject, for repeat-detections */
  GArray *last_faint;           /* owned; for frames that are gated: yolo_follow_repeat() */
  YoloMerger merger;
  YoloCrops crops;              /* of the streaming thread and the task, as it says */
  gboolean announced;           /* downstream knows that there are objects */
};

G_DEFINE_FINAL_TYPE (GstYoloInfer, gst_yolo_infer, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE_WITH_CODE (yoloinfer, "yoloinfer", GST_RANK_NONE,
    GST_TYPE_YOLO_INFER, GST_DEBUG_CATEGORY_INIT (yolo_infer_debug, "yoloinfer", 0,
        "object detection"))

/* Whether the network looks at objects, and not at frames; does not change while it runs. */
static gboolean
looks_at_objects (GstYoloInfer *self)
{
  return self->settings.inference_region == YOLO_INFERENCE_OBJECTS;
}

/* Frames under way */

/* What was found last is not repeated any more. */
static void
forget_last (GstYoloInfer *self)
{
  g_array_set_size (self->last, 0);
  g_clear_pointer (&self->last_faint, g_array_unref);
}

/* Drops all frames under way. Neither the streaming thread nor the task of the source
 * pad may be busy with one. */
static void
drop_frames (GstYoloInfer *self)
{
  if (self->load.stream)
    yolo_stream_cancel (self->load.stream);
  yolo_stats_count (self->stats, YOLO_STATS_DROPPED, yolo_queue_clear (self->queue));
  forget_last (self);
  yolo_crops_reset (&self->crops);
  self->since_inferred = 0;
}

static void
set_flushing (GstYoloInfer *self)
{
  if (self->load.calibration)
    yolo_calibrate_set_flushing (self->load.calibration, TRUE);
  yolo_queue_set_flushing (self->queue);
}

/* Waits until the task has pushed all frames. */
static void
drain (GstYoloInfer *self)
{
  if (self->load.stream)
    yolo_stream_drain (self->load.stream);
  yolo_queue_drain (self->queue);
}

/* Called by the engine's thread. */
static void
on_result (gpointer user_data, gpointer tag, const YoloResult *result)
{
  GstYoloInfer *self = user_data;
  YoloPart *part = tag;

  yolo_part_add_objects (part, result, self->load.labels, &self->input.info);
  /* counted before the frame is done, so that whoever sees the frame sees it counted */
  if (result->error == NULL)
    yolo_stats_add_result (self->stats, result, part->flight->since, part->last);
  yolo_queue_finish_part (self->queue, part->flight, result->error);
}

/* Tells the elements behind, before the first frame with objects, that there are
 * some, so that they notice when none arrive. Called by the source pad's task. */
static void
announce (GstYoloInfer *self, guint n_objects)
{
  if (n_objects == 0 || self->announced)
    return;
  self->announced = TRUE;
  gst_pad_push_event (GST_BASE_TRANSFORM_SRC_PAD (self), yolo_watch_announce ());
}

/* Attaches what was found and gives the buffer, or NULL with a flow return.
 * Called by the source pad's task. */
static GstBuffer *
finish_frame (GstYoloInfer *self, YoloFlight *flight, GstFlowReturn *ret)
{
  const gboolean on_objects = looks_at_objects (self);
  const gboolean nvmm = self->input.memory == YOLO_CAPS_NVMM;
  GArray *objects = flight->objects;
  GstBuffer *buffer;

  yolo_flight_unmap (flight);
  if (flight->error) {
    if (g_error_matches (flight->error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
      *ret = GST_FLOW_OK;
    } else {
      yolo_message_error (GST_ELEMENT (self), flight->error, self->load.model->path);
      *ret = GST_FLOW_ERROR;
    }
    return NULL;
  }

  if (flight->inferred)
    yolo_flight_merge (flight, &self->input.info, &self->merger);
  yolo_follow_split (flight);
  yolo_follow_repeat (flight, &self->last_faint);
  if (on_objects)
    yolo_crops_complete (&self->crops, flight, &self->input.info);
  objects = flight->objects;
  if (on_objects) {
    if (flight->classifies)     /* what it says of objects is no object itself */
      objects = self->last;     /* empty */
  } else if (flight->inferred) {
    g_array_set_size (self->last, 0);
    yolo_meta_objects_append (
        self->last, (const YoloMetaObject *) objects->data, objects->len);
  } else if (flight->repeat
      && !(self->last->len > 0 && g_array_index (self->last, YoloMetaObject, 0).slot > 0)) {
    /* in a batch, the same place may be another camera's the next time */
    objects = self->last;
  }

  announce (self, objects->len);
  buffer =
      yolo_flight_attach (flight, objects, &self->input.info, self->settings.unique_id, nvmm);
  return on_objects ? yolo_crops_attach (&self->crops, flight, buffer, self->load.model_name,
             self->settings.unique_id, nvmm)
                    : buffer;
}

/* One round of the task: waits for the oldest frame and pushes it. */
static void
gst_yolo_infer_loop (gpointer data)
{
  GstYoloInfer *self = data;
  GstPad *srcpad = GST_BASE_TRANSFORM_SRC_PAD (self);
  YoloFlight *flight;
  GstBuffer *buffer = NULL;
  GstFlowReturn ret;

  flight = yolo_queue_pop (self->queue, &ret);
  if (flight == NULL) {
    gst_pad_pause_task (srcpad);
    return;
  }
  yolo_stats_count (self->stats,
      ret == GST_FLOW_OK && flight->error == NULL ? YOLO_STATS_FRAMES : YOLO_STATS_DROPPED, 1);
  if (flight->inferred && self->load.stream)
    yolo_device_watch_look (&self->load.watch, GST_ELEMENT (self), self->load.stream);
  if (ret == GST_FLOW_OK)
    buffer = finish_frame (self, flight, &ret);
  if (buffer) {
    GST_LOG_OBJECT (self, "pushing %" GST_PTR_FORMAT, buffer);
    ret = gst_pad_push (srcpad, buffer);
    GST_LOG_OBJECT (self, "pushed: %s", gst_flow_get_name (ret));
  }
  yolo_queue_popped (self->queue, flight, ret);
}

/* Undoes set_flushing(), unless the pad has been deactivated. */
static void
start_task (GstYoloInfer *self)
{
  GstPad *srcpad = GST_BASE_TRANSFORM_SRC_PAD (self);

  if (!yolo_queue_start (self->queue))
    return;
  if (self->load.calibration)
    yolo_calibrate_set_flushing (self->load.calibration, FALSE);
  gst_pad_start_task (srcpad, gst_yolo_infer_loop, self, NULL);
  /* if the pad was deactivated meanwhile, that was perhaps before the task could be
   * stopped */
  if (!yolo_queue_is_active (self->queue))
    gst_pad_stop_task (srcpad);
}

/* Taking a frame */

/* Whether the network runs on this frame. */
static gboolean
is_inferred (GstYoloInfer *self, GstBuffer *buffer, guint interval)
{
  const gboolean infer = self->since_inferred == 0 || self->since_inferred >= interval;

  /* an empty buffer stands for a gap */
  if (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP) && gst_buffer_get_size (buffer) == 0)
    return FALSE;
  self->since_inferred = infer ? 1 : self->since_inferred + 1;
  return infer;
}

/* Queues the frame of a buffer, which it takes, and submits it. */
static GstFlowReturn
take_buffer (GstYoloInfer *self, YoloFlight *flight, GstBuffer *buffer)
{
  GstFlowReturn ret = GST_FLOW_OK;
  YoloLiveSettings settings;
  guint n = 0, i;

  GST_OBJECT_LOCK (self);
  settings = yolo_live_settings_copy (&self->settings.live);
  GST_OBJECT_UNLOCK (self);

  flight->buffer = buffer;
  flight->since = gst_util_get_timestamp ();
  flight->discont = self->discont;
  if (self->since_inferred == 0)
    yolo_gate_reset (self->gate);
  flight->inferred = is_inferred (self, buffer, settings.interval);
  flight->repeat = settings.repeat;
  if (looks_at_objects (self))
    yolo_crops_begin (&self->crops, flight, &self->input.info);
  else
    yolo_follow_lower (&self->follow, GST_BASE_TRANSFORM_SRC_PAD (self), &settings, flight);
  if (flight->inferred && !yolo_input_make_parts (&self->input, flight, &settings, &self->load))
    ret = GST_FLOW_ERROR;
  if (self->load.calibration == NULL && ret == GST_FLOW_OK && flight->inferred)
    yolo_gate_rests (self->gate, flight, &settings, self->load.device);
  if (self->load.calibration && ret == GST_FLOW_OK) {
    if (!yolo_calibrate_flight (self->load.calibration, flight))
      ret = GST_FLOW_ERROR;
    /* the network runs for the table alone: the frame passes */
    g_array_set_size (flight->parts, 0);
  }
  n = flight->parts->len;
  yolo_live_settings_clear (&settings);

  /* counted before the frame is queued, from where on it may leave */
  if (ret == GST_FLOW_OK && n > 0) {
    const YoloRequest *last = &g_array_index (flight->parts, YoloPart, n - 1).request;

    yolo_stats_set_size (self->stats, last->net_width, last->net_height);
  } else if (ret == GST_FLOW_OK && !flight->inferred) {
    yolo_stats_count (self->stats, flight->gated ? YOLO_STATS_GATED : YOLO_STATS_SKIPPED, 1);
  }

  if (ret != GST_FLOW_OK) {
    yolo_queue_give_back (self->queue, flight);
    return ret;
  }
  self->discont = FALSE;
  yolo_queue_push (self->queue, flight);
  /* not before it is queued, for the engine may call back at once; from here on a
   * flight without parts may be gone, and this one once its last part is submitted */
  for (i = 0; i < n; i++) {
    YoloPart *part = &g_array_index (flight->parts, YoloPart, i);

    yolo_stream_submit (self->load.stream, &part->request, part);
  }
  return GST_FLOW_OK;
}

static void
post_load_error (GstYoloInfer *self, const GError *error)
{
  g_autofree gchar *file = NULL;

  GST_OBJECT_LOCK (self);
  file = g_strdup (self->settings.model_file);
  GST_OBJECT_UNLOCK (self);
  yolo_message_error (GST_ELEMENT (self), error, file);
}

/* Goes on with the model that was loaded beside the one that has run until now. No frame is
 * under way. */
static gboolean
change_model (GstYoloInfer *self)
{
  g_autoptr (GstObject) context = yolo_load_ref_context (&self->load);
  g_autoptr (GError) error = NULL;

  yolo_change_apply (self->change);
  /* frames may have come to lie in another context while it was loaded */
  if (!yolo_load_move (&self->load, context, &error)) {
    post_load_error (self, error);
    return FALSE;
  }
  self->since_inferred = 0;
  yolo_crops_reset (&self->crops);
  yolo_message_model (GST_ELEMENT (self), &self->load);
  g_object_notify (G_OBJECT (self), "model-file");
  return TRUE;
}

static GstFlowReturn
gst_yolo_infer_submit_input_buffer (GstBaseTransform *trans, gboolean is_discont,
    GstBuffer *input)
{
  GstYoloInfer *self = GST_YOLO_INFER (trans);
  GstBuffer *buffer;
  YoloFlight *flight;
  gboolean changes;
  GstFlowReturn ret;

  ret = GST_BASE_TRANSFORM_CLASS (gst_yolo_infer_parent_class)->submit_input_buffer (trans,
      is_discont, input);
  buffer = g_steal_pointer (&trans->queued_buf);
  if (buffer == NULL || ret != GST_FLOW_OK) {
    gst_clear_buffer (&buffer);
    if (ret == GST_BASE_TRANSFORM_FLOW_DROPPED) {
      yolo_stats_count (self->stats, YOLO_STATS_DROPPED, 1);
      self->discont = TRUE;
    }
    return ret;
  }
  if (self->load.stream == NULL) {      /* the start has failed */
    gst_buffer_unref (buffer);
    return GST_FLOW_FLUSHING;
  }

  changes = yolo_change_is_ready (self->change);
  if (changes)
    drain (self);
  flight = yolo_queue_wait_for_room (self->queue, self->settings.max_in_flight, &ret);
  if (flight == NULL) {
    gst_buffer_unref (buffer);
    self->discont = TRUE;
    return ret;
  }
  if (changes && !change_model (self)) {
    yolo_queue_give_back (self->queue, flight);
    gst_buffer_unref (buffer);
    return GST_FLOW_ERROR;
  }
  return take_buffer (self, flight, buffer);
}

/* There is nothing for the base class to push: the task of the source pad does it. */
static GstFlowReturn
gst_yolo_infer_generate_output (GstBaseTransform *trans, GstBuffer **outbuf)
{
  *outbuf = NULL;
  return GST_FLOW_OK;
}

/* Events, queries, caps */

static gboolean
gst_yolo_infer_sink_event (GstBaseTransform *trans, GstEvent *event)
{
  GstYoloInfer *self = GST_YOLO_INFER (trans);
  GstBaseTransformClass *parent = GST_BASE_TRANSFORM_CLASS (gst_yolo_infer_parent_class);
  GstFlowReturn flow;
  gboolean ret;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_FLUSH_START:
      /* downstream first: it lets a push of the task return */
      ret = parent->sink_event (trans, event);
      set_flushing (self);
      gst_pad_pause_task (trans->srcpad);
      return ret;

    case GST_EVENT_FLUSH_STOP:
      drop_frames (self);
      self->discont = FALSE;    /* the source marks the next buffer itself */
      ret = parent->sink_event (trans, event);
      start_task (self);
      return ret;

    case GST_EVENT_EOS:
      yolo_load_set_idle (&self->load);
      drain (self);
      if (self->load.calibration)
        yolo_calibrate_end (self->load.calibration);
      /* no buffer comes any more by which a failed push could be returned */
      flow = yolo_queue_flow (self->queue);
      if (flow == GST_FLOW_NOT_LINKED || flow < GST_FLOW_EOS)
        GST_ELEMENT_FLOW_ERROR (self, flow);
      return parent->sink_event (trans, event);

    case GST_EVENT_GAP:
      yolo_load_set_idle (&self->load);
      break;

    default:
      break;
  }
  if (GST_EVENT_IS_SERIALIZED (event))
    drain (self);
  if (GST_EVENT_TYPE (event) == GST_EVENT_STREAM_START)
    yolo_crops_reset (&self->crops);
  yolo_orientation_event (&self->input.orientation, GST_BASE_TRANSFORM_SINK_PAD (trans), event);
  return parent->sink_event (trans, event);
}

static gboolean
gst_yolo_infer_src_event (GstBaseTransform *trans, GstEvent *event)
{
  yolo_follow_event (&GST_YOLO_INFER (trans)->follow, event);
  return GST_BASE_TRANSFORM_CLASS (gst_yolo_infer_parent_class)->src_event (trans, event);
}

/* What a frame may take from its arrival until it leaves: waiting for the
 * batch, then until max-in-flight others have come. */
static void
update_latency (GstYoloInfer *self)
{
  GstClockTime latency;
  gboolean changed;

  GST_OBJECT_LOCK (self);
  latency = self->settings.batch_timeout;
  if (self->input.info.fps_n > 0)
    latency += gst_util_uint64_scale (
        self->settings.max_in_flight * GST_SECOND, self->input.info.fps_d, self->input.info.fps_n);
  changed = self->latency != latency;
  self->latency = latency;
  GST_OBJECT_UNLOCK (self);
  if (changed) {
    GST_DEBUG_OBJECT (self, "latency is now %" GST_TIME_FORMAT, GST_TIME_ARGS (latency));
    gst_element_post_message (GST_ELEMENT (self), gst_message_new_latency (GST_OBJECT (self)));
  }
}

static gboolean
gst_yolo_infer_query (GstBaseTransform *trans, GstPadDirection direction, GstQuery *query)
{
  GstYoloInfer *self = GST_YOLO_INFER (trans);

  if (direction == GST_PAD_SINK && GST_QUERY_IS_SERIALIZED (query))
    drain (self);
  if (GST_QUERY_TYPE (query) == GST_QUERY_CONTEXT && yolo_context_answer (&self->context, query))
    return TRUE;
  if (!GST_BASE_TRANSFORM_CLASS (gst_yolo_infer_parent_class)->query (trans, direction, query))
    return FALSE;

  if (GST_QUERY_TYPE (query) == GST_QUERY_LATENCY && direction == GST_PAD_SRC) {
    GstClockTime min, max, latency;
    gboolean live;

    GST_OBJECT_LOCK (self);
    latency = self->latency;
    GST_OBJECT_UNLOCK (self);
    gst_query_parse_latency (query, &live, &min, &max);
    min += latency;
    if (GST_CLOCK_TIME_IS_VALID (max))
      max += latency;
    gst_query_set_latency (query, live, min, max);
  }
  return TRUE;
}

/* The base class asks downstream how many buffers it holds; the frames under way come
 * on top. */
static gboolean
gst_yolo_infer_propose_allocation (GstBaseTransform *trans, GstQuery *decide_query,
    GstQuery *query)
{
  GstYoloInfer *self = GST_YOLO_INFER (trans);
  guint i;

  if (!GST_BASE_TRANSFORM_CLASS (gst_yolo_infer_parent_class)->propose_allocation (trans,
          decide_query, query))
    return FALSE;
  for (i = 0; i < gst_query_get_n_allocation_pools (query); i++) {
    GstBufferPool *pool;
    guint size, min, max;

    gst_query_parse_nth_allocation_pool (query, i, &pool, &size, &min, &max);
    min += self->settings.max_in_flight;
    if (max > 0)
      min = MIN (min, max);
    gst_query_set_nth_allocation_pool (query, i, pool, size, min, max);
    gst_clear_object (&pool);
  }
  return TRUE;
}

static GstCaps *
gst_yolo_infer_transform_caps (GstBaseTransform *trans, GstPadDirection direction,
    GstCaps *caps, GstCaps *filter)
{
  const gboolean on_cuda = yolo_load_reads_device_memory (&GST_YOLO_INFER (trans)->load);

  return yolo_caps_readable (caps, filter, on_cuda && yolo_cuda_memory_supported (), on_cuda);
}

/* Makes the engine run in the context of the frames. */
static gboolean
follow_frames (GstYoloInfer *self, YoloCapsMemory memory, GError **error)
{
  g_autoptr (GstObject) context = NULL;

  switch (memory) {
    case YOLO_CAPS_SYSTEM:
      return TRUE;
    case YOLO_CAPS_NVMM:
      /* DeepStream uses the primary context */
      return yolo_load_move (&self->load, NULL, error);
    case YOLO_CAPS_CUDA:
      context = yolo_context_follow (&self->context);
      return yolo_load_move (&self->load, context, error);
  }
  g_return_val_if_reached (FALSE);
}

/* Called by the streaming thread while the queue is empty, for caps are a serialised
 * event. */
static gboolean
gst_yolo_infer_set_caps (GstBaseTransform *trans, GstCaps *incaps, GstCaps *outcaps)
{
  GstYoloInfer *self = GST_YOLO_INFER (trans);
  g_autoptr (GError) error = NULL;
  const YoloCapsMemory memory = yolo_caps_memory (incaps);
  GstVideoInfo info;

  if (!gst_video_info_from_caps (&info, incaps)) {
    GST_ERROR_OBJECT (self, "cannot use caps %" GST_PTR_FORMAT, incaps);
    return FALSE;
  }
  if (!follow_frames (self, memory, &error)) {
    post_load_error (self, error);
    return FALSE;
  }
  self->since_inferred = 0;
  forget_last (self);
  yolo_crops_reset (&self->crops);
  yolo_input_set_caps (&self->input, &info, memory);
  update_latency (self);
  return TRUE;
}

/* Start and stop */

static void
set_started (GstYoloInfer *self, gboolean started)
{
  GST_OBJECT_LOCK (self);
  self->settings.started = started;
  /* they are parsed at the start, by the names that the model has */
  g_clear_pointer (&self->settings.live.classes, g_bytes_unref);
  GST_OBJECT_UNLOCK (self);
}

static gboolean
gst_yolo_infer_start (GstBaseTransform *trans)
{
  GstYoloInfer *self = GST_YOLO_INFER (trans);
  g_autoptr (GError) error = NULL;
  g_autoptr (GstObject) context = NULL;
  gboolean ok;

  yolo_stats_reset (self->stats);
  set_started (self, TRUE);
  yolo_change_start (self->change);
  yolo_input_reset (&self->input);
  self->since_inferred = 0;
  self->discont = FALSE;
  yolo_follow_forget (&self->follow);

  yolo_context_settle (&self->context);        /* properties may have changed since READY */
  context = yolo_context_get (&self->context);

  /* a buffer that comes while the model loads waits */
  GST_PAD_STREAM_LOCK (trans->sinkpad);
  ok = yolo_load_start (&self->load, NULL, context, &error);
  if (ok)
    yolo_load_use_classes (&self->load);
  else
    yolo_load_stop (&self->load);
  GST_PAD_STREAM_UNLOCK (trans->sinkpad);

  if (!ok) {
    yolo_change_stop (self->change);
    set_started (self, FALSE);
    post_load_error (self, error);
    return FALSE;
  }
  yolo_message_model (GST_ELEMENT (self), &self->load);
  update_latency (self);
  return TRUE;
}

/* Called when both pads are inactive. */
static gboolean
gst_yolo_infer_stop (GstBaseTransform *trans)
{
  GstYoloInfer *self = GST_YOLO_INFER (trans);

  drop_frames (self);
  yolo_queue_free_spare (self->queue);
  yolo_change_stop (self->change);
  yolo_load_stop (&self->load);
  yolo_gate_reset (self->gate);
  set_started (self, FALSE);
  return TRUE;
}

static gboolean
gst_yolo_infer_src_activate_mode (GstPad *pad, GstObject *parent, GstPadMode mode,
    gboolean active)
{
  GstYoloInfer *self = GST_YOLO_INFER (parent);

  /* frames can only be pushed */
  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;

  if (active) {
    self->announced = FALSE;
    yolo_queue_set_active (self->queue, TRUE);
    start_task (self);
    return TRUE;
  }

  yolo_queue_set_active (self->queue, FALSE);
  set_flushing (self);
  return gst_pad_stop_task (pad);
}

static GstStateChangeReturn
gst_yolo_infer_change_state (GstElement *element, GstStateChange transition)
{
  GstYoloInfer *self = GST_YOLO_INFER (element);
  GstStateChangeReturn ret;

  /* decoders upstream, whose turn is next, make their context in this step */
  if (transition == GST_STATE_CHANGE_NULL_TO_READY)
    yolo_context_settle (&self->context);
  /* other streams' batches do not wait for a paused one */
  if (transition == GST_STATE_CHANGE_PLAYING_TO_PAUSED)
    yolo_load_set_idle (&self->load);
  ret = GST_ELEMENT_CLASS (gst_yolo_infer_parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_READY_TO_NULL)
    yolo_context_clear (&self->context);
  return ret;
}

/* The base class would count in QoS messages what it pushes itself, which is nothing. */
static gboolean
gst_yolo_infer_post_message (GstElement *element, GstMessage *message)
{
  GstYoloInfer *self = GST_YOLO_INFER (element);

  /* the frame that the message is about has yet to be counted as dropped */
  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_QOS)
    gst_message_set_qos_stats (message, GST_FORMAT_BUFFERS,
        yolo_stats_get (self->stats, YOLO_STATS_FRAMES),
        yolo_stats_get (self->stats, YOLO_STATS_DROPPED) + 1);
  return GST_ELEMENT_CLASS (gst_yolo_infer_parent_class)->post_message (element, message);
}

/* Properties */

static void
gst_yolo_infer_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstYoloInfer *self = GST_YOLO_INFER (object);
  gboolean started;

  GST_OBJECT_LOCK (self);
  started = self->settings.started;
  GST_OBJECT_UNLOCK (self);
  if (yolo_property_is_fixed (GST_ELEMENT (self), started, pspec, value))
    return;
  if (id == YOLO_INFER_MODEL_FILE && yolo_change_ask (self->change, g_value_get_string (value)))
    return;
  if (id == YOLO_INFER_CLASS_IDS) {
    yolo_load_set_classes (&self->load, g_value_get_string (value));
    return;
  }
  if (id == YOLO_INFER_ROI) {
    yolo_input_set_roi (&self->input, g_value_get_string (value));
    return;
  }
  if (id == YOLO_INFER_OBJECT_CLASS) {
    yolo_crops_set_classes (
        GST_ELEMENT (self), &self->settings, g_value_get_string (value));
    return;
  }

  GST_OBJECT_LOCK (self);
  yolo_property_set (&yolo_infer_properties[id], &self->settings, value);
  self->settings.cuda_device_set |= id == YOLO_INFER_CUDA_DEVICE_ID;
  GST_OBJECT_UNLOCK (self);

  if ((id == YOLO_INFER_BATCH_SIZE || id == YOLO_INFER_BATCH_TIMEOUT)
      && yolo_load_set_batching (&self->load))
    update_latency (self);
  if (id == YOLO_INFER_WEIGHT || id == YOLO_INFER_MIN_RATE)
    yolo_load_set_share (&self->load);
}

static void
gst_yolo_infer_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstYoloInfer *self = GST_YOLO_INFER (object);

  if (id == YOLO_INFER_STATS) {
    GstStructure *stats = yolo_stats_structure (self->stats);

    GST_OBJECT_LOCK (self);
    if (self->load.stream)
      yolo_devices_add_stats (stats, self->load.stream);
    GST_OBJECT_UNLOCK (self);
    g_value_take_boxed (value, stats);
    return;
  }

  GST_OBJECT_LOCK (self);
  yolo_property_get (&yolo_infer_properties[id], &self->settings, value);
  GST_OBJECT_UNLOCK (self);
}

static void
gst_yolo_infer_finalize (GObject *object)
{
  GstYoloInfer *self = GST_YOLO_INFER (object);

  yolo_properties_clear (yolo_infer_properties, YOLO_INFER_N_PROPERTIES, &self->settings);
  yolo_live_settings_clear (&self->settings.live);
  yolo_merger_clear (&self->merger);
  yolo_crops_clear (&self->crops);
  yolo_context_clear (&self->context);
  g_array_unref (self->last);
  g_clear_pointer (&self->last_faint, g_array_unref);
  yolo_input_clear (&self->input);
  yolo_gate_free (self->gate);
  yolo_stats_free (self->stats);
  yolo_queue_free (self->queue);
  yolo_change_free (self->change);
  G_OBJECT_CLASS (gst_yolo_infer_parent_class)->finalize (object);
}

static void
gst_yolo_infer_init (GstYoloInfer *self)
{
  yolo_properties_init (yolo_infer_properties, YOLO_INFER_N_PROPERTIES, &self->settings);
  yolo_load_init (&self->load, GST_BASE_TRANSFORM (self), &self->settings, on_result);
  yolo_crops_init (&self->crops);
  yolo_input_init (&self->input, GST_ELEMENT (self), &self->settings, &self->crops);
  yolo_context_init (&self->context, GST_BASE_TRANSFORM (self), &self->settings);
  self->stats = yolo_stats_new ();
  self->queue = yolo_queue_new ();
  self->gate = yolo_gate_new (GST_ELEMENT (self));
  self->change = yolo_change_new (&self->load);
  self->last = yolo_meta_objects_new ();

  gst_pad_set_activatemode_function (GST_BASE_TRANSFORM_SRC_PAD (self),
      gst_yolo_infer_src_activate_mode);
  /* as GstVideoFilter does: a frame too late to be shown is not worth a run */
  gst_base_transform_set_qos_enabled (GST_BASE_TRANSFORM (self), TRUE);
}

static void
gst_yolo_infer_class_init (GstYoloInferClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *transform_class = GST_BASE_TRANSFORM_CLASS (klass);
  GstCaps *caps;

  object_class->set_property = gst_yolo_infer_set_property;
  object_class->get_property = gst_yolo_infer_get_property;
  object_class->finalize = gst_yolo_infer_finalize;
  yolo_properties_install (object_class, yolo_infer_properties, YOLO_INFER_N_PROPERTIES);
  g_object_class_install_property (object_class, YOLO_INFER_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "Frames handed on, inferred, skipped, gated and dropped; requests, of which a frame in "
          "parts is several; batches and their mean size; the last frame's input-size; percentiles "
          "of the last frames' times by stage, in ns; what each device has done for all streams",
          GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));

  element_class->change_state = gst_yolo_infer_change_state;
  element_class->post_message = gst_yolo_infer_post_message;
  gst_element_class_set_static_metadata (element_class, "YOLO object detection",
      "Filter/Analyzer/Video", "Finds objects in video with a YOLO network", "The yolo project");
  /* ANY memory: transform_caps() narrows it to what yolo_caps_readable() leaves */
  caps = yolo_unpack_caps ("video/x-raw(ANY)", YOLO_VIDEO_FORMATS);
  gst_element_class_add_pad_template (
      element_class, gst_pad_template_new ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, caps));
  gst_element_class_add_pad_template (
      element_class, gst_pad_template_new ("src", GST_PAD_SRC, GST_PAD_ALWAYS, caps));
  gst_caps_unref (caps);
  gst_type_mark_as_plugin_api (yolo_settings_inference_region_type (), 0);
  gst_type_mark_as_plugin_api (yolo_settings_precision_type (), 0);
  gst_type_mark_as_plugin_api (yolo_settings_calibration_method_type (), 0);

  /* Neither transform nor transform_ip: the base class passes buffers through
   * and forwards allocation queries, so that upstream writes into the buffers
   * of whoever is downstream. Only metadata are added. */
  transform_class->start = gst_yolo_infer_start;
  transform_class->stop = gst_yolo_infer_stop;
  transform_class->sink_event = gst_yolo_infer_sink_event;
  transform_class->src_event = gst_yolo_infer_src_event;
  transform_class->query = gst_yolo_infer_query;
  transform_class->transform_caps = gst_yolo_infer_transform_caps;
  transform_class->set_caps = gst_yolo_infer_set_caps;
  transform_class->propose_allocation = gst_yolo_infer_propose_allocation;
  transform_class->submit_input_buffer = gst_yolo_infer_submit_input_buffer;
  transform_class->generate_output = gst_yolo_infer_generate_output;
}
