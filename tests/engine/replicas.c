/* SPDX-License-Identifier: MIT */
/* Engines with two replicas, of different speed: each stream gets its results
 * in its order, whichever replica ran a frame. */

#include "tests/engine/fake.h"

typedef struct {
  GMutex lock;
  GCond changed;
  guint answered;
  guint errors, cancelled;
  guint first_error;            /* number of the frame */
} Answers;

/* Frames carry their number as tag, and their grey level is the number. */
static void
check_answer (gpointer data, gpointer tag, const YoloResult *result)
{
  Answers *answers = data;

  g_mutex_lock (&answers->lock);
  g_assert_cmpuint (GPOINTER_TO_UINT (tag), ==, answers->answered);
  if (result->error == NULL) {
    g_assert_cmpuint (result->n_detections, >, 0);
    g_assert_cmpuint (fake_level (result->detections), ==, answers->answered % 200);
  } else {
    g_assert_null (result->detections);
    if (g_error_matches (result->error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
      answers->cancelled++;
    else if (answers->errors++ == 0)
      answers->first_error = answers->answered;
  }
  answers->answered++;
  g_cond_broadcast (&answers->changed);
  g_mutex_unlock (&answers->lock);
}

static void
wait_answered (Answers *answers, guint n)
{
  g_mutex_lock (&answers->lock);
  while (answers->answered < n)
    g_cond_wait (&answers->changed, &answers->lock);
  g_mutex_unlock (&answers->lock);
}

static guint
n_answered (Answers *answers)
{
  guint n;

  g_mutex_lock (&answers->lock);
  n = answers->answered;
  g_mutex_unlock (&answers->lock);
  return n;
}

static YoloEngine *
get_engine (const YoloEngineParts *parts, GError **error)
{
  YoloEngineConfig config = { .model_file = "fake.onnx" };
  YoloEngine *engine = yolo_engine_get_from (parts, &config, error);

  if (engine != NULL)
    yolo_engine_set_batching (engine, 1, 0);
  return engine;
}

static void
submit (YoloStream *stream, guint number)
{
  YoloRequest request = fake_request (64, 64, number % 200);

  yolo_stream_submit (stream, &request, GUINT_TO_POINTER (number));
}

static void
assert_gone (void)
{
  g_assert_cmpuint (fake.loads, ==, fake.unloads);
  g_assert_cmpuint (fake.nets, ==, 0);
  g_assert_cmpuint (fake.execs, ==, 0);
}

/* Both work, the faster one more, and no result comes before its turn. */
static void
test_order (gconstpointer data)
{
  Answers answers = { 0 };
  YoloEngine *engine;
  YoloStream *stream;

  fake_reset ();
  fake.delay_of[0] = 4000;
  fake.delay_of[1] = 400;
  engine = get_engine (data, NULL);
  stream = yolo_engine_open_stream (engine, 8, check_answer, &answers);
  for (guint i = 0; i < 150; i++) {
    while (yolo_stream_pending (stream) >= 8)
      wait_answered (&answers, n_answered (&answers) + 1);
    submit (stream, i);
  }
  yolo_stream_drain (stream);
  g_assert_cmpuint (answers.answered, ==, 150);
  g_assert_cmpuint (answers.errors, ==, 0);
  g_assert_cmpuint (fake.batches_of[0] + fake.batches_of[1], ==, 150);
  g_assert_cmpuint (fake.batches_of[0], >, 0);
  g_assert_cmpuint (fake.batches_of[1], >, fake.batches_of[0]);
  yolo_stream_close (stream);
  yolo_engine_unref (engine);
  assert_gone ();
}

/* The lowest grey level, which is the number of the frame, that a device was given. */
static guint
first_of (guint device)
{
  guint first = G_MAXUINT;

  g_mutex_lock (&fake.lock);
  for (guint i = 0; i < fake.batches->len; i++) {
    const FakeBatch *batch = &g_array_index (fake.batches, FakeBatch, i);

    if (batch->device == device)
      first = MIN (first, batch->level[0]);
  }
  g_mutex_unlock (&fake.lock);
  return first;
}

/* What is finished waits for a frame before it, of this stream and no other. */
static void
test_overtaken (gconstpointer data)
{
  Answers slow = { 0 }, other = { 0 };
  YoloEngine *engine;
  YoloStream *stream, *second;

  fake_reset ();
  engine = get_engine (data, NULL);
  stream = yolo_engine_open_stream (engine, 8, check_answer, &slow);
  second = yolo_engine_open_stream (engine, 1, check_answer, &other);

  fake_set_hold_device (0, TRUE);
  fake_set_hold_device (1, TRUE);
  /* A device may take two before the other one comes. */
  for (guint i = 0; i < 5; i++)
    submit (stream, i);
  fake_wait_held (2);           /* each replica has some of them */
  fake_set_hold_device (1, FALSE);
  submit (second, 0);
  submit (stream, 5);
  wait_answered (&other, 1);
  /* Whichever frame replica 0 holds up, no later one is called back. */
  g_assert_cmpuint (n_answered (&slow), <=, first_of (0));
  fake_set_hold_device (0, FALSE);
  yolo_stream_drain (stream);
  g_assert_cmpuint (slow.answered, ==, 6);
  g_assert_cmpuint (slow.errors, ==, 0);

  yolo_stream_close (stream);
  yolo_stream_close (second);
  yolo_engine_unref (engine);
  assert_gone ();
}

/* Cancelled frames are called back in their turn, behind those that run. */
static void
test_cancel (gconstpointer data)
{
  Answers answers = { 0 };
  YoloEngine *engine;
  YoloStream *stream;

  fake_reset ();
  engine = get_engine (data, NULL);
  stream = yolo_engine_open_stream (engine, 8, check_answer, &answers);
  for (guint round = 0; round < 20; round++) {
    fake.delay_of[round % 2] = 1000;
    fake.delay_of[(round + 1) % 2] = 0;
    for (guint i = 0; i < 8; i++)
      submit (stream, round * 8 + i);
    yolo_stream_cancel (stream);
    g_assert_cmpuint (n_answered (&answers), ==, (round + 1) * 8);
  }
  g_assert_cmpuint (answers.cancelled, >, 0);
  g_assert_cmpuint (answers.errors, ==, 0);
  yolo_stream_close (stream);
  yolo_engine_unref (engine);
  assert_gone ();
}

/* An error reaches the frames of its batch, and no other ones. */
static void
test_failure (gconstpointer data)
{
  Answers answers = { 0 };
  YoloEngine *engine;
  YoloStream *stream;

  fake_reset ();
  fake.delay_of[0] = 2000;
  fake.fail_every = 10;
  engine = get_engine (data, NULL);
  stream = yolo_engine_open_stream (engine, 8, check_answer, &answers);
  for (guint i = 0; i < 60; i++)
    submit (stream, i);
  yolo_stream_drain (stream);
  g_assert_cmpuint (answers.answered, ==, 60);
  g_assert_cmpuint (answers.errors, ==, 6);
  g_assert_cmpuint (answers.cancelled, ==, 0);
  yolo_stream_close (stream);
  yolo_engine_unref (engine);
  assert_gone ();
}

/* Each has a network of the size; a size that none can run at is told. */
static void
test_prepare (gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  YoloEngine *engine;
  YoloEngineStats stats;

  fake_reset ();
  engine = get_engine (data, NULL);
  g_assert_true (yolo_engine_prepare (engine, 64, 64, NULL));
  yolo_engine_get_stats (engine, &stats);
  g_assert_cmpuint (stats.prepared, ==, 2);
  g_assert_cmpuint (fake.execs, ==, 2);
  g_assert_false (yolo_engine_prepare (engine, 65, 64, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_SIZE);
  yolo_engine_unref (engine);
  assert_gone ();
}

/* One that cannot load fails the engine, and the others are unloaded. */
static void
test_load_failure (gconstpointer data)
{
  for (guint device = 0; device < FAKE_DEVICES; device++) {
    g_autoptr (GError) error = NULL;

    fake_reset ();
    fake.fail_device[device] = TRUE;
    g_assert_null (get_engine (data, &error));
    g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY);
    assert_gone ();
  }
}

/* What destroys takes NULL, as free() does. */
static void
test_null (void)
{
  yolo_stream_close (NULL);
  yolo_engine_unref (NULL);
  yolo_model_unref (NULL);
  yolo_preprocess_free (NULL);
}

int
main (int argc, char **argv)
{
  static const struct {
    const char *name;
    GTestDataFunc test;
  } tests[] = {
    { "order", test_order }, { "overtaken", test_overtaken }, { "cancel", test_cancel },
    { "failure", test_failure }, { "prepare", test_prepare }, { "load-failure", test_load_failure },
  };

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/engine/replicas/null", test_null);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++) {
    g_autofree char *hosts = g_strdup_printf ("/engine/replicas/%s/hosts", tests[i].name);
    g_autofree char *devices = g_strdup_printf ("/engine/replicas/%s/devices", tests[i].name);

    g_test_add_data_func (hosts, &fake_two_hosts, tests[i].test);
    g_test_add_data_func (devices, &fake_two_devices, tests[i].test);
  }
  return g_test_run ();
}
