/* SPDX-License-Identifier: MIT */
/* yolo-server: runs YOLO networks on many cameras; docs/server.md.
 *
 *   yolo-server [--shard I/N | --group NAME] SETTINGS.yaml
 *   yolo-server --publish-settings SETTINGS.yaml
 *   yolo-server --check SETTINGS.yaml
 *   yolo-server --settings
 *
 * SIGHUP reads the file again; SIGTERM and SIGINT end it within three seconds. */

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <glib-unix.h>

#include "pipelines/server/group.h"
#include "pipelines/server/http.h"

#define MAX_END (2 * G_USEC_PER_SEC)    /* that pipelines have to end */
#define MAX_WRITE (G_USEC_PER_SEC / 2)  /* that events have to be written */
#define MAX_LEAVE (G_USEC_PER_SEC / 2)  /* that leaving a consumer group may take */
#define DAY (24.0 * 3600 * G_USEC_PER_SEC)
#define EVENTS_IN_MEMORY (16 << 20)     /* bytes, where there is no folder for them */

typedef struct {
  GMainLoop *loop;
  YoloWall *wall;
} Program;

static gboolean
on_end (gpointer user_data)
{
  Program *program = user_data;

  g_main_loop_quit (program->loop);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_hangup (gpointer user_data)
{
  Program *program = user_data;

  yolo_wall_reload (program->wall, NULL);
  return G_SOURCE_CONTINUE;
}

/* One line, to standard error, with the time: what runs as a service has it in the journal. */
static GLogWriterOutput
write_log (GLogLevelFlags level, const GLogField *fields, gsize n, gpointer user_data)
{
  const char *text = NULL;
  g_autoptr (GDateTime) now = g_date_time_new_now_local ();
  g_autofree char *time = g_date_time_format (now, "%F %T");

  if ((level & G_LOG_LEVEL_MASK) >= G_LOG_LEVEL_INFO)
    return G_LOG_WRITER_HANDLED;
  for (gsize i = 0; i < n; i++)
    if (g_strcmp0 (fields[i].key, "MESSAGE") == 0)
      text = fields[i].value;
  g_printerr ("%s %s\n", time, text != NULL ? text : "");
  return G_LOG_WRITER_HANDLED;
}

static int
publish (const YoloSettings *settings)
{
  g_autoptr (GError) error = NULL;
  guint sent, removed;

  if (!yolo_group_publish (settings, &sent, &removed, &error)) {
    g_printerr ("yolo-server: %s\n", error->message);
    return 1;
  }
  g_print ("%u cameras were sent, %u others taken away\n", sent, removed);
  return 0;
}

/* How many of the cameras are the shard's. */
static guint
count_cameras (const YoloSettings *settings)
{
  guint n = 0;

  for (guint i = 0; i < settings->cameras->len; i++) {
    const YoloCameraSettings *camera = g_ptr_array_index (settings->cameras, i);
    n += yolo_shard_has (&settings->shard, camera->name);
  }
  return n;
}

/* Opens what events are kept in. */
/* Opens what events are kept in. @films: (out): what takes video, or NULL: there is no folder */
static YoloEvents *
open_events (const YoloSettings *settings, YoloFilms **films, GError **error)
{
  const char *name = yolo_values_text (settings->server, YOLO_KEY_EVENTS_FOLDER);
  const double size = yolo_values_number (settings->server, YOLO_KEY_EVENTS_SIZE);
  const double days = yolo_values_number (settings->server, YOLO_KEY_EVENTS_DAYS);
  const double film_size = yolo_values_number (settings->server, YOLO_KEY_RECORDINGS_SIZE);
  const double film_days = yolo_values_number (settings->server, YOLO_KEY_RECORDINGS_DAYS);
  g_autofree char *folder =
      name != NULL ? g_canonicalize_filename (name, settings->folder) : NULL;

  YoloEvents *events = yolo_events_new (folder,
      folder != NULL ? (guint64) (size * 1e6) : EVENTS_IN_MEMORY, (gint64) (days * DAY), error);

  *films = NULL;
  if (events == NULL || folder == NULL)
    return events;
  yolo_events_limit_recordings (events, (guint64) (film_size * 1e6), (gint64) (film_days * DAY));
  *films = yolo_films_new (folder, events, error);
  if (*films == NULL)
    g_clear_pointer (&events, yolo_events_unref);
  return events;
}

/* Makes what GIO makes when it is first asked for, while there is one thread: making one of these
 * asks for the other, and two threads that began with either waited for each other without end
 * (GLib 2.84: rtspsrc's connection, and the monitor of the settings file). */
static void
ready_gio (void)
{
  g_vfs_get_default ();
  g_proxy_resolver_get_default ();
}

/* Ends the cameras, writes the events that they end with, and waits for what may hang. */
static gboolean
end (YoloWall *wall, YoloFilms *films, YoloEvents *events)
{
  yolo_wall_free (wall);
  if (films != NULL)
    yolo_films_end (films, MAX_WRITE);
  yolo_films_unref (films);
  yolo_events_end (events, MAX_WRITE);
  yolo_events_unref (events);
  return yolo_run_wait (MAX_END);
}

static int
serve (YoloSettings *settings)
{
  Program program = { .loop = g_main_loop_new (NULL, FALSE) };
  YoloGroup *group = NULL;
  g_autoptr (GError) error = NULL;
  YoloFilms *films;
  YoloEvents *events = open_events (settings, &films, &error);
  YoloHttp *http;

  if (events == NULL) {
    g_printerr ("yolo-server: %s\n", error->message);
    yolo_settings_free (settings);
    return 1;
  }
  ready_gio ();
  program.wall = yolo_wall_new (settings, events, films);
  http = yolo_http_new (program.wall, &error);
  if (http != NULL && yolo_wall_settings (program.wall)->group != NULL
      && (group = yolo_group_new (program.wall, &error)) == NULL)
    g_clear_pointer (&http, yolo_http_free);
  if (http == NULL) {
    g_printerr ("yolo-server: %s\n", error->message);
    end (program.wall, films, events);
    return 1;
  }
  /* A file that may grow no further is an error of writing, as a full disk is. */
  signal (SIGXFSZ, SIG_IGN);
  g_unix_signal_add (SIGTERM, on_end, &program);
  g_unix_signal_add (SIGINT, on_end, &program);
  g_unix_signal_add (SIGHUP, on_hangup, &program);
  g_print ("%s/\n", http->address);
  fflush (stdout);
  g_main_loop_run (program.loop);
  yolo_group_stop (group);
  yolo_http_free (http);
  if (!end (program.wall, films, events))
    g_message ("pipelines hang; the program ends without them");
  /* Behind the pipelines, so that no camera is served twice. */
  yolo_group_free (group, MAX_LEAVE);
  g_main_loop_unref (program.loop);
  return 0;
}

int
main (int argc, char **argv)
{
  gboolean check = FALSE, list = FALSE, version = FALSE, send = FALSE;
  g_autofree char *group = NULL;
  g_autofree char *shard_text = NULL;
  YoloShard shard = { 0 };
  const GOptionEntry entries[] = {
    { "check", 0, 0, G_OPTION_ARG_NONE, &check, "Check the settings, and start nothing", NULL },
    { "settings", 0, 0, G_OPTION_ARG_NONE, &list, "List all settings", NULL },
    { "group", 0, 0, G_OPTION_ARG_STRING, &group,
        "Take cameras from Kafka, shared among the servers of this consumer group", "NAME" },
    { "publish-settings", 0, 0, G_OPTION_ARG_NONE, &send,
        "Make the file's cameras those of the topic of such a group", NULL },
    { "shard", 0, 0, G_OPTION_ARG_STRING, &shard_text,
        "Take the cameras of shard I of N, I from 0, or auto: the number at the host name's end",
        "I/N" },
    { "version", 0, 0, G_OPTION_ARG_NONE, &version, "Tell the version", NULL },
    G_OPTION_ENTRY_NULL
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("SETTINGS.yaml");
  g_autoptr (GError) error = NULL;
  YoloSettings *settings;

  setlocale (LC_ALL, "");
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_add_group (context, gst_init_get_option_group ());
  if (!g_option_context_parse (context, &argc, &argv, &error)) {
    g_printerr ("yolo-server: %s\n", error->message);
    return 2;
  }
  if (version || list) {
    g_autofree char *text = list ? yolo_keys_markdown () : g_strdup (YOLO_VERSION "\n");
    g_print ("%s", text);
    return 0;
  }
  if (argc != 2 || (group != NULL && shard_text != NULL) || (check && send)) {
    g_printerr ("usage: yolo-server [--check | --publish-settings] [--shard I/N | --group NAME] "
        "SETTINGS.yaml\n");
    return 2;
  }
  if (shard_text != NULL
      && !yolo_shard_parse (shard_text, g_get_host_name (), &shard, &error)) {
    g_printerr ("yolo-server: %s\n", error->message);
    return 2;
  }
  settings = yolo_settings_read (argv[1], &error);
  if (settings == NULL) {
    g_printerr ("yolo-server: %s\n", error->message);
    return 1;
  }
  settings->shard = shard;
  if (check) {
    g_print ("%s: %u cameras", argv[1], settings->cameras->len);
    if (shard.count > 0)
      g_print (", %u of them in shard %u of %u", count_cameras (settings), shard.index,
          shard.count);
    g_print ("\n");
    yolo_settings_free (settings);
    return 0;
  }
  if (send) {
    const int status = publish (settings);

    yolo_settings_free (settings);
    return status;
  }
  g_log_set_writer_func (write_log, NULL, NULL);
  if (group != NULL) {
    if (settings->cameras->len > 0)
      g_message ("the cameras come from Kafka; the %u of the file do not count",
          settings->cameras->len);
    g_ptr_array_set_size (settings->cameras, 0);
    settings->group = group;
  }
  /* What hangs in a driver or a library is not waited for: exit() would. */
  const int status = serve (settings);

  fflush (NULL);
  _exit (status);
}
