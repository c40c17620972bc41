/* SPDX-License-Identifier: MIT */
/* What the property `device` says: which devices run a model, each with a copy of its own. */

#ifndef YOLO_ENGINE_DEVICES_H
#define YOLO_ENGINE_DEVICES_H

#include <glib.h>

G_BEGIN_DECLS

/* Copies of one model that a text can ask for. */
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
  gint number;                  /* of a GPU, as CUDA counts; -1: the text does not say */
} YoloDeviceChoice;

typedef struct {
  guint n;                      /* 1 or more */
  YoloDeviceChoice at[YOLO_MAX_DEVICES];
} YoloDevices;

/**
 * yolo_devices_parse:
 * @text: (nullable): "auto", or "cpu", "reference", "cuda" and "cuda:1" with commas between;
 * NULL and "": "auto". A device that stands there twice runs two copies.
 * @devices: (out): in the order of @text
 *
 * Returns: FALSE with @error (YOLO_NETWORK_ERROR_DEVICE), which begins with `device`
 */
gboolean yolo_devices_parse (const char *text, YoloDevices *devices, GError **error);

G_END_DECLS

#endif
