/* SPDX-License-Identifier: MIT */
/* Streams that do all that they may, from a thread each, in random order that
 * is the same in every run; how the threads interleave is not. Every frame is
 * called back once, in order, with its own result, whatever the others do.
 *
 * With -m slow for half a minute. Also a test for ThreadSanitizer: pthread.c. */

#include "tests/engine/fake.h"
#include "tests/guarded.h"

#define STREAMS 6
#define MAX_PENDING 6

typedef struct {
  const YoloEngineParts *parts;
  gint64 end;                   /* monotonic microseconds */
  guint index;

  gpointer context;             /* that `stream` is in */
  YoloStream *stream;
  GMutex lock;
  GCond changed;
  guint submitted, answered;
  guint results, cancelled, failed;
} User;

enum { GOOD, WRONG };

/* Addresses that stand for CUcontexts: a fake device only compares them, a host ignores them. */
static int first_context, second_context;
static gpointer const contexts[] = { NULL, &first_context, &second_context };

/* The tag holds the number of the frame and whether it is a good one. */
static gpointer
make_tag (guint number, guint kind)
{
  return GUINT_TO_POINTER (number * 2 + kind);
}

static void
check_answer (gpointer data, gpointer tag, const YoloResult *result)
{
  User *user = data;
  guint number = GPOINTER_TO_UINT (tag) / 2, kind = GPOINTER_TO_UINT (tag) % 2;

  g_mutex_lock (&user->lock);
  g_assert_cmpuint (number, ==, user->answered);
  user->answered++;
  if (result->error == NULL) {
    g_assert_cmpuint (kind, ==, GOOD);
    g_assert_cmpuint (result->n_detections, >, 0);
    g_assert_cmpuint (fake_level (result->detections), ==, (number * 7 + user->index) % 200);
    user->results++;
  } else if (g_error_matches (result->error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    user->cancelled++;
  } else if (g_error_matches (result->error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT)) {
    g_assert_cmpuint (kind, ==, WRONG);
    user->failed++;
  } else {
    g_assert_error (result->error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE);
    user->failed++;
  }
  g_cond_signal (&user->changed);
  g_mutex_unlock (&user->lock);
}

/* @more: parts of the same picture that follow */
static void
submit (User *user, Random *random, guint more)
{
  static const guint sizes[][2] = { { 32, 32 }, { 64, 32 }, { 32, 64 } };
  guint size = random_int (random, 0, 9) < 8 ? user->index % 2 : (guint) random_int (random, 0, 2);
  guint kind = random_int (random, 0, 19) == 0 ? WRONG : GOOD;
  YoloRequest request = fake_request (sizes[size][0], sizes[size][1],
      (user->submitted * 7 + user->index) % 200);

  request.more = more;
  if (kind == WRONG)
    request.frame.plane[0] = NULL;
  yolo_stream_submit (user->stream, &request, make_tag (user->submitted, kind));
  user->submitted++;
}

static void
wait_below (User *user, guint under_way)
{
  g_mutex_lock (&user->lock);
  while (user->submitted - user->answered >= under_way)
    g_cond_wait (&user->changed, &user->lock);
  g_mutex_unlock (&user->lock);
}

static void
assert_all_answered (User *user)
{
  g_mutex_lock (&user->lock);
  g_assert_cmpuint (user->answered, ==, user->submitted);
  g_mutex_unlock (&user->lock);
}

static YoloEngine *
get_engine (const YoloEngineParts *parts, gpointer context)
{
  YoloEngineConfig config = {
    .model_file = "fake.onnx", .device = fake_devices (parts), .threads = 1,
    .cuda_context = context };
  YoloEngine *engine = yolo_engine_get_from (parts, &config, NULL);

  g_assert_nonnull (engine);
  return engine;
}

static void
act (User *user, Random *random, YoloEngine *engine)
{
  gpointer context = contexts[random_int (random, 0, G_N_ELEMENTS (contexts) - 1)];
  YoloEngineStats stats;
  YoloEngine *again;

  switch (random_int (random, 0, 99)) {
    case 0:
      yolo_stream_cancel (user->stream);
      assert_all_answered (user);
      break;
    case 1:
      yolo_stream_drain (user->stream);
      assert_all_answered (user);
      break;
    case 2:
      yolo_stream_close (user->stream);
      assert_all_answered (user);
      yolo_engine_ref (engine);
      yolo_engine_leave (engine, user->context);
      user->context = context;
      g_assert_true (get_engine (user->parts, context) == engine);
      yolo_engine_unref (engine);
      user->stream = yolo_engine_open_stream (engine, context, MAX_PENDING, check_answer, user);
      break;
    case 3:
      yolo_stream_set_max_pending (user->stream, random_int (random, 1, MAX_PENDING));
      break;
    case 4:
      yolo_engine_set_batching (engine, random_int (random, 0, 7),
          random_int (random, 0, 2) * G_GUINT64_CONSTANT (1000000));
      break;
    case 5:
      g_assert_true (yolo_engine_prepare (
          engine, user->context, 32 * random_int (random, 1, 4), 32, NULL));
      break;
    case 6:
      again = get_engine (user->parts, context);
      g_assert_true (again == engine);
      yolo_engine_leave (again, context);
      break;
    case 7:
      yolo_engine_get_stats (engine, &stats);
      g_assert_cmpuint (stats.prepared, <=,
          G_N_ELEMENTS (contexts) * fake_n_replicas (user->parts) * YOLO_ENGINE_MAX_EXECS);
      g_assert_cmpuint (stats.streams, <=, STREAMS);
      break;
    case 8:
      yolo_stream_set_active (user->stream, FALSE);
      wait_below (user, 1);     /* idle, and the others go on */
      g_usleep (random_int (random, 0, 500));
      break;
    default:
      wait_below (user, MAX_PENDING);
      for (guint more = random_int (random, 0, 4) == 0 ? random_int (random, 0, 40) : 0;; more--) {
        submit (user, random, more);
        if (more == 0)
          break;
      }
  }
}

static gpointer
use_stream (gpointer data)
{
  User *user = data;
  YoloEngine *engine = get_engine (user->parts, user->context);
  Random random = random_new (user->index);

  user->stream = yolo_engine_open_stream (
      engine, user->context, MAX_PENDING, check_answer, user);
  while (g_get_monotonic_time () < user->end)
    act (user, &random, engine);
  yolo_stream_close (user->stream);
  assert_all_answered (user);
  yolo_engine_leave (engine, user->context);
  return NULL;
}

static void
test_stress (gconstpointer data)
{
  const YoloEngineParts *parts = data;
  gint64 seconds = g_test_slow () ? 30 : 2;
  GThread *threads[STREAMS];
  User users[STREAMS] = { 0 };

  fake_reset ();
  fake.fail_every = 50;
  fake.delay = 50;
  fake.delay_of[1] = 200;
  for (guint i = 0; i < STREAMS; i++) {
    users[i].parts = parts;
    users[i].index = i;
    users[i].end = g_get_monotonic_time () + seconds * G_USEC_PER_SEC;
    g_mutex_init (&users[i].lock);
    g_cond_init (&users[i].changed);
    threads[i] = g_thread_new ("stream", use_stream, &users[i]);
  }
  for (guint i = 0; i < STREAMS; i++) {
    g_thread_join (threads[i]);
    g_test_message ("stream %u: %u frames: %u results, %u cancelled, %u failed", i,
        users[i].answered, users[i].results, users[i].cancelled, users[i].failed);
    g_assert_cmpuint (users[i].results, >, 0);
    g_mutex_clear (&users[i].lock);
    g_cond_clear (&users[i].changed);
  }
  g_test_message ("%u batches", fake.batches->len);
  g_assert_cmpuint (fake.loads, ==, fake.unloads);
  g_assert_cmpuint (fake.nets, ==, 0);
  g_assert_cmpuint (fake.execs, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/engine/stress/host", &fake_host, test_stress);
  g_test_add_data_func ("/engine/stress/device", &fake_device, test_stress);
  g_test_add_data_func ("/engine/stress/two-hosts", &fake_two_hosts, test_stress);
  g_test_add_data_func ("/engine/stress/two-devices", &fake_two_devices, test_stress);
  return g_test_run ();
}
