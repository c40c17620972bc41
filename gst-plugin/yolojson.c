/* SPDX-License-Identifier: MIT */
#include "gst-plugin/yolojson.h"

void
yolo_json_double (JsonBuilder *builder, const char *name, gdouble value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_double_value (builder, value);
}

void
yolo_json_int (JsonBuilder *builder, const char *name, gint64 value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_int_value (builder, value);
}

void
yolo_json_boolean (JsonBuilder *builder, const char *name, gboolean value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_boolean_value (builder, value);
}

void
yolo_json_string (JsonBuilder *builder, const char *name, const char *value)
{
  json_builder_set_member_name (builder, name);
  if (value)
    json_builder_add_string_value (builder, value);
  else
    json_builder_add_null_value (builder);
}

/* Whether a character that json-glib leaves as it is should be an escape: U+001F, which JSON
 * forbids as it is, and what commands a terminal or turns the direction of writing, for the
 * records may go to standard output. Source: Unicode's categories Cc, Cf, Zl and Zp. */
static gboolean
must_escape (gunichar character)
{
  switch (g_unichar_type (character)) {
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT:
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
      return character <= 0xffff;
    default:
      return FALSE;
  }
}

static void
append_escaped (GString *out, const char *json)
{
  const char *start = json, *at;

  for (at = json; *at != '\0'; at = g_utf8_next_char (at)) {
    const gunichar character = g_utf8_get_char (at);

    if (!must_escape (character))
      continue;
    g_string_append_len (out, start, at - start);
    g_string_append_printf (out, "\\u%04x", character);
    start = g_utf8_next_char (at);
  }
  g_string_append (out, start);
}

void
yolo_json_append (JsonBuilder *builder, GString *out)
{
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  g_autoptr (JsonNode) root = json_builder_get_root (builder);
  g_autofree char *json = NULL;

  json_generator_set_root (generator, root);
  json = json_generator_to_data (generator, NULL);
  append_escaped (out, json);
  g_object_unref (builder);
}
