/* SPDX-License-Identifier: MIT */
/* What can go wrong with a network: codes, and text that may hold a file's bytes. */

#ifndef YOLO_BASE_ERROR_H
#define YOLO_BASE_ERROR_H

#include <glib.h>

G_BEGIN_DECLS

#define YOLO_NETWORK_ERROR (yolo_network_error_quark ())
GQuark yolo_network_error_quark (void);

typedef enum {
  YOLO_NETWORK_ERROR_FILE,          /* cannot be opened or read */
  /* no valid ONNX: truncated, cyclic, wrong types or lengths, NaN weights */
  YOLO_NETWORK_ERROR_FORMAT,
  /* valid, but another task, or an operator that is not understood */
  YOLO_NETWORK_ERROR_UNSUPPORTED,
  YOLO_NETWORK_ERROR_SIZE,          /* an input size that the network cannot run at */
  YOLO_NETWORK_ERROR_PRECISION,     /* a precision that the device cannot run in */
  YOLO_NETWORK_ERROR_DEVICE,        /* a device or back end that is missing or failed */
  YOLO_NETWORK_ERROR_MEMORY,
} YoloNetworkError;

/* Names from a file may be long, no UTF-8, or hold what commands a terminal: see
 * yolo_text_printable(). */
void yolo_network_set_error (GError **error, YoloNetworkError code, const char *format, ...)
    G_GNUC_PRINTF (3, 4);

/* The same as an expression that is FALSE, for `return`. */
#define yolo_network_fail(...) (yolo_network_set_error (__VA_ARGS__), FALSE)

G_END_DECLS

#endif
