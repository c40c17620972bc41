/* SPDX-License-Identifier: MIT */
/* The routes by which DeepStream's REST server adds and removes streams, so that what was written
 * for that works here: https://docs.nvidia.com/metropolis/deepstream/dev-guide/text/
 * DS_RestServer.html */

#include "pipelines/server/http.h"

#include <string.h>

static void
answer (SoupServerMessage *message, guint status, const char *reason)
{
  JsonBuilder *builder = json_builder_new ();
  g_autofree char *line =
      g_strdup_printf ("HTTP/1.1 %u %s", status, soup_status_get_phrase (status));

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "status");
  json_builder_add_string_value (builder, line);
  json_builder_set_member_name (builder, "reason");
  json_builder_add_string_value (builder, reason);
  json_builder_end_object (builder);
  yolo_http_answer_json (message, status, builder);
}

/* A text of the object, or NULL. */
static const char *
text_of (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  return node != NULL && JSON_NODE_HOLDS_VALUE (node)
      && json_node_get_value_type (node) == G_TYPE_STRING ? json_node_get_string (node) : NULL;
}

/* The member "value", which says what is to be done; NULL: it has been answered. */
static JsonObject *
read_value (SoupServerMessage *message, JsonParser *parser, const char *change)
{
  JsonObject *whole = yolo_http_read_object (message, parser);
  JsonNode *node = whole != NULL ? json_object_get_member (whole, "value") : NULL;
  JsonObject *value;

  if (whole == NULL)
    return NULL;
  if (node == NULL || !JSON_NODE_HOLDS_OBJECT (node)
      || text_of (value = json_node_get_object (node), "camera_id") == NULL
      || (text_of (value, "change") != NULL
          && strstr (text_of (value, "change"), change) == NULL)) {
    yolo_http_answer_error (message, SOUP_STATUS_BAD_REQUEST,
        "send {\"value\":{\"camera_id\":\"NAME\",\"camera_url\":\"URI\",\"change\":\"camera_%s\"}}",
        change);
    return NULL;
  }
  return value;
}

static void
apply (YoloHttp *http, SoupServerMessage *message, YoloChange change, const char *name,
    JsonObject *values, const char *good, const char *bad)
{
  g_autoptr (GError) error = NULL;
  YoloSettings *settings =
      yolo_settings_change (yolo_wall_settings (http->wall), change, name, values, &error);

  if (settings == NULL) {
    g_autofree char *reason = g_strdup_printf ("%s: %s", bad, error->message);
    answer (message, SOUP_STATUS_BAD_REQUEST, reason);
    return;
  }
  yolo_wall_set (http->wall, settings);
  answer (message, SOUP_STATUS_OK, good);
}

void
yolo_deepstream_add (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonObject *value = read_value (message, parser, "add");
  g_autoptr (JsonObject) values = json_object_new ();

  if (value == NULL)
    return;
  if (text_of (value, "camera_url") != NULL)
    json_object_set_string_member (values, "uri", text_of (value, "camera_url"));
  if (text_of (value, "camera_name") != NULL)
    json_object_set_string_member (values, "title", text_of (value, "camera_name"));
  apply (http, message, YOLO_CHANGE_ADD, text_of (value, "camera_id"), values,
      "STREAM_ADD_SUCCESS", "STREAM_ADD_FAIL");
}

void
yolo_deepstream_remove (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonObject *value = read_value (message, parser, "remove");

  if (value != NULL)
    apply (http, message, YOLO_CHANGE_REMOVE, text_of (value, "camera_id"), NULL,
        "STREAM_REMOVE_SUCCESS", "STREAM_REMOVE_FAIL");
}
