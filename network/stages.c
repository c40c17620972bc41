/* SPDX-License-Identifier: MIT */
#include "network/stages.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "network/arena.h"

/* A cut is balanced if the slowest stage takes no longer than this share of the time that a stage
 * would take if all were equally fast: n stages then bring .9 n times the throughput of one. */
#define BALANCED (1 / .9)

/* When the channels of a plan's buffers are written first and read last. */
typedef struct {
  gsize *first;                 /* [buffers + 1]: number of each buffer's first channel */
  guint *written, *read;        /* [channels]: operations; never written, never read: n_ops, 0 */
} Channels;

static void
note_view (Channels *channels, YoloView view, guint op, gboolean writes)
{
  for (guint c = 0; c < view.channels; c++) {
    const gsize at = channels->first[view.buffer] + view.channel + c;

    if (writes)
      channels->written[at] = MIN (channels->written[at], op);
    else
      channels->read[at] = MAX (channels->read[at], op);
  }
}

static void
channels_init (Channels *channels, const YoloPlan *plan)
{
  gsize n = 0;

  channels->first = g_new (gsize, plan->n_buffers + 1);
  for (guint i = 0; i < plan->n_buffers; i++) {
    channels->first[i] = n;
    n += plan->buffers[i].channels;
  }
  channels->first[plan->n_buffers] = n;
  channels->written = g_new (guint, n);
  channels->read = g_new0 (guint, n);
  for (gsize i = 0; i < n; i++)
    channels->written[i] = plan->n_ops;
  for (guint i = 0; i < plan->n_ops; i++) {
    note_view (channels, plan->ops[i].in, i, FALSE);
    note_view (channels, plan->ops[i].residual, i, FALSE);
    note_view (channels, plan->ops[i].out, i, TRUE);
  }
  /* The maps of the head are read when all operations are done. */
  for (guint k = 0; k < plan->model->n_outputs; k++)
    note_view (channels, plan->outputs[k], plan->n_ops, FALSE);
}

static void
channels_clear (Channels *channels)
{
  g_free (channels->first);
  g_free (channels->written);
  g_free (channels->read);
}

/* Whether a channel crosses the cut in front of operation @at. The network's input does not: all
 * that reads it is in the first stage. */
static gboolean
crosses (const YoloPlan *plan, const Channels *channels, guint buffer, guint channel, guint at)
{
  const gsize i = channels->first[buffer] + channel;

  return buffer != plan->input && channels->written[i] < at && channels->read[i] >= at;
}

/* Appends the views of a buffer that cross the cut in front of operation @at. */
static void
add_crossing (const YoloPlan *plan, const Channels *channels, guint buffer, guint at,
    GArray *views)
{
  const guint n = plan->buffers[buffer].channels;

  for (guint c = 0; c < n;) {
    YoloView view = { .buffer = buffer, .channel = c };

    while (c < n && crosses (plan, channels, buffer, c, at))
      c++;
    view.channels = c - view.channel;
    if (view.channels > 0)
      g_array_append_val (views, view);
    else
      c++;
  }
}

static gsize
view_bytes (const YoloPlan *plan, YoloView view)
{
  const YoloBuffer *buffer = &plan->buffers[view.buffer];

  /* the buffer's own size did not overflow */
  return buffer->size / buffer->channels * view.channels;
}

static gsize
crossing_bytes (const YoloPlan *plan, const Channels *channels, guint at)
{
  gsize bytes = 0;

  for (guint i = 0; i < plan->n_buffers; i++) {
    YoloView one = { .buffer = i };

    for (guint c = 0; c < plan->buffers[i].channels; c++)
      one.channels += crosses (plan, channels, i, c, at);
    bytes += view_bytes (plan, one);
  }
  return bytes;
}

gsize
yolo_stages_bytes (const YoloPlan *plan, guint at)
{
  Channels channels;
  gsize bytes;

  channels_init (&channels, plan);
  bytes = crossing_bytes (plan, &channels, at);
  channels_clear (&channels);
  return bytes;
}

/* What is added up over the operations of a plan: entry i is of those before operation i. */
typedef struct {
  const YoloPlan *plan;
  const YoloStageDevice *devices;
  guint n;                      /* stages */
  double link;
  guint under_way;
  guint earliest;               /* the first cut that leaves the first stage all of the input */
  double *macs, *bytes;         /* [n_ops + 1] */
  gsize *weights;               /* [n_ops + 1]: bytes */
  gsize *alive;                 /* [n_ops]: bytes of the activations that an operation lies among */
  gsize *crossing;              /* [n_ops + 1]: bytes across the cut in front of an operation */
} Sums;

static double
op_macs (const YoloPlan *plan, const YoloOp *op)
{
  const YoloBuffer *in = &plan->buffers[op->in.buffer], *out = &plan->buffers[op->out.buffer];
  const double pixels = (double) plan->batch * out->height * out->width;

  if (op->type == YOLO_OP_CONV)
    return pixels * op->conv->out_channels * (op->conv->in_channels / op->conv->groups)
        * op->conv->kernel[0] * op->conv->kernel[1];
  /* each query with the keys of an area, and their values added up */
  if (op->type == YOLO_OP_ATTENTION)
    return pixels * in->height * in->width / op->numbers.areas
        * ((double) op->numbers.heads * op->numbers.key + op->out.channels);
  return 0;
}

static gsize
op_weights (const YoloPlan *plan, const YoloOp *op)
{
  const YoloConv *conv = op->conv;

  if (op->type != YOLO_OP_CONV)
    return 0;
  return (gsize) conv->out_channels * (conv->in_channels / conv->groups) * conv->kernel[0]
      * conv->kernel[1] * (conv->int8 != NULL ? 1 : yolo_dtype_size (plan->dtype));
}

static void
sums_init (Sums *sums)
{
  const YoloPlan *plan = sums->plan;
  Channels channels;

  sums->macs = g_new0 (double, plan->n_ops + 1);
  sums->bytes = g_new0 (double, plan->n_ops + 1);
  sums->weights = g_new0 (gsize, plan->n_ops + 1);
  sums->alive = g_new0 (gsize, plan->n_ops);
  sums->crossing = g_new0 (gsize, plan->n_ops + 1);
  sums->earliest = 1;
  channels_init (&channels, plan);
  for (guint i = 0; i < plan->n_ops; i++) {
    const YoloOp *op = &plan->ops[i];
    const gsize weights = op_weights (plan, op);

    sums->macs[i + 1] = sums->macs[i] + op_macs (plan, op);
    sums->bytes[i + 1] = sums->bytes[i] + (double) weights + view_bytes (plan, op->in)
        + view_bytes (plan, op->out)
        + (op->residual.channels > 0 ? view_bytes (plan, op->residual) : 0);
    sums->weights[i + 1] = sums->weights[i] + weights;
    for (guint k = 0; k < plan->n_buffers; k++)
      if (plan->buffers[k].first <= i && i <= plan->buffers[k].last)
        sums->alive[i] += plan->buffers[k].size;
    if (i > 0)
      sums->crossing[i] = crossing_bytes (plan, &channels, i);
    if (op->in.buffer == plan->input)
      sums->earliest = i + 1;
  }
  channels_clear (&channels);
}

static void
sums_clear (Sums *sums)
{
  g_free (sums->macs);
  g_free (sums->bytes);
  g_free (sums->weights);
  g_free (sums->alive);
  g_free (sums->crossing);
}

/* What a device would do without handing anything on. */
static double
compute_seconds (const Sums *sums, const YoloStageDevice *device, YoloPlanPart part)
{
  return (sums->macs[part.end] - sums->macs[part.first]) / device->macs
      + (sums->bytes[part.end] - sums->bytes[part.first]) / device->bytes;
}

/* The most bytes that are alive at one of a part's operations. */
static gsize
most_alive (const Sums *sums, YoloPlanPart part)
{
  gsize most = 0;

  for (guint i = part.first; i < part.end; i++)
    most = MAX (most, sums->alive[i]);
  return most;
}

/* @activations: of most_alive() */
static YoloStage
describe (const Sums *sums, guint stage, YoloPlanPart part, gsize activations)
{
  return (YoloStage) {
    .part = part,
    .bytes = sums->crossing[part.first],
    .weights = sums->weights[part.end] - sums->weights[part.first],
    .activations = activations,
    .seconds = compute_seconds (sums, &sums->devices[stage], part)
        + (double) sums->crossing[part.end] / sums->link,
  };
}

static gboolean
fits (const Sums *sums, guint stage, const YoloStage *described)
{
  const gsize memory = sums->devices[stage].memory;

  return memory == 0
      || (double) described->weights + (double) sums->under_way * (double) described->activations
      <= (double) memory;
}

/* The best way to run the operations before some cut in the stages up to one of them. */
typedef struct {
  double slowest;               /* seconds of the slowest stage; INFINITY: there is no way */
  double bytes;                 /* between its stages */
  guint before;                 /* the cut in front of the last of these stages */
} Way;

static gboolean
better (const Way *a, const Way *b, gboolean by_bytes)
{
  if (by_bytes && a->bytes != b->bytes)
    return a->bytes < b->bytes;
  return a->slowest < b->slowest;
}

/* The best way to run the operations before @cut in the stages up to @stage, each of which takes
 * @limit seconds at most. @before: those of the stage before, by cut; NULL: there is none */
static Way
best_way (const Sums *sums, guint stage, guint cut, const Way *before, double limit,
    gboolean by_bytes)
{
  Way best = { INFINITY, INFINITY, 0 };
  guint from = before == NULL ? 0 : cut;
  gsize activations = before == NULL ? most_alive (sums, (YoloPlanPart) { 0, cut }) : 0;

  do {
    YoloStage described;
    Way way;

    if (before != NULL) {
      from--;
      activations = MAX (activations, sums->alive[from]);
    }
    described = describe (sums, stage, (YoloPlanPart) { from, cut }, activations);
    way = (Way) { described.seconds, (double) described.bytes, from };
    if (before != NULL) {
      way.slowest = MAX (way.slowest, before[from].slowest);
      way.bytes += before[from].bytes;
    }
    if (way.slowest <= limit && fits (sums, stage, &described) && better (&way, &best, by_bytes))
      best = way;
  } while (from > sums->earliest);
  return best;
}

/* The best way of all, by the bytes between stages or else by the slowest stage; FALSE: there is
 * none. Dynamic programming over the cuts. @ways: room, [n][n_ops + 1] */
static gboolean
find_best (const Sums *sums, double limit, gboolean by_bytes, Way *ways, YoloStage *stages)
{
  const guint n_ops = sums->plan->n_ops, width = n_ops + 1;
  guint end = n_ops;

  for (guint s = 0; s < sums->n; s++) {
    for (guint cut = 0; cut <= n_ops; cut++) {
      /* the last stage ends with the last operation, and no other one does; a stage after the
       * first one has an operation behind the earliest cut */
      const gboolean possible = (s + 1 == sums->n) == (cut == n_ops)
          && cut >= sums->earliest + (s > 0);

      ways[s * width + cut] = possible
          ? best_way (sums, s, cut, s > 0 ? &ways[(s - 1) * width] : NULL, limit, by_bytes)
          : (Way) { INFINITY, INFINITY, 0 };
    }
  }
  if (isinf (ways[sums->n * width - 1].slowest))
    return FALSE;
  for (guint s = sums->n; s-- > 0;) {
    const YoloPlanPart part = { ways[s * width + end].before, end };

    stages[s] = describe (sums, s, part, most_alive (sums, part));
    end = part.first;
  }
  return TRUE;
}

/* The time of each stage if all took as long as each other and handing on took no time. */
static double
balance (const Sums *sums)
{
  const YoloPlanPart all = { 0, sums->plan->n_ops };
  double together = 0;

  for (guint s = 0; s < sums->n; s++)
    together += 1 / compute_seconds (sums, &sums->devices[s], all);
  return 1 / together;
}

static double
slowest (const YoloStage *stages, guint n)
{
  double seconds = 0;

  for (guint s = 0; s < n; s++)
    seconds = MAX (seconds, stages[s].seconds);
  return seconds;
}

gboolean
yolo_stages_cut (const YoloPlan *plan, const YoloStageDevice *devices, guint n, double link,
    guint under_way, YoloStage *stages, GError **error)
{
  Sums sums = { .plan = plan, .devices = devices, .n = n, .link = link, .under_way = under_way };
  g_autofree Way *ways = NULL;
  gboolean found;

  g_return_val_if_fail (n >= 1 && n <= YOLO_MAX_STAGES, FALSE);
  sums_init (&sums);
  if (n > 1 && sums.earliest + n - 1 > plan->n_ops) {
    sums_clear (&sums);
    return yolo_network_fail (error, YOLO_NETWORK_ERROR_SIZE,
        "a network of %u operations cannot be cut into %u pieces; name fewer devices",
        plan->n_ops, n);
  }
  ways = g_new (Way, n * (plan->n_ops + 1));
  found = find_best (&sums, INFINITY, FALSE, ways, stages);
  if (found) {
    const double limit = MAX (slowest (stages, n), balance (&sums) * BALANCED);

    found = find_best (&sums, limit, TRUE, ways, stages);
  }
  sums_clear (&sums);
  return found
      || yolo_network_fail (error, YOLO_NETWORK_ERROR_MEMORY,
          "no cut of the network into %u pieces fits the devices' memory; name more devices, or "
          "use a lower precision", n);
}

/* Parts */

static void
find_given (const YoloPlan *plan, guint at, YoloPlan *to)
{
  GArray *views = g_array_new (FALSE, FALSE, sizeof (YoloView));
  Channels channels;

  channels_init (&channels, plan);
  for (guint i = 0; i < plan->n_buffers; i++)
    add_crossing (plan, &channels, i, at, views);
  channels_clear (&channels);
  to->n_given = views->len;
  to->given = (YoloView *) g_array_free (views, FALSE);
}

YoloPlan *
yolo_plan_take_part (YoloPlan *plan, YoloPlanPart part)
{
  const guint n_ops = part.end - part.first;

  g_return_val_if_fail (part.first < part.end && part.end <= plan->n_ops, plan);
  find_given (plan, part.first, plan);
  plan->part = part;
  plan->part_before = part.first > 0;
  plan->part_after = part.end < plan->n_ops;
  for (guint i = 0; i < plan->n_buffers; i++) {
    YoloBuffer *buffer = &plan->buffers[i];

    if (buffer->last < part.first || buffer->first >= part.end
        || (i == plan->input && plan->part_before)) {
      buffer->size = 0;
      buffer->first = buffer->last = 0;
      continue;
    }
    /* What a later part reads is alive until the end of this one. */
    buffer->first = buffer->first > part.first ? buffer->first - part.first : 0;
    buffer->last = MIN (buffer->last, part.end - 1) - part.first;
  }
  memmove (plan->ops, plan->ops + part.first, n_ops * sizeof (YoloOp));
  plan->n_ops = n_ops;
  /* the whole plan's arena was found, so that the sum of fewer buffers does not overflow */
  yolo_arena_assign (plan->buffers, plan->n_buffers, plan->input, &plan->arena_size);
  return plan;
}
