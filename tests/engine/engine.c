/* SPDX-License-Identifier: MIT */
/* Engines and streams with their thread, on a back end that computes nothing. */

#include "tests/engine/fake.h"

#include <sys/prctl.h>
#include <unistd.h>

/* What came back, in order. */
typedef struct {
  guint tag;
  guint n;                      /* detections */
  YoloObject first;
  guint level;                  /* of the frame that the first one was found in */
  guint batch, missed;
  guint64 times;                /* their sum */
  GQuark domain;                /* of the error, 0: none */
  int code;
} Answer;

typedef struct {
  GMutex lock;
  GCond changed;
  GArray *answers;
} Answers;

static void
answers_init (Answers *answers)
{
  g_mutex_init (&answers->lock);
  g_cond_init (&answers->changed);
  answers->answers = g_array_new (FALSE, FALSE, sizeof (Answer));
}

static void
answers_clear (Answers *answers)
{
  g_mutex_clear (&answers->lock);
  g_cond_clear (&answers->changed);
  g_array_unref (answers->answers);
}

static void
keep_answer (gpointer data, gpointer tag, const YoloResult *result)
{
  Answers *answers = data;
  Answer answer = {
    .tag = GPOINTER_TO_UINT (tag), .n = result->n_detections, .batch = result->batch,
    .missed = result->missed,
    .times = result->queued + result->preprocess + result->network + result->postprocess,
  };

  if (result->error != NULL) {
    answer.domain = result->error->domain;
    answer.code = result->error->code;
    g_assert_null (result->detections);
    g_assert_cmpuint (result->n_detections, ==, 0);
  }
  if (result->n_detections > 0) {
    answer.first = result->detections[0];
    answer.level = fake_level (&answer.first);
  }
  g_mutex_lock (&answers->lock);
  g_array_append_val (answers->answers, answer);
  g_cond_broadcast (&answers->changed);
  g_mutex_unlock (&answers->lock);
}

/* The @i-th answer, waited for. */
static Answer
answer_at (Answers *answers, guint i)
{
  Answer answer;

  g_mutex_lock (&answers->lock);
  while (answers->answers->len <= i)
    g_cond_wait (&answers->changed, &answers->lock);
  answer = g_array_index (answers->answers, Answer, i);
  g_mutex_unlock (&answers->lock);
  return answer;
}

static guint
n_answers (Answers *answers)
{
  guint n;

  g_mutex_lock (&answers->lock);
  n = answers->answers->len;
  g_mutex_unlock (&answers->lock);
  return n;
}

#define assert_fine(answer) g_assert_cmpuint ((answer).domain, ==, 0)
#define assert_failed(answer, d, c) \
    g_assert_true ((answer).domain == (d) && (answer).code == (c) && (answer).n == 0)
#define assert_cancelled(answer) assert_failed (answer, G_IO_ERROR, G_IO_ERROR_CANCELLED)

static YoloEngine *
get_engine (const YoloEngineParts *parts)
{
  YoloEngineConfig config = { .model_file = "fake.onnx" };
  g_autoptr (GError) error = NULL;
  YoloEngine *engine;

  fake_reset ();
  engine = yolo_engine_get_from (parts, &config, &error);
  g_assert_no_error (error);
  g_assert_nonnull (engine);
  return engine;
}

/* When all is closed nothing may be left. */
static void
assert_gone (void)
{
  g_assert_cmpuint (fake.loads, ==, fake.unloads);
  g_assert_cmpuint (fake.nets, ==, 0);
  g_assert_cmpuint (fake.execs, ==, 0);
}

static void
submit (YoloStream *stream, guint width, guint height, guint tag)
{
  YoloRequest request = fake_request (width, height, tag % 200);

  yolo_stream_submit (stream, &request, GUINT_TO_POINTER (tag));
}

/* --- who shares an engine --- */

static void
test_sharing (void)
{
  g_autofree char *folder = g_dir_make_tmp ("yolo-engine-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (folder, "a.onnx", NULL);
  g_autofree char *linked = g_build_filename (folder, "b.onnx", NULL);
  g_autofree char *other = g_build_filename (folder, "c.onnx", NULL);
  const struct {
    YoloEngineConfig config;
    guint engine;               /* which of the engines it gets */
  } rows[] = {
    { { .model_file = file }, 0 },
    { { .model_file = file }, 0 },
    { { .model_file = linked }, 0 },
    { { .model_file = file, .precision = YOLO_PRECISION_FP32 }, 0 },
    { { .model_file = file, .device = "cuda" }, 0 },
    { { .model_file = other }, 1 },
    { { .model_file = file, .precision = YOLO_PRECISION_BF16 }, 2 },
    { { .model_file = file, .threads = 3 }, 3 },
    { { .model_file = file, .device = "cpu" }, 4 },
    { { .model_file = file, .cuda_device_id = 1 }, 5 },
    { { .model_file = file, .device = "cpu", .cuda_device_id = 1 }, 4 },
    { { .model_file = file, .id = "x" }, 6 },
    { { .model_file = other, .id = "x", .threads = 2 }, 6 },
    { { .id = "x" }, 6 },
    { { .model_file = file, .id = "y" }, 7 },
    { { .model_file = file }, 0 },
    { { .model_file = file, .cuda_context = file }, 0 },
    { { .model_file = file, .cuda_context = other }, 0 },
    { { .id = "x", .cuda_context = file }, 6 },
    { { .model_file = file, .cuda_context = file, .device = "cpu" }, 4 },
  };
  YoloEngine *got[G_N_ELEMENTS (rows)], *engines[8] = { NULL };

  fake_reset ();
  g_assert_true (g_file_set_contents (file, "", 0, NULL));
  g_assert_cmpint (symlink (file, linked), ==, 0);

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;

    got[i] = yolo_engine_get_from (&fake_device, &rows[i].config, &error);
    g_assert_no_error (error);
    if (engines[rows[i].engine] == NULL)
      engines[rows[i].engine] = got[i];
    g_assert_true (got[i] == engines[rows[i].engine]);
  }
  for (guint i = 0; i < 8; i++)
    for (guint j = 0; j < i; j++)
      g_assert_true (engines[i] != engines[j]);
  g_assert_cmpuint (fake.loads, ==, 8);
  g_assert_cmpuint (fake.nets, ==, 8 + 3);      /* one more for each context */
  g_assert_cmpuint (fake.unloads, ==, 0);
  g_assert_cmpstr (yolo_engine_devices (engines[0]), ==, "device");
  g_assert_cmpstr (yolo_engine_devices (engines[4]), ==, "host");
  g_assert_cmpint (yolo_engine_precision (engines[0]), ==, YOLO_PRECISION_FP32);
  g_assert_cmpint (yolo_engine_precision (engines[2]), ==, YOLO_PRECISION_BF16);

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    yolo_engine_unref (got[i]);
  assert_gone ();

  /* It is not kept when nobody has it. */
  got[0] = yolo_engine_get_from (&fake_device, &rows[0].config, NULL);
  g_assert_cmpuint (fake.loads, ==, 9);
  yolo_engine_unref (got[0]);
  assert_gone ();

  unlink (file);
  unlink (linked);
  rmdir (folder);
}

static gpointer
get_thread (gpointer error)
{
  YoloEngineConfig config = { .model_file = "fake.onnx" };

  return yolo_engine_get_from (&fake_host, &config, error);
}

static void
test_concurrent_load (gconstpointer data)
{
  gboolean fail = GPOINTER_TO_INT (data);
  GThread *threads[8];
  GError *errors[8] = { NULL };
  YoloEngine *first = NULL;

  fake_reset ();
  fake.hold = TRUE;
  fake.fail_load = fail;
  for (guint i = 0; i < 8; i++)
    threads[i] = g_thread_new ("get", get_thread, &errors[i]);
  fake_wait_held (1);
  /* No sign shows that the others wait; one that comes late shares, too, when
   * it does not fail. */
  g_usleep (50000);
  fake_set_hold (FALSE);
  for (guint i = 0; i < 8; i++) {
    YoloEngine *engine = g_thread_join (threads[i]);

    if (fail) {
      g_assert_null (engine);
      g_assert_error (errors[i], YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FORMAT);
      g_error_free (errors[i]);
      continue;
    }
    g_assert_nonnull (engine);
    first = first == NULL ? engine : first;
    g_assert_true (engine == first);
  }
  if (!fail) {
    g_assert_cmpuint (fake.loads, ==, 1);
    for (guint i = 0; i < 8; i++)
      yolo_engine_unref (first);
  }
  assert_gone ();

  /* A failure is not kept. */
  yolo_engine_unref (get_engine (&fake_host));
  assert_gone ();
}

static void
test_config_errors (void)
{
  static const struct {
    const YoloEngineParts *parts;
    YoloEngineConfig config;
    int code;
    const char *says;
  } rows[] = {
    { &fake_host, { .model_file = NULL }, YOLO_NETWORK_ERROR_FILE, "model-file" },
    { &fake_host, { .model_file = "" }, YOLO_NETWORK_ERROR_FILE, "model-file" },
    { &fake_host, { .id = "nobody has made it" }, YOLO_NETWORK_ERROR_FILE, "model-file" },
    { &fake_host, { .model_file = "a", .device = "cuda" }, YOLO_NETWORK_ERROR_DEVICE,
        "built without it; use device=cpu" },
    { &fake_missing, { .model_file = "a", .device = "cpu" }, YOLO_NETWORK_ERROR_DEVICE,
        "The CPU cannot run networks: built without it" },
    { &fake_missing, { .model_file = "a", .device = "reference" },
        YOLO_NETWORK_ERROR_DEVICE, "The reference cannot run networks: built without it" },
    { &fake_missing, { .model_file = "a" }, YOLO_NETWORK_ERROR_DEVICE,
        "CUDA device 0: built without it. CPU: built without it" },
    { &fake_device, { .model_file = "a", .device = "cuda", .cuda_device_id = 8 },
        YOLO_NETWORK_ERROR_DEVICE, "there is no device 8" },
    { &fake_host, { .model_file = "a", .precision = YOLO_PRECISION_INT8 },
        YOLO_NETWORK_ERROR_PRECISION, "int8" },
  };

  fake_reset ();
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (yolo_engine_get_from (rows[i].parts, &rows[i].config, &error));
    g_assert_error (error, YOLO_NETWORK_ERROR, rows[i].code);
    g_assert_nonnull (strstr (error->message, rows[i].says));
    g_assert_null (yolo_engine_get_from (rows[i].parts, &rows[i].config, NULL));
  }
  g_assert_cmpuint (fake.loads, ==, 0);
}

/* --- frames --- */

static void
test_results (gconstpointer parts)
{
  YoloEngine *engine = get_engine (parts);
  YoloEngineStats stats;
  YoloStream *streams[5];
  Answers answers[5];

  for (guint s = 0; s < 5; s++) {
    answers_init (&answers[s]);
    streams[s] = yolo_engine_open_stream (engine, NULL, 2, keep_answer, &answers[s]);
  }
  yolo_engine_unref (engine);   /* the streams keep it */

  for (guint i = 0; i < 40; i++)
    for (guint s = 0; s < 5; s++)
      submit (streams[s], 64, 64, i * 5 + s);
  for (guint s = 0; s < 5; s++)
    for (guint i = 0; i < 40; i++) {
      Answer answer = answer_at (&answers[s], i);

      assert_fine (answer);
      g_assert_cmpuint (answer.tag, ==, i * 5 + s);
      g_assert_cmpuint (answer.level, ==, (i * 5 + s) % 200);
      g_assert_cmpuint (answer.n, ==, parts == &fake_host ? 4 : 1);
      g_assert_cmpuint (answer.batch, >, 0);
    }

  yolo_engine_get_stats (engine, &stats);
  g_assert_cmpuint (stats.frames, ==, 200);
  g_assert_cmpuint (stats.batches, ==, fake.batches->len);
  g_assert_cmpuint (stats.streams, ==, 5);
  g_assert_cmpuint (stats.prepared, ==, fake.execs);
  g_assert_cmpuint (stats.arena, >, 0);

  for (guint s = 0; s < 5; s++) {
    yolo_stream_close (streams[s]);
    g_assert_cmpuint (n_answers (&answers[s]), ==, 40);
    answers_clear (&answers[s]);
  }
  g_assert_cmpuint (fake.nets, ==, 0);
}

/* Every frame with its own settings, even in one batch. */
static void
test_settings (void)
{
  static const guint8 none[] = { 0 }, all[] = { 1 };
  YoloEngine *engine = get_engine (&fake_host);
  YoloStream *stream;
  Answers answers;
  Answer answer;
  YoloRequest request;

  answers_init (&answers);
  stream = yolo_engine_open_stream (engine, NULL, 8, keep_answer, &answers);
  yolo_engine_set_batching (engine, 8, G_MAXUINT64);

  request = fake_request (64, 64, 100);        /* confidence .5 */
  yolo_stream_submit (stream, &request, NULL);
  request.confidence = .51f;
  yolo_stream_submit (stream, &request, NULL);
  request.confidence = .49f;
  request.classes = none;
  yolo_stream_submit (stream, &request, NULL);
  request.classes = all;
  request.max_detections = 3;
  yolo_stream_submit (stream, &request, NULL);
  request = fake_request (64, 64, 100);
  request.frame.width = 128;    /* scaled by half, 16 rows above and below */
  request.frame.stride[0] = 128 * 3;
  yolo_stream_submit (stream, &request, NULL);
  request.frame.crop.x = 64;    /* as it is, at (64, 2) */
  request.frame.crop.y = 0;
  request.frame.crop.width = request.frame.crop.height = 64;
  yolo_stream_submit (stream, &request, NULL);
  request.iou = 0;
  yolo_stream_submit (stream, &request, NULL);
  request.net_width = request.net_height = 64;
  request.frame.crop.x = 63;
  yolo_stream_submit (stream, &request, NULL);

  g_assert_cmpuint (answer_at (&answers, 0).n, ==, 4);
  g_assert_cmpuint (answer_at (&answers, 0).batch, ==, 8);
  g_assert_cmpuint (answer_at (&answers, 1).n, ==, 0);
  g_assert_cmpuint (answer_at (&answers, 2).n, ==, 0);
  g_assert_cmpuint (answer_at (&answers, 3).n, ==, 3);
  answer = answer_at (&answers, 4);
  g_assert_cmpuint (answer.n, ==, 4);
  /* Anchor (16, 16), a box of 32 pixels: y from -16 to 16 of 32 rows, clipped. */
  g_assert_cmpfloat_with_epsilon (answer.first.x2, 64, 1e-4);
  g_assert_cmpfloat_with_epsilon (answer.first.y1, 0, 1e-4);
  g_assert_cmpfloat_with_epsilon (answer.first.y2, 32, 1e-4);
  answer = answer_at (&answers, 5);
  g_assert_cmpuint (answer.n, ==, 4);
  g_assert_cmpfloat_with_epsilon (answer.first.x1, 64, 1e-4);
  g_assert_cmpfloat_with_epsilon (answer.first.x2, 96, 1e-4);
  g_assert_cmpfloat_with_epsilon (answer.first.y2, 32, 1e-4);
  answer = answer_at (&answers, 7);
  g_assert_cmpfloat_with_epsilon (answer.first.x1, 63, 1e-4);

  yolo_stream_close (stream);
  answers_clear (&answers);
  yolo_engine_unref (engine);
}

/* The times of a frame add up to what it took. */
static void
test_times (void)
{
  YoloEngine *engine = get_engine (&fake_host);
  YoloStream *stream;
  Answers answers;
  gint64 begin;
  guint64 took;

  fake.delay = 20000;
  answers_init (&answers);
  stream = yolo_engine_open_stream (engine, NULL, 4, keep_answer, &answers);
  yolo_engine_set_batching (engine, 2, 30 * G_GUINT64_CONSTANT (1000000));
  begin = g_get_monotonic_time ();
  submit (stream, 64, 64, 1);
  yolo_stream_drain (stream);
  submit (stream, 64, 64, 2);
  answer_at (&answers, 1);
  took = (g_get_monotonic_time () - begin) * 1000;
  g_assert_cmpuint (answer_at (&answers, 0).times, >=, 20000000);
  g_assert_cmpuint (answer_at (&answers, 1).times, >=, 50000000);
  g_assert_cmpuint (answer_at (&answers, 0).times + answer_at (&answers, 1).times, <=, took);

  yolo_stream_close (stream);
  answers_clear (&answers);
  yolo_engine_unref (engine);
}

/* Two batches under way on a device, each with an exec of its own; results in order. */
static void
test_depth (void)
{
  YoloEngine *engine = get_engine (&fake_device);
  YoloStream *stream;
  Answers answers;

  fake.hold = TRUE;
  fake.candidates = 3;
  fake.missed = 7;
  answers_init (&answers);
  stream = yolo_engine_open_stream (engine, NULL, 8, keep_answer, &answers);
  for (guint i = 0; i < 8; i++)
    submit (stream, 64, 64, i);
  fake_wait_held (1);
  fake_set_hold (FALSE);
  yolo_stream_drain (stream);
  g_assert_cmpuint (fake.max_under_way, ==, 2);
  g_assert_cmpuint (fake.execs, ==, 2);
  for (guint i = 0; i < 8; i++) {
    Answer answer = answer_at (&answers, i);

    g_assert_cmpuint (answer.tag, ==, i);
    g_assert_cmpuint (answer.level, ==, i);
    g_assert_cmpuint (answer.n, ==, 4);
    g_assert_cmpuint (answer.missed, ==, 7);
  }
  yolo_stream_close (stream);
  answers_clear (&answers);
  yolo_engine_unref (engine);
}

/* Where the device runs three frames as four, the fourth place stays idle. */
static void
test_idle_places (void)
{
  YoloEngine *engine = get_engine (&fake_device);
  YoloStream *stream;
  Answers answers;

  fake.idle = TRUE;
  fake.hold = TRUE;
  yolo_engine_set_batching (engine, 4, 0);
  answers_init (&answers);
  stream = yolo_engine_open_stream (engine, NULL, 8, keep_answer, &answers);
  submit (stream, 64, 64, 0);
  fake_wait_held (1);
  for (guint i = 1; i < 4; i++)
    submit (stream, 64, 64, i);
  fake_set_hold (FALSE);
  yolo_stream_drain (stream);
  g_assert_cmpuint (fake.batches->len, ==, 2);
  g_assert_cmpuint (g_array_index (fake.batches, FakeBatch, 1).n, ==, 3);
  for (guint i = 0; i < 4; i++)
    g_assert_cmpuint (answer_at (&answers, i).level, ==, i);
  g_assert_cmpuint (answer_at (&answers, 3).batch, ==, 3);
  yolo_stream_close (stream);
  answers_clear (&answers);
  yolo_engine_unref (engine);
}

/* --- cancel, drain, close --- */

static gpointer
cancel_thread (gpointer stream)
{
  yolo_stream_cancel (stream);
  return NULL;
}

static gpointer
close_thread (gpointer stream)
{
  yolo_stream_close (stream);
  return NULL;
}

/* Until a thread waits in cancel, drain or close: what it marks is marked then. */
static void
wait_for_waiting (YoloEngine *engine)
{
  gboolean waiting = FALSE;

  while (!waiting) {
    g_usleep (1000);
    g_mutex_lock (&engine->lock);
    waiting = engine->waiting > 0;
    g_mutex_unlock (&engine->lock);
  }
}

/* What runs gives its result, what waits is cancelled, another stream goes on. */
static void
test_cancel (gconstpointer parts)
{
  YoloEngine *engine = get_engine (parts);
  guint running = parts == &fake_host ? 1 : 2;  /* at most */
  YoloStream *stream, *other;
  Answers answers, others;
  GThread *thread;

  fake.hold = TRUE;
  answers_init (&answers);
  answers_init (&others);
  stream = yolo_engine_open_stream (engine, NULL, 8, keep_answer, &answers);
  other = yolo_engine_open_stream (engine, NULL, 8, keep_answer, &others);
  yolo_engine_set_batching (engine, 1, 0);

  for (guint i = 0; i < 2; i++)
    submit (stream, 64, 64, i);
  fake_wait_held (1);
  for (guint i = 2; i < 6; i++)
    submit (stream, 64, 64, i);
  submit (other, 64, 64, 9);
  g_assert_cmpuint (yolo_stream_pending (stream), ==, 6);

  thread = g_thread_new ("cancel", cancel_thread, stream);
  wait_for_waiting (engine);    /* it cannot return before the batch has run */
  g_assert_cmpuint (n_answers (&answers), ==, 0);
  fake_set_hold (FALSE);
  g_thread_join (thread);

  g_assert_cmpuint (n_answers (&answers), ==, 6);
  g_assert_cmpuint (yolo_stream_pending (stream), ==, 0);
  for (guint i = 0; i < 6; i++) {
    g_assert_cmpuint (answer_at (&answers, i).tag, ==, i);
    if (i == 0)
      assert_fine (answer_at (&answers, i));
    else if (i >= running)      /* the second one may have come too late to be under way, too */
      assert_cancelled (answer_at (&answers, i));
  }
  assert_fine (answer_at (&others, 0));

  /* It can be used again, and there is nothing to wait for. */
  yolo_stream_cancel (stream);
  submit (stream, 64, 64, 6);
  assert_fine (answer_at (&answers, 6));
  yolo_stream_drain (stream);
  yolo_stream_drain (stream);

  yolo_stream_close (stream);
  yolo_stream_close (other);
  answers_clear (&answers);
  answers_clear (&others);
  yolo_engine_unref (engine);
}

static void
test_close (void)
{
  YoloEngine *engine = get_engine (&fake_host);
  YoloStream *stream;
  Answers answers;
  GThread *thread;

  fake.hold = TRUE;
  answers_init (&answers);
  stream = yolo_engine_open_stream (engine, NULL, 4, keep_answer, &answers);
  yolo_engine_unref (engine);
  for (guint i = 0; i < 3; i++)
    submit (stream, 64, 64, i);
  fake_wait_held (1);
  thread = g_thread_new ("close", close_thread, stream);
  wait_for_waiting (engine);    /* which the stream keeps */
  fake_set_hold (FALSE);
  g_thread_join (thread);
  g_assert_cmpuint (n_answers (&answers), ==, 3);
  assert_fine (answer_at (&answers, 0));
  assert_cancelled (answer_at (&answers, 2));
  g_assert_cmpuint (fake.nets, ==, 0);
  answers_clear (&answers);
}

/* A batch that would never fill. */
static void
test_drain (void)
{
  YoloEngine *engine = get_engine (&fake_host);
  YoloStream *stream, *other;
  Answers answers, others;

  answers_init (&answers);
  answers_init (&others);
  stream = yolo_engine_open_stream (engine, NULL, 4, keep_answer, &answers);
  other = yolo_engine_open_stream (engine, NULL, 4, keep_answer, &others);
  yolo_engine_set_batching (engine, 8, G_MAXUINT64);

  for (guint i = 0; i < 3; i++)
    submit (stream, 64, 64, i);
  submit (other, 64, 64, 3);
  g_usleep (20000);
  g_assert_cmpuint (fake.batches->len, ==, 0);
  yolo_stream_drain (stream);
  g_assert_cmpuint (n_answers (&answers), ==, 3);
  assert_fine (answer_at (&others, 0));
  g_assert_cmpuint (g_array_index (fake.batches, FakeBatch, 0).n, ==, 4);

  /* A stream that ends sets those free that wait for it. */
  submit (other, 64, 64, 4);
  g_usleep (20000);
  g_assert_cmpuint (n_answers (&others), ==, 1);
  yolo_stream_close (stream);
  g_usleep (20000);
  g_assert_cmpuint (n_answers (&others), ==, 1);        /* it may send more itself */
  yolo_stream_set_active (other, FALSE);
  assert_fine (answer_at (&others, 1));

  /* So does a limit that it has reached. */
  submit (other, 64, 64, 5);
  yolo_stream_set_max_pending (other, 1);
  assert_fine (answer_at (&others, 2));
  /* And a smaller batch. */
  yolo_stream_set_max_pending (other, 4);
  submit (other, 64, 64, 6);
  yolo_engine_set_batching (engine, 1, G_MAXUINT64);
  assert_fine (answer_at (&others, 3));
  /* And time. */
  yolo_engine_set_batching (engine, 8, 20 * G_GUINT64_CONSTANT (1000000));
  submit (other, 64, 64, 7);
  assert_fine (answer_at (&others, 4));
  g_assert_cmpuint (answer_at (&others, 4).times, >=, 20000000);

  yolo_stream_close (other);
  answers_clear (&answers);
  answers_clear (&others);
  yolo_engine_unref (engine);
}

typedef struct {
  YoloStream *stream;
  Answers answers;
  guint left;
} Chain;

/* Callbacks may submit. They are all called by the engine's thread. */
static void
submit_next (gpointer data, gpointer tag, const YoloResult *result)
{
  Chain *chain = data;
  char name[16];

  g_assert_cmpint (prctl (PR_GET_NAME, name), ==, 0);
  g_assert_cmpstr (name, ==, "yolo-engine");
  if (chain->left > 0) {
    g_assert_cmpuint (yolo_stream_pending (chain->stream), ==, 0);
    submit (chain->stream, 64, 64, GPOINTER_TO_UINT (tag) + 1);
    chain->left--;
  }
  keep_answer (&chain->answers, tag, result);
}

static void
test_submit_in_callback (void)
{
  YoloEngine *engine = get_engine (&fake_host);
  Chain chain = { .left = 20 };
  guint unused = 0;

  answers_init (&chain.answers);
  chain.stream = yolo_engine_open_stream (engine, NULL, 1, submit_next, &chain);
  submit (chain.stream, 64, 64, 0);
  for (guint i = 0; i <= 20; i++)
    g_assert_cmpuint (answer_at (&chain.answers, i).tag, ==, i);
  yolo_stream_drain (chain.stream);
  for (YoloJob *job = chain.stream->unused; job != NULL; job = job->next)
    unused++;
  g_assert_cmpuint (unused, ==, 2);     /* nothing was allocated since it was opened */
  yolo_stream_close (chain.stream);
  answers_clear (&chain.answers);
  yolo_engine_unref (engine);
}

/* --- what goes wrong --- */

static void
test_bad_requests (void)
{
  YoloEngine *engine = get_engine (&fake_host);
  YoloRequest good = fake_request (64, 64, 5), bad[10];
  YoloStream *stream, *other;
  Answers answers, others;
  guint n = G_N_ELEMENTS (bad);

  answers_init (&answers);
  answers_init (&others);
  stream = yolo_engine_open_stream (engine, NULL, 16, keep_answer, &answers);
  other = yolo_engine_open_stream (engine, NULL, 16, keep_answer, &others);
  yolo_engine_set_batching (engine, 4, 0);

  for (guint i = 0; i < n; i++)
    bad[i] = good;
  bad[0].frame.format = YOLO_N_FORMATS;
  bad[1].frame.width = 0;
  bad[2].frame.height = -1;
  bad[3].frame.plane[0] = NULL;
  bad[4].frame.format = YOLO_FORMAT_NV12;
  bad[5].frame.crop.width = 64;
  bad[6].frame.crop.width = bad[6].frame.crop.height = 65;
  bad[7].frame.crop.width = bad[7].frame.crop.height = 32;
  bad[7].frame.crop.x = 33;
  bad[8].frame.crop.width = bad[8].frame.crop.height = 32;
  bad[8].frame.crop.y = -1;
  bad[9].net_width = 0;
  for (guint i = 0; i < n; i++) {
    yolo_stream_submit (stream, &good, NULL);
    yolo_stream_submit (stream, &bad[i], NULL);
    yolo_stream_submit (other, &good, NULL);
  }
  yolo_stream_drain (stream);
  yolo_stream_drain (other);
  for (guint i = 0; i < n; i++) {
    assert_fine (answer_at (&answers, 2 * i));
    assert_failed (answer_at (&answers, 2 * i + 1), G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    assert_fine (answer_at (&others, i));
  }

  /* Cancelled and wrong at once: once. */
  yolo_stream_submit (stream, &bad[0], NULL);
  yolo_stream_close (stream);
  g_assert_cmpuint (n_answers (&answers), ==, 2 * n + 1);
  yolo_stream_close (other);
  answers_clear (&answers);
  answers_clear (&others);
  yolo_engine_unref (engine);
}

static void
submit_wrong (gpointer data, gpointer tag, const YoloResult *result)
{
  Chain *chain = data;
  YoloRequest wrong = fake_request (64, 64, 0);

  wrong.frame.width = 0;
  if (g_atomic_int_get (&chain->left) > 0)
    yolo_stream_submit (chain->stream, &wrong, NULL);
}

/* A stream that never sends anything else does not keep others from running. */
static void
test_wrong_for_ever (void)
{
  YoloEngine *engine = get_engine (&fake_host);
  Chain chain = { .left = 1 };
  YoloStream *stream;
  Answers answers;

  answers_init (&answers);
  chain.stream = yolo_engine_open_stream (engine, NULL, 1, submit_wrong, &chain);
  stream = yolo_engine_open_stream (engine, NULL, 1, keep_answer, &answers);
  submit_wrong (&chain, NULL, NULL);
  submit (stream, 64, 64, 0);
  assert_fine (answer_at (&answers, 0));
  yolo_stream_close (stream);
  g_atomic_int_set (&chain.left, 0);
  yolo_stream_close (chain.stream);
  answers_clear (&answers);
  yolo_engine_unref (engine);
}

/* A batch that fails fails its frames, in their turn; the next one runs. */
static void
test_failing_batch (gconstpointer data)
{
  const YoloEngineParts *parts = data;
  YoloEngine *engine = get_engine (parts);
  YoloEngineStats stats;
  YoloStream *stream;
  Answers answers;

  fake.fail_submit = 3;
  fake.fail_wait = 5;           /* of those that were submitted: the sixth */
  answers_init (&answers);
  stream = yolo_engine_open_stream (engine, NULL, 8, keep_answer, &answers);
  for (guint i = 0; i < 8; i++)
    submit (stream, 64, 64, i);
  yolo_stream_drain (stream);
  for (guint i = 0; i < 8; i++) {
    Answer answer = answer_at (&answers, i);

    g_assert_cmpuint (answer.tag, ==, i);
    if (i == 2 || i == 5) {
      assert_failed (answer, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE);
      g_assert_cmpuint (answer.batch, ==, 0);
    } else {
      assert_fine (answer);
    }
  }
  yolo_engine_get_stats (engine, &stats);
  g_assert_cmpuint (stats.frames, ==, 6);
  g_assert_cmpuint (stats.batches, ==, 6);
  yolo_stream_close (stream);
  answers_clear (&answers);
  yolo_engine_unref (engine);
}

/* Only the frames of the size that cannot be. */
static void
test_failing_size (void)
{
  YoloEngine *engine = get_engine (&fake_host);
  YoloRequest odd = fake_request (64, 64, 1);
  g_autoptr (GError) error = NULL;
  YoloStream *stream, *other;
  Answers answers, others;

  answers_init (&answers);
  answers_init (&others);
  stream = yolo_engine_open_stream (engine, NULL, 8, keep_answer, &answers);
  other = yolo_engine_open_stream (engine, NULL, 8, keep_answer, &others);
  odd.net_width = 65;
  for (guint i = 0; i < 3; i++) {
    yolo_stream_submit (stream, &odd, NULL);
    submit (other, 64, 64, i);
  }
  submit (stream, 64, 64, 0);
  yolo_stream_drain (stream);
  yolo_stream_drain (other);
  for (guint i = 0; i < 3; i++) {
    assert_failed (answer_at (&answers, i), YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_SIZE);
    assert_fine (answer_at (&others, i));
  }
  assert_fine (answer_at (&answers, 3));

  g_assert_false (yolo_engine_prepare (engine, NULL, 65, 64, &error));
  g_assert_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_SIZE);
  g_assert_false (yolo_engine_prepare (engine, NULL, 65, 64, NULL));

  yolo_stream_close (stream);
  yolo_stream_close (other);
  answers_clear (&answers);
  answers_clear (&others);
  yolo_engine_unref (engine);
}

/* --- what is kept ready --- */

static void
test_prepare (void)
{
  YoloEngine *engine = get_engine (&fake_host);
  YoloStream *stream;
  Answers answers;

  answers_init (&answers);
  yolo_engine_set_batching (engine, 5, 0);
  g_assert_true (yolo_engine_prepare (engine, NULL, 64, 96, NULL));
  g_assert_cmpuint (fake.images, ==, 4);        /* 5 runs as 4 + 1 */
  yolo_engine_set_batching (engine, 0, 0);
  g_assert_true (yolo_engine_prepare (engine, NULL, 64, 96, NULL));
  g_assert_cmpuint (fake.images, ==, 5);
  stream = yolo_engine_open_stream (engine, NULL, 1, keep_answer, &answers);
  submit (stream, 64, 96, 0);
  assert_fine (answer_at (&answers, 0));
  g_assert_cmpuint (fake.prepared, ==, 2);
  yolo_stream_close (stream);
  answers_clear (&answers);
  yolo_engine_unref (engine);
}

/* Sixteen sizes, the first one again and again; it stays, and so do as many of
 * the others as the activations allow. */
static void
test_lru (void)
{
  static const struct {
    gsize arena;
    guint kept;
  } rows[] = {
    { 0, 64 },
    { YOLO_ENGINE_KEPT_ARENA / 20 + 1, 20 },
    { YOLO_ENGINE_KEPT_ARENA, 12 },
  };

  for (guint r = 0; r < G_N_ELEMENTS (rows); r++) {
    YoloEngine *engine = get_engine (&fake_host);
    YoloEngineStats stats;
    guint seen = 0;

    fake.arena = rows[r].arena;
    for (guint batch = 1; batch <= 16; batch *= 2)
      for (guint i = 0; i < 16; i++) {
        yolo_engine_set_batching (engine, batch, 0);
        g_assert_true (
            yolo_engine_prepare (engine, NULL, 32 + 32 * (i % 4), 32 + 32 * (i / 4), NULL));
        seen++;
        yolo_engine_set_batching (engine, 1, 0);
        g_assert_true (yolo_engine_prepare (engine, NULL, 32, 32, NULL));
        yolo_engine_get_stats (engine, &stats);
        g_assert_cmpuint (stats.prepared, ==, MIN (seen, rows[r].kept));
        g_assert_cmpuint (stats.prepared, ==, fake.execs);
        g_assert_cmpuint (fake.prepared, ==, seen);
      }
    /* Of the others the oldest went. */
    yolo_engine_set_batching (engine, 16, 0);
    g_assert_true (yolo_engine_prepare (engine, NULL, 128, 128, NULL));
    g_assert_cmpuint (fake.prepared, ==, seen);
    yolo_engine_set_batching (engine, 1, 0);
    g_assert_true (yolo_engine_prepare (engine, NULL, 64, 32, NULL));
    g_assert_cmpuint (fake.prepared, ==, seen + 1);
    yolo_engine_unref (engine);
    assert_gone ();
  }
}

/* What is kept only in case goes before a frame fails. */
static void
test_memory (void)
{
  YoloEngine *engine = get_engine (&fake_host);
  YoloStream *stream;
  Answers answers;

  fake.max_images = 4;
  answers_init (&answers);
  stream = yolo_engine_open_stream (engine, NULL, 16, keep_answer, &answers);
  for (guint i = 0; i < 12; i++) {
    submit (stream, 32 + 32 * (i % 4), 32 + 32 * (i / 4), i);
    assert_fine (answer_at (&answers, i));
  }
  g_assert_cmpuint (fake.images, ==, 4);
  yolo_engine_set_batching (engine, 8, G_MAXUINT64);
  g_assert_false (yolo_engine_prepare (engine, NULL, 64, 64, NULL));
  for (guint i = 12; i < 20; i++)
    submit (stream, 64, 64, i);
  for (guint i = 12; i < 20; i++)
    assert_failed (answer_at (&answers, i), YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY);
  yolo_engine_set_batching (engine, 1, 0);
  submit (stream, 64, 64, 20);
  assert_fine (answer_at (&answers, 20));

  yolo_stream_close (stream);
  answers_clear (&answers);
  yolo_engine_unref (engine);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/engine/sharing", test_sharing);
  g_test_add_data_func ("/engine/concurrent-load", GINT_TO_POINTER (FALSE), test_concurrent_load);
  g_test_add_data_func ("/engine/concurrent-load-that-fails", GINT_TO_POINTER (TRUE),
      test_concurrent_load);
  g_test_add_func ("/engine/config-errors", test_config_errors);
  g_test_add_data_func ("/engine/results/host", &fake_host, test_results);
  g_test_add_data_func ("/engine/results/device", &fake_device, test_results);
  g_test_add_func ("/engine/settings", test_settings);
  g_test_add_func ("/engine/times", test_times);
  g_test_add_func ("/engine/depth", test_depth);
  g_test_add_func ("/engine/idle-places", test_idle_places);
  g_test_add_data_func ("/engine/cancel/host", &fake_host, test_cancel);
  g_test_add_data_func ("/engine/cancel/device", &fake_device, test_cancel);
  g_test_add_func ("/engine/close", test_close);
  g_test_add_func ("/engine/drain", test_drain);
  g_test_add_func ("/engine/submit-in-callback", test_submit_in_callback);
  g_test_add_func ("/engine/bad-requests", test_bad_requests);
  g_test_add_func ("/engine/wrong-for-ever", test_wrong_for_ever);
  g_test_add_data_func ("/engine/failing-batch/host", &fake_host, test_failing_batch);
  g_test_add_data_func ("/engine/failing-batch/device", &fake_device, test_failing_batch);
  g_test_add_func ("/engine/failing-size", test_failing_size);
  g_test_add_func ("/engine/prepare", test_prepare);
  g_test_add_func ("/engine/lru", test_lru);
  g_test_add_func ("/engine/memory", test_memory);
  return g_test_run ();
}
