/* SPDX-License-Identifier: MIT */
#include "tests/engine/fake.h"

#include "network/private.h"

#include <math.h>
#include <string.h>

#define STRIDE 32

Fake fake;

static guint8 pixels[201][FAKE_MAX_SIZE * FAKE_MAX_SIZE * 3];

static char *names[] = { "thing", NULL };

static Model model = {
  .public = { .path = "fake.onnx", .task = "detect", .n_classes = 1, .names = names,
      .reg_max = 2, .n_outputs = 2, .stride = STRIDE,
      .outputs = { { YOLO_MAP_BOX, 0, STRIDE, 0 }, { YOLO_MAP_CLASS, 0, STRIDE, 0 } },
      .height = 64, .width = 64 },
  .ref = 1,
};

typedef struct {
  YoloNet base;
  guint device;
  gpointer context;
  guint execs;                  /* alive */
} FakeNet;

typedef struct {
  YoloExec exec;
  FakeNet *net;
  const YoloBuffer *buffers;    /* the plan's: input, box, cls */
  gboolean started;
  FakeBatch batch;
  YoloDecode *decode;
} FakeExec;

/* Grey levels 0 to 200 as logits -1 to 1: confidences .27 to .73. */
static float
level_logit (guint8 level)
{
  return level / 100.f - 1;
}

guint
fake_level (const YoloObject *detection)
{
  float p = detection->confidence;

  return lrintf ((logf (p / (1 - p)) + 1) * 100);
}

/* @hold_device: of the device that this is about, or NULL. */
static void
wait_hold (const gboolean *hold_device)
{
  const gboolean never = FALSE;

  if (hold_device == NULL)
    hold_device = &never;
  if (!fake.hold && !*hold_device)
    return;
  fake.held++;
  g_cond_broadcast (&fake.changed);
  while (fake.hold || *hold_device)
    g_cond_wait (&fake.changed, &fake.lock);
  fake.held--;
}

static YoloModel *
load_model (const char *path, YoloHeadChoice head, GError **error)
{
  gboolean fail;

  g_mutex_lock (&fake.lock);
  fake.loads++;
  wait_hold (NULL);
  fail = fake.fail_load;
  if (fail)
    fake.loads--;
  g_mutex_unlock (&fake.lock);
  if (fail) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_FORMAT, "%s: made to fail", path);
    return NULL;
  }
  return &model.public;
}

static void
unref_model (YoloModel *m)
{
  g_assert_true (m == &model.public);
  g_mutex_lock (&fake.lock);
  fake.unloads++;
  g_mutex_unlock (&fake.lock);
}

static gboolean
available (guint device, GError **error)
{
  if (device < FAKE_DEVICES)
    return TRUE;
  g_set_error (
      error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE, "there is no device %u", device);
  return FALSE;
}

static gboolean
not_available (guint device, GError **error)
{
  g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE, "built without it");
  return FALSE;
}

static gboolean
resolve (guint device, YoloPrecision *precision, GError **error)
{
  if (*precision == YOLO_PRECISION_INT8 && !fake.int8) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_PRECISION, "no int8 here");
    return FALSE;
  }
  if (*precision == YOLO_PRECISION_AUTO)
    *precision = YOLO_PRECISION_FP32;
  return TRUE;
}

static gboolean
resolve_device (guint device, YoloPrecision *precision, GError **error)
{
  if (*precision == YOLO_PRECISION_AUTO && fake.half)
    *precision = YOLO_PRECISION_FP16;
  return resolve (device, precision, error);
}

static gboolean
load (YoloNet *net, guint device, gpointer context, guint threads, GError **error)
{
  gboolean fail;

  ((FakeNet *) net)->device = device;
  ((FakeNet *) net)->context = context;
  g_mutex_lock (&fake.lock);
  fake.nets++;
  fake.net_loads++;
  if (context != NULL)
    fake.loaded_in = context;
  wait_hold (&fake.hold_device[device]);
  fail = fake.fail_device[device];
  g_mutex_unlock (&fake.lock);
  if (fail) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY, "device %u is full", device);
    return FALSE;
  }
  return TRUE;
}

/* The second host has its own place in the arrays that count by device. */
static gboolean
load_second (YoloNet *net, guint device, gpointer context, guint threads, GError **error)
{
  return load (net, device + 1, context, threads, error);
}

static void
unload (YoloNet *net)
{
  g_mutex_lock (&fake.lock);
  g_assert_cmpuint (((FakeNet *) net)->execs, ==, 0);
  fake.nets--;
  g_mutex_unlock (&fake.lock);
}

static void
init_buffer (YoloBuffer *buffer, guint batch, guint height, guint width, guint channels,
    YoloDType dtype)
{
  *buffer = (YoloBuffer) { .height = height, .width = width, .channels = channels, .dtype = dtype };
  buffer->size = (gsize) batch * height * width * channels * (dtype == YOLO_F32 ? 4 : 1);
}

static YoloPlan *
make_plan (YoloNet *net, guint batch, guint height, guint width, GError **error)
{
  YoloBuffer *buffers;
  YoloPlan *plan;

  if (height % STRIDE != 0 || width % STRIDE != 0 || height > FAKE_MAX_SIZE) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_SIZE, "not a size");
    return NULL;
  }
  buffers = g_new0 (YoloBuffer, 3);
  init_buffer (&buffers[0], batch, height, width, 3, YOLO_U8);
  init_buffer (&buffers[1], batch, height / STRIDE, width / STRIDE, 8, YOLO_F32);
  init_buffer (&buffers[2], batch, height / STRIDE, width / STRIDE, 1, YOLO_F32);
  buffers[2].offset = buffers[1].size;
  plan = g_new (YoloPlan, 1);
  *plan = (YoloPlan) {
    .model = yolo_model_ref (net->model), .batch = batch, .height = height, .width = width,
    .n_buffers = 3, .buffers = buffers, .outputs = { { 1, 0, 8 }, { 2, 0, 1 } },
    .arena_size = fake.arena > 0 ? fake.arena : buffers[1].size + buffers[2].size,
  };
  return plan;
}

static gboolean
prepare (YoloExec *exec, GError **error)
{
  FakeExec *e = (FakeExec *) exec;
  const YoloPlan *plan = exec->plan;
  gboolean fits;

  e->net = (FakeNet *) exec->net;
  e->buffers = plan->buffers;
  g_mutex_lock (&fake.lock);
  fake.execs++;
  e->net->execs++;
  fake.images += plan->batch;
  fits = fake.max_images == 0 || fake.images <= fake.max_images;
  fake.prepared += fits;
  g_mutex_unlock (&fake.lock);
  if (!fits) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_MEMORY, "no memory");
    return FALSE;
  }
  if (exec->net->backend->host_memory) {
    exec->input = g_malloc (e->buffers[0].size);
    exec->arena = g_malloc (e->buffers[1].size + e->buffers[2].size);
  }
  return TRUE;
}

static guint
batch_size (YoloNet *net, guint frames, guint height, guint width)
{
  guint below = 1u << (g_bit_storage (frames) - 1);

  return fake.idle && below < frames ? 2 * below : below;
}

static void
release (YoloExec *exec)
{
  FakeExec *e = (FakeExec *) exec;

  g_assert_false (e->started);
  g_mutex_lock (&fake.lock);
  fake.execs--;
  e->net->execs--;
  fake.images -= exec->plan->batch;
  g_mutex_unlock (&fake.lock);
  g_free (exec->input);
  g_free (exec->arena);
}

static gboolean
submit (YoloExec *exec, guint n, const YoloFrame *frames, YoloDecode *decode, GError **error)
{
  FakeExec *e = (FakeExec *) exec;
  gboolean fail;

  g_assert_false (e->started);
  g_assert_cmpuint (n, <=, exec->plan->batch);
  g_assert_true (n == exec->plan->batch || fake.idle);
  g_assert_true ((frames == NULL) == (exec->input != NULL));
  g_assert_true ((decode == NULL) == (exec->input != NULL));

  e->batch = (FakeBatch) {
    .n = n, .height = exec->plan->height, .width = exec->plan->width,
    .device = e->net->device, .context = e->net->context };
  e->decode = decode;
  for (guint i = 0; i < n; i++)
    e->batch.level[i] = frames != NULL ? *(const guint8 *) frames[i].plane[0]
        : ((const guint8 *) exec->input)[i * e->buffers[0].size / n + e->buffers[0].size / n / 2];

  g_mutex_lock (&fake.lock);
  g_array_append_val (fake.batches, e->batch);
  fail = fake.batches->len == fake.fail_submit || fake.lost_submit[e->net->device] || fake.full
      || (fake.fail_every > 0 && fake.batches->len % fake.fail_every == 0);
  if (!fail) {
    e->started = TRUE;
    fake.under_way++;
    fake.max_under_way = MAX (fake.max_under_way, fake.under_way);
  }
  g_mutex_unlock (&fake.lock);
  if (fail)
    g_set_error (error, YOLO_NETWORK_ERROR,
        fake.unsupported  ? YOLO_NETWORK_ERROR_UNSUPPORTED
            : fake.full   ? YOLO_NETWORK_ERROR_MEMORY
                          : YOLO_NETWORK_ERROR_DEVICE,
        "submit made to fail");
  return !fail;
}

/* An object at every anchor of a host, at the first one of a device. */
static void
find_objects (FakeExec *e)
{
  for (guint i = 0; i < e->batch.n; i++) {
    if (e->decode == NULL) {
      guint anchors = e->buffers[2].height * e->buffers[2].width;
      float *box = (float *) e->exec.arena + i * anchors * 8;
      float *cls = (float *) e->exec.arena + e->batch.n * anchors * 8 + i * anchors;

      memset (box, 0, anchors * 8 * sizeof (float));
      for (guint a = 0; a < anchors; a++)
        cls[a] = level_logit (e->batch.level[i]);
      continue;
    }
    for (guint c = 0; c <= fake.candidates; c++)
      e->decode[i].candidates[c] = (YoloObject){ 8 + STRIDE * c, 8, 24 + STRIDE * c, 24,
        1 / (1 + expf (-level_logit (e->batch.level[i]))), 0, c, 0 };
    e->decode[i].n = 1 + fake.candidates;
    e->decode[i].missed = fake.missed;
  }
}

static gboolean
finish (YoloExec *exec, GError **error)
{
  FakeExec *e = (FakeExec *) exec;
  gboolean fail;
  gulong delay;

  g_assert_true (e->started);
  e->started = FALSE;
  g_mutex_lock (&fake.lock);
  wait_hold (&fake.hold_device[e->net->device]);
  fake.under_way--;
  fake.batches_of[e->net->device]++;
  fail = ++fake.ended == fake.fail_wait || fake.lost_wait[e->net->device];
  g_mutex_unlock (&fake.lock);
  delay = fake.delay + e->batch.n * fake.delay_frame + fake.delay_of[e->net->device];
  if (delay > 0)
    g_usleep (delay);
  if (fail) {
    g_set_error (error, YOLO_NETWORK_ERROR, YOLO_NETWORK_ERROR_DEVICE, "wait made to fail");
    return FALSE;
  }
  find_objects (e);
  return TRUE;
}

/* A backend in the host's memory. */
#define HOST(its_name, its_load) {                                                              \
  .name = its_name, .host_memory = TRUE, .memories = 1u << YOLO_MEMORY_HOST,                    \
  .available = available, .resolve = resolve, .net_size = sizeof (FakeNet),                     \
  .exec_size = sizeof (FakeExec), .load = its_load, .unload = unload, .plan = make_plan,        \
  .prepare = prepare, .release = release, .submit = submit, .wait = finish }

static const YoloBackend host = HOST ("host", load);
static const YoloBackend second_host = HOST ("second-host", load_second);

static const YoloBackend device = {
  .name = "device",
  .memories = 1u << YOLO_MEMORY_HOST | 1u << YOLO_MEMORY_CUDA,
  .int8_kind = YOLO_INT8_SYMMETRIC,
  .available = available,
  .resolve = resolve_device,
  .net_size = sizeof (FakeNet),
  .exec_size = sizeof (FakeExec),
  .load = load,
  .unload = unload,
  .batch_size = batch_size,
  .plan = make_plan,
  .prepare = prepare,
  .release = release,
  .submit = submit,
  .wait = finish,
};

static const YoloBackend missing = {.name = "missing",.available = not_available };

#define RETRY 20000             /* microseconds */

const YoloEngineParts fake_host = { RETRY, &host, &missing, &missing, load_model, unref_model,
  NULL };
const YoloEngineParts fake_device = { RETRY, &host, &device, &missing, load_model, unref_model,
  NULL };
const YoloEngineParts fake_two_hosts = { RETRY, &host, &missing, &second_host, load_model,
  unref_model, NULL };
const YoloEngineParts fake_two_devices = { RETRY, &host, &device, &missing, load_model,
  unref_model, NULL };
const YoloEngineParts fake_missing = { RETRY, &missing, &missing, &missing, load_model,
  unref_model, NULL };

const char *
fake_devices (const YoloEngineParts *parts)
{
  return parts == &fake_two_hosts ? "cpu,reference"
      : parts == &fake_two_devices ? "cuda:0,cuda:1" : NULL;
}

guint
fake_n_replicas (const YoloEngineParts *parts)
{
  return fake_devices (parts) != NULL ? 2 : 1;
}

void
fake_reset (void)
{
  static GArray *batches;

  if (batches == NULL)
    batches = g_array_new (FALSE, FALSE, sizeof (FakeBatch));
  g_array_set_size (batches, 0);
  for (guint level = 0; level <= 200; level++)
    memset (pixels[level], level, sizeof (pixels[level]));
  fake = (Fake) { .batches = batches };
}

void
fake_set_hold (gboolean hold)
{
  g_mutex_lock (&fake.lock);
  fake.hold = hold;
  g_cond_broadcast (&fake.changed);
  g_mutex_unlock (&fake.lock);
}

void
fake_set_hold_device (guint device, gboolean hold)
{
  g_mutex_lock (&fake.lock);
  fake.hold_device[device] = hold;
  g_cond_broadcast (&fake.changed);
  g_mutex_unlock (&fake.lock);
}

void
fake_wait_held (guint held)
{
  g_mutex_lock (&fake.lock);
  while (fake.held < held)
    g_cond_wait (&fake.changed, &fake.lock);
  g_mutex_unlock (&fake.lock);
}

YoloRequest
fake_request (guint width, guint height, guint8 level)
{
  g_assert_cmpuint (level, <=, 200);
  g_assert_cmpuint (width * height, <=, FAKE_MAX_SIZE * FAKE_MAX_SIZE);
  return (YoloRequest) {
    .frame = { .format = YOLO_FORMAT_RGB, .width = width, .height = height,
        .plane = { pixels[level] }, .stride = { width * 3 } },
    .net_width = width, .net_height = height,
    .confidence = .1f, .iou = .7f, .max_detections = 300,
  };
}
