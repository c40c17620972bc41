/* SPDX-License-Identifier: MIT */
/* In place of redis.c where its library is missing. */

#include "export/client.h"

static YoloClient *
open_nothing (const YoloSinkOptions *options, const YoloLocation *location, GError **error)
{
  g_set_error (error, G_FILE_ERROR, G_FILE_ERROR_NOSYS, "this build cannot send to \"%s\", since "
      "it is without Redis: install libhiredis-dev and build again", options->location);
  return NULL;
}

const YoloClientClass yolo_client_redis = {
  .schemes = (const char *const[]) { "redis", NULL },
  .open = open_nothing,
};
