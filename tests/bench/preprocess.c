/* SPDX-License-Identifier: MIT */
/* Times preprocess for each format and size, and decode with NMS: on one thread by CPU time,
 * which other programs hardly change, and on all threads by the clock. Prints medians in
 * milliseconds and, in brackets, the least. "memcpy" is the time to copy as many bytes as
 * the case has to read and write, on one thread, measured in turns with the case. */

#include "postprocess/nms.h"
#include "postprocess/task.h"
#include "base/pool.h"
#include "image/preprocess.h"
#include "image/tensor.h"
#include "tests/image/frames.h"
#include "tests/postprocess/levels.h"

#include <time.h>

#define RUNS 41

static int
compare_doubles (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;
  return (x > y) - (x < y);
}

typedef void (*Func) (void *data);

static double
now (clockid_t clock)
{
  struct timespec t;

  clock_gettime (clock, &t);
  return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static double
milliseconds (clockid_t clock, Func func, void *data)
{
  double start = now (clock);

  func (data);
  return now (clock) - start;
}

typedef struct {
  uint8_t *from, *to;
  size_t bytes;                 /* read and written together */
} Copy;

static void
copy (void *data)
{
  Copy *c = data;
  memcpy (c->to, c->from, c->bytes / 2);
}

/* 0: what runs uses one thread; 1: all threads. */
static int all;

static void
measure (const char *name, Func func, void *data, size_t bytes)
{
  double ms[3][RUNS];
  Copy c = { g_malloc0 (bytes / 2 + 1), g_malloc0 (bytes / 2 + 1), bytes };

  for (int i = 0; i < RUNS; i++) {
    all = 0;
    ms[0][i] = milliseconds (CLOCK_THREAD_CPUTIME_ID, func, data);
    ms[1][i] = milliseconds (CLOCK_THREAD_CPUTIME_ID, copy, &c);
    all = 1;
    ms[2][i] = milliseconds (CLOCK_MONOTONIC, func, data);
  }
  for (int k = 0; k < 3; k++)
    qsort (ms[k], RUNS, sizeof (double), compare_doubles);
  g_print ("%-36s %7.3f (%.3f)   %7.3f (%.3f)   %6.2f MB %7.3f (%.3f)\n", name, ms[0][RUNS / 2],
      ms[0][0], ms[2][RUNS / 2], ms[2][0], (double) bytes / 1e6, ms[1][RUNS / 2], ms[1][0]);
  g_free (c.from);
  g_free (c.to);
}

typedef struct {
  YoloPreprocess *pre[2];       /* [0] of one thread, [1] of all */
  YoloFrame frame;
  YoloLetterbox box;
  void *dst;
  YoloDType type;
} Preprocess;

static void
preprocess (void *data)
{
  Preprocess *p = data;
  yolo_preprocess_run (p->pre[all], &p->frame, &p->box, p->dst, p->type, 3);
}

/* Bytes of the rows that preprocess reads, each taken as read whole. */
static size_t
bytes_read (const YoloFrame *f, const YoloLetterbox *box)
{
  size_t bytes = 0;

  for (int p = 0; p < 3; p++) {
    int rows, size = plane_size (f->format, f->width, f->height, p, &rows);
    bool third = f->height == 3 * box->height;
    bytes += (size_t) size * (third ? box->height : rows);
  }
  return bytes;
}

static void
measure_preprocess (void)
{
  YoloPool *pool = yolo_pool_new (0);
  static const struct {
    YoloPixelFormat format;
    int width, height, net_width, net_height;
    YoloDType type;
    unsigned turn;              /* YOLO_TURN_* */
  } cases[] = {
    { YOLO_FORMAT_NV12, 1920, 1080, 640, 384, YOLO_F32, 0 },
    { YOLO_FORMAT_NV12, 1920, 1080, 640, 384, YOLO_BF16, 0 },
    { YOLO_FORMAT_NV12, 1920, 1080, 640, 384, YOLO_U8, 0 },
    { YOLO_FORMAT_NV12, 1920, 1080, 640, 640, YOLO_F32, 0 },
    { YOLO_FORMAT_NV12, 1920, 1080, 1280, 736, YOLO_F32, 0 },
    { YOLO_FORMAT_NV12, 1920, 1080, 480, 288, YOLO_F32, 0 },
    { YOLO_FORMAT_NV12, 1280, 720, 640, 384, YOLO_F32, 0 },
    { YOLO_FORMAT_NV12, 1366, 768, 640, 384, YOLO_F32, 0 },
    { YOLO_FORMAT_NV12, 768, 576, 640, 480, YOLO_F32, 0 },
    { YOLO_FORMAT_NV12, 640, 360, 640, 384, YOLO_F32, 0 },
    { YOLO_FORMAT_NV12, 3840, 2160, 640, 384, YOLO_F32, 0 },
    { YOLO_FORMAT_NV12, 7680, 4320, 640, 384, YOLO_F32, 0 },
    { YOLO_FORMAT_NV21, 1920, 1080, 640, 384, YOLO_F32, 0 },
    { YOLO_FORMAT_I420, 1920, 1080, 640, 384, YOLO_F32, 0 },
    { YOLO_FORMAT_YUY2, 1920, 1080, 640, 384, YOLO_F32, 0 },
    { YOLO_FORMAT_P010, 1920, 1080, 640, 384, YOLO_F32, 0 },
    { YOLO_FORMAT_GRAY8, 1920, 1080, 640, 384, YOLO_F32, 0 },
    { YOLO_FORMAT_RGB, 1920, 1080, 640, 384, YOLO_F32, 0 },
    { YOLO_FORMAT_BGR, 810, 1080, 640, 640, YOLO_F32, 0 },
    { YOLO_FORMAT_BGRA, 1280, 720, 640, 384, YOLO_F32, 0 },
    { YOLO_FORMAT_I420_10, 1920, 1080, 640, 384, YOLO_F32, 0 },
    { YOLO_FORMAT_AYUV64, 1920, 1080, 640, 384, YOLO_F32, 0 },
    { YOLO_FORMAT_NV12, 1920, 1080, 640, 384, YOLO_F32, YOLO_TURN_MIRROR_X | YOLO_TURN_MIRROR_Y },
    { YOLO_FORMAT_NV12, 1920, 1080, 384, 640, YOLO_F32, YOLO_TURN_TRANSPOSE | YOLO_TURN_MIRROR_Y },
    { YOLO_FORMAT_NV12, 1280, 720, 384, 640, YOLO_F32, YOLO_TURN_TRANSPOSE | YOLO_TURN_MIRROR_Y },
  };
  Random r = random_new (1);

  for (size_t i = 0; i < G_N_ELEMENTS (cases); i++) {
    TestFrame t = test_frame_new (&r, cases[i].format, cases[i].width, cases[i].height, 0, false);
    int net_width = cases[i].net_width, net_height = cases[i].net_height;
    size_t size = 3 * (size_t) net_width * net_height * yolo_dtype_size (cases[i].type);
    Preprocess p = { { yolo_preprocess_new (NULL), yolo_preprocess_new (pool) }, t.frame,
      .dst = g_malloc (size), .type = cases[i].type };
    g_autofree char *name =
        g_strdup_printf ("%s %dx%d to %dx%d %s%s", format_names[cases[i].format], cases[i].width,
            cases[i].height, net_width, net_height, yolo_dtype_name (cases[i].type),
            cases[i].turn & YOLO_TURN_TRANSPOSE ? " 90r"
                : cases[i].turn                 ? " 180"
                                                : "");

    p.frame.turn = cases[i].turn;
    yolo_letterbox_frame (&p.box, &p.frame, net_width, net_height);
    measure (name, preprocess, &p, bytes_read (&p.frame, &p.box) + size);
    yolo_preprocess_free (p.pre[0]);
    yolo_preprocess_free (p.pre[1]);
    g_free (p.dst);
    test_frame_free (&t);
  }
  yolo_pool_free (pool);
}

#define N_CLASSES 80
#define REG_MAX 16
#define N_ANCHORS 8400

typedef struct {
  TestLevel levels[3];
  YoloDecode decode;
  YoloObject scratch[N_ANCHORS];
  size_t kept;
} Postprocess;

static void
postprocess (void *data)
{
  Postprocess *p = data;
  test_decode_levels (p->levels, 3, REG_MAX, N_CLASSES, &p->decode);
  p->kept = yolo_nms (p->decode.candidates, p->decode.n, 0.7f, 0, 300, p->scratch);
}

/* Times decode and NMS on maps in which every anchor has one class that stands out, so that some
 * of the anchors pass whatever the threshold is. */
static void
measure_postprocess (float confidence)
{
  Random r = random_new (2);
  g_autofree float *box = g_new (float, N_ANCHORS * 4 * REG_MAX);
  g_autofree float *cls = g_new (float, N_ANCHORS * N_CLASSES);
  g_autofree YoloObject *candidates = g_new (YoloObject, N_ANCHORS);
  g_autofree Postprocess *p = g_new0 (Postprocess, 1);
  size_t anchor = 0;

  for (size_t i = 0; i < N_ANCHORS * 4 * REG_MAX; i++)
    box[i] = (float) random_normal (&r);
  for (size_t i = 0; i < N_ANCHORS * N_CLASSES; i++)
    cls[i] = (float) random_normal (&r) - (i % N_CLASSES ? 12 : 6);
  for (int l = 0; l < 3; l++) {
    int side = 80 >> l;
    p->levels[l] = (TestLevel) {
      .box = box + anchor * 4 * REG_MAX, .cls = cls + anchor * N_CLASSES,
      .box_stride = 4 * REG_MAX, .cls_stride = N_CLASSES,
      .width = side, .height = side, .stride = 8 << l,
    };
    anchor += (size_t) side * side;
  }
  p->decode = (YoloDecode) {
    .confidence = confidence, .candidates = candidates, .capacity = N_ANCHORS,
  };
  postprocess (p);
  g_autofree char *name = g_strdup_printf ("decode, NMS at %g: %zu, %zu", (double) confidence,
      p->decode.n, p->kept);
  measure (name, postprocess, p, N_ANCHORS * N_CLASSES * sizeof (float));
}

int
main (void)
{
  g_print ("median (least), ms                 one thread        %d threads        memcpy of as "
           "many bytes\n",
      g_get_num_processors ());
  measure_postprocess (0.03f);
  measure_postprocess (0.001f);
  measure_preprocess ();
  return 0;
}
