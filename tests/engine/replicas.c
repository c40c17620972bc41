/* SPDX-License-Identifier: MIT */
/* Engines with two replicas, of different speed: each stream gets its results
 * in its order, whichever replica ran a frame. And engines with replicas in
 * several contexts. */

#include "tests/engine/fake.h"
#include "tests/guarded.h"

#include <string.h>

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
  YoloEngineConfig config = { .model_file = "fake.onnx", .device = fake_devices (parts) };
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
  stream = yolo_engine_open_stream (engine, NULL, 8, check_answer, &answers);
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

/* Frames that lie on one of two equal devices run there, as long as that is done with them before
 * the other one would have got them: these are so large that seconds go by. */
static void
test_nearest (void)
{
  Answers answers = { 0 };
  YoloEngine *engine;
  YoloStream *stream;
  guint elsewhere = 0;

  fake_reset ();
  fake.delay = 1000;
  engine = get_engine (&fake_two_devices, NULL);
  stream = yolo_engine_open_stream (engine, NULL, 64, check_answer, &answers);
  for (guint i = 0; i < 20; i++)        /* both are known then */
    submit (stream, i);
  yolo_stream_drain (stream);
  for (guint i = 20; i < 60; i++) {
    YoloRequest request = fake_request (64, 64, i);

    if (i == 40)
      elsewhere = fake.batches_of[0];
    request.frame.memory = YOLO_MEMORY_CUDA;
    request.frame.device = 1;
    request.frame.width = request.frame.height = 100000;
    yolo_stream_submit (stream, &request, GUINT_TO_POINTER (i));
    yolo_stream_drain (stream);
  }
  g_assert_cmpuint (answers.errors, ==, 0);
  g_assert_cmpuint (fake.batches_of[0], >=, 2);
  g_assert_cmpuint (fake.batches_of[0], ==, elsewhere);
  yolo_stream_close (stream);
  yolo_engine_unref (engine);
  assert_gone ();
}

/* One frame at a time goes to the device that has it done first, once both are known; what is more
 * than that one can do in the time of the other goes to both. */
static void
test_fastest (gconstpointer data)
{
  Answers answers = { 0 };
  YoloEngine *engine;
  YoloStream *stream;
  guint slow;

  fake_reset ();
  fake.delay_of[0] = 50000;
  engine = get_engine (data, NULL);
  stream = yolo_engine_open_stream (engine, NULL, 64, check_answer, &answers);
  for (guint i = 0; i < 40; i++) {
    submit (stream, i);
    yolo_stream_drain (stream);
  }
  slow = fake.batches_of[0];
  g_assert_cmpuint (slow, >, 0);
  g_assert_cmpuint (slow, <, 10);

  fake.delay_of[1] = 10000;
  for (guint i = 40; i < 100; i++)
    submit (stream, i);
  yolo_stream_drain (stream);
  g_assert_cmpuint (answers.answered, ==, 100);
  g_assert_cmpuint (answers.errors, ==, 0);
  g_assert_cmpuint (fake.batches_of[0], >, slow);
  g_assert_cmpuint (fake.batches_of[1] + slow, >, fake.batches_of[0]);
  yolo_stream_close (stream);
  yolo_engine_unref (engine);
  assert_gone ();
}

/* Frames that come together are shared out among devices that have nothing to do. */
static void
test_shares (gconstpointer data)
{
  Answers answers[8] = { 0 };
  YoloStream *streams[8];
  YoloEngine *engine;

  fake_reset ();
  engine = get_engine (data, NULL);
  yolo_engine_set_batching (engine, 0, G_MAXUINT64);
  for (guint i = 0; i < G_N_ELEMENTS (streams); i++) {
    streams[i] = yolo_engine_open_stream (engine, NULL, 1, check_answer, &answers[i]);
    yolo_stream_set_active (streams[i], TRUE);
  }
  fake_set_hold (TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (streams); i++)
    submit (streams[i], 0);
  fake_wait_held (2);
  g_assert_cmpuint (fake.batches->len, ==, 2);
  for (guint i = 0; i < 2; i++)
    g_assert_cmpuint (g_array_index (fake.batches, FakeBatch, i).n, ==, 4);
  fake_set_hold (FALSE);
  for (guint i = 0; i < G_N_ELEMENTS (streams); i++) {
    yolo_stream_drain (streams[i]);
    g_assert_cmpuint (answers[i].answered, ==, 1);
    yolo_stream_close (streams[i]);
  }
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
  stream = yolo_engine_open_stream (engine, NULL, 8, check_answer, &slow);
  second = yolo_engine_open_stream (engine, NULL, 1, check_answer, &other);

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
  stream = yolo_engine_open_stream (engine, NULL, 8, check_answer, &answers);
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

/* An error that is not the device's reaches the frames of its batch, and no other ones. */
static void
test_failure (gconstpointer data)
{
  Answers answers = { 0 };
  YoloEngine *engine;
  YoloStream *stream;

  fake_reset ();
  fake.delay_of[0] = 2000;
  fake.fail_every = 10;
  fake.unsupported = TRUE;
  engine = get_engine (data, NULL);
  stream = yolo_engine_open_stream (engine, NULL, 8, check_answer, &answers);
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

/* Sets one of the flags that the back end reads under its lock. */
static void
set_flag (gboolean *flag, gboolean value)
{
  g_mutex_lock (&fake.lock);
  *flag = value;
  g_mutex_unlock (&fake.lock);
}

static void
submit_and_drain (YoloStream *stream, guint first, guint n)
{
  for (guint i = first; i < first + n; i++)
    submit (stream, i);
  yolo_stream_drain (stream);
}

/* Waits until a device serves, or until it does not. */
static YoloReplicaStats
wait_serves (YoloStream *stream, guint device, gboolean serves)
{
  YoloReplicaStats stats[YOLO_MAX_DEVICES];

  for (guint i = 0; i < 2000; i++) {
    g_assert_cmpuint (yolo_stream_get_replicas (stream, stats), ==, 2);
    if (stats[device].serves == serves)
      return stats[device];
    g_usleep (5000);
  }
  g_error ("device %u does not change", device);
}

/* A device that fails, as it begins with a batch or as it ends it, leaves its frames to the
 * other one: all arrive, in order. It gives its memory back, is tried until it loads, and serves
 * again. */
static void
test_lost (gconstpointer data)
{
  gboolean *const flags[] = {
    &fake.lost_submit[0], &fake.lost_wait[0], &fake.lost_submit[1], &fake.lost_wait[1] };

  for (guint i = 0; i < G_N_ELEMENTS (flags); i++) {
    const guint device = i / 2;
    Answers answers = { 0 };
    YoloReplicaStats stats;
    YoloEngine *engine;
    YoloStream *stream;
    guint ran;

    fake_reset ();
    fake.delay = 300;
    engine = get_engine (data, NULL);
    stream = yolo_engine_open_stream (engine, NULL, 8, check_answer, &answers);
    submit_and_drain (stream, 0, 40);
    g_assert_cmpuint (fake.batches_of[device], >, 0);
    g_assert_cmpuint (yolo_stream_changes (stream), ==, 0);

    set_flag (&fake.fail_device[device], TRUE);
    set_flag (flags[i], TRUE);
    submit_and_drain (stream, 40, 60);
    stats = wait_serves (stream, device, FALSE);
    g_assert_cmpuint (stats.failures, ==, 1);
    g_assert_cmpstr (stats.failure, !=, "");
    g_assert_cmpuint (yolo_stream_changes (stream), ==, 1);
    g_assert_true (yolo_engine_prepare (engine, NULL, 96, 96, NULL));
    while (strstr (stats.failure, "is full") == NULL)   /* it was tried again */
      stats = wait_serves (stream, device, FALSE);
    g_assert_cmpuint (fake.nets, <=, 2);

    set_flag (flags[i], FALSE);
    set_flag (&fake.fail_device[device], FALSE);
    wait_serves (stream, device, TRUE);
    g_assert_cmpuint (yolo_stream_changes (stream), ==, 2);
    ran = fake.batches_of[device];
    submit_and_drain (stream, 100, 40);
    g_assert_cmpuint (fake.batches_of[device], >, ran);

    /* it can take the place of the other one */
    set_flag (flags[(i + 2) % G_N_ELEMENTS (flags)], TRUE);
    submit_and_drain (stream, 140, 40);
    g_assert_cmpuint (answers.answered, ==, 180);
    g_assert_cmpuint (answers.errors + answers.cancelled, ==, 0);
    yolo_stream_close (stream);
    yolo_engine_unref (engine);
    assert_gone ();
  }
}

/* A frame that no device has the memory for takes one of them from the others, and not all. */
static void
test_too_large (void)
{
  const YoloEngineConfig config = { .model_file = "fake.onnx", .device = "cuda:0,cuda:1,cuda:2" };
  Answers answers = { 0 };
  YoloReplicaStats stats[YOLO_MAX_DEVICES];
  GError *error = NULL;
  YoloEngine *engine;
  YoloStream *stream;

  fake_reset ();
  engine = yolo_engine_get_from (&fake_two_devices, &config, &error);
  g_assert_no_error (error);
  yolo_engine_set_batching (engine, 1, 0);
  stream = yolo_engine_open_stream (engine, NULL, 8, check_answer, &answers);
  set_flag (&fake.full, TRUE);
  submit_and_drain (stream, 0, 1);
  set_flag (&fake.full, FALSE);
  g_assert_cmpuint (answers.errors, ==, 1);
  g_assert_cmpuint (yolo_stream_get_replicas (stream, stats), ==, 3);
  g_assert_cmpint (stats[0].serves + stats[1].serves + stats[2].serves, >=, 2);
  submit_and_drain (stream, 1, 20);
  g_assert_cmpuint (answers.answered, ==, 21);
  g_assert_cmpuint (answers.errors, ==, 1);
  yolo_stream_close (stream);
  yolo_engine_unref (engine);
  assert_gone ();
}

/* Where all fail, the error of the last one reaches the frames, and it goes on. */
static void
test_all_lost (gconstpointer data)
{
  Answers answers = { 0 };
  YoloEngine *engine;
  YoloStream *stream;
  YoloReplicaStats stats[YOLO_MAX_DEVICES];
  guint errors;

  fake_reset ();
  engine = get_engine (data, NULL);
  stream = yolo_engine_open_stream (engine, NULL, 8, check_answer, &answers);
  fake.lost_wait[0] = fake.lost_wait[1] = TRUE;
  fake.fail_device[0] = fake.fail_device[1] = TRUE;
  submit_and_drain (stream, 0, 20);
  g_assert_cmpuint (answers.answered, ==, 20);
  errors = answers.errors;
  g_assert_cmpuint (errors, ==, 20);
  yolo_stream_get_replicas (stream, stats);
  g_assert_cmpint (stats[0].serves + stats[1].serves, ==, 1);

  set_flag (&fake.lost_wait[0], FALSE);
  set_flag (&fake.lost_wait[1], FALSE);
  submit_and_drain (stream, 20, 20);
  g_assert_cmpuint (answers.errors, ==, errors);
  /* it ends while a device is not to be had */
  yolo_stream_close (stream);
  yolo_engine_unref (engine);
  assert_gone ();
}

/* Frames that are cancelled while a device fails are cancelled, once. */
static void
test_lost_cancel (gconstpointer data)
{
  for (guint round = 0; round < 20; round++) {
    Answers answers = { 0 };
    YoloEngine *engine;
    YoloStream *stream;

    fake_reset ();
    engine = get_engine (data, NULL);
    stream = yolo_engine_open_stream (engine, NULL, 8, check_answer, &answers);
    fake.delay = 100;
    fake.lost_wait[round % 2] = TRUE;
    for (guint i = 0; i < 12; i++)
      submit (stream, i);
    g_usleep (random_int (&(Random) { round }, 0, 500));
    yolo_stream_cancel (stream);
    g_assert_cmpuint (answers.answered, ==, 12);
    g_assert_cmpuint (answers.errors, ==, 0);
    yolo_stream_close (stream);
    yolo_engine_unref (engine);
    assert_gone ();
  }
}

/* What each has done adds up. */
static void
test_stats (gconstpointer data)
{
  Answers answers = { 0 };
  YoloReplicaStats stats[YOLO_MAX_DEVICES];
  YoloEngine *engine;
  YoloStream *stream;

  fake_reset ();
  fake.delay = 2000;
  engine = get_engine (data, NULL);
  stream = yolo_engine_open_stream (engine, NULL, 64, check_answer, &answers);
  submit_and_drain (stream, 0, 40);
  g_assert_cmpuint (yolo_stream_get_replicas (stream, stats), ==, 2);
  g_assert_cmpuint (stats[0].frames + stats[1].frames, ==, 40);
  g_assert_cmpuint (stats[0].batches + stats[1].batches, ==, 40);
  for (guint i = 0; i < 2; i++) {
    g_assert_cmpstr (stats[i].device, ==,
        data == &fake_two_devices ? i == 0 ? "device:0" : "device:1"
        : i == 0 ? "host" : "second-host");
    g_assert_true (stats[i].serves);
    g_assert_cmpstr (stats[i].failure, ==, "");
    g_assert_cmpuint (stats[i].frames, >, 0);
    g_assert_cmpuint (stats[i].batch_time[0], >=, 2000000);
    g_assert_cmpuint (stats[i].batch_time[1], ==, 0);
    g_assert_cmpfloat (stats[i].utilisation, >, 0);
    g_assert_cmpfloat (stats[i].utilisation, <=, 1);
  }
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
  g_assert_true (yolo_engine_prepare (engine, NULL, 64, 64, NULL));
  yolo_engine_get_stats (engine, &stats);
  g_assert_cmpuint (stats.prepared, ==, 2);
  g_assert_cmpuint (fake.execs, ==, 2);
  g_assert_false (yolo_engine_prepare (engine, NULL, 65, 64, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_SIZE);
  yolo_engine_unref (engine);
  assert_gone ();
}

/* One that cannot load fails the engine, and the others are unloaded. */
static void
test_load_failure (gconstpointer data)
{
  for (guint device = 0; device < fake_n_replicas (data); device++) {
    g_autoptr (GError) error = NULL;

    fake_reset ();
    fake.fail_device[device] = TRUE;
    g_assert_null (get_engine (data, &error));
    g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY);
    assert_gone ();
  }
}

/* Stand for CUcontexts: the fake back end only compares them. */
static int first_context, second_context;

/* One batch of one frame ran for each context: in it on its device, which is the first one, or in
 * the primary context of the second device. */
static void
check_batches (const YoloEngineParts *parts)
{
  guint n[2] = { 0 };

  g_mutex_lock (&fake.lock);
  for (guint i = 0; i < fake.batches->len; i++) {
    const FakeBatch *batch = &g_array_index (fake.batches, FakeBatch, i);

    g_assert_cmpuint (batch->n, ==, 1);
    g_assert_cmpuint (batch->level[0], ==, 0);
    g_assert_true ((batch->context == NULL) == (batch->device == 1));
    n[0] += batch->context == &first_context;
    n[1] += batch->context == &second_context;
  }
  g_assert_cmpuint (fake.batches->len, ==, 2);
  g_mutex_unlock (&fake.lock);
  for (guint i = 0; i < 2; i++) {
    g_assert_cmpuint (n[i], <=, 1);
    if (fake_n_replicas (parts) == 1)
      g_assert_cmpuint (n[i], ==, 1);
  }
}

static gpointer
get_in_second (gpointer parts)
{
  YoloEngineConfig config = { .model_file = "fake.onnx", .device = fake_devices (parts),
    .cuda_context = &second_context };

  return yolo_engine_get_from (parts, &config, NULL);
}

/* An engine has replicas in each context that somebody uses, as long as somebody does. A
 * frame runs in the context of its stream, in no batch with frames of another one. */
static void
test_contexts (gconstpointer data)
{
  const YoloEngineParts *parts = data;
  YoloEngineConfig config = { .model_file = "fake.onnx", .device = fake_devices (parts),
    .cuda_context = &first_context };
  Answers answers[2] = { 0 };
  GThread *threads[4];
  YoloStream *streams[2];
  YoloEngine *engine;

  fake_reset ();
  engine = yolo_engine_get_from (parts, &config, NULL);
  g_assert_true (fake.loaded_in == &first_context);
  g_assert_cmpuint (fake.nets, ==, fake_n_replicas (parts));
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("get", get_in_second, (gpointer) parts);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_assert_true (g_thread_join (threads[i]) == engine);
  g_assert_true (fake.loaded_in == &second_context);
  g_assert_cmpuint (fake.nets, ==, 2 * fake_n_replicas (parts));
  g_assert_cmpuint (fake.loads, ==, 1);

  /* Two frames would fill a batch, one waits for ever. */
  yolo_engine_set_batching (engine, 2, G_MAXUINT64);
  streams[0] = yolo_engine_open_stream (engine, &first_context, 4, check_answer, &answers[0]);
  streams[1] = yolo_engine_open_stream (engine, &second_context, 4, check_answer, &answers[1]);
  submit (streams[0], 0);
  yolo_stream_drain (streams[0]);
  submit (streams[0], 1);
  submit (streams[1], 0);
  yolo_stream_drain (streams[1]);
  g_assert_cmpuint (n_answered (&answers[0]), ==, 1);
  yolo_stream_cancel (streams[0]);
  g_assert_cmpuint (answers[0].cancelled, ==, 1);
  g_assert_cmpuint (answers[1].answered, ==, 1);
  check_batches (parts);
  g_assert_true (yolo_engine_prepare (engine, &second_context, 96, 96, NULL));
  g_assert_cmpuint (fake.execs, ==, 2 + fake_n_replicas (parts));

  /* Who leaves as the last one finds the context free: a stream, or who got the engine. */
  yolo_engine_leave (engine, &first_context);
  g_assert_cmpuint (fake.nets, ==, 2 * fake_n_replicas (parts));
  yolo_stream_close (streams[0]);
  g_assert_cmpuint (fake.nets, ==, fake_n_replicas (parts));
  submit (streams[1], 1);
  yolo_stream_drain (streams[1]);
  g_assert_cmpuint (answers[1].errors + answers[1].cancelled, ==, 0);
  yolo_stream_close (streams[1]);
  for (guint i = 1; i < G_N_ELEMENTS (threads); i++)
    yolo_engine_leave (engine, &second_context);
  g_assert_cmpuint (fake.nets, ==, fake_n_replicas (parts));

  /* A change of context: the model is not read again. */
  yolo_engine_ref (engine);
  yolo_engine_leave (engine, &second_context);
  g_assert_cmpuint (fake.nets, ==, 0);
  g_assert_true (yolo_engine_get_from (parts, &config, NULL) == engine);
  g_assert_cmpuint (fake.nets, ==, fake_n_replicas (parts));
  g_assert_cmpuint (fake.loads, ==, 1);
  yolo_engine_unref (engine);
  yolo_engine_leave (engine, &first_context);
  assert_gone ();
}

/* A context that there is no room in fails who asked for it, and nobody else. */
static void
test_context_failure (gconstpointer data)
{
  YoloEngineConfig config = { .model_file = "fake.onnx", .device = fake_devices (data),
    .cuda_context = &second_context };
  g_autoptr (GError) error = NULL;
  Answers answers = { 0 };
  YoloEngine *engine;
  YoloStream *stream;

  fake_reset ();
  engine = get_engine (data, NULL);
  stream = yolo_engine_open_stream (engine, NULL, 4, check_answer, &answers);
  fake.fail_device[0] = TRUE;
  g_assert_null (yolo_engine_get_from (data, &config, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY);
  submit (stream, 0);
  yolo_stream_drain (stream);
  g_assert_cmpuint (answers.errors, ==, 0);
  fake.fail_device[0] = FALSE;
  g_assert_true (yolo_engine_get_from (data, &config, NULL) == engine);
  yolo_engine_leave (engine, &second_context);
  yolo_stream_close (stream);
  yolo_engine_leave (engine, NULL);
  assert_gone ();
}

typedef struct {
  const YoloEngineParts *parts;
  YoloEngine *engine;
  GError *error;
} Getting;

static gpointer
get_and_fail (gpointer data)
{
  Getting *getting = data;
  YoloEngineConfig config = { .model_file = "fake.onnx", .device = fake_devices (getting->parts),
    .cuda_context = &second_context };

  getting->engine = yolo_engine_get_from (getting->parts, &config, &getting->error);
  return NULL;
}

/* Two threads ask for a context whose first replica fails while its last one is held up.
 * Returns how many replicas were loaded for them. */
static guint
fail_two_waiters (const YoloEngineParts *parts, gulong patience)
{
  guint last = fake_n_replicas (parts) - 1, before = fake.net_loads;
  Getting getting[2] = { { parts, NULL, NULL }, { parts, NULL, NULL } };
  GThread *threads[2];

  fake.fail_device[0] = TRUE;
  fake_set_hold_device (last, TRUE);
  threads[0] = g_thread_new ("get", get_and_fail, &getting[0]);
  fake_wait_held (1);
  threads[1] = g_thread_new ("get", get_and_fail, &getting[1]);
  g_usleep (patience);
  fake_set_hold_device (last, FALSE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++) {
    g_thread_join (threads[i]);
    g_assert_null (getting[i].engine);
    g_assert_error (getting[i].error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY);
    g_clear_error (&getting[i].error);
  }
  fake.fail_device[0] = FALSE;
  return fake.net_loads - before;
}

/* Who waits for replicas that somebody else has asked for fails with them, and they are freed
 * once. No sign shows that the second one waits, but one that is late loads replicas of its own:
 * it is tried again then, with more patience. */
static void
test_shared_failure (gconstpointer data)
{
  const YoloEngineParts *parts = data;
  YoloEngineConfig config = { .model_file = "fake.onnx", .device = fake_devices (parts),
    .cuda_context = &second_context };
  gulong patience = 1000;       /* microseconds */
  YoloEngine *engine;

  fake_reset ();
  engine = get_engine (parts, NULL);
  while (fail_two_waiters (parts, patience) > fake_n_replicas (parts)) {
    patience *= 2;
    g_assert_cmpuint (patience, <, 4 * G_USEC_PER_SEC);
  }
  g_assert_cmpuint (fake.nets, ==, fake_n_replicas (parts));
  g_assert_true (yolo_engine_get_from (parts, &config, NULL) == engine);
  g_assert_cmpuint (fake.nets, ==, 2 * fake_n_replicas (parts));
  yolo_engine_leave (engine, &second_context);
  yolo_engine_leave (engine, NULL);
  assert_gone ();
}

/* A context of another device than that of the engine, which an id has found, is none that
 * its replicas can load in. */
static void
test_foreign_context (void)
{
  YoloEngineConfig config = { .model_file = "fake.onnx", .id = "x" };
  Answers answers = { 0 };
  YoloEngine *engine;
  YoloStream *stream;

  fake_reset ();
  engine = yolo_engine_get_from (&fake_device, &config, NULL);
  config.cuda_device_id = 1;
  config.cuda_context = &first_context;
  g_assert_true (yolo_engine_get_from (&fake_device, &config, NULL) == engine);
  g_assert_cmpuint (fake.nets, ==, 1);
  g_assert_null (fake.loaded_in);
  stream = yolo_engine_open_stream (engine, &first_context, 1, check_answer, &answers);
  submit (stream, 0);
  yolo_stream_drain (stream);
  yolo_engine_leave (engine, NULL);
  yolo_stream_close (stream);
  g_assert_cmpuint (fake.nets, ==, 1);
  yolo_engine_leave (engine, &first_context);
  assert_gone ();
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
    { "fastest", test_fastest }, { "shares", test_shares },
    { "lost", test_lost }, { "all-lost", test_all_lost }, { "lost-cancel", test_lost_cancel },
    { "stats", test_stats }, { "order", test_order }, { "overtaken", test_overtaken },
    { "cancel", test_cancel },
    { "failure", test_failure }, { "prepare", test_prepare }, { "load-failure", test_load_failure },
  };

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/engine/replicas/nearest", test_nearest);
  g_test_add_func ("/engine/replicas/null", test_null);
  g_test_add_data_func ("/engine/replicas/contexts/one", &fake_device, test_contexts);
  g_test_add_data_func ("/engine/replicas/contexts/two", &fake_two_devices, test_contexts);
  g_test_add_data_func (
      "/engine/replicas/context-failure/one", &fake_device, test_context_failure);
  g_test_add_data_func (
      "/engine/replicas/context-failure/two", &fake_two_devices, test_context_failure);
  g_test_add_data_func ("/engine/replicas/shared-failure/one", &fake_device, test_shared_failure);
  g_test_add_data_func (
      "/engine/replicas/shared-failure/two", &fake_two_devices, test_shared_failure);
  g_test_add_func ("/engine/replicas/foreign-context", test_foreign_context);
  g_test_add_func ("/engine/replicas/too-large", test_too_large);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++) {
    g_autofree char *hosts = g_strdup_printf ("/engine/replicas/%s/hosts", tests[i].name);
    g_autofree char *devices = g_strdup_printf ("/engine/replicas/%s/devices", tests[i].name);

    g_test_add_data_func (hosts, &fake_two_hosts, tests[i].test);
    g_test_add_data_func (devices, &fake_two_devices, tests[i].test);
  }
  return g_test_run ();
}
