/* SPDX-License-Identifier: MIT */
/* Events for those who ask: a list, one, its picture, its clip, and new ones on a WebSocket; and
 * recordings. What is asked waits for the disk, and the main thread does not. */

#include "pipelines/server/http.h"

#include <string.h>

#define DEFAULT_LIMIT 100
#define MAX_LIMIT 500
#define DAY (G_GINT64_CONSTANT (24) * 3600 * G_USEC_PER_SEC)
#define MAX_DAYS 100            /* whose hours are counted at once */
#define MAX_ASKED 200           /* bytes of a text that is looked for */
#define KEEPALIVE 20            /* seconds */
#define MAX_CREDIT 50           /* events that a page may not have confirmed yet */
#define MAX_SAID 64             /* bytes of what a page says */

typedef enum {
  ASK_LIST, ASK_HOURS, ASK_EVENT, ASK_PICTURE, ASK_CLIP, ASK_RECORDINGS, ASK_RECORDING
} Kind;

/* Somebody who waits for an answer. */
typedef struct {
  YoloHttp *http;
  Kind kind;
  SoupServerMessage *message;   /* a reference; NULL: he has gone */
  gulong finished;              /* the handler */
  guint limit;                  /* of a list */
} Question;

/* A page that hears of new events. */
typedef struct {
  YoloHttp *http;
  SoupWebsocketConnection *socket;      /* a reference */
  guint id;                     /* of yolo_events_listen() */
  guint credit;                 /* events that it may be sent */
  guint64 missed;               /* since it was last sent one */
} Listener;

static void
add_text (JsonBuilder *builder, const char *name, const char *text)
{
  json_builder_set_member_name (builder, name);
  if (text != NULL)
    json_builder_add_string_value (builder, text);
  else
    json_builder_add_null_value (builder);
}

static char *
format_time (gint64 time)
{
  g_autoptr (GDateTime) second = g_date_time_new_from_unix_utc (time / G_USEC_PER_SEC);
  g_autoptr (GDateTime) exact = second != NULL
      ? g_date_time_add (second, time % G_USEC_PER_SEC) : NULL;

  return exact != NULL ? g_date_time_format (exact, "%Y-%m-%dT%H:%M:%S.%fZ") : NULL;
}

/* An object, to which the caller may add. */
static void
begin_event (JsonBuilder *builder, const YoloEvent *event)
{
  g_autofree char *time = format_time (event->time);
  g_autofree char *snapshot = event->picture != 0 ? g_strdup_printf (
          "/api/v1/events/%" G_GINT64_FORMAT "/snapshot", event->picture) : NULL;
  g_autofree char *clip = event->clip != 0 ? g_strdup_printf (
          "/api/v1/events/%" G_GINT64_FORMAT "/clip", event->id) : NULL;
  JsonNode *details = event->details != NULL ? json_from_string (event->details, NULL) : NULL;

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "id");
  json_builder_add_int_value (builder, event->id);
  add_text (builder, "time", time);
  add_text (builder, "camera", event->camera);
  add_text (builder, "kind", event->kind);
  add_text (builder, "zone", event->zone);
  add_text (builder, "class", event->label);
  add_text (builder, "snapshot", snapshot);
  add_text (builder, "clip", clip);
  json_builder_set_member_name (builder, "details");
  if (details != NULL) {
    json_builder_add_value (builder, details);
  } else {
    json_builder_begin_object (builder);
    json_builder_end_object (builder);
  }
}

static void
begin_recording (JsonBuilder *builder, const YoloFilm *film)
{
  g_autofree char *begin = format_time (film->begin);
  g_autofree char *end = film->end != 0 ? format_time (film->end) : NULL;
  g_autofree char *video = g_strdup_printf (
      "/api/v1/recordings/%" G_GINT64_FORMAT "/video", film->id);

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "id");
  json_builder_add_int_value (builder, film->id);
  add_text (builder, "camera", film->camera);
  add_text (builder, "begin", begin);
  add_text (builder, "end", end);
  json_builder_set_member_name (builder, "bytes");
  json_builder_add_int_value (builder, film->bytes);
  add_text (builder, "video", video);
}

static void
answer_list (SoupServerMessage *message, GPtrArray *found, gboolean films, guint limit)
{
  JsonBuilder *builder = json_builder_new ();
  const gboolean more = found->len > limit;
  gint64 last = 0;

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, films ? "recordings" : "events");
  json_builder_begin_array (builder);
  for (guint i = 0; i < MIN (found->len, limit); i++) {
    gpointer item = g_ptr_array_index (found, i);

    if (films)
      begin_recording (builder, item);
    else
      begin_event (builder, item);
    json_builder_end_object (builder);
    last = films ? ((const YoloFilm *) item)->id : ((const YoloEvent *) item)->id;
  }
  json_builder_end_array (builder);
  json_builder_set_member_name (builder, "next");
  if (more)
    json_builder_add_int_value (builder, last);
  else
    json_builder_add_null_value (builder);
  json_builder_end_object (builder);
  yolo_http_answer_json (message, SOUP_STATUS_OK, builder);
}

static void
answer_hours (SoupServerMessage *message, GPtrArray *hours)
{
  JsonBuilder *builder = json_builder_new ();

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "hours");
  json_builder_begin_array (builder);
  for (guint i = 0; i < hours->len; i++) {
    const YoloHour *hour = g_ptr_array_index (hours, i);
    g_autofree char *time = format_time (hour->time);

    json_builder_begin_object (builder);
    add_text (builder, "time", time);
    json_builder_set_member_name (builder, "events");
    json_builder_add_int_value (builder, hour->events);
    json_builder_set_member_name (builder, "occupancy");
    if (hour->occupancy >= 0)
      json_builder_add_int_value (builder, hour->occupancy);
    else
      json_builder_add_null_value (builder);
    json_builder_end_object (builder);
  }
  json_builder_end_array (builder);
  json_builder_end_object (builder);
  yolo_http_answer_json (message, SOUP_STATUS_OK, builder);
}

static void
answer (const Question *question, GPtrArray *found, GBytes *jpeg, const GError *error)
{
  SoupServerMessage *message = question->message;
  const gboolean films = question->kind == ASK_RECORDINGS;

  if (error != NULL) {
    yolo_http_answer_error (message, SOUP_STATUS_SERVICE_UNAVAILABLE, "%s", error->message);
  } else if (jpeg != NULL) {
    soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
    soup_server_message_set_response (message, "image/jpeg", SOUP_MEMORY_COPY,
        g_bytes_get_data (jpeg, NULL), g_bytes_get_size (jpeg));
  } else if (found != NULL && question->kind == ASK_HOURS) {
    answer_hours (message, found);
  } else if (found != NULL && (question->kind == ASK_LIST || films)) {
    answer_list (message, found, films, question->limit);
  } else if (found != NULL && found->len == 1 && question->kind == ASK_EVENT) {
    JsonBuilder *builder = json_builder_new ();

    begin_event (builder, g_ptr_array_index (found, 0));
    json_builder_end_object (builder);
    yolo_http_answer_json (message, SOUP_STATUS_OK, builder);
  } else {
    yolo_http_answer_error (message, SOUP_STATUS_NOT_FOUND, "%s", question->kind == ASK_EVENT
        ? "there is no such event; it may be too old"
        : question->kind == ASK_PICTURE
        ? "there is no such picture; it may be too old, or the event has none"
        : "there is no such video; it may be too old, or the event has none");
  }
}

/* The path of the video that was asked for, or NULL: there is none. (transfer full) */
static char *
find_video (const Question *question, GPtrArray *found)
{
  YoloFilms *films = yolo_wall_films (question->http->wall);
  const gboolean clip = question->kind == ASK_CLIP;
  gint64 id;

  if (!(clip || question->kind == ASK_RECORDING) || films == NULL || found == NULL
      || found->len != 1)
    return NULL;
  id = clip ? ((const YoloEvent *) g_ptr_array_index (found, 0))->clip
      : ((const YoloFilm *) g_ptr_array_index (found, 0))->id;
  return id != 0 ? yolo_films_path (films, clip, id) : NULL;
}

static void
on_found (GPtrArray *found, GBytes *jpeg, const GError *error, gpointer user_data)
{
  Question *question = user_data;

  if (question->message != NULL) {
    g_autofree char *path = find_video (question, found);

    g_signal_handler_disconnect (question->message, question->finished);
    if (path != NULL) {
      yolo_video_send (question->http, question->message, path);
    } else {
      answer (question, found, jpeg, error);
      soup_server_message_unpause (question->message);
    }
    g_object_unref (question->message);
  }
  g_free (question);
}

static void
on_finished (SoupServerMessage *message, gpointer user_data)
{
  Question *question = user_data;

  g_signal_handler_disconnect (question->message, question->finished);
  g_clear_object (&question->message);
}

/* Asks for what is looked for (@search: (transfer full)), or for a picture (@search is NULL). */
static void
ask (YoloHttp *http, SoupServerMessage *message, Kind kind, YoloSearch *search, gint64 id,
    guint limit)
{
  YoloEvents *events = yolo_wall_events (http->wall);
  Question *question = g_new0 (Question, 1);
  const gboolean asked = search == NULL ? yolo_events_picture (events, id, on_found, question)
      : kind == ASK_RECORDINGS || kind == ASK_RECORDING
      ? yolo_events_recordings (events, search, on_found, question)
      : kind == ASK_HOURS ? yolo_events_hours (events, search, on_found, question)
      : yolo_events_search (events, search, on_found, question);

  if (!asked) {
    g_free (question);
    yolo_http_answer_error (message, SOUP_STATUS_SERVICE_UNAVAILABLE,
        "too many ask for events; try again later");
    return;
  }
  question->http = http;
  question->kind = kind;
  question->limit = limit;
  question->message = g_object_ref (message);
  question->finished = g_signal_connect (message, "finished", G_CALLBACK (on_finished), question);
  soup_server_message_pause (message);
}

static gboolean
read_time (const char *text, gint64 *time)
{
  g_autoptr (GTimeZone) utc = g_time_zone_new_utc ();
  g_autoptr (GDateTime) date = g_date_time_new_from_iso8601 (text, utc);

  if (date == NULL)
    return FALSE;
  *time = g_date_time_to_unix (date) * G_USEC_PER_SEC + g_date_time_get_microsecond (date);
  return TRUE;
}

/* Reads one thing that a list is to be narrowed by; NULL, or what is to be there instead. */
static const char *
read_asked (YoloSearch *search, const char *name, const char *value)
{
  const struct {
    const char *name;
    char **text;
  } texts[] = { { "camera", &search->camera }, { "kind", &search->kind },
    { "zone", &search->zone }, { "class", &search->label } };
  guint64 number;

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    if (strcmp (name, texts[i].name) == 0) {
      if (strlen (value) > MAX_ASKED || !g_utf8_validate (value, -1, NULL))
        return "a text of at most 200 bytes in UTF-8";
      *texts[i].text = g_strdup (value);
      return NULL;
    }
  if (strcmp (name, "from") == 0 || strcmp (name, "until") == 0)
    return read_time (value, *name == 'f' ? &search->from : &search->until)
        ? NULL : "a time such as 2026-01-31T18:30:00Z";
  if (strcmp (name, "below") == 0) {
    if (!g_ascii_string_to_unsigned (value, 10, 1, G_MAXINT64, &number, NULL))
      return "the number of an event";
    search->below = (gint64) number;
    return NULL;
  }
  if (strcmp (name, "limit") == 0) {
    if (!g_ascii_string_to_unsigned (value, 10, 1, MAX_LIMIT, &number, NULL))
      return "a whole number from 1 to 500";
    search->limit = (guint) number;
    return NULL;
  }
  return "camera, zone, class, kind, from, until, below and limit alone";
}

/* Reads all that a list is to be narrowed by; FALSE: it is wrong, which was answered. */
static gboolean
read_query (SoupServerMessage *message, Kind kind, YoloSearch *search)
{
  const char *query = g_uri_get_query (soup_server_message_get_uri (message));
  g_autoptr (GHashTable) asked = query != NULL ? soup_form_decode (query) : NULL;
  GHashTableIter iterator;
  gpointer key, value;

  *search = (YoloSearch) { .from = 0, .until = G_MAXINT64, .below = G_MAXINT64,
    .limit = DEFAULT_LIMIT };
  /* Behind it a text would end, and what is looked for would be something else. */
  if (query != NULL && strstr (query, "%00") != NULL) {
    yolo_http_answer_error (message, SOUP_STATUS_BAD_REQUEST,
        "there is a NUL in the query; give texts without");
    return FALSE;
  }
  if (asked != NULL) {
    g_hash_table_iter_init (&iterator, asked);
    while (g_hash_table_iter_next (&iterator, &key, &value)) {
      const char *remedy = read_asked (search, key, value != NULL ? value : "");

      if (remedy == NULL && kind == ASK_RECORDINGS
          && (search->kind != NULL || search->zone != NULL || search->label != NULL))
        remedy = "camera, from, until, below and limit alone";

      if (remedy != NULL) {
        yolo_search_clear (search);
        yolo_http_answer_error (message, SOUP_STATUS_BAD_REQUEST,
            "the query is wrong at '%s'; give %s", (const char *) key, remedy);
        return FALSE;
      }
    }
  }
  return TRUE;
}

static void
list (YoloHttp *http, SoupServerMessage *message, Kind kind)
{
  YoloSearch search;
  guint limit;

  if (!read_query (message, kind, &search))
    return;
  limit = search.limit;
  /* One more, which tells whether there are more. */
  search.limit++;
  ask (http, message, kind, &search, 0, limit);
}

void
yolo_search_list (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  list (http, message, ASK_LIST);
}

void
yolo_search_recordings (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  list (http, message, ASK_RECORDINGS);
}

/* The last day, if nothing else is said. */
void
yolo_search_hours (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  YoloSearch search;
  gint64 end;

  if (!read_query (message, ASK_HOURS, &search))
    return;
  end = MIN (search.until, g_get_real_time ());
  if (search.from == 0)
    search.from = end - DAY;
  if (end - search.from > MAX_DAYS * DAY) {
    yolo_search_clear (&search);
    yolo_http_answer_error (message, SOUP_STATUS_BAD_REQUEST,
        "there are more than %d days between from and until; give less", MAX_DAYS);
    return;
  }
  ask (http, message, ASK_HOURS, &search, 0, 0);
}

/* The number in a path; 0: it is none. */
static gint64
read_id (const char *name)
{
  guint64 id;

  return g_ascii_string_to_unsigned (name, 10, 1, G_MAXINT64 - 1, &id, NULL) ? (gint64) id : 0;
}

static void
ask_for_one (YoloHttp *http, SoupServerMessage *message, Kind kind, const char *name)
{
  const gint64 id = read_id (name);
  YoloSearch search = { .until = G_MAXINT64, .above = id - 1, .below = id + 1, .limit = 1 };

  ask (http, message, kind, &search, 0, 0);
}

void
yolo_search_event (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  ask_for_one (http, message, ASK_EVENT, name);
}

void
yolo_search_snapshot (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  ask (http, message, ASK_PICTURE, NULL, read_id (name), 0);
}

void
yolo_search_clip (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  ask_for_one (http, message, ASK_CLIP, name);
}

void
yolo_search_recording (YoloHttp *http, SoupServerMessage *message, const char *name)
{
  ask_for_one (http, message, ASK_RECORDING, name);
}

static void
on_event (const YoloEvent *event, gpointer user_data)
{
  Listener *listener = user_data;
  g_autoptr (JsonBuilder) builder = NULL;
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *text = NULL;

  if (soup_websocket_connection_get_state (listener->socket) != SOUP_WEBSOCKET_STATE_OPEN)
    return;
  if (listener->credit == 0) {
    listener->missed++;
    return;
  }
  listener->credit--;
  builder = json_builder_new ();
  begin_event (builder, event);
  json_builder_set_member_name (builder, "missed");
  json_builder_add_int_value (builder, (gint64) listener->missed);
  json_builder_end_object (builder);
  listener->missed = 0;
  root = json_builder_get_root (builder);
  text = json_to_string (root, FALSE);
  soup_websocket_connection_send_text (listener->socket, text);
}

/* Whatever the page says means that it has taken an event. */
static void
on_said (SoupWebsocketConnection *socket, gint type, GBytes *said, gpointer user_data)
{
  Listener *listener = user_data;

  listener->credit = MIN (listener->credit + 1, MAX_CREDIT);
}

static void
on_closed (SoupWebsocketConnection *socket, gpointer user_data)
{
  Listener *listener = user_data;

  listener->http->n_viewers--;
  yolo_events_leave (yolo_wall_events (listener->http->wall), listener->id);
  g_signal_handlers_disconnect_by_data (socket, listener);
  g_object_unref (listener->socket);
  g_free (listener);
}

void
yolo_search_socket (SoupServer *server, SoupServerMessage *message, const char *path,
    SoupWebsocketConnection *connection, gpointer user_data)
{
  YoloHttp *http = user_data;
  Listener *listener;

  if (http->n_viewers >= http->max_viewers) {
    soup_websocket_connection_close (connection, SOUP_WEBSOCKET_CLOSE_POLICY_VIOLATION,
        "too many watch");
    return;
  }
  soup_websocket_connection_set_max_incoming_payload_size (connection, MAX_SAID);
  soup_websocket_connection_set_keepalive_interval (connection, KEEPALIVE);
  listener = g_new0 (Listener, 1);
  listener->http = http;
  listener->socket = g_object_ref (connection);
  listener->credit = MAX_CREDIT;
  listener->id = yolo_events_listen (yolo_wall_events (http->wall), on_event, listener);
  http->n_viewers++;
  g_signal_connect (connection, "message", G_CALLBACK (on_said), listener);
  g_signal_connect (connection, "closed", G_CALLBACK (on_closed), listener);
}
