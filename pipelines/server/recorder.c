/* SPDX-License-Identifier: MIT */
#include "pipelines/server/recorder.h"

#include <string.h>

#define FRAGMENT GST_SECOND     /* what is lost when the program is killed, at most */
#define SHORT (GST_SECOND / 2)  /* fragments begin with a picture where decoding can begin, unless
                                   they would be shorter */
#define GROUP 30                /* seconds between two of these pictures that there is room for */

typedef enum { RECORD_OFF, RECORD_EVENTS, RECORD_CONTINUOUS } Record;

/* A film that is being made. */
typedef struct {
  YoloShot *shot;
  gint64 id;
  gboolean clip;
  gboolean begun;               /* whether the head is written */
  GstClockTime from, until;     /* pts of the first and the last event, with what comes before and
                                   after; of a recording, dts of its beginning and end */
  GstClockTime base;            /* dts of the first unit */
  gint64 first;                 /* its pts, in units of MP4 from the base on */
  guint max_entries;
  gsize head_size;
  GArray *entries;              /* YoloMp4Entry: the fragments that are written */
  GPtrArray *units;             /* YoloUnit: the next fragment */
  gboolean broken;              /* the disk takes no more */
} Film;

struct _YoloRecorder {
  char *camera;
  YoloFilms *films;             /* a reference, or NULL */
  Record record;
  GstClockTime before, after, longest, segment;
  GPtrArray *clips;             /* Film; the newest last */
  Film *recording;              /* or NULL */
};

static void
film_free (gpointer data)
{
  Film *film = data;

  g_array_unref (film->entries);
  g_ptr_array_unref (film->units);
  g_free (film);
}

YoloRecorder *
yolo_recorder_new (const char *camera, YoloFilms *films)
{
  YoloRecorder *recorder = g_new0 (YoloRecorder, 1);

  recorder->camera = g_strdup (camera);
  recorder->films = films != NULL ? yolo_films_ref (films) : NULL;
  recorder->clips = g_ptr_array_new_with_free_func (film_free);
  return recorder;
}

void
yolo_recorder_free (YoloRecorder *recorder)
{
  yolo_recorder_cut (recorder, NULL, NULL);
  g_ptr_array_unref (recorder->clips);
  yolo_films_unref (recorder->films);
  g_free (recorder->camera);
  g_free (recorder);
}

void
yolo_recorder_set (YoloRecorder *recorder, const YoloValues *values)
{
  const char *record = yolo_values_text (values, YOLO_KEY_RECORD);

  recorder->record = recorder->films == NULL || strcmp (record, "off") == 0 ? RECORD_OFF
      : strcmp (record, "events") == 0 ? RECORD_EVENTS : RECORD_CONTINUOUS;
  recorder->before = yolo_values_number (values, YOLO_KEY_CLIP_BEFORE) * GST_SECOND;
  recorder->after = yolo_values_number (values, YOLO_KEY_CLIP_AFTER) * GST_SECOND;
  recorder->longest = yolo_values_number (values, YOLO_KEY_CLIP_MAX) * GST_SECOND;
  recorder->segment = yolo_values_number (values, YOLO_KEY_RECORD_SEGMENT) * GST_SECOND;
}

gboolean
yolo_recorder_records (const YoloRecorder *recorder)
{
  return recorder->record != RECORD_OFF;
}

GstClockTime
yolo_recorder_past (const YoloRecorder *recorder)
{
  return recorder->record != RECORD_OFF ? recorder->before : 0;
}

/* @age: how long ago what it begins with came in */
static Film *
begin_film (YoloRecorder *recorder, gboolean clip, GstClockTime age, GstClockTime length)
{
  gint64 id;
  YoloShot *shot = yolo_films_begin (recorder->films, clip, recorder->camera,
      g_get_real_time () - (gint64) (age / GST_USECOND), &id);
  Film *film;

  if (shot == NULL)
    return NULL;
  film = g_new0 (Film, 1);
  *film = (Film) { .shot = shot, .id = id, .clip = clip };
  film->max_entries = 2 * (length / GST_SECOND + GROUP);
  film->entries = g_array_new (FALSE, FALSE, sizeof (YoloMp4Entry));
  film->units = g_ptr_array_new_with_free_func (yolo_unit_unref);
  return film;
}

/* Writes the fragment that is there; @next: dts of what comes behind it. */
static void
write_fragment (Film *film, GstClockTime next)
{
  YoloMp4Entry entry;
  GBytes *bytes;

  if (film->units->len == 0)
    return;
  bytes = yolo_unit_fragment (film->entries->len + 1, film->units, next, film->base, &entry);
  g_ptr_array_set_size (film->units, 0);
  if (bytes == NULL || !yolo_shot_write (film->shot, bytes)) {
    film->broken = TRUE;
    return;
  }
  g_array_append_val (film->entries, entry);
}

static void
add_unit (Film *film, YoloUnit *unit)
{
  if (film->units->len > 0) {
    const YoloUnit *first = g_ptr_array_index (film->units, 0);
    const GstClockTime length = unit->dts - first->dts;

    if (length >= FRAGMENT || (unit->key && length >= SHORT))
      write_fragment (film, unit->dts);
  }
  if (!film->broken)
    g_ptr_array_add (film->units, yolo_unit_ref (unit));
}

/* Writes the head, and what there is since the last unit at or before @from at which decoding can
 * begin. */
static void
begin_writing (Film *film, GQueue *units, GstCaps *caps)
{
  GBytes *head = yolo_unit_head (caps, film->max_entries);
  GList *first = NULL;

  film->begun = TRUE;
  for (GList *l = units->head; l != NULL; l = l->next) {
    const YoloUnit *unit = l->data;

    if (first != NULL && unit->pts > film->from)
      break;
    if (unit->key)
      first = l;
  }
  film->broken = head == NULL || first == NULL;
  if (film->broken) {
    g_clear_pointer (&head, g_bytes_unref);
    return;
  }
  film->base = ((const YoloUnit *) first->data)->dts;
  film->first = (gint64) gst_util_uint64_scale (
      ((const YoloUnit *) first->data)->pts - film->base, YOLO_MP4_SCALE, GST_SECOND);
  film->head_size = g_bytes_get_size (head);
  film->broken = !yolo_shot_write (film->shot, head);
  for (GList *l = first; l != NULL && !film->broken; l = l->next)
    add_unit (film, l->data);
}

/* Ends a film's file; the film is still to be freed. */
static void
end_film (Film *film)
{
  GBytes *index = NULL;
  gsize offset = 0;

  write_fragment (film, GST_CLOCK_TIME_NONE);
  if (film->begun && !film->broken)
    index = yolo_mp4_index (film->head_size, film->max_entries,
        (const YoloMp4Entry *) (gpointer) film->entries->data, film->entries->len, film->first,
        &offset);
  yolo_shot_end (film->shot, index, offset, g_get_real_time ());
}

gint64
yolo_recorder_event (YoloRecorder *recorder, GstClockTime pts, GstClockTime newest)
{
  const GstClockTime until = pts + recorder->after;
  Film *film = recorder->clips->len > 0
      ? g_ptr_array_index (recorder->clips, recorder->clips->len - 1) : NULL;

  if (recorder->record == RECORD_OFF)
    return 0;
  if (film != NULL && pts <= film->until && until <= film->from + recorder->longest
      && !film->broken) {
    film->until = MAX (film->until, until);
    return film->id;
  }
  film = begin_film (recorder, TRUE,
      newest - MIN (newest, pts - MIN (pts, recorder->before)), recorder->longest);
  if (film == NULL)
    return 0;
  film->from = pts - MIN (pts, recorder->before);
  film->until = until;
  g_ptr_array_add (recorder->clips, film);
  return film->id;
}

static void
take_clips (YoloRecorder *recorder, GQueue *units, GstCaps *caps)
{
  YoloUnit *unit = units->tail->data;

  for (guint i = recorder->clips->len; i-- > 0;) {
    Film *film = g_ptr_array_index (recorder->clips, i);

    if (!film->begun)
      begin_writing (film, units, caps);
    else if (unit->pts <= film->until)
      add_unit (film, unit);
    if (unit->pts > film->until || film->broken) {
      end_film (film);
      g_ptr_array_remove_index (recorder->clips, i);
    }
  }
}

static void
take_recording (YoloRecorder *recorder, GQueue *units, GstCaps *caps)
{
  YoloUnit *unit = units->tail->data;
  Film *film = recorder->recording;
  const gboolean wanted = recorder->record == RECORD_CONTINUOUS;

  if (film != NULL && (!wanted || film->broken || (unit->key && unit->dts >= film->until))) {
    end_film (film);
    g_clear_pointer (&recorder->recording, film_free);
  }
  if (recorder->recording == NULL && wanted && unit->key) {
    film = recorder->recording = begin_film (recorder, FALSE, 0, recorder->segment);
    if (film == NULL)
      return;
    film->from = unit->pts;
    film->until = unit->dts + recorder->segment;
    begin_writing (film, units, caps);
  } else if (recorder->recording != NULL) {
    add_unit (film, unit);
  }
}

void
yolo_recorder_take (YoloRecorder *recorder, GQueue *units, GstCaps *caps)
{
  if (recorder->films == NULL)
    return;
  take_clips (recorder, units, caps);
  take_recording (recorder, units, caps);
}

void
yolo_recorder_cut (YoloRecorder *recorder, GQueue *units, GstCaps *caps)
{
  for (guint i = 0; i < recorder->clips->len; i++) {
    Film *film = g_ptr_array_index (recorder->clips, i);

    if (!film->begun && caps != NULL)
      begin_writing (film, units, caps);
    end_film (film);
  }
  g_ptr_array_set_size (recorder->clips, 0);
  if (recorder->recording != NULL)
    end_film (recorder->recording);
  g_clear_pointer (&recorder->recording, film_free);
}
