/* SPDX-License-Identifier: MIT */
#include "pipelines/server/values.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "pipelines/server/secret.h"

#define MAX_ITEMS 256           /* of a list */
#define MAX_TEXT 4096           /* bytes of a text */
#define MAX_JSON 65536          /* bytes of one in JSON */
#define MAX_DEPTH 16            /* levels of JSON */
#define MAX_SHOWN 100           /* bytes of a wrong value that an error shows */

G_DEFINE_QUARK (yolo-settings-error-quark, yolo_settings_error)

YoloValues *
yolo_values_new (void)
{
  return g_new0 (YoloValues, 1);
}

static void
value_clear (YoloValue *value)
{
  g_strfreev (value->raw);
  g_strfreev (value->text);
  *value = (YoloValue) { 0 };
}

void
yolo_values_free (YoloValues *values)
{
  if (values == NULL)
    return;
  for (int i = 0; i < YOLO_N_KEYS; i++)
    value_clear (&values->value[i]);
  g_free (values);
}

void
yolo_raw_clear (YoloRaw *raw)
{
  g_strfreev (raw->items);
  *raw = (YoloRaw) { 0 };
}

void
yolo_values_merge (YoloValues *to, const YoloValues *from)
{
  for (int i = 0; i < YOLO_N_KEYS; i++) {
    const YoloValue *value = &from->value[i];

    if (value->raw == NULL)
      continue;
    value_clear (&to->value[i]);
    to->value[i] = (YoloValue) { value->line, g_strdupv (value->raw), g_strdupv (value->text),
      value->number };
  }
}

gboolean
yolo_values_same (const YoloValues *a, const YoloValues *b, YoloKeyId key)
{
  char *const *x = a->value[key].text;
  char *const *y = b->value[key].text;

  if (x == NULL || y == NULL)
    return x == y;
  return g_strv_equal ((const char *const *) x, (const char *const *) y);
}

static gboolean
fail (GError **error, const YoloRaw *raw, const char *remedy)
{
  g_autofree char *hidden = raw->list ? g_strdup ("a list") : yolo_secret_hide (raw->items[0]);
  g_autofree char *shown = yolo_text_printable (hidden, MAX_SHOWN);

  g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_WRONG, "is %s%s%s; give %s",
      raw->list ? "" : "'", shown, raw->list ? "" : "'", remedy);
  return FALSE;
}

/* The same where one item of a list is wrong. */
static gboolean
fail_item (GError **error, const char *item, const char *remedy)
{
  g_autofree char *hidden = yolo_secret_hide (item);
  g_autofree char *shown = yolo_text_printable (hidden, MAX_SHOWN);

  g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_WRONG, "has '%s'; give %s", shown,
      remedy);
  return FALSE;
}

static gboolean
fail_file (GError **error, const char *path, const char *why)
{
  g_autofree char *shown = yolo_secret_hide (path);

  g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_FILE,
      "names the file '%s': %s; name one that is there and can be read", shown, why);
  return FALSE;
}

static char *
absolute (const char *path, const char *folder)
{
  return g_canonicalize_filename (path, folder);
}

static gboolean
check_number (const YoloKey *key, const YoloRaw *raw, YoloValue *value, GError **error)
{
  g_autofree char *takes = yolo_key_describe (key);
  char *end;
  const double number = g_ascii_strtod (raw->items[0], &end);

  if (raw->quoted || end == raw->items[0] || *end != '\0' || !isfinite (number)
      || number < key->min || number > key->max
      || (key->type == YOLO_TYPE_INTEGER && number != floor (number)))
    return fail (error, raw, takes);
  value->number = number;
  return TRUE;
}

static gboolean
check_boolean (const YoloRaw *raw, YoloValue *value, GError **error)
{
  value->number = strcmp (raw->items[0], "true") == 0;
  return (!raw->quoted && (value->number != 0 || strcmp (raw->items[0], "false") == 0))
      || fail (error, raw, "true or false, without quotes");
}

static gboolean
check_choice (const YoloKey *key, const YoloRaw *raw, GError **error)
{
  g_auto (GStrv) names = g_strsplit (key->choices, "|", -1);
  g_autofree char *remedy = yolo_key_describe (key);

  for (guint i = 0; raw->items[i] != NULL; i++)
    if (!g_strv_contains ((const char *const *) names, raw->items[i]))
      return raw->list ? fail_item (error, raw->items[i], remedy) : fail (error, raw, remedy);
  return TRUE;
}

/* A path becomes absolute; a file must be there. */
static gboolean
check_uri (YoloValue *value, const YoloRaw *raw, const char *folder, GError **error)
{
  g_autofree char *scheme = g_uri_parse_scheme (value->text[0]);
  g_autofree char *path = NULL;

  if (g_str_has_prefix (value->text[0], "test:"))
    return TRUE;
  if (strstr (value->text[0], ":***@") != NULL)
    return fail (error, raw, "the URI with its password, or leave it out so that it stays");
  if (scheme != NULL && strcmp (scheme, "file") != 0) {
    return strstr (value->text[0], "://") != NULL
        || fail (error, raw, "a URI such as rtsp://camera/stream, or a file");
  }
  path = scheme != NULL ? g_filename_from_uri (value->text[0], NULL, NULL)
      : absolute (value->text[0], folder);
  if (path == NULL)
    return fail (error, raw, "a URI such as rtsp://camera/stream, or a file");
  if (!g_file_test (path, G_FILE_TEST_IS_REGULAR))
    return fail_file (error, path, "it is not there, or is no file");
  g_free (value->text[0]);
  value->text[0] = g_steal_pointer (&path);
  return TRUE;
}

static gboolean
check_file (YoloValue *value, const char *folder, GError **error)
{
  g_autofree char *path = absolute (value->text[0], folder);

  if (!g_file_test (path, G_FILE_TEST_IS_REGULAR))
    return fail_file (error, path, "it is not there, or is no file");
  g_free (value->text[0]);
  value->text[0] = g_steal_pointer (&path);
  return TRUE;
}

/* The text becomes what the file holds. */
static gboolean
check_secret_file (YoloValue *value, const char *folder, GError **error)
{
  g_autofree char *path = absolute (value->text[0], folder);
  g_autoptr (GError) why = NULL;
  char *secret = yolo_secret_read (path, &why);

  if (secret == NULL)
    return fail_file (error, path, why->message);
  g_free (value->text[0]);
  value->text[0] = secret;
  return TRUE;
}

gboolean
yolo_values_is_shallow (const char *text, gsize size)
{
  guint depth = 0;
  gboolean quoted = FALSE;

  for (gsize i = 0; i < size; i++) {
    if (quoted && text[i] == '\\')
      i++;
    else if (text[i] == '"')
      quoted = !quoted;
    else if (!quoted && (text[i] == '[' || text[i] == '{') && ++depth > MAX_DEPTH)
      return FALSE;
    else if (!quoted && (text[i] == ']' || text[i] == '}') && depth > 0)
      depth--;
  }
  return TRUE;
}

static gboolean
check_json (const YoloRaw *raw, const YoloValue *value, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  const char *text = value->text[0];

  return (yolo_values_is_shallow (text, strlen (text))
      && json_parser_load_from_data (parser, text, -1, NULL)
      && json_parser_get_root (parser) != NULL
      && JSON_NODE_HOLDS_OBJECT (json_parser_get_root (parser)))
      || fail (error, raw, "an object as a text in JSON");
}

static void
check_places (YoloValue *value, const char *folder)
{
  for (guint i = 0; value->text[i] != NULL; i++) {
    if (strstr (value->text[i], "://") == NULL) {
      char *path = absolute (value->text[i], folder);
      g_free (value->text[i]);
      value->text[i] = path;
    } else {
      g_autofree char *user = NULL;
      g_autofree char *password = NULL;
      g_free (yolo_secret_split (value->text[i], &user, &password));
    }
  }
}

static gboolean
check (const YoloKey *key, const YoloRaw *raw, YoloValue *value, const char *folder,
    GError **error)
{
  switch (key->type) {
    case YOLO_TYPE_BOOLEAN:
      return check_boolean (raw, value, error);
    case YOLO_TYPE_INTEGER:
    case YOLO_TYPE_NUMBER:
      return check_number (key, raw, value, error);
    case YOLO_TYPE_CHOICE:
      return check_choice (key, raw, error);
    case YOLO_TYPE_SECRET:
      yolo_secret_remember (value->text[0]);
      return TRUE;
    case YOLO_TYPE_URI:
      return check_uri (value, raw, folder, error);
    case YOLO_TYPE_FILE:
      return check_file (value, folder, error);
    case YOLO_TYPE_SECRET_FILE:
      return check_secret_file (value, folder, error);
    case YOLO_TYPE_PLACES:
      check_places (value, folder);
      return TRUE;
    case YOLO_TYPE_JSON:
      return check_json (raw, value, error);
    case YOLO_TYPE_LIST:
      return key->choices == NULL || check_choice (key, raw, error);
    case YOLO_TYPE_TEXT:
      return TRUE;
  }
  g_return_val_if_reached (FALSE);
}

/* The form of what was written: how many items of which length. */
static gboolean
check_form (const YoloKey *key, const YoloRaw *raw, GError **error)
{
  const gboolean list = key->type == YOLO_TYPE_LIST || key->type == YOLO_TYPE_PLACES;
  const gsize most = key->type == YOLO_TYPE_JSON ? MAX_JSON : MAX_TEXT;
  g_autofree char *takes = yolo_key_describe (key);

  if (raw->list && !list)
    return fail (error, raw, takes);
  if (g_strv_length (raw->items) > MAX_ITEMS) {
    g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_WRONG,
        "has more than %d items; give fewer", MAX_ITEMS);
    return FALSE;
  }
  for (guint i = 0; raw->items[i] != NULL; i++)
    if (*raw->items[i] == '\0' || strlen (raw->items[i]) > most
        || !g_utf8_validate (raw->items[i], -1, NULL)) {
      g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_WRONG,
          "has a text that is empty, longer than %d bytes or no UTF-8; give %s", (int) most,
          takes);
      return FALSE;
    }
  return TRUE;
}

/* A text as the settings file has to have it if it is to be taken as it stands: what a request
 * sends may be written there, and is not to name a variable when it is read again. */
static char *
escape (const char *text)
{
  GString *out = g_string_new (NULL);

  for (const char *at = text; *at != '\0'; at++) {
    if (at[0] == '$' && (at[1] == '$' || at[1] == '{'))
      g_string_append_c (out, '$');
    g_string_append_c (out, *at);
  }
  return g_string_free (out, FALSE);
}

gboolean
yolo_values_set (
    YoloValues *values, YoloKeyId id, const YoloRaw *raw, const char *folder, gboolean trusted,
    GError **error)
{
  YoloValue value = { .line = raw->line };

  if (raw->items == NULL) {
    value_clear (&values->value[id]);
    return TRUE;
  }
  if (!check_form (&yolo_keys[id], raw, error))
    return FALSE;
  value.raw = g_strdupv (raw->items);
  value.text = g_new0 (char *, g_strv_length (raw->items) + 1);
  for (guint i = 0; raw->items[i] != NULL; i++) {
    g_autoptr (GError) why = NULL;
    gboolean expanded;

    value.text[i] = trusted ? yolo_secret_expand (raw->items[i], &expanded, &why)
        : g_strdup (raw->items[i]);
    if (!trusted) {
      g_free (value.raw[i]);
      value.raw[i] = escape (raw->items[i]);
    }
    if (value.text[i] == NULL) {
      g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_WRONG, "cannot be read: %s",
          why->message);
      value_clear (&value);
      return FALSE;
    }
  }
  if (!check (&yolo_keys[id], raw, &value, folder, error)) {
    value_clear (&value);
    return FALSE;
  }
  value_clear (&values->value[id]);
  values->value[id] = value;
  return TRUE;
}

const char *
yolo_values_text (const YoloValues *values, YoloKeyId key)
{
  return values->value[key].text != NULL ? values->value[key].text[0] : NULL;
}

double
yolo_values_number (const YoloValues *values, YoloKeyId key)
{
  return values->value[key].number;
}

gboolean
yolo_values_true (const YoloValues *values, YoloKeyId key)
{
  return values->value[key].number != 0;
}

char *
yolo_values_csv (const YoloValues *values, YoloKeyId key)
{
  g_autoptr (GString) csv = NULL;
  char **text = values->value[key].text;

  if (text == NULL)
    return NULL;
  csv = g_string_new (NULL);
  for (guint i = 0; text[i] != NULL; i++) {
    if (i > 0)
      g_string_append_c (csv, ',');
    if (strpbrk (text[i], ",\"") != NULL) {
      g_autoptr (GString) quoted = g_string_new (text[i]);
      g_string_replace (quoted, "\"", "\"\"", 0);
      g_string_append_printf (csv, "\"%s\"", quoted->str);
    } else {
      g_string_append (csv, text[i]);
    }
  }
  return g_string_free (g_steal_pointer (&csv), FALSE);
}

static void
add_value (const YoloKey *key, const YoloValue *value, JsonBuilder *builder)
{
  switch (key->type) {
    case YOLO_TYPE_BOOLEAN:
      json_builder_add_boolean_value (builder, value->number != 0);
      return;
    case YOLO_TYPE_INTEGER:
      json_builder_add_int_value (builder, (gint64) value->number);
      return;
    case YOLO_TYPE_NUMBER:
      json_builder_add_double_value (builder, value->number);
      return;
    case YOLO_TYPE_LIST:
    case YOLO_TYPE_PLACES:
      json_builder_begin_array (builder);
      for (guint i = 0; value->raw[i] != NULL; i++) {
        g_autofree char *shown = yolo_secret_mask (value->raw[i]);
        json_builder_add_string_value (builder, shown);
      }
      json_builder_end_array (builder);
      return;
    case YOLO_TYPE_SECRET:
      json_builder_add_string_value (builder, "***");
      return;
    case YOLO_TYPE_TEXT:
    case YOLO_TYPE_CHOICE:
    case YOLO_TYPE_URI:
    case YOLO_TYPE_FILE:
    case YOLO_TYPE_JSON:
    case YOLO_TYPE_SECRET_FILE: {
      g_autofree char *shown = yolo_secret_mask (value->raw[0]);
      json_builder_add_string_value (builder, shown);
      return;
    }
  }
}

void
yolo_values_to_json (const YoloValues *values, JsonBuilder *builder)
{
  for (int i = YOLO_N_SERVER_KEYS; i < YOLO_N_KEYS; i++) {
    if (values->value[i].raw == NULL)
      continue;
    json_builder_set_member_name (builder, yolo_keys[i].name);
    add_value (&yolo_keys[i], &values->value[i], builder);
  }
}

/* A text, number or boolean of JSON as a text. NULL: it is something else. */
static char *
scalar_text (JsonNode *node)
{
  char number[G_ASCII_DTOSTR_BUF_SIZE];

  if (!JSON_NODE_HOLDS_VALUE (node))
    return NULL;
  switch (json_node_get_value_type (node)) {
    case G_TYPE_STRING:
      return json_node_dup_string (node);
    case G_TYPE_BOOLEAN:
      return g_strdup (json_node_get_boolean (node) ? "true" : "false");
    case G_TYPE_INT64:
      return g_strdup_printf ("%" G_GINT64_FORMAT, json_node_get_int (node));
    case G_TYPE_DOUBLE:
      return g_strdup (g_ascii_dtostr (number, sizeof number, json_node_get_double (node)));
    default:
      return NULL;
  }
}

gboolean
yolo_raw_from_json (YoloRaw *raw, JsonNode *node, GError **error)
{
  JsonArray *array;
  guint n = 1;

  *raw = (YoloRaw) { 0 };
  if (JSON_NODE_HOLDS_NULL (node))
    return TRUE;
  raw->list = JSON_NODE_HOLDS_ARRAY (node);
  array = raw->list ? json_node_get_array (node) : NULL;
  if (array != NULL)
    n = MIN (json_array_get_length (array), MAX_ITEMS + 1);
  raw->items = g_new0 (char *, n + 1);
  for (guint i = 0; i < n; i++) {
    JsonNode *item = array != NULL ? json_array_get_element (array, i) : node;

    raw->items[i] = scalar_text (item);
    if (raw->items[i] == NULL) {
      yolo_raw_clear (raw);
      g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_WRONG,
          "is an object, or a list of what is no text; give a text, a number, true, false or a "
          "list of texts");
      return FALSE;
    }
    raw->quoted = !raw->list && json_node_get_value_type (item) == G_TYPE_STRING;
  }
  return TRUE;
}
