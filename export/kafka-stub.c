/* SPDX-License-Identifier: MIT */
/* In place of kafka.c where its library is missing. */

#include "export/client.h"

static YoloClient *
open_nothing (const YoloSinkOptions *options, const YoloLocation *location, GError **error)
{
  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSYS, "this build cannot send to \"%s\", since "
      "it is without Kafka: install librdkafka-dev and build again", options->location);
  return NULL;
}

const YoloClientClass yolo_client_kafka = {
  .schemes = (const char *const[]) { "kafka", NULL },
  .open = open_nothing,
};
