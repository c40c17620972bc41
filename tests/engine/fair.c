/* SPDX-License-Identifier: MIT */
/* How the batch former shares a machine that is too slow, without a thread: cameras, each with a
 * place for its newest frame before the engine, in simulated time. */

#include "tests/engine/fake.h"

#include <string.h>

#define MAX_CAMERAS 8
#define BATCH_TIME 10000        /* microseconds that a batch takes, */
#define FRAME_TIME 20000        /* and besides for each of its frames */

typedef struct {
  double fps, weight, min_rate;
  double expected;              /* frames a second that are inferred */
} Camera;

typedef struct {
  const char *name;
  guint n, max_pending;
  Camera cameras[MAX_CAMERAS];
} Row;

/* 1 s has time for 33 frames of batches of one, 40 of batches of two, 44 of four, 47 of eight. What
 * is expected where weights differ depends on how large batches are, which they decide. */
static const Row rows[] = {
  { "there is time for all, whatever the weights", 4, 2,
    { { 10, 4, 0, 10 }, { 10, 1, 0, 10 }, { 5, .1, 0, 5 }, { 8, 1, 0, 8 } } },
  { "there is time for all, whatever the rates", 3, 2,
    { { 10, 1, 20, 10 }, { 10, 1, 0, 10 }, { 5, 1, 1, 5 } } },
  { "equal weights", 4, 2,
    { { 30, 1, 0, 11.1 }, { 30, 1, 0, 11.1 }, { 30, 1, 0, 11.1 }, { 30, 1, 0, 11.1 } } },
  { "equal weights of which one asks for less", 4, 2,
    { { 30, 3, 0, 13.1 }, { 30, 3, 0, 13.1 }, { 30, 3, 0, 13.1 }, { 4, 3, 0, 4 } } },
};

/* Rows whose frames are asked for in proportion to the weights, however many they are. */
static const Row shared[] = {
  { "two to one", 2, 2, { { 60, 2, 0, 0 }, { 60, 1, 0, 0 } } },
  { "four to one to one to one", 4, 2, { { 60, 4, 0, 0 }, { 60, 1, 0, 0 }, { 60, 1, 0, 0 },
      { 60, 1, 0, 0 } } },
  { "four to one, many under way", 4, 8, { { 90, 4, 0, 0 }, { 90, 1, 0, 0 }, { 90, 1, 0, 0 },
      { 90, 1, 0, 0 } } },
  { "fractions", 3, 2, { { 60, .5, 0, 0 }, { 60, .3, 0, 0 }, { 60, .2, 0, 0 } } },
  { "ten to one, of eight", 8, 3, { { 60, 10, 0, 0 }, { 60, 1, 0, 0 }, { 60, 1, 0, 0 },
      { 60, 5, 0, 0 }, { 60, 1, 0, 0 },
      { 60, 1, 0, 0 }, { 60, 1, 0, 0 }, { 60, 5, 0, 0 } } },
  { "a hundred to one", 2, 2, { { 60, 100, 0, 0 }, { 60, 1, 0, 0 } } },
};

typedef struct {
  YoloEngine engine;
  YoloReplicaSet set;
  YoloStream *streams[MAX_CAMERAS];
  gint64 next[MAX_CAMERAS];     /* when the camera's next frame comes */
  gboolean newest[MAX_CAMERAS]; /* one waits before the engine */
  guint inferred[MAX_CAMERAS];
} Wall;

static void
open_wall (Wall *wall, const Row *row)
{
  *wall = (Wall) { .engine = { .refs = 1 }, .set = { .users = 1 } };
  wall->set.engine = &wall->engine;
  wall->engine.sets = g_list_prepend (NULL, &wall->set);
  g_queue_init (&wall->set.streams);
  wall->set.groups = g_array_new (FALSE, FALSE, sizeof (YoloGroup));
  for (guint i = 0; i < row->n; i++) {
    wall->streams[i] =
        yolo_engine_open_stream (&wall->engine, NULL, row->max_pending, NULL, NULL);
    yolo_stream_set_share (
        wall->streams[i], row->cameras[i].weight, row->cameras[i].min_rate);
    wall->next[i] = i * 1237;
  }
}

static void
submit (YoloStream *stream, gboolean waited)
{
  YoloRequest request = fake_request (64, 64, 1);

  request.waited = waited;
  yolo_stream_submit (stream, &request, NULL);
  stream->last->submitted = 0;  /* in simulated time */
}

/* Lets the frames come that come until the time. */
static void
come (Wall *wall, const Row *row, gint64 until)
{
  for (guint i = 0; i < row->n; i++)
    while (wall->next[i] <= until) {
      if (wall->streams[i]->pending < row->max_pending)
        submit (wall->streams[i], FALSE);
      else
        wall->newest[i] = TRUE;
      wall->next[i] += 1e6 / row->cameras[i].fps;
    }
}

static void
end_job (YoloJob *job)
{
  YoloStream *stream = job->stream;

  stream->pending--;
  stream->returned++;
  job->next = stream->unused;
  stream->unused = job;
}

static void
submit_newest (Wall *wall, const Row *row)
{
  for (guint i = 0; i < row->n; i++)
    if (wall->newest[i] && wall->streams[i]->pending < row->max_pending) {
      wall->newest[i] = FALSE;
      submit (wall->streams[i], TRUE);
    }
}

/* Runs so many seconds. @quick: what waits before the engine is there before the next batch is
 * formed, as a thread may be quick enough for, or not. */
static void
run (Wall *wall, const Row *row, gint64 *now, double seconds, gboolean quick)
{
  const gint64 end = *now + seconds * 1e6;
  YoloJob *jobs[YOLO_ENGINE_MAX_BATCH];
  guint n, size;
  gint64 until;

  while (*now < end) {
    come (wall, row, *now);
    if (quick)
      submit_newest (wall, row);
    n = yolo_engine_take (&wall->set, NULL, jobs, &size, *now, &until);
    submit_newest (wall, row);
    *now += n > 0 ? BATCH_TIME + FRAME_TIME * n : 100;
    come (wall, row, *now);
    for (guint i = 0; i < n; i++) {
      for (guint k = 0; k < row->n; k++)
        wall->inferred[k] += jobs[i]->stream == wall->streams[k];
      end_job (jobs[i]);
    }
  }
}

static void
close_wall (Wall *wall, const Row *row)
{
  YoloJob *job;

  for (guint i = 0; i < row->n; i++) {
    wall->streams[i]->cancelled = wall->streams[i]->submitted;
    while ((job = yolo_engine_take_dropped (&wall->set, G_MAXINT64)) != NULL)
      end_job (job);
    yolo_stream_close (wall->streams[i]);
  }
  g_array_unref (wall->set.groups);
  g_list_free (wall->engine.sets);
}

static void
check (const char *row, guint camera, double frames, double expected)
{
  g_test_message ("%s: camera %u: %.2f frames a second, expected %.2f", row, camera, frames,
      expected);
  g_assert_cmpfloat (frames, >=, .95 * expected);
  g_assert_cmpfloat (frames, <=, 1.05 * expected);
}

static void
test_rates (gconstpointer data)
{
  const Row *row = data;

  for (gint quick = 0; quick <= 1; quick++) {
    Wall wall;
    gint64 now = 0;

    open_wall (&wall, row);
    run (&wall, row, &now, 60, quick);
    for (guint i = 0; i < row->n; i++)
      check (row->name, i, wall.inferred[i] / (now / 1e6), row->cameras[i].expected);
    close_wall (&wall, row);
  }
}

static void
test_shares (gconstpointer data)
{
  const Row *row = data;

  for (gint quick = 0; quick <= 1; quick++) {
    Wall wall;
    gint64 now = 0;
    double frames = 0, weights = 0;

    open_wall (&wall, row);
    run (&wall, row, &now, 120, quick);
    for (guint i = 0; i < row->n; i++) {
      frames += wall.inferred[i];
      weights += row->cameras[i].weight;
    }
    /* the machine is never left idle: one frame a batch is the least that it does */
    g_assert_cmpfloat (frames / (now / 1e6), >=, 33);
    for (guint i = 0; i < row->n; i++)
      check (row->name, i, wall.inferred[i], frames * row->cameras[i].weight / weights);
    close_wall (&wall, row);
  }
}

/* Rates are held by those that have one, and what is left is shared by weights. */
static void
test_floors (void)
{
  static const Row row = { "floors", 4, 2, {
      { 60, 10, 0, 0 }, { 60, 1, 5, 0 }, { 60, .01, 2, 0 }, { 60, 5, 0, 0 } } };

  for (gint quick = 0; quick <= 1; quick++) {
    Wall wall;
    gint64 now = 0;
    double rates[4];

    open_wall (&wall, &row);
    run (&wall, &row, &now, 120, quick);
    for (guint i = 0; i < row.n; i++)
      rates[i] = wall.inferred[i] / (now / 1e6);
    check (row.name, 1, rates[1], 5);
    check (row.name, 2, rates[2], 2);
    check (row.name, 0, rates[0], 2 * rates[3]);
    close_wall (&wall, &row);
  }
}

/* A rate is held where all weights are the same and a batch has room for all, too; that a batch
 * ends late adds to it. */
static void
test_floor_alone (void)
{
  static const Row row = { "a floor alone", 4, 2, {
      { 60, 1, 0, 0 }, { 60, 1, 20, 0 }, { 60, 1, 0, 0 }, { 60, 1, 0, 0 } } };

  for (gint quick = 0; quick <= 1; quick++) {
    Wall wall;
    gint64 now = 0;

    open_wall (&wall, &row);
    run (&wall, &row, &now, 120, quick);
    g_assert_cmpfloat (wall.inferred[1] / (now / 1e6), >=, 20);
    g_assert_cmpfloat (wall.inferred[1] / (now / 1e6), <=, 25);
    check (row.name, 0, wall.inferred[0], wall.inferred[3]);
    g_assert_cmpfloat (wall.inferred[0] / (now / 1e6), >=, 5);
    close_wall (&wall, &row);
  }
}

/* Rates that are more than there is time for: nobody gets nothing. */
static void
test_too_many_floors (void)
{
  static const Row row = { "too many floors", 3, 2, { { 60, 1, 60, 0 }, { 60, 1, 60, 0 },
      { 60, 1, 20, 0 } } };
  Wall wall;
  gint64 now = 0;
  double rate[3];

  open_wall (&wall, &row);
  run (&wall, &row, &now, 60, FALSE);
  for (guint i = 0; i < row.n; i++)
    rate[i] = wall.inferred[i] / (now / 1e6);
  check (row.name, 0, rate[0], rate[1]);
  g_assert_cmpfloat (rate[2], >=, 5);
  g_assert_cmpfloat (rate[0], >=, rate[2]);
  close_wall (&wall, &row);
}

/* Rates are held, too, where a batch has room for one frame. */
static void
test_floors_one_by_one (void)
{
  static const Row row = { "floors one by one", 4, 2, {
      { 60, 1, 15, 0 }, { 60, 1, 10, 0 }, { 60, 1, 0, 0 }, { 60, 1, 0, 0 } } };

  for (gint quick = 0; quick <= 1; quick++) {
    Wall wall;
    gint64 now = 0;

    open_wall (&wall, &row);
    yolo_engine_set_batching (&wall.engine, 1, 0);
    run (&wall, &row, &now, 120, quick);
    check (row.name, 0, wall.inferred[0] / (now / 1e6), 15);
    check (row.name, 1, wall.inferred[1] / (now / 1e6), 10);
    check (row.name, 2, wall.inferred[2], wall.inferred[3]);
    close_wall (&wall, &row);
  }
}

/* A rate that is more than there is time for leaves something to those without. */
static void
test_greedy_floor (void)
{
  static const Row row = { "a greedy floor", 2, 2, { { 60, 1, 60, 0 }, { 60, 1, 0, 0 } } };
  Wall wall;
  gint64 now = 0;

  open_wall (&wall, &row);
  run (&wall, &row, &now, 60, FALSE);
  g_assert_cmpfloat (wall.inferred[1] / (now / 1e6), >=, 1);
  g_assert_cmpuint (wall.inferred[0], >=, 5 * wall.inferred[1]);
  close_wall (&wall, &row);
}

/* Where weights are equal, the stream that was served least recently is next, whatever was there
 * before: compared with a list that is kept so. */
static void
test_equal (void)
{
  static const Row row = { "equal", 6, 64, { { 1, 3, 0, 0 }, { 1, 3, 0, 0 }, { 1, 3, 0, 0 },
      { 1, 3, 0, 0 }, { 1, 3, 0, 0 }, { 1, 3, 0, 0 } } };
  Wall wall;
  guint order[6], waiting[6] = { 0 };

  open_wall (&wall, &row);
  for (guint i = 0; i < row.n; i++)
    order[i] = i;
  for (guint round = 0; round < 2000; round++) {
    YoloJob *jobs[YOLO_ENGINE_MAX_BATCH];
    guint n, size;
    gint64 until;

    for (gint i = g_test_rand_int_range (0, 8); i > 0; i--) {
      const guint camera = g_test_rand_int_range (0, row.n);

      if (waiting[camera] < row.max_pending) {
        submit (wall.streams[camera], g_test_rand_bit ());
        waiting[camera]++;
      }
    }
    yolo_engine_set_batching (&wall.engine, g_test_rand_int_range (0, 8), 0);
    n = yolo_engine_take (&wall.set, NULL, jobs, &size, 0, &until);
    for (guint i = 0; i < n; i++) {
      guint at = 0, camera;

      while (waiting[order[at]] == 0)
        at++;
      camera = order[at];
      memmove (order + at, order + at + 1, (row.n - 1 - at) * sizeof *order);
      order[row.n - 1] = camera;
      waiting[camera]--;
      g_assert_true (jobs[i]->stream == wall.streams[camera]);
    }
    for (guint i = 0; i < n; i++)
      end_job (jobs[i]);
  }
  close_wall (&wall, &row);
}

/* A weight that changes counts from then on: nothing is made up for. */
static void
test_change (void)
{
  static const Row row = { "change", 2, 2, { { 60, .01, 0, 0 }, { 60, 1, 0, 0 } } };
  Wall wall;
  gint64 now = 0;
  guint before[2];

  open_wall (&wall, &row);
  run (&wall, &row, &now, 30, FALSE);
  g_assert_cmpuint (wall.inferred[1], >=, 50 * wall.inferred[0]);
  for (guint i = 0; i < 2; i++) {
    before[i] = wall.inferred[i];
    yolo_stream_set_share (wall.streams[i], i == 0 ? 3 : 1, 0);
  }
  run (&wall, &row, &now, 10, FALSE);
  check (row.name, 0, wall.inferred[0] - before[0], 3 * (wall.inferred[1] - before[1]));
  close_wall (&wall, &row);
}

/* Cameras that stand still keep nothing from the others, and have nothing to make up for. */
static void
test_stall (void)
{
  static const Row row = { "stall", 3, 2, { { 60, 10, 0, 0 }, { 60, 1, 0, 0 }, { 60, 1, 0, 0 } } };
  Wall wall;
  gint64 now = 0;
  guint before[3];

  open_wall (&wall, &row);
  run (&wall, &row, &now, 30, FALSE);
  wall.next[0] = now + 30 * G_USEC_PER_SEC;
  wall.newest[0] = FALSE;
  for (guint i = 0; i < 3; i++)
    before[i] = wall.inferred[i];
  run (&wall, &row, &now, 29, FALSE);
  for (guint i = 1; i < 3; i++)
    check (row.name, i, (wall.inferred[i] - before[i]) / 29., 20);
  g_assert_cmpuint (wall.inferred[0], <=, before[0] + 2);
  run (&wall, &row, &now, 1, FALSE);
  for (guint i = 0; i < 3; i++)
    before[i] = wall.inferred[i];
  run (&wall, &row, &now, 10, FALSE);
  check (row.name, 0, wall.inferred[0] - before[0], 10 * (wall.inferred[1] - before[1]));
  close_wall (&wall, &row);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *path = g_strdup_printf ("/engine/fair/rates/%s", rows[i].name);

    g_test_add_data_func (path, &rows[i], test_rates);
  }
  for (guint i = 0; i < G_N_ELEMENTS (shared); i++) {
    g_autofree char *path = g_strdup_printf ("/engine/fair/shares/%s", shared[i].name);

    g_test_add_data_func (path, &shared[i], test_shares);
  }
  g_test_add_func ("/engine/fair/equal", test_equal);
  g_test_add_func ("/engine/fair/floors", test_floors);
  g_test_add_func ("/engine/fair/floor alone", test_floor_alone);
  g_test_add_func ("/engine/fair/floors one by one", test_floors_one_by_one);
  g_test_add_func ("/engine/fair/greedy floor", test_greedy_floor);
  g_test_add_func ("/engine/fair/too many floors", test_too_many_floors);
  g_test_add_func ("/engine/fair/change", test_change);
  g_test_add_func ("/engine/fair/stall", test_stall);
  return g_test_run ();
}
