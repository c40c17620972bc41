/* SPDX-License-Identifier: MIT */
/* Settings out of YAML and back, by libyaml. */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <yaml.h>

#include "base/file.h"
#include "base/text.h"
#include "pipelines/server/settings-private.h"

#define MAX_FILE (4 << 20)      /* bytes of a settings file: some 10,000 cameras */

/* A document that is being read. */
typedef struct {
  yaml_document_t *document;
  YoloSettings *settings;
} Reader;

/* Reads the value of a key of a mapping. */
typedef gboolean (*ReadMember) (
    Reader *reader, gpointer into, const char *name, yaml_node_t *node, GError **error);

static guint
line_of (const yaml_node_t *node)
{
  return node->start_mark.line + 1;
}

/* A scalar's text; NULL: it is none, or has a 0 in it. */
static const char *
scalar (const yaml_node_t *node)
{
  const char *text = (const char *) node->data.scalar.value;

  return node->type == YAML_SCALAR_NODE && strlen (text) == node->data.scalar.length ? text : NULL;
}

static gboolean
is_null (const yaml_node_t *node)
{
  return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE
      && (node->data.scalar.length == 0 || strcmp ((char *) node->data.scalar.value, "~") == 0
          || strcmp ((char *) node->data.scalar.value, "null") == 0);
}

/* Calls @member for each pair of a mapping. One that is empty is a mapping without pairs. */
static gboolean
read_mapping (Reader *reader, yaml_node_t *node, const char *what, ReadMember member,
    gpointer into, GError **error)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  if (is_null (node))
    return TRUE;
  if (node->type != YAML_MAPPING_NODE)
    return yolo_settings_fail (error, reader->settings, line_of (node), NULL,
        "%s is no mapping; write `key: value`, a line each, indented", what);
  for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
      pair < node->data.mapping.pairs.top; pair++) {
    yaml_node_t *key = yaml_document_get_node (reader->document, pair->key);
    yaml_node_t *value = yaml_document_get_node (reader->document, pair->value);
    const char *name = scalar (key);

    if (name == NULL)
      return yolo_settings_fail (error, reader->settings, line_of (key), NULL,
          "a key in %s is no text; write `key: value`", what);
    if (!g_hash_table_add (seen, (gpointer) name)) {
      g_autofree char *shown = yolo_text_printable (name, YOLO_MAX_NAME);
      return yolo_settings_fail (error, reader->settings, line_of (key), NULL,
          "'%s' stands in %s twice; take one of them out", shown, what);
    }
    if (!member (reader, into, name, value, error))
      return FALSE;
  }
  return TRUE;
}

/* A scalar or a list of scalars. */
static gboolean
read_raw (Reader *reader, yaml_node_t *node, const char *name, YoloRaw *raw, GError **error)
{
  g_autoptr (GPtrArray) items = g_ptr_array_new_with_free_func (g_free);

  *raw = (YoloRaw) { NULL, node->type == YAML_SEQUENCE_NODE, FALSE, line_of (node) };
  if (is_null (node))
    return TRUE;
  if (node->type == YAML_SCALAR_NODE) {
    raw->quoted = node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (scalar (node) != NULL)
      g_ptr_array_add (items, g_strdup (scalar (node)));
  } else if (node->type == YAML_SEQUENCE_NODE) {
    for (yaml_node_item_t *item = node->data.sequence.items.start;
        item < node->data.sequence.items.top; item++) {
      const char *text = scalar (yaml_document_get_node (reader->document, *item));

      if (text == NULL)
        break;
      g_ptr_array_add (items, g_strdup (text));
    }
  }
  if (items->len != (guint) (node->type == YAML_SEQUENCE_NODE
          ? node->data.sequence.items.top - node->data.sequence.items.start : 1)) {
    g_autofree char *shown = yolo_text_printable (name, YOLO_MAX_NAME);
    return yolo_settings_fail (error, reader->settings, raw->line, NULL,
        "'%s' is a mapping, or a list of what is no text; give a text, or a list of texts", shown);
  }
  g_ptr_array_add (items, NULL);
  raw->items = (char **) g_ptr_array_free (g_steal_pointer (&items), FALSE);
  return TRUE;
}

static gboolean
read_value (Reader *reader, YoloValues *values, int first, int end, const char *camera,
    const char *name, yaml_node_t *node, GError **error)
{
  YoloRaw raw;
  gboolean good = read_raw (reader, node, name, &raw, error)
      && yolo_settings_set (reader->settings, values, first, end, camera, name, &raw, error);

  yolo_raw_clear (&raw);
  return good;
}

static gboolean
read_server_key (Reader *reader, gpointer into, const char *name, yaml_node_t *node,
    GError **error)
{
  return read_value (reader, into, 0, YOLO_N_SERVER_KEYS, NULL, name, node, error);
}

/* Behind the URI, which each camera has for itself. */
static gboolean
read_default (Reader *reader, gpointer into, const char *name, yaml_node_t *node, GError **error)
{
  return read_value (reader, into, YOLO_KEY_TITLE + 1, YOLO_N_KEYS, NULL, name, node, error);
}

static gboolean
read_camera_key (Reader *reader, gpointer into, const char *name, yaml_node_t *node,
    GError **error)
{
  YoloCameraSettings *camera = into;

  return read_value (reader, camera->own, YOLO_N_SERVER_KEYS, YOLO_N_KEYS, camera->name, name,
      node, error);
}

static gboolean
read_camera (Reader *reader, gpointer into, const char *name, yaml_node_t *node, GError **error)
{
  g_autofree char *what = NULL;

  if (!yolo_settings_check_name (reader->settings, line_of (node), name, error))
    return FALSE;
  what = g_strdup_printf ("camera '%s'", name);
  return read_mapping (reader, node, what, read_camera_key,
      yolo_settings_add (reader->settings, name, line_of (node)), error);
}

static gboolean
read_section (Reader *reader, gpointer into, const char *name, yaml_node_t *node, GError **error)
{
  YoloSettings *settings = reader->settings;

  if (strcmp (name, "server") == 0)
    return read_mapping (reader, node, "server", read_server_key, settings->server, error);
  if (strcmp (name, "defaults") == 0)
    return read_mapping (reader, node, "defaults", read_default, settings->defaults, error);
  if (strcmp (name, "cameras") == 0)
    return read_mapping (reader, node, "cameras", read_camera, NULL, error);
  g_autofree char *shown = yolo_text_printable (name, YOLO_MAX_NAME);
  return yolo_settings_fail (error, settings, line_of (node), NULL,
      "there is no part '%s'; the parts are server, defaults and cameras", shown);
}

/* Remembers the files that the settings file names, which the API may name again. */
static void
note_files (YoloSettings *settings, const YoloValues *values)
{
  for (int i = YOLO_N_SERVER_KEYS; i < YOLO_N_KEYS; i++)
    for (char **text = values->value[i].text; text != NULL && *text != NULL; text++)
      if (yolo_keys[i].type != YOLO_TYPE_SECRET_FILE && yolo_settings_is_file (i, *text))
        g_hash_table_add (settings->files, g_strdup (*text));
}

static gboolean
read_document (Reader *reader, GError **error)
{
  YoloSettings *settings = reader->settings;
  yaml_node_t *root = yaml_document_get_root_node (reader->document);

  yolo_settings_add_initial (settings->server, 0, YOLO_N_SERVER_KEYS);
  if (root != NULL && !read_mapping (reader, root, "the file", read_section, NULL, error))
    return FALSE;
  if (!yolo_settings_finish (settings, error))
    return FALSE;
  note_files (settings, settings->defaults);
  for (guint i = 0; i < settings->cameras->len; i++) {
    const YoloCameraSettings *camera = g_ptr_array_index (settings->cameras, i);
    note_files (settings, camera->own);
  }
  return TRUE;
}

/* Whether the stream has no second document, which would be lost without a word. */
static gboolean
at_end (yaml_parser_t *parser)
{
  yaml_document_t next;
  gboolean end = yaml_parser_load (parser, &next)
      && yaml_document_get_root_node (&next) == NULL;

  yaml_document_delete (&next);
  return end;
}

/* The line, from 1, where a parser has stopped. Of bytes that are no text it tells the offset. */
static guint
line_of_problem (const yaml_parser_t *parser, const char *text, gsize size)
{
  guint line = 1;

  if (parser->error != YAML_READER_ERROR)
    return parser->problem_mark.line + 1;
  for (gsize i = 0; i < MIN (parser->problem_offset, size); i++)
    line += text[i] == '\n';
  return line;
}

YoloSettings *
yolo_settings_parse (
    const char *text, gsize size, const char *path, const char *folder, GError **error)
{
  g_autoptr (YoloSettings) settings = yolo_settings_new (path, folder);
  yaml_parser_t parser;
  yaml_document_t document;
  Reader reader = { &document, settings };
  gboolean good;

  if (!yaml_parser_initialize (&parser))
    g_error ("no memory to read the settings with");
  yaml_parser_set_input_string (&parser, (const guchar *) text, size);
  if (!yaml_parser_load (&parser, &document)) {
    yolo_settings_fail (error, settings, line_of_problem (&parser, text, size), NULL,
        "this is no YAML: %s; mend it there or on the line above",
        parser.problem != NULL ? parser.problem : "it cannot be read");
    yaml_parser_delete (&parser);
    return NULL;
  }
  good = read_document (&reader, error);
  if (good && !at_end (&parser))
    good = yolo_settings_fail (error, settings, parser.mark.line + 1, NULL,
        "a second document begins here; take the '---' out");
  yaml_document_delete (&document);
  yaml_parser_delete (&parser);
  return good ? g_steal_pointer (&settings) : NULL;
}

YoloSettings *
yolo_settings_read (const char *path, GError **error)
{
  g_autofree char *whole = g_canonicalize_filename (path, NULL);
  g_autofree char *folder = g_path_get_dirname (whole);
  g_autoptr (GError) why = NULL;
  gsize size;
  g_autofree char *text = yolo_file_read (whole, MAX_FILE, &size, &why);
  g_autofree char *shown = yolo_text_printable (path, 500);

  if (text == NULL) {
    g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_FILE, "%s: %s", shown,
        why->message);
    return NULL;
  }
  YoloSettings *settings = yolo_settings_parse (text, size, path, folder, error);

  if (settings != NULL) {
    g_free (settings->path);
    settings->path = g_steal_pointer (&whole);
  }
  return settings;
}

/* Writes scalars, sequences and mappings through libyaml's emitter, which quotes what needs it. */
static void
emit (yaml_emitter_t *emitter, yaml_event_t *event)
{
  if (!yaml_emitter_emit (emitter, event))
    g_error ("no memory to write the settings with");
}

static void
emit_text (yaml_emitter_t *emitter, const char *text, gboolean quoted)
{
  yaml_event_t event;

  yaml_scalar_event_initialize (&event, NULL, NULL, (yaml_char_t *) text, -1, 1, 1,
      quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE);
  emit (emitter, &event);
}

static void
emit_mapping (yaml_emitter_t *emitter, const char *name)
{
  yaml_event_t event;

  if (name != NULL)
    emit_text (emitter, name, FALSE);
  yaml_mapping_start_event_initialize (&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE);
  emit (emitter, &event);
}

static void
emit_end (yaml_emitter_t *emitter)
{
  yaml_event_t event;

  yaml_mapping_end_event_initialize (&event);
  emit (emitter, &event);
}

static void
emit_values (yaml_emitter_t *emitter, const YoloValues *values)
{
  for (int i = 0; i < YOLO_N_KEYS; i++) {
    const YoloValue *value = &values->value[i];
    const YoloType type = yolo_keys[i].type;
    const gboolean list = type == YOLO_TYPE_LIST || type == YOLO_TYPE_PLACES;
    const gboolean bare = type == YOLO_TYPE_BOOLEAN || type == YOLO_TYPE_INTEGER
        || type == YOLO_TYPE_NUMBER || type == YOLO_TYPE_CHOICE;
    yaml_event_t event;

    /* What stands in no line of a file and in no request is the table's initial value. */
    if (value->raw == NULL || (i < YOLO_N_SERVER_KEYS && value->line == 0))
      continue;
    emit_text (emitter, yolo_keys[i].name, FALSE);
    if (list) {
      yaml_sequence_start_event_initialize (&event, NULL, NULL, 1, YAML_FLOW_SEQUENCE_STYLE);
      emit (emitter, &event);
    }
    for (guint j = 0; value->raw[j] != NULL; j++)
      emit_text (emitter, value->raw[j], !bare);
    if (list) {
      yaml_sequence_end_event_initialize (&event);
      emit (emitter, &event);
    }
  }
}

static int
append (void *data, unsigned char *bytes, size_t size)
{
  g_string_append_len (data, (const char *) bytes, size);
  return 1;
}

char *
yolo_settings_to_yaml (const YoloSettings *settings)
{
  GString *text = g_string_new (NULL);
  yaml_emitter_t emitter;
  yaml_event_t event;

  if (!yaml_emitter_initialize (&emitter))
    g_error ("no memory to write the settings with");
  yaml_emitter_set_output (&emitter, append, text);
  yaml_emitter_set_unicode (&emitter, 1);
  yaml_emitter_set_width (&emitter, -1);
  yaml_stream_start_event_initialize (&event, YAML_UTF8_ENCODING);
  emit (&emitter, &event);
  yaml_document_start_event_initialize (&event, NULL, NULL, NULL, 1);
  emit (&emitter, &event);
  emit_mapping (&emitter, NULL);
  emit_mapping (&emitter, "server");
  emit_values (&emitter, settings->server);
  emit_end (&emitter);
  emit_mapping (&emitter, "defaults");
  emit_values (&emitter, settings->defaults);
  emit_end (&emitter);
  emit_mapping (&emitter, "cameras");
  for (guint i = 0; i < settings->cameras->len; i++) {
    const YoloCameraSettings *camera = g_ptr_array_index (settings->cameras, i);

    emit_mapping (&emitter, camera->name);
    emit_values (&emitter, camera->own);
    emit_end (&emitter);
  }
  emit_end (&emitter);
  emit_end (&emitter);
  yaml_document_end_event_initialize (&event, 1);
  emit (&emitter, &event);
  yaml_stream_end_event_initialize (&event);
  emit (&emitter, &event);
  yaml_emitter_delete (&emitter);
  return g_string_free (text, FALSE);
}

gboolean
yolo_settings_write (const YoloSettings *settings, GError **error)
{
  g_autofree char *text = yolo_settings_to_yaml (settings);

  /* It may hold secrets: nobody else is to read it, not even while it is written. */
  return g_file_set_contents_full (settings->path, text, strlen (text),
      G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0600, error);
}
