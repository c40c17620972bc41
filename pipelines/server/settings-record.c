/* SPDX-License-Identifier: MIT */
/* A camera's settings as a record of Kafka, and back. Who may write to the topic can do what who
 * may write the settings file can; but a topic is read by many and kept for long, so that nothing
 * secret belongs there. */

#include <string.h>

#include "base/text.h"
#include "pipelines/server/secret.h"
#include "pipelines/server/settings-private.h"

#define MAX_RECORD 65536        /* bytes */

/* Whether a value holds a password as it is. */
static gboolean
is_open (YoloKeyId key, char *const *items)
{
  for (guint i = 0; items[i] != NULL; i++)
    if (yolo_keys[key].type == YOLO_TYPE_SECRET ? !yolo_secret_is_variable (items[i])
        : yolo_secret_is_open (items[i]))
      return TRUE;
  return FALSE;
}

static gboolean
fail_open (const YoloSettings *settings, const char *camera, YoloKeyId key, GError **error)
{
  return yolo_settings_fail (error, settings, 0, camera, "%s has a password, which belongs into no "
      "record; write ${NAME} in its place, or name a password-file that the servers have",
      yolo_keys[key].name);
}

static gboolean
set_member (const YoloSettings *settings, YoloCameraSettings *camera, const char *name,
    JsonNode *node, GError **error)
{
  const int key = yolo_key_find (YOLO_N_SERVER_KEYS, YOLO_N_KEYS, name);
  g_autoptr (GError) why = NULL;
  YoloRaw raw = { 0 };
  gboolean good;

  if (!yolo_raw_from_json (&raw, node, &why)) {
    g_autofree char *shown = yolo_text_printable (name, YOLO_MAX_NAME);
    return yolo_settings_fail (error, settings, 0, camera->name, "%s %s", shown, why->message);
  }
  if (key >= 0 && raw.items != NULL && is_open (key, raw.items))
    good = fail_open (settings, camera->name, key, error);
  else
    good = yolo_settings_set (settings, camera->own, YOLO_N_SERVER_KEYS, YOLO_N_KEYS, camera->name,
        name, &raw, error);
  yolo_raw_clear (&raw);
  return good;
}

static gboolean
set_members (const YoloSettings *settings, YoloCameraSettings *camera, JsonObject *object,
    GError **error)
{
  g_autoptr (GList) names = json_object_get_members (object);

  for (GList *at = names; at != NULL; at = at->next)
    if (!set_member (settings, camera, at->data, json_object_get_member (object, at->data),
            error))
      return FALSE;
  return yolo_settings_finish_camera (settings, camera, error);
}

/* The parser, with an object as its root; NULL with @error. */
static JsonParser *
parse (const YoloSettings *settings, const char *name, const char *text, gsize size,
    GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new ();

  if (size <= MAX_RECORD && g_utf8_validate (text, size, NULL)
      && yolo_values_is_shallow (text, size)
      && json_parser_load_from_data (parser, text, size, NULL)
      && json_parser_get_root (parser) != NULL
      && JSON_NODE_HOLDS_OBJECT (json_parser_get_root (parser)))
    return g_steal_pointer (&parser);
  yolo_settings_fail (error, settings, 0, name,
      "the record is no object in JSON of %d bytes at most; send {\"uri\":\"rtsp://...\"}, or a "
      "record without a value, which takes the camera away", MAX_RECORD);
  return NULL;
}

gboolean
yolo_settings_add_record (YoloSettings *settings, const char *name, const char *text, gsize size,
    GError **error)
{
  const YoloCameraSettings *old = yolo_settings_camera (settings, name);
  const double most = yolo_values_number (settings->server, YOLO_KEY_MAX_CAMERAS);
  g_autoptr (JsonParser) parser = NULL;
  YoloCameraSettings *camera;

  if (!yolo_settings_check_name (settings, 0, name, error)
      || (parser = parse (settings, name, text, size, error)) == NULL)
    return FALSE;
  if (old == NULL && settings->cameras->len >= most)
    return yolo_settings_fail (error, settings, 0, name,
        "there are %g cameras already, and max-cameras allows no more; raise it", most);
  camera = yolo_settings_add (settings, name, 0);
  if (!set_members (settings, camera, json_node_get_object (json_parser_get_root (parser)),
          error)) {
    g_ptr_array_remove (settings->cameras, camera);
    return FALSE;
  }
  if (old != NULL)
    g_ptr_array_remove (settings->cameras, (gpointer) old);
  return TRUE;
}

static void
add_value (JsonBuilder *builder, const YoloKey *key, const YoloValue *value)
{
  const gboolean list = key->type == YOLO_TYPE_LIST || key->type == YOLO_TYPE_PLACES;

  json_builder_set_member_name (builder, key->name);
  if (list)
    json_builder_begin_array (builder);
  for (guint i = 0; value->raw[i] != NULL; i++) {
    if (key->type == YOLO_TYPE_BOOLEAN)
      json_builder_add_boolean_value (builder, value->number != 0);
    else if (key->type == YOLO_TYPE_INTEGER)
      json_builder_add_int_value (builder, (gint64) value->number);
    else if (key->type == YOLO_TYPE_NUMBER)
      json_builder_add_double_value (builder, value->number);
    else
      json_builder_add_string_value (builder, value->raw[i]);
  }
  if (list)
    json_builder_end_array (builder);
}

char *
yolo_settings_to_record (
    const YoloSettings *settings, const YoloCameraSettings *camera, GError **error)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;

  json_builder_begin_object (builder);
  for (int i = YOLO_N_SERVER_KEYS; i < YOLO_N_KEYS; i++) {
    const YoloValue *value = &camera->own->value[i];

    if (value->raw == NULL)
      continue;
    if (is_open (i, value->raw)) {
      fail_open (settings, camera->name, i, error);
      return NULL;
    }
    add_value (builder, &yolo_keys[i], value);
  }
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  return json_to_string (root, FALSE);
}
