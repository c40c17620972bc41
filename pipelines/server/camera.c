/* SPDX-License-Identifier: MIT */
#include "pipelines/server/camera.h"

#include <string.h>

#include <json-glib/json-glib.h>

#include "pipelines/server/probe.h"
#include "pipelines/server/secret.h"

/* A model is loaded within this time, and an engine made; what takes longer hangs. */
#define MAX_START (180 * G_USEC_PER_SEC)
/* Pipelines of one camera that hang while they end: each keeps a thread and its memory. */
#define MAX_HANGING 4
#define PROBE_PERIOD G_USEC_PER_SEC

static void connect_again (YoloCamera *camera);

const char *
yolo_camera_state_name (YoloCameraState state)
{
  switch (state) {
    case YOLO_CAMERA_OFF:
      return "off";
    case YOLO_CAMERA_CONNECTING:
      return "connecting";
    case YOLO_CAMERA_LIVE:
      return "live";
    case YOLO_CAMERA_STALLED:
      return "stalled";
    case YOLO_CAMERA_FAILED:
      return "failed";
  }
  g_return_val_if_reached ("");
}

/* Makes an event of a change between live and anything else. */
static void
tell_events (YoloCamera *camera, gboolean up, const char *reason)
{
  const char *kind = up ? "up" : "down";
  YoloEvent *event;

  if (camera->up == up)
    return;
  camera->up = up;
  if (!yolo_sightings_wants (camera->values, kind))
    return;
  event = yolo_event_new (camera->name, kind);
  if (reason != NULL) {
    g_autoptr (JsonBuilder) builder = json_builder_new ();
    g_autoptr (JsonNode) root = NULL;

    json_builder_begin_object (builder);
    json_builder_set_member_name (builder, "reason");
    json_builder_add_string_value (builder, reason);
    json_builder_end_object (builder);
    root = json_builder_get_root (builder);
    event->details = json_to_string (root, FALSE);
  }
  yolo_events_add (camera->events, event);
}

static void
set_state (YoloCamera *camera, YoloCameraState state, const char *reason)
{
  if (camera->state != state) {
    camera->since = g_get_real_time ();
    g_message ("camera %s: %s%s%s", camera->name, yolo_camera_state_name (state),
        reason != NULL ? ": " : "", reason != NULL ? reason : "");
  }
  camera->state = state;
  tell_events (camera, state == YOLO_CAMERA_LIVE, reason);
  g_free (camera->reason);
  camera->reason = g_strdup (reason);
}

static void
stop_probe (YoloCamera *camera)
{
  if (camera->probe != NULL)
    g_cancellable_cancel (camera->probe);
  g_clear_object (&camera->probe);
}

static void
end_run (YoloCamera *camera)
{
  stop_probe (camera);
  camera->next = 0;
  if (camera->run != NULL) {
    GstElement *zones = yolo_run_zones (camera->run);

    /* counts belong to the camera, not to its pipeline */
    if (zones != NULL)
      gst_object_replace ((GstObject **) &camera->zones, GST_OBJECT (zones));
    gst_clear_object (&zones);
    yolo_bitstream_end (camera->stream);
  }
  g_clear_pointer (&camera->run, yolo_run_stop);
}

/* Says why nothing is recorded of a camera whose settings want it. */
static void
tell_lack (YoloCamera *camera)
{
  const char *record = yolo_values_text (camera->values, YOLO_KEY_RECORD);
  const char *lacks = strcmp (record, "off") != 0 ? yolo_bitstream_lacks (camera->stream) : NULL;

  if (lacks != NULL)
    g_message ("camera %s: no video is recorded: %s", camera->name, lacks);
}

/* Hands the settings to the stream, and says so where video shows what pictures hide. */
static void
set_stream (YoloCamera *camera)
{
  const char *privacy = yolo_values_text (camera->values, YOLO_KEY_PRIVACY);

  yolo_bitstream_set (camera->stream, camera->values);
  if (privacy != NULL && strcmp (privacy, "none") != 0
      && yolo_values_true (camera->values, YOLO_KEY_CLIP_UNMASKED))
    g_message ("camera %s: clip-unmasked is set: its video shows what privacy hides in pictures",
        camera->name);
}

/* Ends the pipeline and says when the next one begins. @quick: it failed at once; each time that
 * this happens the wait is twice as long, from reconnect-min to reconnect-max. One that was given
 * time and did nothing has been waited for already. */
static void
fail (YoloCamera *camera, const char *reason, gboolean quick)
{
  const double min = yolo_values_number (camera->values, YOLO_KEY_RECONNECT_MIN);
  const double max = yolo_values_number (camera->values, YOLO_KEY_RECONNECT_MAX);

  end_run (camera);
  set_state (camera, YOLO_CAMERA_FAILED, reason);
  camera->failures++;
  camera->wait = quick && camera->wait > 0 ? MIN (camera->wait * 2, max) : min;
  /* Cameras that a switch took away together are not to come back in one moment. */
  camera->next = g_get_monotonic_time ()
      + (gint64) (CLAMP (camera->wait * g_random_double_range (.8, 1.2), min, max)
      * G_USEC_PER_SEC);
}

static void
on_run_end (YoloRun *run, const char *reason, gpointer user_data)
{
  YoloCamera *camera = user_data;

  if (reason != NULL) {
    fail (camera, reason, TRUE);
    return;
  }
  end_run (camera);
  set_state (camera, YOLO_CAMERA_OFF, "the file has ended");
}

static void
connect_again (YoloCamera *camera)
{
  g_autoptr (GError) error = NULL;

  end_run (camera);
  if (yolo_counts_read (camera->counts).pipelines >= MAX_HANGING) {
    fail (camera, "its last pipelines hang and do not end; it waits for them", TRUE);
    return;
  }
  camera->connects++;
  camera->run_began = g_get_monotonic_time ();
  camera->run_started = 0;
  camera->frames_at_start = yolo_counts_read (camera->counts).frames;
  camera->run = yolo_run_new (camera->name, camera->values, camera->counts, camera->clean,
      camera->drawn, camera->events, camera->stream, camera->zones, on_run_end, camera, &error);
  if (camera->run == NULL) {
    g_autofree char *reason = yolo_secret_hide (error->message);
    fail (camera, reason, TRUE);
  }
}

/* What the values ask for: nothing, or a first attempt. */
static void
begin (YoloCamera *camera)
{
  end_run (camera);
  camera->wait = 0;
  if (!yolo_values_true (camera->values, YOLO_KEY_ENABLED)) {
    set_state (camera, YOLO_CAMERA_OFF, "it is switched off");
    return;
  }
  set_state (camera, YOLO_CAMERA_CONNECTING, NULL);
  connect_again (camera);
}

YoloCamera *
yolo_camera_new (
    const char *name, const YoloValues *values, YoloEvents *events, YoloFilms *films)
{
  YoloCamera *camera = g_new0 (YoloCamera, 1);

  camera->name = g_strdup (name);
  camera->values = yolo_values_new ();
  yolo_values_merge (camera->values, values);
  camera->counts = yolo_counts_new ();
  camera->clean = yolo_picture_new (camera->counts);
  camera->drawn = yolo_picture_new (camera->counts);
  camera->events = yolo_events_ref (events);
  camera->stream = yolo_bitstream_new (name, films);
  camera->since = g_get_real_time ();
  set_stream (camera);
  begin (camera);
  return camera;
}

void
yolo_camera_free (YoloCamera *camera)
{
  if (camera == NULL)
    return;
  end_run (camera);
  gst_clear_object (&camera->zones);
  tell_events (camera, FALSE, "it was removed, or the server has ended");
  yolo_bitstream_unref (camera->stream);
  yolo_events_unref (camera->events);
  yolo_picture_unref (camera->clean);
  yolo_picture_unref (camera->drawn);
  yolo_counts_unref (camera->counts);
  yolo_values_free (camera->values);
  g_free (camera->reason);
  g_free (camera->name);
  g_free (camera);
}

/* Whether a key takes effect without the pipeline: people read it, or the next attempt does. */
static gboolean
is_aside (YoloKeyId key)
{
  return key == YOLO_KEY_TITLE || key == YOLO_KEY_STALL_AFTER || key == YOLO_KEY_RECONNECT_MIN
      || key == YOLO_KEY_RECONNECT_MAX || key == YOLO_KEY_CONNECT_TIMEOUT;
}

void
yolo_camera_change (YoloCamera *camera, const YoloValues *values)
{
  YoloValues *old = camera->values;
  gboolean differ = FALSE, anew = FALSE;

  for (int i = YOLO_N_SERVER_KEYS; i < YOLO_N_KEYS; i++)
    if (!yolo_values_same (old, values, i)) {
      differ = TRUE;
      anew = anew || !(yolo_keys[i].live || is_aside (i));
    }
  if (!differ)
    return;
  camera->values = yolo_values_new ();
  yolo_values_merge (camera->values, values);
  yolo_values_free (old);
  set_stream (camera);
  if (camera->state == YOLO_CAMERA_LIVE && !anew)
    tell_lack (camera);
  if (anew)
    begin (camera);
  else if (camera->run != NULL)
    yolo_run_apply (camera->run, camera->values);
}

static void
on_probed (gboolean answers, gpointer user_data)
{
  YoloCamera *camera = user_data;

  g_clear_object (&camera->probe);
  if (!answers) {
    camera->unreachable = TRUE;
  } else if (camera->unreachable) {
    camera->unreachable = FALSE;
    connect_again (camera);
  }
}

/* A host that did not answer and answers again is connected at once, however long the wait is. */
static void
ask_host (YoloCamera *camera, gint64 now)
{
  if (camera->probe != NULL || now < camera->probed + PROBE_PERIOD)
    return;
  camera->probed = now;
  camera->probe = g_cancellable_new ();
  if (!yolo_probe (camera->values, camera->probe, on_probed, camera))
    g_clear_object (&camera->probe);
}

/* A pipeline runs: whether frames come. */
static void
watch_run (YoloCamera *camera, gint64 now)
{
  const YoloCountsNow counts = yolo_counts_read (camera->counts);
  const double stall = yolo_values_number (camera->values, YOLO_KEY_STALL_AFTER);
  const double patience = yolo_values_number (camera->values, YOLO_KEY_CONNECT_TIMEOUT);

  if (camera->run_started == 0 && yolo_run_has_started (camera->run))
    camera->run_started = now;
  if (counts.frames > camera->frames_at_start) {
    const double still = (now - counts.last) / 1e6;

    if (still < stall) {
      camera->wait = 0;
      camera->unreachable = FALSE;
      if (camera->state != YOLO_CAMERA_LIVE) {
        set_state (camera, YOLO_CAMERA_LIVE, NULL);
        tell_lack (camera);
      }
    } else if (still < 2 * stall) {
      g_autofree char *reason = g_strdup_printf ("no frame for %.0f s", still);
      set_state (camera, YOLO_CAMERA_STALLED, reason);
    } else {
      g_autofree char *reason =
          g_strdup_printf ("no frame for %.0f s; it is connected anew", still);
      fail (camera, reason, FALSE);
    }
  } else if (camera->run_started != 0 && (now - camera->run_started) / 1e6 > patience) {
    g_autofree char *reason = g_strdup_printf ("no frame within %.0f s", patience);
    fail (camera, reason, FALSE);
  } else if (camera->run_started == 0 && now - camera->run_began > MAX_START) {
    fail (camera, "the pipeline does not start: loading the model or opening the camera hangs",
        FALSE);
  }
}

void
yolo_camera_watch (YoloCamera *camera)
{
  const gint64 now = g_get_monotonic_time ();

  yolo_bitstream_watch (camera->stream);
  if (camera->run != NULL)
    watch_run (camera, now);
  else if (camera->next != 0 && now >= camera->next)
    connect_again (camera);
  else if (camera->next != 0)
    ask_host (camera, now);
}
