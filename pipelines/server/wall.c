/* SPDX-License-Identifier: MIT */
#include "pipelines/server/wall.h"

#include <string.h>

#include <gio/gio.h>

#define WATCH_PERIOD 200        /* ms */
#define TICKS_PERIOD 5          /* of these between two readings of frames a second */
#define FILE_PERIOD 300         /* ms without a change after which a file is read: editors write
                                   in several steps */

/* A network that stays loaded while no camera that wants it is connected, so that one that comes
 * back does not wait for it: a yoloinfer in PAUSED, which shares what is loaded. */
typedef struct {
  char *key;                    /* what cameras must agree in to share it */
  GstElement *infer;
  gboolean wanted;
} Model;

struct _YoloWall {
  YoloSettings *settings;
  YoloEvents *events;           /* a reference */
  YoloFilms *films;             /* a reference, or NULL */
  GPtrArray *cameras;           /* YoloCamera */
  GPtrArray *models;            /* Model */
  guint timer;
  guint ticks;
  GFileMonitor *monitor;
  guint reading;                /* the source that reads the file; 0: it has not changed */
  char *file_error;
  char *seen;                   /* the file's text as it was last read or written: one that has
                                   not changed is not read again */
  gboolean changed;
  YoloWallFill fill;            /* NULL: the cameras are the file's */
  gpointer fill_data;
};

/* Loads a model, or lets go of it, which takes seconds: one thread does both, in the order in which
 * they were asked for. */
static void
set_model_state (gpointer data, gpointer user_data)
{
  GstElement *infer = data;
  const gboolean end = g_object_get_data (data, "end") != NULL;

  /* Where loading fails the cameras say why. */
  gst_element_set_state (infer, end ? GST_STATE_NULL : GST_STATE_PAUSED);
  gst_object_unref (infer);
}

static void
push (GstElement *infer)
{
  static GThreadPool *pool;

  if (pool == NULL)
    pool = g_thread_pool_new (set_model_state, NULL, 1, FALSE, NULL);
  g_thread_pool_push (pool, gst_object_ref (infer), NULL);
}

static void
model_free (gpointer data)
{
  Model *model = data;

  g_object_set_data (G_OBJECT (model->infer), "end", model->infer);
  push (model->infer);
  gst_object_unref (model->infer);
  g_free (model->key);
  g_free (model);
}

static void
want_model (YoloWall *wall, const YoloValues *values)
{
  static const YoloKeyId shared[] = { YOLO_KEY_MODEL, YOLO_KEY_DEVICE, YOLO_KEY_PRECISION,
    YOLO_KEY_THREADS, YOLO_KEY_INPUT_SIZE };
  g_autoptr (GString) key = g_string_new (NULL);
  Model *model;

  for (guint i = 0; i < G_N_ELEMENTS (shared); i++) {
    const char *text = yolo_values_text (values, shared[i]);
    g_string_append_printf (key, "%s\n", text != NULL ? text : "");
  }
  for (guint i = 0; i < wall->models->len; i++) {
    model = g_ptr_array_index (wall->models, i);
    if (strcmp (model->key, key->str) == 0) {
      model->wanted = TRUE;
      return;
    }
  }
  GstElement *infer = gst_element_factory_make ("yoloinfer", NULL);

  if (infer == NULL)
    return;
  gst_object_ref_sink (infer);
  for (guint i = 0; i < G_N_ELEMENTS (shared); i++)
    if (values->value[shared[i]].raw != NULL)
      yolo_run_set_property (infer, values, shared[i]);
  model = g_new0 (Model, 1);
  *model = (Model) { g_strdup (key->str), infer, TRUE };
  g_ptr_array_add (wall->models, model);
  push (infer);
}

static void
keep_models (YoloWall *wall)
{
  for (guint i = 0; i < wall->models->len; i++)
    ((Model *) g_ptr_array_index (wall->models, i))->wanted = FALSE;
  for (guint i = 0; i < wall->cameras->len; i++) {
    const YoloCamera *camera = g_ptr_array_index (wall->cameras, i);

    if (yolo_values_true (camera->values, YOLO_KEY_ENABLED))
      want_model (wall, camera->values);
  }
  for (guint i = wall->models->len; i-- > 0;)
    if (!((Model *) g_ptr_array_index (wall->models, i))->wanted)
      g_ptr_array_remove_index (wall->models, i);
}

static gboolean
on_timer (gpointer user_data)
{
  YoloWall *wall = user_data;
  const gboolean tick = ++wall->ticks % TICKS_PERIOD == 0;

  for (guint i = 0; i < wall->cameras->len; i++) {
    YoloCamera *camera = g_ptr_array_index (wall->cameras, i);

    yolo_camera_watch (camera);
    if (tick)
      yolo_counts_tick (camera->counts);
  }
  return G_SOURCE_CONTINUE;
}

static char *
read_text (const YoloWall *wall)
{
  char *text = NULL;

  g_file_get_contents (wall->settings->path, &text, NULL, NULL);
  return text;
}

static gboolean
on_file_still (gpointer user_data)
{
  YoloWall *wall = user_data;
  g_autofree char *text = read_text (wall);

  wall->reading = 0;
  if (text != NULL && g_strcmp0 (text, wall->seen) != 0)
    yolo_wall_reload (wall, NULL);
  return G_SOURCE_REMOVE;
}

static void
on_file_changed (GFileMonitor *monitor, GFile *file, GFile *other, GFileMonitorEvent event,
    gpointer user_data)
{
  YoloWall *wall = user_data;

  g_clear_handle_id (&wall->reading, g_source_remove);
  wall->reading = g_timeout_add (FILE_PERIOD, on_file_still, wall);
}

/* Begins or ends looking after the file, as its own settings say. */
static void
watch_file (YoloWall *wall)
{
  const gboolean wanted = yolo_values_true (wall->settings->server, YOLO_KEY_WATCH);
  g_autoptr (GFile) file = NULL;

  if (wanted == (wall->monitor != NULL))
    return;
  if (!wanted) {
    g_clear_object (&wall->monitor);
    return;
  }
  file = g_file_new_for_path (wall->settings->path);
  wall->monitor = g_file_monitor_file (file, G_FILE_MONITOR_WATCH_MOVES, NULL, NULL);
  if (wall->monitor != NULL)
    g_signal_connect (wall->monitor, "changed", G_CALLBACK (on_file_changed), wall);
}

static void
camera_free (gpointer data)
{
  yolo_camera_free (data);
}

YoloWall *
yolo_wall_new (YoloSettings *settings, YoloEvents *events, YoloFilms *films)
{
  YoloWall *wall = g_new0 (YoloWall, 1);

  wall->settings = settings;
  wall->events = yolo_events_ref (events);
  wall->films = films != NULL ? yolo_films_ref (films) : NULL;
  wall->models = g_ptr_array_new_with_free_func (model_free);
  wall->cameras = g_ptr_array_new_with_free_func (camera_free);
  wall->seen = read_text (wall);
  for (guint i = 0; i < settings->cameras->len; i++) {
    const YoloCameraSettings *camera = g_ptr_array_index (settings->cameras, i);

    if (yolo_shard_has (&settings->shard, camera->name))
      g_ptr_array_add (wall->cameras,
          yolo_camera_new (camera->name, camera->all, events, films));
  }
  keep_models (wall);
  watch_file (wall);
  wall->timer = g_timeout_add (WATCH_PERIOD, on_timer, wall);
  return wall;
}

void
yolo_wall_free (YoloWall *wall)
{
  if (wall == NULL)
    return;
  g_source_remove (wall->timer);
  g_clear_handle_id (&wall->reading, g_source_remove);
  g_clear_object (&wall->monitor);
  g_ptr_array_unref (wall->cameras);
  g_ptr_array_unref (wall->models);
  yolo_settings_free (wall->settings);
  yolo_events_unref (wall->events);
  yolo_films_unref (wall->films);
  g_free (wall->file_error);
  g_free (wall->seen);
  g_free (wall);
}

YoloEvents *
yolo_wall_events (YoloWall *wall)
{
  return wall->events;
}

YoloFilms *
yolo_wall_films (YoloWall *wall)
{
  return wall->films;
}

const YoloSettings *
yolo_wall_settings (YoloWall *wall)
{
  return wall->settings;
}

GPtrArray *
yolo_wall_cameras (YoloWall *wall)
{
  return wall->cameras;
}

YoloCamera *
yolo_wall_camera (YoloWall *wall, const char *name)
{
  for (guint i = 0; i < wall->cameras->len; i++) {
    YoloCamera *camera = g_ptr_array_index (wall->cameras, i);

    if (strcmp (camera->name, name) == 0)
      return camera;
  }
  return NULL;
}

void
yolo_wall_set (YoloWall *wall, YoloSettings *settings)
{
  g_autoptr (GPtrArray) old = g_steal_pointer (&wall->cameras);

  wall->cameras = g_ptr_array_new_with_free_func (camera_free);
  for (guint i = 0; i < settings->cameras->len; i++) {
    const YoloCameraSettings *wanted = g_ptr_array_index (settings->cameras, i);
    YoloCamera *camera = NULL;

    if (!yolo_shard_has (&settings->shard, wanted->name))
      continue;
    for (guint j = 0; j < old->len && camera == NULL; j++)
      if (strcmp (((YoloCamera *) g_ptr_array_index (old, j))->name, wanted->name) == 0)
        camera = g_ptr_array_steal_index (old, j);
    if (camera != NULL)
      yolo_camera_change (camera, wanted->all);
    else
      camera = yolo_camera_new (wanted->name, wanted->all, wall->events, wall->films);
    g_ptr_array_add (wall->cameras, camera);
  }
  yolo_settings_free (wall->settings);
  wall->settings = settings;
  wall->changed = TRUE;
  keep_models (wall);
}

/* The server's own settings are read when it starts. */
static void
warn_of_server_keys (const YoloSettings *old, const YoloSettings *new)
{
  for (int i = 0; i < YOLO_N_SERVER_KEYS; i++)
    if (i != YOLO_KEY_WATCH && i != YOLO_KEY_API_FOLDERS && i != YOLO_KEY_MAX_CAMERAS
        && !yolo_values_same (old->server, new->server, i))
      g_message ("the setting %s of the server has changed; restart it for that",
          yolo_keys[i].name);
}

gboolean
yolo_wall_reload (YoloWall *wall, GError **error)
{
  g_autoptr (GError) why = NULL;
  YoloSettings *settings = yolo_settings_read (wall->settings->path, &why);

  g_clear_pointer (&wall->file_error, g_free);
  g_free (wall->seen);
  wall->seen = read_text (wall);
  if (settings == NULL) {
    g_message ("the settings stay as they were: %s", why->message);
    wall->file_error = g_strdup (why->message);
    g_propagate_error (error, g_steal_pointer (&why));
    return FALSE;
  }
  settings->shard = wall->settings->shard;
  settings->group = wall->settings->group;
  if (wall->fill != NULL) {
    g_ptr_array_set_size (settings->cameras, 0);
    wall->fill (settings, wall->fill_data);
  }
  warn_of_server_keys (wall->settings, settings);
  yolo_wall_set (wall, settings);
  watch_file (wall);
  wall->changed = FALSE;
  g_message ("the settings were read again: %u cameras", wall->cameras->len);
  return TRUE;
}

void
yolo_wall_set_fill (YoloWall *wall, YoloWallFill fill, gpointer user_data)
{
  wall->fill = fill;
  wall->fill_data = user_data;
}

gboolean
yolo_wall_save (YoloWall *wall, GError **error)
{
  if (wall->settings->group != NULL) {
    g_set_error (error, YOLO_SETTINGS_ERROR, YOLO_SETTINGS_ERROR_ELSEWHERE,
        "the cameras of this server come from Kafka, and belong into no file");
    return FALSE;
  }
  if (!yolo_settings_write (wall->settings, error))
    return FALSE;
  g_free (wall->seen);
  wall->seen = read_text (wall);
  g_clear_pointer (&wall->file_error, g_free);
  wall->changed = FALSE;
  return TRUE;
}

const char *
yolo_wall_file_error (YoloWall *wall)
{
  return wall->file_error;
}

gboolean
yolo_wall_is_changed (YoloWall *wall)
{
  return wall->changed;
}
