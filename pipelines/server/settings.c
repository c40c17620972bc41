/* SPDX-License-Identifier: MIT */
#include "pipelines/server/settings.h"

#include <string.h>

#include "base/text.h"
#include "pipelines/server/settings-private.h"

static void
camera_free (gpointer data)
{
  YoloCameraSettings *camera = data;

  g_free (camera->name);
  yolo_values_free (camera->own);
  yolo_values_free (camera->all);
  g_free (camera);
}

YoloSettings *
yolo_settings_new (const char *path, const char *folder)
{
  YoloSettings *settings = g_new0 (YoloSettings, 1);

  settings->path = g_strdup (path);
  settings->folder = g_strdup (folder);
  settings->server = yolo_values_new ();
  settings->defaults = yolo_values_new ();
  settings->cameras = g_ptr_array_new_with_free_func (camera_free);
  settings->files = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return settings;
}

void
yolo_settings_free (YoloSettings *settings)
{
  if (settings == NULL)
    return;
  g_free (settings->path);
  g_free (settings->folder);
  yolo_values_free (settings->server);
  yolo_values_free (settings->defaults);
  g_ptr_array_unref (settings->cameras);
  g_hash_table_unref (settings->files);
  g_free (settings);
}

YoloCameraSettings *
yolo_settings_add (YoloSettings *settings, const char *name, guint line)
{
  YoloCameraSettings *camera = g_new0 (YoloCameraSettings, 1);

  camera->name = g_strdup (name);
  camera->line = line;
  camera->own = yolo_values_new ();
  g_ptr_array_add (settings->cameras, camera);
  return camera;
}

const YoloCameraSettings *
yolo_settings_camera (const YoloSettings *settings, const char *name)
{
  for (guint i = 0; i < settings->cameras->len; i++) {
    const YoloCameraSettings *camera = g_ptr_array_index (settings->cameras, i);

    if (strcmp (camera->name, name) == 0)
      return camera;
  }
  return NULL;
}

gboolean
yolo_settings_fail (GError **error, const YoloSettings *settings, guint line, const char *camera,
    const char *format, ...)
{
  g_autofree char *text = NULL;
  g_autofree char *name = NULL;
  g_autoptr (GString) whole = g_string_new (NULL);
  va_list arguments;

  va_start (arguments, format);
  text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  if (line > 0) {
    name = yolo_text_printable (settings->path, 500);
    g_string_append_printf (whole, "%s:%u: ", name, line);
  }
  if (camera != NULL) {
    g_autofree char *shown = yolo_text_printable (camera, YOLO_MAX_NAME);
    g_string_append_printf (whole, "camera '%s': ", shown);
  }
  g_string_append (whole, text);
  g_set_error_literal (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_WRONG, whole->str);
  return FALSE;
}

gboolean
yolo_settings_set (const YoloSettings *settings, YoloValues *values, int first, int end,
    const char *camera, const char *name, const YoloRaw *raw, GError **error)
{
  const int key = yolo_key_find (first, end, name);
  g_autoptr (GError) why = NULL;

  if (key < 0) {
    const char *nearest = yolo_key_nearest (first, end, name);
    g_autofree char *shown = yolo_text_printable (name, YOLO_MAX_NAME);

    if (nearest != NULL)
      return yolo_settings_fail (error, settings, raw->line, camera,
          "there is no setting '%s' here; '%s' may be meant", shown, nearest);
    return yolo_settings_fail (error, settings, raw->line, camera,
        "there is no setting '%s' here; `yolo-server --settings` lists all", shown);
  }
  if (!yolo_values_set (values, key, raw, settings->folder, TRUE, &why))
    return yolo_settings_fail (error, settings, raw->line, camera, "%s %s", name, why->message);
  return TRUE;
}

gboolean
yolo_settings_check_name (
    const YoloSettings *settings, guint line, const char *name, GError **error)
{
  const gsize length = strspn (name, YOLO_NAME_LETTERS);

  if (length == 0 || name[length] != '\0' || length > YOLO_MAX_NAME || name[0] == '.') {
    g_autofree char *shown = yolo_text_printable (name, YOLO_MAX_NAME);
    return yolo_settings_fail (error, settings, line, NULL,
        "'%s' is no name of a camera; take 1 to %d letters, digits, '-', '_' or '.' (not first), "
        "and write all else as `title`", shown, YOLO_MAX_NAME);
  }
  return TRUE;
}

void
yolo_settings_add_initial (YoloValues *values, int first, int end)
{
  for (int i = first; i < end; i++) {
    const char *items[] = { yolo_keys[i].initial, NULL };
    const YoloRaw raw = { (char **) items, FALSE, FALSE, 0 };

    if (items[0] != NULL && !yolo_values_set (values, i, &raw, "/", TRUE, NULL))
      g_assert_not_reached ();
  }
}

static gboolean
check_camera (const YoloSettings *settings, const YoloCameraSettings *camera, GError **error)
{
  const YoloValues *all = camera->all;
  const char *lacks = NULL;

  if (yolo_values_text (all, YOLO_KEY_URI) == NULL)
    lacks = "has no uri; say where its video is";
  else if (yolo_values_text (all, YOLO_KEY_MODEL) == NULL)
    lacks = "has no model; name a network here or in `defaults`";
  else if (all->value[YOLO_KEY_PASSWORD].raw != NULL
      && all->value[YOLO_KEY_PASSWORD_FILE].raw != NULL)
    lacks = "has both password and password-file; take one";
  else if (yolo_values_number (all, YOLO_KEY_RECONNECT_MIN)
      > yolo_values_number (all, YOLO_KEY_RECONNECT_MAX))
    lacks = "has a reconnect-min above reconnect-max; swap them";
  else if ((all->value[YOLO_KEY_ZONES].raw != NULL || all->value[YOLO_KEY_ZONES_TEXT].raw != NULL)
      && strcmp (yolo_values_text (all, YOLO_KEY_TRACKER), "none") == 0)
    lacks = "has zones but no tracker, and zones count tracks; set tracker, or leave zones out";
  else if (yolo_values_text (all, YOLO_KEY_HOME_ASSISTANT) != NULL
      && strcmp (yolo_values_text (all, YOLO_KEY_PUBLISH_FORMAT), "frigate") != 0)
    lacks = "has home-assistant, which shows what is published in another format; set "
        "publish-format: frigate, and publish: [\"mqtt://HOST/PREFIX\"]";
  else if (yolo_values_text (all, YOLO_KEY_HOME_ASSISTANT) != NULL
      && all->value[YOLO_KEY_PUBLISH].raw == NULL)
    lacks = "has home-assistant, but publishes nothing; set publish: [\"mqtt://HOST/PREFIX\"]";
  else if (strcmp (yolo_values_text (all, YOLO_KEY_RECORD), "off") != 0
      && settings->server->value[YOLO_KEY_EVENTS_FOLDER].raw == NULL)
    lacks = "has record, but there is no folder for video; set events-folder in `server`";
  else if (yolo_values_number (all, YOLO_KEY_CLIP_BEFORE)
      + yolo_values_number (all, YOLO_KEY_CLIP_AFTER) > yolo_values_number (all, YOLO_KEY_CLIP_MAX))
    lacks = "has a clip-max below clip-before and clip-after together; raise it";
  return lacks == NULL
      || yolo_settings_fail (error, settings, camera->line, camera->name, "%s", lacks);
}

static gboolean
check_server (const YoloSettings *settings, GError **error)
{
  const YoloValues *server = settings->server;
  const char *wrong = NULL;
  YoloKeyId key = YOLO_KEY_TOKEN;

  if (server->value[key].raw != NULL && server->value[YOLO_KEY_TOKEN_FILE].raw != NULL) {
    wrong = "token and token-file are both set; take one";
  } else if ((server->value[key = YOLO_KEY_LOGIN].raw == NULL)
      != (server->value[YOLO_KEY_LOGIN_HASH].raw == NULL)) {
    wrong = "login and login-hash belong together; set both";
  } else if ((server->value[key = YOLO_KEY_TLS_CERTIFICATE].raw == NULL)
      != (server->value[YOLO_KEY_TLS_KEY].raw == NULL)) {
    wrong = "tls-certificate and tls-key belong together; set both";
  } else if (settings->cameras->len
      > yolo_values_number (server, key = YOLO_KEY_MAX_CAMERAS)) {
    return yolo_settings_fail (error, settings, server->value[key].line, NULL,
        "there are %u cameras, more than max-cameras allows (%g); raise it",
        settings->cameras->len, yolo_values_number (server, key));
  }
  return wrong == NULL
      || yolo_settings_fail (error, settings, server->value[key].line, NULL, "%s", wrong);
}

gboolean
yolo_settings_finish_camera (
    const YoloSettings *settings, YoloCameraSettings *camera, GError **error)
{
  yolo_values_free (camera->all);
  camera->all = yolo_values_new ();
  yolo_settings_add_initial (camera->all, YOLO_N_SERVER_KEYS, YOLO_N_KEYS);
  yolo_values_merge (camera->all, settings->defaults);
  yolo_values_merge (camera->all, camera->own);
  return check_camera (settings, camera, error);
}

gboolean
yolo_settings_finish (YoloSettings *settings, GError **error)
{
  for (guint i = 0; i < settings->cameras->len; i++)
    if (!yolo_settings_finish_camera (settings, g_ptr_array_index (settings->cameras, i), error))
      return FALSE;
  return check_server (settings, error);
}

gboolean
yolo_settings_is_file (YoloKeyId key, const char *text)
{
  const YoloType type = yolo_keys[key].type;

  if (type == YOLO_TYPE_URI || type == YOLO_TYPE_PLACES)
    return !g_str_has_prefix (text, "test:")
        && (strstr (text, "://") == NULL || g_str_has_prefix (text, "file:"));
  return type == YOLO_TYPE_FILE || type == YOLO_TYPE_SECRET_FILE;
}
