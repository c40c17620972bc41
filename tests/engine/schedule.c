/* SPDX-License-Identifier: MIT */
/* Which replica is to run a batch, by times that the test makes up. */

#include "tests/engine/fake.h"

#define NOW 1000000

typedef struct {
  gint64 time;                  /* microseconds of a batch of one; 0: none has run yet */
  guint under_way;              /* batches */
  gint64 free_in;               /* microseconds until they are over; negative: they are late */
  gboolean lost;
  gint64 bring;                 /* microseconds that the row's frames take to be brought there */
} Place;

/* A row: what each replica is doing, how many frames wait, and which of the replicas would take a
 * batch of one if it could, as letters. */
typedef struct {
  const char *name;
  Place places[3];
  guint frames;
  const char *takes;
} Row;

#define IDLE(time_) { time_, 0, 0, FALSE, 0 }
#define FAR(time_, bring_) { time_, 0, 0, FALSE, bring_ }

static const Row rows[] = {
  { "equal and idle", { IDLE (10), IDLE (10), IDLE (10) }, 1, "ABC" },
  { "the fast one", { IDLE (30), IDLE (10), IDLE (20) }, 1, "B" },
  { "a busy fast one is still sooner", { IDLE (50), { 10, 1, 10, FALSE, 0 }, IDLE (40) }, 1, "B" },
  { "a busy fast one is later", { IDLE (25), { 10, 1, 20, FALSE, 0 }, IDLE (40) }, 1, "A" },
  { "two wait: the second one's turn", { IDLE (25), { 10, 1, 10, FALSE, 0 }, IDLE (40) }, 2, "AB" },
  { "all have work", { IDLE (30), IDLE (10), IDLE (20) }, 6, "ABC" },
  { "the slowest has none yet", { IDLE (30), IDLE (10), IDLE (20) }, 3, "BC" },
  { "what is not known is tried", { IDLE (30), IDLE (0), IDLE (20) }, 1, "B" },
  { "or tried again", { IDLE (30), { 0, 1, 0, FALSE, 0 }, { 20, 1, 5, FALSE, 0 } }, 1, "B" },
  { "late as long as it takes another", { IDLE (30), { 10, 1, -19, FALSE, 0 }, IDLE (90) }, 1,
      "B" },
  { "later than that", { IDLE (30), { 10, 1, -21, FALSE, 0 }, IDLE (90) }, 1, "A" },
  { "a lost one counts for nothing", { IDLE (30), { 10, 0, 0, TRUE, 0 }, IDLE (20) }, 1, "C" },
  { "many wait", { IDLE (30), IDLE (1), IDLE (1) }, 10000, "ABC" },
  { "one is too slow for any", { IDLE (1000), IDLE (1), IDLE (1) }, 10000, "BC" },
  { "where it lies", { FAR (10, 2), IDLE (10), FAR (10, 2) }, 1, "B" },
  { "a faster one is further", { IDLE (10), FAR (9, 2), FAR (9, 3) }, 1, "A" },
  { "and faster than it is far", { IDLE (10), FAR (7, 2), FAR (9, 3) }, 1, "B" },
  { "where it lies has work", { { 10, 1, 3, FALSE, 0 }, FAR (10, 2), FAR (10, 4) }, 1, "B" },
  { "but not for long", { { 10, 1, 1, FALSE, 0 }, FAR (10, 2), FAR (10, 4) }, 1, "A" },
  { "others for what waits there", { IDLE (10), FAR (10, 12), FAR (10, 80) }, 4, "AB" },
  { "unknown, and far", { IDLE (30), FAR (0, 5), IDLE (20) }, 1, "B" },
};

static void
test_row (gconstpointer data)
{
  const Row *row = data;
  YoloEngine engine = { .n_sites = G_N_ELEMENTS (row->places) };
  YoloReplica replicas[G_N_ELEMENTS (row->places)] = { 0 };
  YoloReplicaSet set = { .engine = &engine, .replicas = replicas };
  g_autoptr (GString) takes = g_string_new (NULL);
  gint64 bring[G_N_ELEMENTS (row->places)];

  for (guint i = 0; i < engine.n_sites; i++) {
    const Place *place = &row->places[i];

    replicas[i].serves = !place->lost;
    replicas[i].n_batches = place->under_way;
    replicas[i].free_at = NOW + place->free_in;
    bring[i] = place->bring;
    for (guint n = 0; n < 2 && place->time > 0; n++)
      yolo_schedule_measured (&replicas[i].times, 1, place->time);
  }
  for (guint i = 0; i < engine.n_sites; i++)
    if (replicas[i].serves
        && yolo_schedule_takes (&set, &replicas[i], 1, row->frames, bring, NOW))
      g_string_append_c (takes, 'A' + i);
  g_assert_cmpstr (takes->str, ==, row->takes);
}

/* Frames are counted in batches of the size that is asked for. */
static void
test_batches (void)
{
  YoloEngine engine = { .n_sites = 2 };
  YoloReplica replicas[2] = { { .serves = TRUE }, { .serves = TRUE } };
  YoloReplicaSet set = { .engine = &engine, .replicas = replicas };
  const gint64 here[2] = { 0 };

  for (guint n = 0; n < 2; n++) {
    yolo_schedule_measured (&replicas[0].times, 8, 25);
    yolo_schedule_measured (&replicas[1].times, 8, 10);
  }
  g_assert_false (yolo_schedule_takes (&set, &replicas[0], 8, 16, here, NOW));
  g_assert_true (yolo_schedule_takes (&set, &replicas[0], 8, 17, here, NOW));
}

/* Frames are shared with replicas that have nothing to do, and are half as fast or more. */
static void
test_share (void)
{
  YoloEngine engine = { .n_sites = 3 };
  YoloReplica replicas[3] = { { .serves = TRUE }, { .serves = TRUE }, { .serves = TRUE } };
  YoloReplicaSet set = { .engine = &engine, .replicas = replicas };
  const gint64 here[3] = { 0 }, far[3] = { 0, 70, 0 };

  for (guint n = 0; n < 2; n++) {
    yolo_schedule_measured (&replicas[0].times, 1, 10);
    yolo_schedule_measured (&replicas[1].times, 1, 20);
    yolo_schedule_measured (&replicas[2].times, 1, 21);
  }
  g_assert_cmpuint (yolo_schedule_share (&set, &replicas[0], 1, 7, here), ==, 4);
  g_assert_cmpuint (yolo_schedule_share (&set, &replicas[1], 1, 7, here), ==, 3);
  /* a seventh of what all take to be brought there makes 30 of 20 */
  g_assert_cmpuint (yolo_schedule_share (&set, &replicas[0], 1, 7, far), ==, 7);
  replicas[1].n_batches = 1;
  g_assert_cmpuint (yolo_schedule_share (&set, &replicas[0], 1, 7, here), ==, 7);
  replicas[1].n_batches = 0;
  replicas[1].serves = FALSE;
  g_assert_cmpuint (yolo_schedule_share (&set, &replicas[0], 1, 7, here), ==, 7);
}

/* Frames on a GPU are near to that one alone, and frames on the host to all. */
static void
test_bring (void)
{
  YoloReplica replica = { .site = { .n = 1, .at[0].device = 1 } };
  YoloFrame frame = { .format = YOLO_FORMAT_NV12, .width = 1920, .height = 1080 };

  g_assert_cmpint (yolo_schedule_bring (&replica, &frame), ==, 0);
  frame.memory = YOLO_MEMORY_CUDA;
  /* 3110400 bytes at 12000 a microsecond */
  g_assert_cmpint (yolo_schedule_bring (&replica, &frame), ==, 259);
  frame.format = YOLO_FORMAT_P010;
  g_assert_cmpint (yolo_schedule_bring (&replica, &frame), ==, 518);
  frame.device = 1;
  g_assert_cmpint (yolo_schedule_bring (&replica, &frame), ==, 0);
}

static void
test_times (void)
{
  YoloBatchTimes times = { 0 };

  g_assert_cmpint (yolo_schedule_time (&times, 4), ==, 0);
  yolo_schedule_measured (&times, 4, 9000);     /* what loads its kernels */
  g_assert_cmpint (yolo_schedule_time (&times, 4), ==, 0);
  yolo_schedule_measured (&times, 4, 400);
  g_assert_cmpint (yolo_schedule_time (&times, 4), ==, 400);
  g_assert_cmpint (yolo_schedule_time (&times, 1), ==, 100);
  g_assert_cmpint (yolo_schedule_time (&times, 32), ==, 3200);
  yolo_schedule_measured (&times, 1, 9000);
  yolo_schedule_measured (&times, 1, 160);
  g_assert_cmpint (yolo_schedule_time (&times, 1), ==, 160);
  g_assert_cmpint (yolo_schedule_time (&times, 2), ==, 320);
  g_assert_cmpint (yolo_schedule_time (&times, 4), ==, 400);
  /* one that is out of the common run changes little, a change that stays is followed */
  yolo_schedule_measured (&times, 4, 1200);
  g_assert_cmpint (yolo_schedule_time (&times, 4), ==, 500);
  for (guint i = 0; i < 50; i++)
    yolo_schedule_measured (&times, 4, 1200);
  g_assert_cmpint (yolo_schedule_time (&times, 4), >, 1100);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree char *path = g_strdup_printf ("/engine/schedule/%s", rows[i].name);

    g_test_add_data_func (path, &rows[i], test_row);
  }
  g_test_add_func ("/engine/schedule/batches", test_batches);
  g_test_add_func ("/engine/schedule/share", test_share);
  g_test_add_func ("/engine/schedule/bring", test_bring);
  g_test_add_func ("/engine/schedule/times", test_times);
  return g_test_run ();
}
