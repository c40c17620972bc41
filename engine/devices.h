/* SPDX-License-Identifier: MIT */
/* What the property `device` says: which devices run a model, each with a copy of its own or,
 * joined by plus signs, with a piece of one. */

#ifndef YOLO_ENGINE_DEVICES_H
#define YOLO_ENGINE_DEVICES_H

#include <glib.h>

G_BEGIN_DECLS

/* Devices that a text can name. */
#define YOLO_MAX_DEVICES 16

/* auto: CUDA where it is available, else the CPU. The reference is the plain C
 * definition, which runs everywhere, slowly. */
typedef enum {
  YOLO_DEVICE_AUTO,
  YOLO_DEVICE_CPU,
  YOLO_DEVICE_CUDA,
  YOLO_DEVICE_REFERENCE,
} YoloDevice;

typedef struct {
  YoloDevice kind;
  /* of a GPU, as CUDA counts, or of a NUMA node of the CPU; -1: the text does not say */
  gint number;
  gboolean joined;              /* it runs the piece behind that of the device before it */
} YoloDeviceChoice;

typedef struct {
  guint n;                      /* 1 or more */
  YoloDeviceChoice at[YOLO_MAX_DEVICES];
} YoloDevices;

/**
 * yolo_devices_parse:
 * @text: (nullable): "auto", or "cpu", "cpu:1", "reference", "cuda" and "cuda:1" with commas
 * between; NULL and "": "auto". A device that stands there twice runs two copies. "cuda:0+cuda:1"
 * in place of one of them is two devices that run one copy in two pieces, of which there are
 * YOLO_MAX_STAGES at most.
 * @devices: (out): in the order of @text
 *
 * Returns: FALSE with @error (YOLO_NETWORK_ERROR_DEVICE), which begins with `device`
 */
gboolean yolo_devices_parse (const char *text, YoloDevices *devices, GError **error);

G_END_DECLS

#endif
