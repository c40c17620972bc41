/* SPDX-License-Identifier: MIT */
/* A back end that computes nothing: it records what it is given, can be held
 * up and can fail, and finds in each frame one object whose confidence tells
 * the frame's grey level. With host memory or, like a GPU, without. */

#ifndef YOLO_TESTS_FAKE_H
#define YOLO_TESTS_FAKE_H

#include "engine/engine-private.h"

#define FAKE_DEVICES 8

typedef struct {
  guint n, height, width;
  guint device;
  gpointer context;
  guint8 level[YOLO_ENGINE_MAX_BATCH];  /* of each frame */
} FakeBatch;

typedef struct {
  GMutex lock;
  GCond changed;
  /* What the test sets. */
  gboolean hold;                /* batches do not end, models do not load */
  guint fail_submit, fail_wait; /* the n-th batch from 1 fails there; 0: none */
  guint fail_every;             /* each n-th batch fails at submit(); 0: none */
  gboolean full;                /* all batches fail at submit(), for want of memory */
  gboolean unsupported;         /* as what no device can do, and not as a failure of this one */
  gboolean lost_submit[FAKE_DEVICES], lost_wait[FAKE_DEVICES];  /* all of this device's fail */
  guint max_images;             /* that all execs together have memory for; 0: no limit */
  gsize arena;                  /* bytes that each exec says it takes; 0: the truth */
  guint delay;                  /* microseconds that a batch takes */
  guint delay_frame;            /* the same for each of its frames, beside `delay` */
  guint delay_of[FAKE_DEVICES]; /* the same on one device, beside both */
  gboolean hold_device[FAKE_DEVICES];   /* batches and loads of this one do not end */
  gboolean fail_load;           /* of the model */
  gboolean fail_device[FAKE_DEVICES];   /* the model does not fit this one */
  gboolean half;                /* a device prefers fp16 */
  gboolean int8;                /* all have int8, hosts another kind than devices */
  gboolean idle;                /* a device runs five frames as eight, not as four and one */
  guint candidates, missed;     /* more of them, of a device; 0: one, none */
  /* What happened. */
  guint held;                   /* calls that wait for `hold` or `hold_device` to end */
  guint loads, unloads;         /* models */
  gpointer loaded_in;           /* the last context that a net was loaded in, but for NULL */
  guint nets, execs, images;    /* alive */
  guint net_loads;              /* nets in all, those that failed too */
  guint prepared;               /* execs made in all */
  guint under_way, max_under_way, ended;        /* batches */
  guint batches_of[FAKE_DEVICES];       /* that ended on each device */
  GArray *batches;              /* FakeBatch, in the order of submit() */
} Fake;

/* One for the process: the vtable's functions have no place for another. */
extern Fake fake;
extern const YoloEngineParts fake_host, fake_device;
/* As fake_host and fake_device, with another host as the reference, and for two devices. */
extern const YoloEngineParts fake_two_hosts, fake_two_devices;
/* What YoloEngineConfig.device says for these parts, and how many replicas that makes. */
const char *fake_devices (const YoloEngineParts *parts);
guint fake_n_replicas (const YoloEngineParts *parts);
/* No back end is available. */
extern const YoloEngineParts fake_missing;

void fake_reset (void);
void fake_set_hold (gboolean hold);
void fake_set_hold_device (guint device, gboolean hold);
/* Until so many calls wait for `hold` or `hold_device` to end. */
void fake_wait_held (guint held);
/* Of a detection: the grey level of its frame. */
guint fake_level (const YoloObject *detection);

/* A frame of width x height pixels, all of one grey level up to 200; its
 * memory is static. The request is for a network input of the same size. */
YoloRequest fake_request (guint width, guint height, guint8 level);

#define FAKE_MAX_SIZE 128

#endif
