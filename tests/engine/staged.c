/* SPDX-License-Identifier: MIT */
/* Engines whose networks run in pieces: what they find, what they do when a piece fails, at every
 * call that can, and whether batches, cancelled frames and failures get into each other's way. Also
 * a test for ThreadSanitizer: pthread.c. */

#include "tests/engine/simulated.h"
#include "tests/guarded.h"

#include <string.h>

#define FRAMES 6                /* that differ */
#define SIZE 32                 /* pixels of a side, and of the network's input */
#define MAX_OBJECTS 64

static guint8 pixels[FRAMES][SIZE * SIZE * 3];

/* What each frame has, as one host finds it. */
static struct {
  guint n;
  YoloObject objects[MAX_OBJECTS];
} expected[FRAMES];

typedef struct {
  YoloStream *stream;
  guint first;                  /* its n-th frame is number first + n */
  GMutex lock;
  GCond changed;
  guint submitted, answered, good, failed, cancelled;
  gboolean learn;               /* what is found is what is expected */
} User;

static void
learn (guint frame, const YoloResult *result)
{
  g_assert_no_error (result->error);
  g_assert_cmpuint (result->n_detections, >, 0);
  g_assert_cmpuint (result->n_detections, <=, MAX_OBJECTS);
  expected[frame].n = result->n_detections;
  memcpy (expected[frame].objects, result->detections, result->n_detections * sizeof (YoloObject));
}

static void
on_result (gpointer data, gpointer tag, const YoloResult *result)
{
  User *user = data;
  const guint number = GPOINTER_TO_UINT (tag), frame = (user->first + number) % FRAMES;

  g_mutex_lock (&user->lock);
  g_assert_cmpuint (number, ==, user->answered);
  user->answered++;
  if (user->learn)
    learn (frame, result);
  if (result->error == NULL) {
    g_assert_cmpmem (result->detections, result->n_detections * sizeof (YoloObject),
        expected[frame].objects, expected[frame].n * sizeof (YoloObject));
    user->good++;
  } else if (g_error_matches (result->error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    user->cancelled++;
  } else {
    g_assert_cmpint (result->error->domain, ==, YOLO_NETWORK_ERROR);
    g_assert_nonnull (strstr (result->error->message, "made to fail"));
    g_assert_nonnull (strstr (result->error->message, "piece "));
    user->failed++;
  }
  g_cond_signal (&user->changed);
  g_mutex_unlock (&user->lock);
}

static void
user_init (User *user, YoloEngine *engine, guint first, guint max_pending)
{
  *user = (User) { .first = first };
  g_mutex_init (&user->lock);
  g_cond_init (&user->changed);
  user->stream = yolo_engine_open_stream (engine, NULL, max_pending, on_result, user);
}

static void
user_clear (User *user)
{
  yolo_stream_close (user->stream);
  g_assert_cmpuint (user->answered, ==, user->submitted);
  g_mutex_clear (&user->lock);
  g_cond_clear (&user->changed);
}

static void
submit (User *user)
{
  const guint frame = (user->first + user->submitted) % FRAMES;
  const YoloRequest request = {
    .frame = { .format = YOLO_FORMAT_RGB, .width = SIZE, .height = SIZE,
        .plane = { pixels[frame] }, .stride = { SIZE * 3 } },
    .net_width = SIZE, .net_height = SIZE,
    .confidence = .2f, .iou = .7f, .max_detections = MAX_OBJECTS,
  };

  yolo_stream_submit (user->stream, &request, GUINT_TO_POINTER (user->submitted));
  user->submitted++;
}

static YoloEngine *
get_engine (const char *device, GError **error)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "tests", "data", "micro.onnx", NULL);
  const YoloEngineConfig config = { .model_file = path, .device = device, .threads = 1 };

  return yolo_engine_get_from (&simulated_parts, &config, error);
}

static void
assert_all_freed (void)
{
  g_assert_cmpuint (simulated.nets, ==, 0);
  g_assert_cmpuint (simulated.execs, ==, 0);
  for (guint i = 0; i < SIMULATED_DEVICES; i++)
    g_assert_cmpuint (simulated.under_way[i], ==, 0);
}

/* One host in one piece says what there is to be found. */
static void
find_expected (void)
{
  Random random = random_new (3);
  YoloEngine *engine;
  User user;

  for (guint i = 0; i < FRAMES; i++)
    random_bytes (&random, pixels[i], sizeof pixels[i]);
  simulated_reset ();
  engine = get_engine ("cpu", NULL);
  user_init (&user, engine, 0, FRAMES);
  user.learn = TRUE;
  for (guint i = 0; i < FRAMES; i++)
    submit (&user);
  yolo_stream_drain (user.stream);
  user_clear (&user);
  yolo_engine_unref (engine);
  assert_all_freed ();
}

/* Runs a few streams; the sums over them. */
static User
run_streams (YoloEngine *engine, guint frames)
{
  User users[3], sum = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (users); i++)
    user_init (&users[i], engine, i, 4);
  for (guint k = 0; k < frames; k++)
    for (guint i = 0; i < G_N_ELEMENTS (users); i++)
      submit (&users[i]);
  for (guint i = 0; i < G_N_ELEMENTS (users); i++) {
    yolo_stream_drain (users[i].stream);
    user_clear (&users[i]);
    sum.good += users[i].good;
    sum.failed += users[i].failed;
    sum.submitted += users[i].submitted;
  }
  return sum;
}

static void
test_results (void)
{
  static const struct {
    const char *device, *says;
    guint stages;               /* of the first replica */
  } rows[] = {
    { "cuda:0+cuda:1", "device:0+device:1", 2 },
    { "cuda:3+cuda:3", "device:3+device:3", 2 },
    { "cpu+reference", "host+second-host", 2 },
    { "cuda:0+cpu", "device:0+host", 2 },
    { "cpu+cuda:1+reference", "host+device:1+second-host", 3 },
    { "cuda:0+cuda:1+cuda:2+cuda:3+cuda:4+cuda:5+cuda:6+cuda:7",
        "device:0+device:1+device:2+device:3+device:4+device:5+device:6+device:7", 8 },
    { "cuda:0+cuda:1,cuda:2+cuda:3", "device:0+device:1,device:2+device:3", 2 },
    { "cuda:0+cuda:1,cpu", "device:0+device:1,host", 2 },
    { "cpu,cuda:0+cpu", "host,device:0+host", 0 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    YoloReplicaStats stats[YOLO_MAX_DEVICES];
    g_autoptr (GError) error = NULL;
    YoloEngine *engine;
    guint n_frames;
    User user;

    simulated_reset ();
    engine = get_engine (rows[i].device, &error);
    g_assert_no_error (error);
    g_assert_cmpstr (yolo_engine_devices (engine), ==, rows[i].says);
    g_assert_true (get_engine (rows[i].device, NULL) == engine);
    yolo_engine_unref (engine);
    n_frames = run_streams (engine, 20).good;
    g_assert_cmpuint (n_frames, ==, 60);

    user_init (&user, engine, 0, 1);
    yolo_stream_get_replicas (user.stream, stats);
    g_assert_cmpuint (stats[0].n_stages, ==, rows[i].stages);
    for (guint s = 0; s < stats[0].n_stages; s++) {
      g_assert_cmpuint (stats[0].stages[s].images, ==, stats[0].frames);
      g_assert_cmpuint (stats[0].stages[s].batches, ==, stats[0].batches);
    }
    user_clear (&user);
    yolo_engine_unref (engine);
    assert_all_freed ();
  }
}

/* Frames that come while one is under way run beside it, in the pieces that are free. */
static void
test_under_way (void)
{
  YoloEngine *engine;

  simulated_reset ();
  simulated.fixed = 40000;
  engine = get_engine ("cuda:0+cuda:1", NULL);
  yolo_engine_set_batching (engine, 1, 0);
  g_assert_cmpuint (run_streams (engine, 4).good, ==, 12);
  yolo_engine_unref (engine);
  g_assert_cmpuint (simulated.max_under_way, >=, 2);
  g_assert_cmpuint (simulated.max_under_way, <=, 3);
  assert_all_freed ();
}

/* Where the devices have memory for one batch at a time, or two, frames wait, and none fails. */
static void
test_crowded (void)
{
  for (guint batches = 1; batches <= 2; batches++) {
    YoloEngine *engine;

    simulated_reset ();
    simulated.fixed = 10000;
    simulated.max_execs = 2 * batches;  /* a piece each on two devices */
    engine = get_engine ("cuda:0+cuda:1", NULL);
    yolo_engine_set_batching (engine, 1, 0);
    g_assert_cmpuint (run_streams (engine, 4).good, ==, 12);
    yolo_engine_unref (engine);
    g_assert_cmpuint (simulated.max_under_way, <=, batches);
    assert_all_freed ();
  }
}

/* The n-th call of a kind fails, for each n. A frame is lost where no other replica can run it,
 * and else none is. */
static void
test_faults (gconstpointer data)
{
  const char *device = data;
  const gboolean several = strchr (device, ',') != NULL;

  for (guint which = SIMULATED_LOAD; which < SIMULATED_N_CALLS; which++) {
    guint n = 0, hit = 0;
    gboolean reached;

    do {
      g_autoptr (GError) error = NULL;
      YoloEngine *engine;
      User sum;

      simulated_reset ();
      simulated.fail[which] = ++n;
      engine = get_engine (device, &error);
      if (engine == NULL) {
        g_assert_cmpint (which, ==, SIMULATED_LOAD);
        g_assert_nonnull (strstr (error->message, "piece "));
        assert_all_freed ();
        hit++;
        continue;
      }
      yolo_engine_set_batching (engine, 2, 0);
      sum = run_streams (engine, 3);
      g_assert_cmpuint (sum.good + sum.failed, ==, 9);
      if (several)
        g_assert_cmpuint (sum.failed, ==, 0);
      reached = simulated.calls[which] >= n;
      hit += reached && which != SIMULATED_LOAD && (several || sum.failed > 0);
      yolo_engine_unref (engine);
      assert_all_freed ();
    } while (simulated.calls[which] >= n && n < 40);
    g_test_message ("%s, call %u: %u of %u failures reached", device, which, hit, n - 1);
    g_assert_cmpuint (hit, >, 0);
  }
}

typedef struct {
  User user;
  YoloEngine *engine;
  gint64 end;
} Worker;

static gpointer
work (gpointer data)
{
  Worker *worker = data;
  User *user = &worker->user;
  Random random = random_new (user->first);

  while (g_get_monotonic_time () < worker->end) {
    switch (random_int (&random, 0, 30)) {
      case 0:
        yolo_stream_cancel (user->stream);
        break;
      case 1:
        yolo_stream_drain (user->stream);
        break;
      case 2:
        yolo_engine_set_batching (worker->engine, (guint) random_int (&random, 1, 4), 0);
        break;
      default:
        g_mutex_lock (&user->lock);
        while (user->submitted - user->answered >= 4)
          g_cond_wait (&user->changed, &user->lock);
        g_mutex_unlock (&user->lock);
        submit (user);
    }
  }
  return NULL;
}

static void
test_stress (gconstpointer device)
{
  GThread *threads[4];
  Worker workers[G_N_ELEMENTS (threads)];
  YoloEngine *engine;
  guint good = 0;

  simulated_reset ();
  engine = get_engine (device, NULL);
  simulated.jitter = 300;
  simulated.every = TRUE;
  simulated.fail[SIMULATED_SUBMIT] = 61;
  simulated.fail[SIMULATED_WAIT] = 67;
  simulated.fail[SIMULATED_PASS] = 71;
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++) {
    workers[i].engine = engine;
    workers[i].end = g_get_monotonic_time () + (g_test_slow () ? 20 : 1) * G_USEC_PER_SEC;
    user_init (&workers[i].user, engine, i, 4);
    threads[i] = g_thread_new ("stream", work, &workers[i]);
  }
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++) {
    User *user = &workers[i].user;

    g_thread_join (threads[i]);
    user_clear (user);
    g_test_message ("stream %u: %u good, %u failed, %u cancelled", i, user->good, user->failed,
        user->cancelled);
    good += user->good;
  }
  g_assert_cmpuint (good, >, 0);
  yolo_engine_unref (engine);
  assert_all_freed ();
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  find_expected ();
  g_test_add_func ("/engine/staged/results", test_results);
  g_test_add_func ("/engine/staged/under-way", test_under_way);
  g_test_add_func ("/engine/staged/crowded", test_crowded);
  g_test_add_data_func ("/engine/staged/faults/one", "cuda:0+cuda:1", test_faults);
  g_test_add_data_func ("/engine/staged/faults/mixed", "cpu+cuda:1+reference", test_faults);
  g_test_add_data_func (
      "/engine/staged/faults/two", "cuda:0+cuda:1,cuda:2+cuda:3", test_faults);
  g_test_add_data_func ("/engine/staged/stress/one", "cuda:0+cuda:1+cuda:2", test_stress);
  g_test_add_data_func ("/engine/staged/stress/mixed", "cpu+cuda:0", test_stress);
  g_test_add_data_func (
      "/engine/staged/stress/two", "cuda:0+cuda:1,cuda:2+reference", test_stress);
  return g_test_run ();
}
