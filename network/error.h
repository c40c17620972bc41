/* Errors of this room: text that may hold a file's bytes. */

#ifndef YOLO_NETWORK_ERROR_H
#define YOLO_NETWORK_ERROR_H

#include "network/model.h"

/* Names from a file may be long, no UTF-8, or hold what commands a terminal: see yolo_text_printable(). */
void yolo_network_set_error (GError **error, YoloNetworkError code, const char *format, ...) G_GNUC_PRINTF (3, 4);

/* The same as an expression that is FALSE, for `return`. */
#define yolo_network_fail(...) (yolo_network_set_error (__VA_ARGS__), FALSE)

#endif
