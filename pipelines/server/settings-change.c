/* SPDX-License-Identifier: MIT */
/* Settings out of other settings and what a request says. */

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "pipelines/server/settings-private.h"

YoloSettings *
yolo_settings_without_cameras (const YoloSettings *old)
{
  YoloSettings *settings = yolo_settings_new (old->path, old->folder);
  GHashTableIter files;
  gpointer file;

  yolo_values_merge (settings->server, old->server);
  yolo_values_merge (settings->defaults, old->defaults);
  g_hash_table_iter_init (&files, old->files);
  while (g_hash_table_iter_next (&files, &file, NULL))
    g_hash_table_add (settings->files, g_strdup (file));
  settings->shard = old->shard;
  settings->group = old->group;
  return settings;
}

static YoloSettings *
copy (const YoloSettings *old)
{
  YoloSettings *settings = yolo_settings_without_cameras (old);

  for (guint i = 0; i < old->cameras->len; i++) {
    const YoloCameraSettings *camera = g_ptr_array_index (old->cameras, i);

    yolo_values_merge (yolo_settings_add (settings, camera->name, camera->line)->own, camera->own);
  }
  return settings;
}

/* Whether a path, links in it followed as far as it exists, lies in a folder of `api-folders`. */
static gboolean
is_below (const YoloSettings *settings, const char *path)
{
  char **folders = settings->server->value[YOLO_KEY_API_FOLDERS].text;
  g_autofree char *folder = g_path_get_dirname (path);
  /* A file that is to be written may not be there yet; its folder must be. */
  char *real = realpath (path, NULL);
  gboolean below = FALSE;

  if (real == NULL && !g_file_test (path, G_FILE_TEST_IS_SYMLINK))
    real = realpath (folder, NULL);
  for (guint i = 0; real != NULL && !below && folders != NULL && folders[i] != NULL; i++) {
    g_autofree char *allowed = g_canonicalize_filename (folders[i], settings->folder);
    char *real_allowed = realpath (allowed, NULL);
    const gsize length = real_allowed != NULL ? strlen (real_allowed) : 0;

    below = length > 0 && strncmp (real, real_allowed, length) == 0
        && (real[length] == '/' || real[length] == '\0');
    free (real_allowed);
  }
  free (real);
  return below;
}

/* Whether a request may set a key to this: it is not told whether a file exists that it may not
 * name. */
static gboolean
check_allowed (const YoloSettings *settings, YoloKeyId key, const YoloRaw *raw, GError **error)
{
  if (yolo_keys[key].type == YOLO_TYPE_SECRET_FILE && raw->items != NULL) {
    g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_FORBIDDEN,
        "%s can be set in the settings file alone; send a password", yolo_keys[key].name);
    return FALSE;
  }
  for (guint i = 0; raw->items != NULL && raw->items[i] != NULL; i++) {
    g_autofree char *path = NULL;

    if (!yolo_settings_is_file (key, raw->items[i]))
      continue;
    path = g_str_has_prefix (raw->items[i], "file:")
        ? g_filename_from_uri (raw->items[i], NULL, NULL)
        : g_canonicalize_filename (raw->items[i], settings->folder);
    if (path == NULL
        || !(g_hash_table_contains (settings->files, path) || is_below (settings, path))) {
      g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_FORBIDDEN,
          "%s names a file that a request may not name; name one that the settings file names, "
          "or add its folder to api-folders there", yolo_keys[key].name);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
set_member (YoloSettings *settings, YoloCameraSettings *camera, const char *name, JsonNode *node,
    GError **error)
{
  const int key = yolo_key_find (YOLO_N_SERVER_KEYS, YOLO_N_KEYS, name);
  g_autoptr (GError) why = NULL;
  YoloRaw raw = { 0 };
  gboolean good;

  if (key < 0) {
    const char *nearest = yolo_key_nearest (YOLO_N_SERVER_KEYS, YOLO_N_KEYS, name);
    g_autofree char *shown = yolo_text_printable (name, YOLO_MAX_NAME);

    return yolo_settings_fail (error, settings, 0, camera->name,
        "there is no setting '%s'; %s%s", shown,
        nearest != NULL ? "perhaps it is meant to be " : "GET /api/v1/schema lists all",
        nearest != NULL ? nearest : "");
  }
  good = yolo_raw_from_json (&raw, node, &why);
  if (good && !check_allowed (settings, key, &raw, error)) {
    yolo_raw_clear (&raw);
    return FALSE;
  }
  good = good
      && yolo_values_set (camera->own, key, &raw, settings->folder, FALSE, &why);
  yolo_raw_clear (&raw);
  return good || yolo_settings_fail (error, settings, 0, camera->name, "%s %s", name, why->message);
}

static gboolean
set_members (
    YoloSettings *settings, YoloCameraSettings *camera, JsonObject *values, GError **error)
{
  g_autoptr (GList) names = json_object_get_members (values);

  for (GList *at = names; at != NULL; at = at->next)
    if (!set_member (settings, camera, at->data, json_object_get_member (values, at->data),
            error))
      return FALSE;
  return TRUE;
}

/* A password that somebody else has set is not sent to wherever a request wants. */
static gboolean
check_password (const YoloCameraSettings *camera, JsonObject *values, GError **error)
{
  if (!json_object_has_member (values, yolo_keys[YOLO_KEY_URI].name)
      || json_object_has_member (values, yolo_keys[YOLO_KEY_PASSWORD].name)
      || (camera->own->value[YOLO_KEY_PASSWORD].raw == NULL
          && camera->own->value[YOLO_KEY_PASSWORD_FILE].raw == NULL))
    return TRUE;
  g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_FORBIDDEN,
      "the camera has a password, which is not sent to another uri; send a password with it");
  return FALSE;
}

/* A camera of another server is not changed here, where nobody would see what comes of it. */
static gboolean
check_owner (const YoloSettings *settings, const char *name, GError **error)
{
  const YoloShard *shard = &settings->shard;

  if (settings->group != NULL) {
    g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_ELSEWHERE,
        "the cameras of this server come from Kafka; send a record of camera '%s' to the topic %s",
        name, yolo_values_text (settings->server, YOLO_KEY_KAFKA));
    return FALSE;
  }
  if (yolo_shard_has (shard, name))
    return TRUE;
  g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_ELSEWHERE,
      "camera '%s' belongs to shard %u of %u, and this is shard %u; ask the server of that shard",
      name, yolo_shard_of (name, shard->count), shard->count, shard->index);
  return FALSE;
}

YoloSettings *
yolo_settings_change (const YoloSettings *old, YoloChange change, const char *name,
    JsonObject *values, GError **error)
{
  g_autoptr (YoloSettings) settings = NULL;
  YoloCameraSettings *camera = NULL;
  const YoloCameraSettings *there = yolo_settings_camera (old, name);

  if (!yolo_settings_check_name (old, 0, name, error) || !check_owner (old, name, error))
    return NULL;
  if (there == NULL && (change == YOLO_CHANGE_PATCH || change == YOLO_CHANGE_REMOVE)) {
    g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_MISSING,
        "there is no camera '%s'", name);
    return NULL;
  }
  if (there != NULL && change == YOLO_CHANGE_ADD) {
    g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_EXISTS,
        "there is a camera '%s' already; remove it first, or take another name", name);
    return NULL;
  }
  settings = copy (old);
  camera = (YoloCameraSettings *) yolo_settings_camera (settings, name);
  if (change == YOLO_CHANGE_REMOVE) {
    g_ptr_array_remove (settings->cameras, camera);
  } else {
    if (camera == NULL)
      camera = yolo_settings_add (settings, name, 0);
    if (change == YOLO_CHANGE_PUT) {
      yolo_values_free (camera->own);
      camera->own = yolo_values_new ();
    }
    if (!check_password (camera, values, error)
        || !set_members (settings, camera, values, error))
      return NULL;
  }
  if (!yolo_settings_finish (settings, error))
    return NULL;
  return g_steal_pointer (&settings);
}
