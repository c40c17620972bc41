/* SPDX-License-Identifier: MIT */
/* The batch former alone, without a thread: streams, frames and a time in,
 * batches out. */

#include "tests/engine/fake.h"

/* A row: streams A, B, ... and the frames that they submit, in order; a small
 * letter is a frame of another size; frames with a + between are parts of one picture, of
 * which more are to come where the + stands at the end. All have the same age. What the former
 * then runs, one batch after the other, each called back before the next. */
typedef struct {
  const char *name;
  guint streams, max_pending;
  guint batch_size, timeout;    /* milliseconds */
  guint age;                    /* of all frames, milliseconds */
  const char *submit;
  const char *idle;             /* streams that expect no more */
  const char *drain;            /* streams that are drained */
  const char *cancel;           /* streams that are cancelled */
  const char *batches;
} Row;

static const Row rows[] = {
  { "one frame of one stream", 1, 1, 0, 40, 0, "A", "", "", "", "A" },
  { "one stream, batch size of its own", 1, 4, 0, 40, 0, "AAA", "", "", "", "A A A" },
  { "one stream waits to fill the batch", 1, 4, 4, 40, 0, "AAA", "", "", "", "" },
  { "one stream fills the batch", 1, 4, 4, 40, 0, "AAAA", "", "", "", "AAAA" },
  { "one stream at its limit fills no batch", 1, 2, 4, 40, 0, "AA", "", "", "", "AA" },
  { "a time-out of nothing waits for nobody", 3, 4, 4, 0, 0, "AB", "", "", "", "AB" },
  { "the oldest has waited", 3, 4, 4, 40, 40, "AB", "", "", "", "AB" },
  { "the oldest has not waited long enough", 3, 4, 4, 40, 39, "AB", "", "", "", "" },
  { "all streams have come", 3, 1, 0, 40, 0, "ABC", "", "", "", "AB C" },
  { "four make a whole batch", 4, 1, 0, 40, 0, "ABCD", "", "", "", "ABCD" },
  { "five run as four and one", 5, 1, 0, 40, 0, "ABCDE", "", "", "", "ABCD E" },
  { "seven run as four, two and one", 7, 1, 0, 40, 0, "ABCDEFG", "", "", "", "ABCD EF G" },
  { "streams open idle: nobody waits for C", 3, 1, 0, 40, 0, "AB", "", "", "", "AB" },
  { "B has sent and may send again", 2, 2, 4, 40, 0, "ABA", "", "", "", "" },
  { "B is idle, A is at its limit", 2, 2, 4, 40, 0, "ABA", "B", "", "", "AB A" },
  { "B is drained", 3, 4, 4, 40, 0, "AB", "", "B", "", "AB" },
  { "a batch larger than the largest", 1, 64, 64, 40, 0,
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "", "", "",
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" },

  { "many frames of one stream leave room for others", 3, 8, 4, 0, 0, "AAAAAABC", "", "", "",
      "ABCA AAAA" },
  { "who was served least recently is next", 3, 8, 2, 0, 0, "AAABBBCCC", "", "", "",
      "AB CA BC AB C" },
  { "one frame at a time, in turn", 3, 8, 1, 0, 0, "AAABBC", "", "", "", "A B C A B A" },

  { "sizes do not mix", 4, 1, 0, 40, 40, "AbCd", "", "", "", "AC bd" },
  { "a size that fills the batch does not wait for another", 4, 2, 2, 40, 0, "aBC", "", "", "",
      "BC" },
  { "a stream is expected to keep its size", 4, 2, 4, 40, 0, "aaBB", "D", "", "", "aa BB" },
  { "a stream that changes its size keeps its order", 1, 4, 4, 0, 0, "AAaA", "", "", "", "AA a A" },
  { "the rest of a batch does not wait", 4, 4, 3, 40, 0, "ABCdd", "", "", "", "AB C" },
  { "one size with many frames does not starve another", 3, 16, 2, 0, 0, "AAAAAABBBBBBc", "", "",
      "", "AB c AB AB AB AB AB" },
  { "nor does it when its batches never end with the same stream", 3, 16, 4, 0, 0, "AAAAAAAAABBBc",
      "", "", "", "ABAB c ABAA AAAA" },

  { "the parts of a picture are a batch", 1, 1, 0, 0, 0, "A+A+A+A", "", "", "", "AAAA" },
  { "parts of two pictures share it", 2, 1, 0, 40, 0, "A+A+A+AB+B+B+B", "", "", "", "ABABABAB" },
  { "a batch takes what it holds of the parts", 1, 1, 2, 40, 0, "A+A+A+A+A", "", "", "",
      "AA AA A" },
  { "more parts than the largest batch", 1, 1, 0, 40, 0,
      "A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A+A", "", "", "",
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA AA" },
  { "a picture without its rest waits, whatever its age", 1, 2, 4, 0, 10, "A+A+", "", "", "", "" },
  { "but not where it fills a batch", 1, 2, 2, 0, 10, "A+A+", "", "", "", "AA" },
  { "nor does another size wait for it", 2, 2, 4, 0, 10, "A+A+b", "", "", "", "b" },
  { "a picture in parts is one that is under way", 1, 2, 8, 40, 0, "A+A+A", "", "", "", "" },
  { "two of them are at the limit", 1, 2, 8, 40, 0, "A+A+AA+A", "", "", "", "AAAA A" },

  { "a cancelled frame is not counted", 2, 4, 2, 40, 0, "AB", "", "", "A", "" },
  { "cancelled frames make room", 2, 2, 4, 40, 40, "AABB", "", "", "A", "BB" },
};

static YoloRequest
request_of (char letter)
{
  return g_ascii_islower (letter) ? fake_request (32, 64, 1) : fake_request (64, 64, 1);
}

/* How many parts of a picture follow the one that @c points at. */
static guint
more_after (const char *c)
{
  guint n = 0;

  for (; c[1] == '+'; c += 2) {
    n++;
    if (c[2] != c[0])
      break;
  }
  return n;
}

/* As a replica does, without callbacks. */
static void
end_job (YoloJob *job)
{
  YoloStream *stream = job->stream;

  if (job->request.more == 0)
    stream->pending--;
  stream->returned++;
  job->next = stream->unused;
  stream->unused = job;
}

static void
test_row (gconstpointer data)
{
  const Row *row = data;
  YoloEngine engine = { .refs = 1 };
  YoloReplicaSet set = { .engine = &engine, .users = 1 };
  YoloStream *streams[26];
  YoloJob *jobs[YOLO_ENGINE_MAX_BATCH], *job;
  g_autoptr (GString) batches = g_string_new (NULL);
  gint64 now = 1000000, until;
  guint n, size;

  engine.sets = g_list_prepend (NULL, &set);
  g_queue_init (&set.streams);
  set.groups = g_array_new (FALSE, FALSE, sizeof (YoloGroup));
  yolo_engine_set_batching (&engine, row->batch_size, row->timeout * G_GUINT64_CONSTANT (1000000));
  for (guint i = 0; i < row->streams; i++)
    streams[i] = yolo_engine_open_stream (&engine, NULL, row->max_pending, NULL, NULL);

  for (const char *c = row->submit; *c != '\0'; c++) {
    YoloStream *stream = *c == '+' ? NULL : streams[g_ascii_toupper (*c) - 'A'];
    YoloRequest request = request_of (*c);

    if (*c == '+')
      continue;
    request.more = more_after (c);
    yolo_stream_submit (stream, &request, GINT_TO_POINTER (*c));
    stream->last->submitted = now - row->age * 1000;
  }
  for (const char *c = row->idle; *c != '\0'; c++)
    yolo_stream_set_active (streams[g_ascii_toupper (*c) - 'A'], FALSE);
  for (const char *c = row->drain; *c != '\0'; c++)
    streams[*c - 'A']->drained = streams[*c - 'A']->submitted;
  for (const char *c = row->cancel; *c != '\0'; c++)
    streams[*c - 'A']->cancelled = streams[*c - 'A']->submitted;

  while ((job = yolo_engine_take_dropped (&set, now)) != NULL)
    end_job (job);
  while ((n = yolo_engine_take (&set, NULL, jobs, &size, now, &until)) > 0) {
    if (batches->len > 0)
      g_string_append_c (batches, ' ');
    g_assert_cmpuint (size, ==, n);
    for (guint i = 0; i < n; i++) {
      g_string_append_c (batches, GPOINTER_TO_INT (jobs[i]->tag));
      end_job (jobs[i]);
    }
  }
  g_assert_cmpstr (batches->str, ==, row->batches);

  /* What is left runs when the time has come, and not before. */
  if (until != G_MAXINT64) {
    g_assert_cmpint (until, ==, now - row->age * 1000 + row->timeout * 1000);
    g_assert_cmpuint (yolo_engine_take (&set, NULL, jobs, &size, until - 1, &until), ==, 0);
    n = yolo_engine_take (&set, NULL, jobs, &size, until, &until);
    g_assert_cmpuint (n, >, 0);
    for (guint i = 0; i < n; i++)
      end_job (jobs[i]);
  }
  for (guint i = 0; i < row->streams; i++) {
    streams[i]->cancelled = streams[i]->submitted;
    while ((job = yolo_engine_take_dropped (&set, now)) != NULL)
      end_job (job);
    g_assert_cmpuint (yolo_stream_pending (streams[i]), ==, 0);
    yolo_stream_close (streams[i]);
  }
  g_assert_cmpuint (engine.refs, ==, 1);
  g_assert_cmpuint (set.users, ==, 1);
  g_array_unref (set.groups);
  g_list_free (engine.sets);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *path = g_strdup_printf ("/engine/batch/%s", rows[i].name);

    g_test_add_data_func (path, &rows[i], test_row);
  }
  return g_test_run ();
}
