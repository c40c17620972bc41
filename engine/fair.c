/* SPDX-License-Identifier: MIT */
/* How the frames that a machine has time for are shared among streams: by weights, and by a rate
 * below which a stream goes first. All of it is under the engine's lock, and allocates nothing.
 *
 * By weights: start-time fair queueing (Goyal, Vin, Cheng, "Start-time Fair Queueing: A Scheduling
 * Algorithm for Integrated Services Packet Switching Networks", SIGCOMM 1996). A stream's frame
 * starts, in virtual time, where its frame before has ended, but not before now, and lasts 1 /
 * weight; the frame that starts first is next, and now is the start of the frame that was taken
 * last. Where all weights are equal, that is the stream that was served least recently.
 *
 * A batch takes more than the next frame, and a stream has only so many frames under way: if all
 * that wait ran together, a stream would have as many frames as another one of less weight. Where
 * weights differ, frames are left out of the batch therefore which start behind the next frame of
 * a stream that had to wait with it: that one is about to come.
 *
 * By rates: Zhang, "VirtualClock: A New Traffic Control Algorithm for Packet-Switched Networks",
 * SIGCOMM 1990. A stream's next frame is late when a period of its rate is over since the one
 * before was due. While streams that have to wait are late, the next batch takes frames of these
 * alone, whatever the weights say, for a second at most; a frame costs its stream no more of its
 * share than any other then. (Being the first of a batch would be nothing, since most batches have
 * room for all that wait.) */

#include "engine/engine-private.h"

/* Of virtual times, which are sums of fractions: that much is no difference. */
#define SAME 1e-9

/* Microseconds after which a batch is open to all streams, however late some are: rates that are
 * more than there is time for leave something to those without. */
#define OPEN_PERIOD G_USEC_PER_SEC

/* The virtual time at which the stream's next frame starts. */
static double
start_of (const YoloStream *stream)
{
  return MAX (stream->start, stream->set->virtual_time);
}

/* Periods of its rate by which the stream's next frame is late at the monotonic time @now; less
 * than 0: it is not, or there is no rate. */
static double
lateness (const YoloStream *stream, gint64 now)
{
  return stream->min_rate > 0 ? (now - stream->floor_at) / 1e6 * stream->min_rate : -1;
}

void
yolo_fair_open (YoloStream *stream)
{
  stream->weight = 1;
  stream->min_rate = 0;
  stream->start = stream->set->virtual_time + 1;
}

void
yolo_fair_set (YoloStream *stream, double weight, double min_rate)
{
  const double now = stream->set->virtual_time;

  if (stream->start > now)
    stream->start = now + (stream->start - now) * stream->weight / weight;
  stream->weight = weight;
  stream->min_rate = min_rate;
}

/* A frame that has waited although its stream never had as many under way as it may have did not
 * wait for the engine, but for what is behind the element. */
void
yolo_fair_submitted (YoloStream *stream, gboolean waited)
{
  if (waited)
    stream->pressed = stream->full;
  else if (stream->pending == 0)
    stream->pressed = FALSE;
  stream->full = stream->pending + 1 >= stream->max_pending;
}

/* How many of the frames of a stream that has to wait the next batch may take. It keeps a picture
 * for the batch after that, which may be formed before the stream's thread has sent another one. */
static guint
usable (const YoloStream *stream)
{
  const guint kept = MAX (stream->parts, 1);
  guint waiting = 0;

  for (const YoloJob *job = stream->first; job != NULL; job = job->next)
    waiting++;
  return waiting > kept ? waiting - kept : waiting;
}

static gboolean
has_to_wait (const YoloStream *stream)
{
  return stream->active && stream->pressed;
}

/* The virtual time behind which frames are left out of the next batch. @first: when the next
 * frame of all starts. */
static double
limit_of (const YoloReplicaSet *set, double first)
{
  double limit = G_MAXDOUBLE;

  for (GList *l = set->streams.head; l != NULL; l = l->next) {
    const YoloStream *stream = l->data;

    if (has_to_wait (stream))
      limit = MIN (limit, start_of (stream) + usable (stream) / stream->weight);
  }
  return MAX (limit, first) + SAME;
}

static gboolean
is_urgent (const YoloStream *stream, gint64 now)
{
  return stream->first != NULL && has_to_wait (stream) && lateness (stream, now) >= 0;
}

/* Leaves out of the next batch what is not urgent, if anything is. */
static void
put_urgent_first (YoloReplicaSet *set, gint64 now)
{
  set->urgent = FALSE;
  for (GList *l = set->streams.head; l != NULL; l = l->next)
    set->urgent |= is_urgent (l->data, now) && now < set->open_at + OPEN_PERIOD;
  for (GList *l = set->streams.head; l != NULL && set->urgent; l = l->next)
    if (!is_urgent (l->data, now))
      ((YoloStream *) l->data)->allowed = 0;
}

/* By weights: how many frames of each stream the next batch may take. */
static void
allow_by_weight (YoloReplicaSet *set, const YoloReplica *replica, gint64 now)
{
  const YoloStream *head = set->streams.head != NULL ? set->streams.head->data : NULL;
  double first = G_MAXDOUBLE, limit;
  gboolean differ = FALSE;

  for (GList *l = set->streams.head; l != NULL; l = l->next) {
    YoloStream *stream = l->data;

    differ |= stream->weight != head->weight;
    stream->allowed = G_MAXINT;
    if (stream->first != NULL)
      first = MIN (first, start_of (stream));
  }
  if (!differ)
    return;
  /* a device that has nothing to do takes a frame whatever its weight; one that is busy with a
   * batch can wait for the stream whose turn it is */
  limit = limit_of (set, replica == NULL || replica->n_batches == 0 ? first : 0);
  for (GList *l = set->streams.head; l != NULL; l = l->next) {
    YoloStream *stream = l->data;
    const double room = (limit - start_of (stream)) * stream->weight;

    if (room < G_MAXINT)
      stream->allowed = room < 0 ? 0 : (guint) room + 1;
    if (has_to_wait (stream))
      stream->allowed = MIN (stream->allowed, usable (stream));
    if (stream->allowed == 0 && lateness (stream, now) >= 0)
      stream->allowed = 1;
  }
}

void
yolo_fair_begin (YoloReplicaSet *set, const YoloReplica *replica, gint64 now)
{
  allow_by_weight (set, replica, now);
  put_urgent_first (set, now);
}

gboolean
yolo_fair_before (const YoloStream *a, const YoloStream *b)
{
  return start_of (a) < start_of (b) - SAME;
}

void
yolo_fair_took (YoloStream *stream, gint64 now)
{
  const gboolean late = lateness (stream, now) >= 0;
  YoloReplicaSet *set = stream->set;

  if (!set->urgent)
    set->open_at = now;
  if (!late)
    set->virtual_time = start_of (stream);
  stream->start = set->virtual_time + 1 / stream->weight;
  stream->allowed--;
  if (stream->min_rate > 0) {
    const gint64 period = MIN (1e6 / stream->min_rate, G_MAXINT);

    stream->floor_at = late ? MAX (stream->floor_at + period, now) : now + period;
  }
}

void
yolo_fair_give_back (YoloStream *stream)
{
  stream->start -= 1 / stream->weight;
}
