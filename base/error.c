/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/text.h"

#define MAX_MESSAGE 1000

GQuark
yolo_network_error_quark (void)
{
  return g_quark_from_static_string ("yolo-network-error-quark");
}

void
yolo_network_set_error (GError **error, YoloNetworkError code, const char *format, ...)
{
  va_list args;
  g_autofree char *text = NULL, *printable = NULL;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);

  printable = yolo_text_printable (text, MAX_MESSAGE);
  g_set_error_literal (error, YOLO_NETWORK_ERROR, code, printable);
}
