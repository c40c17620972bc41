/* SPDX-License-Identifier: MIT */
/* What librdkafka is told of brokers and of who logs in, by the options of a sink: the same for
 * those who send and those who read. */

#ifndef YOLO_EXPORT_KAFKA_OPTIONS_H
#define YOLO_EXPORT_KAFKA_OPTIONS_H

#include <librdkafka/rdkafka.h>

#include "export/location.h"
#include "export/sink.h"

G_BEGIN_DECLS

/**
 * yolo_kafka_options:
 * @own: [n][2] names and values of librdkafka's that the caller wants; the user's
 * `broker_options` overrule them
 *
 * Returns: (transfer full): for rd_kafka_new(), or NULL with @error: the location has no topic that
 * Kafka takes, or librdkafka does not take a value
 */
rd_kafka_conf_t *yolo_kafka_options (const YoloSinkOptions *options, const YoloLocation *location,
    const char *const own[][2], guint n, GError **error);

G_END_DECLS

#endif
