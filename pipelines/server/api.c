/* SPDX-License-Identifier: MIT */
/* The REST API of cameras and settings; openapi.json describes it. */

#include "pipelines/server/http.h"

#include <string.h>

#include "pipelines/server/secret.h"

static void
add_text (JsonBuilder *builder, const char *name, const char *text)
{
  json_builder_set_member_name (builder, name);
  if (text != NULL)
    json_builder_add_string_value (builder, text);
  else
    json_builder_add_null_value (builder);
}

static void
add_integer (JsonBuilder *builder, const char *name, gint64 number)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_int_value (builder, number);
}

static void
add_number (JsonBuilder *builder, const char *name, double number)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_double_value (builder, number);
}

/* Two members, null where nothing was measured yet. */
static void
add_percentiles (JsonBuilder *builder, YoloCounts *counts, YoloLatency which, const char *median,
    const char *p95)
{
  const char *const names[] = { median, p95 };
  double seconds[2];
  const gboolean known = yolo_counts_percentiles (counts, which, &seconds[0], &seconds[1]);

  for (guint i = 0; i < 2; i++) {
    json_builder_set_member_name (builder, names[i]);
    if (known)
      json_builder_add_double_value (builder, seconds[i]);
    else
      json_builder_add_null_value (builder);
  }
}

static void
add_camera (JsonBuilder *builder, YoloHttp *http, const YoloCamera *camera)
{
  const YoloCountsNow counts = yolo_counts_read (camera->counts);
  const YoloCameraSettings *settings =
      yolo_settings_camera (yolo_wall_settings (http->wall), camera->name);
  g_autoptr (GDateTime) since = g_date_time_new_from_unix_utc (camera->since / G_USEC_PER_SEC);
  g_autofree char *when = g_date_time_format_iso8601 (since);

  json_builder_begin_object (builder);
  add_text (builder, "name", camera->name);
  add_text (builder, "title", yolo_values_text (camera->values, YOLO_KEY_TITLE));
  add_text (builder, "state", yolo_camera_state_name (camera->state));
  add_text (builder, "reason", camera->reason);
  add_text (builder, "since", when);
  add_integer (builder, "width", counts.width);
  add_integer (builder, "height", counts.height);
  add_number (builder, "fps", counts.fps_in);
  add_number (builder, "fps_inferred", counts.fps_inferred);
  add_number (builder, "fps_dropped", counts.fps_dropped);
  add_number (builder, "latency", counts.latency_recent);
  add_percentiles (builder, camera->counts, YOLO_LATENCY_OBJECTS, "objects_latency_median",
      "objects_latency_p95");
  add_percentiles (builder, camera->counts, YOLO_LATENCY_EVENTS, "events_latency_median",
      "events_latency_p95");
  add_text (builder, "latency_from", counts.sent_time ? "camera" : "arrival");
  add_integer (builder, "frames", counts.frames);
  add_integer (builder, "inferred", counts.inferred);
  add_integer (builder, "dropped", counts.dropped);
  add_integer (builder, "objects", counts.objects);
  add_integer (builder, "connects", camera->connects);
  add_integer (builder, "failures", camera->failures);
  json_builder_set_member_name (builder, "settings");
  json_builder_begin_object (builder);
  if (settings != NULL)
    yolo_values_to_json (settings->own, builder);
  json_builder_end_object (builder);
  json_builder_set_member_name (builder, "effective");
  json_builder_begin_object (builder);
  yolo_values_to_json (camera->values, builder);
  json_builder_end_object (builder);
  json_builder_end_object (builder);
}

void
yolo_api_list_cameras (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  JsonBuilder *builder = json_builder_new ();
  GPtrArray *cameras = yolo_wall_cameras (http->wall);

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "cameras");
  json_builder_begin_array (builder);
  for (guint i = 0; i < cameras->len; i++)
    add_camera (builder, http, g_ptr_array_index (cameras, i));
  json_builder_end_array (builder);
  json_builder_end_object (builder);
  yolo_http_answer_json (message, SOUP_STATUS_OK, builder);
}

static void
answer_camera (YoloHttp *http, SoupServerMessage *message, guint status, const YoloCamera *camera)
{
  JsonBuilder *builder = json_builder_new ();

  add_camera (builder, http, camera);
  yolo_http_answer_json (message, status, builder);
}

void
yolo_api_get_camera (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  const YoloCamera *camera = yolo_wall_camera (http->wall, name);

  if (camera == NULL)
    yolo_http_answer_error (message, SOUP_STATUS_NOT_FOUND, "there is no camera '%s'", name);
  else
    answer_camera (http, message, SOUP_STATUS_OK, camera);
}

/* Whether yolozones takes the lines and zones of a camera, which the settings alone cannot tell. */
static gboolean
check_zones (const YoloSettings *settings, const char *name, GError **error)
{
  const YoloCameraSettings *camera = yolo_settings_camera (settings, name);
  const char *text =
      camera != NULL ? yolo_values_text (camera->all, YOLO_KEY_ZONES_TEXT) : NULL;

  return text == NULL || yolo_run_check_zones (text, error);
}

static void
change_camera (YoloHttp *http, SoupServerMessage *message, const char *name, YoloChange change)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (GError) error = NULL;
  const gboolean there = yolo_wall_camera (http->wall, name) != NULL;
  JsonObject *values = NULL;
  YoloSettings *settings;

  if (change != YOLO_CHANGE_REMOVE
      && (values = yolo_http_read_object (message, parser)) == NULL)
    return;
  settings = yolo_settings_change (yolo_wall_settings (http->wall), change, name, values, &error);
  if (settings == NULL || !check_zones (settings, name, &error)) {
    yolo_settings_free (settings);
    yolo_http_answer_failure (message, error);
    return;
  }
  yolo_wall_set (http->wall, settings);
  if (change == YOLO_CHANGE_REMOVE)
    soup_server_message_set_status (message, SOUP_STATUS_NO_CONTENT, NULL);
  else
    answer_camera (http, message, there ? SOUP_STATUS_OK : SOUP_STATUS_CREATED,
        yolo_wall_camera (http->wall, name));
}

void
yolo_api_put_camera (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  change_camera (http, message, name, YOLO_CHANGE_PUT);
}

void
yolo_api_patch_camera (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  change_camera (http, message, name, YOLO_CHANGE_PATCH);
}

void
yolo_api_delete_camera (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  change_camera (http, message, name, YOLO_CHANGE_REMOVE);
}

/* The lines and zones of a camera as a text, or NULL with @error. (transfer full) */
static char *
read_zones (const YoloCamera *camera, GError **error)
{
  const char *text = yolo_values_text (camera->values, YOLO_KEY_ZONES_TEXT);
  const char *file = yolo_values_text (camera->values, YOLO_KEY_ZONES);
  char *read = NULL;

  if (text != NULL || file == NULL)
    return g_strdup (text != NULL ? text : "{}");
  g_file_get_contents (file, &read, NULL, error);
  return read;
}

/* What the camera has, as an object. */
static void
answer_zones (SoupServerMessage *message, const YoloCamera *camera)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autofree char *text = read_zones (camera, &error);

  /* A file is nobody's request, and may have changed since the camera has read it. */
  if (text == NULL || !g_utf8_validate (text, -1, NULL)
      || !yolo_values_is_shallow (text, strlen (text))
      || !json_parser_load_from_data (parser, text, -1, &error)
      || json_parser_get_root (parser) == NULL) {
    yolo_http_answer_error (message, SOUP_STATUS_INTERNAL_SERVER_ERROR,
        "the file of zones cannot be read: %s", error != NULL ? error->message : "it is no JSON");
    return;
  }
  yolo_http_answer_node (message, SOUP_STATUS_OK, json_parser_get_root (parser));
}

void
yolo_api_get_zones (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  const YoloCamera *camera = yolo_wall_camera (http->wall, name);

  if (camera == NULL)
    yolo_http_answer_error (message, SOUP_STATUS_NOT_FOUND, "there is no camera '%s'", name);
  else
    answer_zones (message, camera);
}

/* Sets zones-text, or takes it away (@text: NULL), which takes effect at once. */
static void
change_zones (YoloHttp *http, SoupServerMessage *message, const char *name, const char *text)
{
  g_autoptr (JsonObject) values = json_object_new ();
  g_autoptr (GError) error = NULL;
  YoloSettings *settings;

  if (text != NULL)
    json_object_set_string_member (values, yolo_keys[YOLO_KEY_ZONES_TEXT].name, text);
  else
    json_object_set_null_member (values, yolo_keys[YOLO_KEY_ZONES_TEXT].name);
  settings = yolo_settings_change (yolo_wall_settings (http->wall), YOLO_CHANGE_PATCH, name, values,
      &error);
  if (settings == NULL || !check_zones (settings, name, &error)) {
    yolo_settings_free (settings);
    yolo_http_answer_failure (message, error);
    return;
  }
  yolo_wall_set (http->wall, settings);
  answer_zones (message, yolo_wall_camera (http->wall, name));
}

void
yolo_api_put_zones (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autofree char *text = NULL;

  if (yolo_http_read_object (message, parser) == NULL)
    return;
  text = json_to_string (json_parser_get_root (parser), FALSE);
  change_zones (http, message, name, text);
}

void
yolo_api_delete_zones (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  change_zones (http, message, name, NULL);
}

void
yolo_api_get_status (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  YoloFilms *films = yolo_wall_films (http->wall);
  const YoloFilmsNow video = films != NULL ? yolo_films_read (films) : (YoloFilmsNow) { 0 };
  JsonBuilder *builder = json_builder_new ();
  const YoloSettings *settings = yolo_wall_settings (http->wall);
  const YoloShard *shard = &settings->shard;

  json_builder_begin_object (builder);
  add_text (builder, "version", YOLO_VERSION);
  add_number (builder, "uptime", (g_get_monotonic_time () - http->began) / 1e6);
  add_integer (builder, "cameras", yolo_wall_cameras (http->wall)->len);
  if (shard->count > 0) {
    g_autofree char *text = g_strdup_printf ("%u/%u", shard->index, shard->count);
    add_text (builder, "shard", text);
  }
  if (settings->group != NULL)
    add_text (builder, "group", settings->group);
  add_integer (builder, "connections", *http->n_connections);
  add_integer (builder, "viewers", http->n_viewers);
  add_integer (builder, "requests", http->n_requests);
  add_integer (builder, "refused", http->n_refused);
  json_builder_set_member_name (builder, "unsaved");
  json_builder_add_boolean_value (builder, yolo_wall_is_changed (http->wall));
  add_text (builder, "settings_error", yolo_wall_file_error (http->wall));
  add_text (builder, "rtsp", yolo_restream_address (http->restream));
  json_builder_set_member_name (builder, "video");
  json_builder_begin_object (builder);
  add_integer (builder, "files", video.begun);
  add_integer (builder, "lost", video.lost);
  add_integer (builder, "bytes", video.bytes);
  json_builder_end_object (builder);
  json_builder_end_object (builder);
  yolo_http_answer_json (message, SOUP_STATUS_OK, builder);
}

void
yolo_api_get_schema (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  JsonBuilder *builder = json_builder_new ();

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "settings");
  json_builder_begin_array (builder);
  for (int i = YOLO_N_SERVER_KEYS; i < YOLO_N_KEYS; i++) {
    const YoloKey *key = &yolo_keys[i];
    g_autofree char *takes = yolo_key_describe (key);

    json_builder_begin_object (builder);
    add_text (builder, "name", key->name);
    add_text (builder, "takes", takes);
    add_text (builder, "default", key->initial);
    json_builder_set_member_name (builder, "live");
    json_builder_add_boolean_value (builder, key->live);
    add_text (builder, "description", key->doc);
    json_builder_end_object (builder);
  }
  json_builder_end_array (builder);
  json_builder_end_object (builder);
  yolo_http_answer_json (message, SOUP_STATUS_OK, builder);
}

static void
answer_done (YoloHttp *http, SoupServerMessage *message, gboolean good, const GError *error)
{
  if (good)
    yolo_api_get_status (http, message, NULL);
  else
    yolo_http_answer_failure (message, error);
}

void
yolo_api_save (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  g_autoptr (GError) error = NULL;
  const gboolean good = yolo_wall_save (http->wall, &error);

  answer_done (http, message, good, error);
}

void
yolo_api_reload (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  g_autoptr (GError) error = NULL;
  const gboolean good = yolo_wall_reload (http->wall, &error);

  answer_done (http, message, good, error);
}
